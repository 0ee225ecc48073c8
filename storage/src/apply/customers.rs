//! Customers: writing them row by row, deleting them, and what that does to their messages.

use std::collections::BTreeMap;

use super::{Applied, batches::MailingEdit, changelog, mailings, members::find_member};
use crate::{
    changes::Changes,
    command::{CustomerRow, PutCustomers, PutMode, Rejection, Reply},
    error::Error,
    index::id_hash,
    keys::{
        CustomerColumnsKey, CustomerHashesKey, CustomerTextsKey, DeletedKey, NumbersKey, UnsweptKey,
    },
    limits::{
        CUSTOMER_ROWS, CUSTOMERS_PER_BLOCK, DELETED_PER_BLOCK, ENTRY_BATCHES, SWEEP_MAILINGS,
    },
    model::{Customer, CustomerId, MailingNumber, Phone, Seq, Status},
    records::{CustomerColumns, CustomerTexts, DeletedBlock, Numbers, WordKind},
    source::Source,
};

/// Deleted customers that may wait for their sweep at once.
const UNSWEPT: usize = 1_000;

/// A block of customers at hand.
#[derive(Default)]
struct Block {
    columns: CustomerColumns,
    texts: CustomerTexts,
    hashes: Vec<u64>,
    grown: bool,
    columns_changed: bool,
    texts_changed: bool,
}

impl Block {
    /// The words of a customer.
    fn words(&self, index: usize) -> Words {
        let CustomerColumns {
            zones,
            tags,
            operators,
            ..
        } = &self.columns;
        Words {
            zone: zones[index],
            tag: tags[index],
            operator: operators[index],
        }
    }
}

/// The blocks that one command touches, read once and written once.
#[derive(Default)]
struct Blocks {
    blocks: BTreeMap<u32, Block>,
    /// A tag and an operator for each row that began to use them: counted at the end, all at once.
    tags: Vec<u32>,
    operators: Vec<u32>,
}

impl Blocks {
    fn get(&mut self, changes: &Changes<'_>, seq: Seq) -> Result<(&mut Block, usize), Error> {
        let number = seq.0 / CUSTOMERS_PER_BLOCK;
        let index = (seq.0 % CUSTOMERS_PER_BLOCK) as usize;
        let block = match self.blocks.entry(number) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(Block {
                columns: changes.get_or_default(&CustomerColumnsKey(number))?,
                texts: changes.get_or_default(&CustomerTextsKey(number))?,
                hashes: changes.get_or_default(&CustomerHashesKey(number))?,
                ..Block::default()
            }),
        };
        Ok((block, index))
    }

    fn find(&mut self, changes: &Changes<'_>, id: &CustomerId) -> Result<Option<Seq>, Error> {
        let mut fault = None;
        let found = changes.find_id(id_hash(id.as_str()), |seq| {
            match self.get(changes, Seq(seq)) {
                Ok((block, index)) => block
                    .texts
                    .ids
                    .get(index)
                    .is_some_and(|found| found == id.as_str()),
                Err(error) => {
                    fault = Some(error);
                    true
                }
            }
        });
        fault.map_or(Ok(found), Err)
    }

    /// Notes that a customer uses some words from now on.
    fn use_words(&mut self, words: Words) {
        self.tags.push(words.tag);
        self.operators.push(words.operator);
    }

    fn write(self, changes: &mut Changes<'_>) {
        changes.use_words(WordKind::Tag, &self.tags, 1);
        changes.use_words(WordKind::Operator, &self.operators, 1);
        for (number, block) in self.blocks {
            if block.grown {
                changes.put(&CustomerHashesKey(number), &block.hashes);
            }
            if block.grown || block.columns_changed {
                changes.put(&CustomerColumnsKey(number), &block.columns);
            }
            if block.grown || block.texts_changed {
                changes.put(&CustomerTextsKey(number), &block.texts);
            }
        }
    }
}

/// The numbers of a row's words in the state's dictionaries.
#[derive(Clone, Copy)]
struct Words {
    zone: u16,
    tag: u32,
    operator: u32,
}

/// Looks up each word of a command once.
struct Dictionary {
    zones: Vec<u16>,
    tags: Vec<u32>,
    operators: Vec<u32>,
}

impl Dictionary {
    fn new(changes: &mut Changes<'_>, put: &PutCustomers) -> Self {
        // Zone 0 stands for none, so it is taken before any zone is.
        changes.word_number(WordKind::Zone, "", "");
        let zone = |changes: &mut Changes<'_>, text: &String| {
            changes
                .word_number(WordKind::Zone, text, text)
                .try_into()
                .unwrap_or(u16::MAX)
        };
        let word = |changes: &mut Changes<'_>, kind, (text, folded): &(String, String)| {
            changes.word_number(kind, text, folded)
        };
        Self {
            zones: put.zones.iter().map(|text| zone(changes, text)).collect(),
            tags: put
                .tags
                .iter()
                .map(|pair| word(changes, WordKind::Tag, pair))
                .collect(),
            operators: put
                .operators
                .iter()
                .map(|pair| word(changes, WordKind::Operator, pair))
                .collect(),
        }
    }

    fn words(&self, row: &CustomerRow) -> Option<Words> {
        let zone = match row.zone {
            None => 0,
            Some(zone) => *self.zones.get(usize::from(zone))?,
        };
        let tag = *self.tags.get(usize::from(row.tag))?;
        let operator = *self.operators.get(usize::from(row.operator))?;
        Some(Words {
            zone,
            tag,
            operator,
        })
    }
}

/// What one row did.
enum Written {
    Created,
    Revived(Seq),
    Changed(Seq),
    Same,
}

pub(super) fn put(changes: &mut Changes<'_>, put: &PutCustomers) -> Applied {
    if put.rows.is_empty() || put.rows.len() > CUSTOMER_ROWS {
        let what = format!("1 to {CUSTOMER_ROWS} customers at once");
        return Err(Rejection::OutOfBounds { what }.into());
    }
    let single = put.mode != PutMode::Upsert && put.rows.len() == 1;
    let dictionary = Dictionary::new(changes, put);
    let mut numbers: Numbers = changes.get_or_default(&NumbersKey)?;
    let mut blocks = Blocks::default();
    let mut changed = Vec::new();
    let (mut created, mut updated, mut rejected) = (0, 0, Vec::new());
    for (row, index) in put.rows.iter().zip(0..) {
        let words = dictionary
            .words(row)
            .ok_or_else(|| Rejection::OutOfBounds {
                what: "a row refers to a word that the command does not carry".to_owned(),
            })?;
        match put_row(changes, &mut blocks, &mut numbers, put.mode, row, words)? {
            Ok(Written::Created) => created += 1,
            Ok(Written::Revived(seq)) => {
                created += 1;
                changed.push(seq.0);
            }
            Ok(Written::Changed(seq)) => {
                updated += 1;
                changed.push(seq.0);
            }
            Ok(Written::Same) => updated += 1,
            Err(rejection) if single || rejection == Rejection::CustomerBusy => {
                return Err(rejection.into());
            }
            Err(rejection) => rejected.push((index, rejection)),
        }
    }
    blocks.write(changes);
    changes.put(&NumbersKey, &numbers);
    changelog::note(changes, &changed)?;
    match put.rows.as_slice() {
        [row] if single => Ok(Reply::Customer(Box::new(written(put, row)))),
        _ => Ok(Reply::Customers {
            created,
            updated,
            rejected,
        }),
    }
}

/// Counts that a customer no longer uses some words.
fn disuse_words(changes: &mut Changes<'_>, words: Words) {
    changes.use_word(WordKind::Tag, words.tag, -1);
    changes.use_word(WordKind::Operator, words.operator, -1);
}

fn put_row(
    changes: &mut Changes<'_>,
    blocks: &mut Blocks,
    numbers: &mut Numbers,
    mode: PutMode,
    row: &CustomerRow,
    words: Words,
) -> Result<Result<Written, Rejection>, Error> {
    let Some(seq) = blocks.find(changes, &row.id)? else {
        if mode == PutMode::Update {
            return Ok(Err(Rejection::CustomerNotFound));
        }
        let seq = Seq(numbers.customers);
        numbers.customers += 1;
        append(changes, blocks, seq, row, words)?;
        blocks.use_words(words);
        return Ok(Ok(Written::Created));
    };
    let (block, index) = blocks.get(changes, seq)?;
    let present = block.columns.is_present(index);
    match (present, mode) {
        (true, PutMode::Create) => return Ok(Err(Rejection::CustomerExists)),
        (false, PutMode::Update) => return Ok(Err(Rejection::CustomerNotFound)),
        _ => {}
    }
    if !present {
        if is_unswept(changes, seq)? {
            return Ok(Err(Rejection::CustomerBusy));
        }
        overwrite(block, index, row, words);
        blocks.use_words(words);
        numbers.deleted -= 1;
        mark_deleted(changes, seq, false)?;
        return Ok(Ok(Written::Revived(seq)));
    }
    let before = block.words(index);
    let changed = overwrite(block, index, row, words);
    if changed {
        disuse_words(changes, before);
        blocks.use_words(words);
    }
    Ok(Ok(if changed {
        Written::Changed(seq)
    } else {
        Written::Same
    }))
}

fn append(
    changes: &mut Changes<'_>,
    blocks: &mut Blocks,
    seq: Seq,
    row: &CustomerRow,
    words: Words,
) -> Result<(), Error> {
    let hash = id_hash(row.id.as_str());
    let (block, _) = blocks.get(changes, seq)?;
    block.grown = true;
    block.columns.zones.push(words.zone);
    block.columns.tags.push(words.tag);
    block.columns.operators.push(words.operator);
    block.columns.phones.push(row.phone.digits());
    block.texts.ids.push(row.id.as_str().to_owned());
    block.texts.names.push(row.name.clone());
    block.hashes.push(hash);
    changes.add_id(hash, seq);
    Ok(())
}

/// Writes a row over a customer; whether anything that filters or sending look at changed.
fn overwrite(block: &mut Block, index: usize, row: &CustomerRow, words: Words) -> bool {
    if block.texts.names[index] != row.name {
        block.texts.names[index].clone_from(&row.name);
        block.texts_changed = true;
    }
    let columns = &mut block.columns;
    let old = (
        columns.zones[index],
        columns.tags[index],
        columns.operators[index],
        columns.phones[index],
    );
    let new = (words.zone, words.tag, words.operator, row.phone.digits());
    (columns.zones[index], columns.tags[index]) = (new.0, new.1);
    (columns.operators[index], columns.phones[index]) = (new.2, new.3);
    let changed = old != new;
    block.columns_changed |= changed;
    changed
}

fn written(put: &PutCustomers, row: &CustomerRow) -> Customer {
    let word = |words: &[(String, String)], index: u16| words[usize::from(index)].0.clone();
    Customer {
        id: row.id.clone(),
        name: row.name.clone(),
        phone: row.phone,
        operator: word(&put.operators, row.operator),
        tag: word(&put.tags, row.tag),
        timezone: row.zone.map(|zone| put.zones[usize::from(zone)].clone()),
    }
}

fn mark_deleted(changes: &mut Changes<'_>, seq: Seq, deleted: bool) -> Result<(), Error> {
    changes.update(
        &DeletedKey(seq.0 / DELETED_PER_BLOCK),
        |block: &mut DeletedBlock| {
            block.set(seq.0 % DELETED_PER_BLOCK, deleted);
        },
    )
}

fn is_unswept(changes: &Changes<'_>, seq: Seq) -> Result<bool, Error> {
    let unswept = changes.get_or_default(&UnsweptKey)?;
    Ok(unswept.iter().any(|(customer, _)| *customer == seq.0))
}

pub(super) fn delete(changes: &mut Changes<'_>, id: &CustomerId) -> Applied {
    let mut blocks = Blocks::default();
    let seq = blocks
        .find(changes, id)?
        .ok_or(Rejection::CustomerNotFound)?;
    let (block, index) = blocks.get(changes, seq)?;
    if !block.columns.is_present(index) {
        return Err(Rejection::CustomerNotFound.into());
    }
    let words = block.words(index);
    disuse_words(changes, words);
    block.columns.zones[index] = 0;
    block.columns.tags[index] = 0;
    block.columns.operators[index] = 0;
    block.columns.phones[index] = 0;
    block.texts.names[index].clear();
    (block.columns_changed, block.texts_changed) = (true, true);
    blocks.write(changes);
    mark_deleted(changes, seq, true)?;
    changes.update(&NumbersKey, |numbers| numbers.deleted += 1)?;
    let mut budget = SWEEP_MAILINGS;
    if let Some(next) = cancel_messages(changes, seq.0, 0, &mut budget)? {
        let mut unswept = changes.get_or_default(&UnsweptKey)?;
        if unswept.len() >= UNSWEPT {
            return Err(Rejection::CustomerBusy.into());
        }
        unswept.push((seq.0, next));
        changes.put(&UnsweptKey, &unswept);
    }
    Ok(Reply::Done)
}

pub(super) fn sweep_deleted(changes: &mut Changes<'_>, batches: u32) -> Applied {
    let mut unswept = changes.get_or_default(&UnsweptKey)?;
    if unswept.is_empty() {
        return Err(Rejection::NothingToDo.into());
    }
    let given = batches.min(ENTRY_BATCHES);
    let mut budget = given;
    while budget > 0
        && let Some((customer, from)) = unswept.first().copied()
    {
        match cancel_messages(changes, customer, from, &mut budget)? {
            Some(next) => unswept[0].1 = next,
            None => drop(unswept.remove(0)),
        }
    }
    changes.put(&UnsweptKey, &unswept);
    Ok(Reply::Swept {
        batches: given - budget,
        more: !unswept.is_empty(),
    })
}

/// Cancels what waits for a deleted customer in the open mailings from a number on; gives the
/// mailing to go on with once the budget is used up.
fn cancel_messages(
    changes: &mut Changes<'_>,
    customer: u32,
    from: u32,
    budget: &mut u32,
) -> Result<Option<u32>, Error> {
    let open = changes
        .open_mailings()
        .into_iter()
        .map(|mailing| mailing.number);
    for mailing in open.filter(|mailing| mailing.0 >= from) {
        if *budget == 0 {
            return Ok(Some(mailing.0));
        }
        *budget -= 1;
        cancel_message(changes, mailing, customer)?;
    }
    Ok(None)
}

fn cancel_message(
    changes: &mut Changes<'_>,
    mailing: MailingNumber,
    customer: u32,
) -> Result<(), Error> {
    let mut edit = MailingEdit::open(changes, mailing)?;
    let Some((batch, index)) = find_member(changes, mailing, &edit.progress, customer)? else {
        return Ok(());
    };
    let Some(mut batch) = edit.batch(changes, batch)? else {
        return Ok(());
    };
    let status = batch.columns.status(index);
    if matches!(status, Status::Sending | Status::Unconfirmed) {
        batch.forsake(index);
    } else if !status.is_ready() {
        return Ok(());
    } else {
        let record = mailings::by_number(changes, mailing);
        let expired = record.is_ok_and(|record| record.ended.is_some());
        let to = if expired {
            Status::Expired
        } else {
            Status::Cancelled
        };
        batch.give_up(index, to, changes.steady());
    }
    edit.close(changes, batch)?;
    edit.save(changes)
}

/// A customer's phone as a filter sees it.
pub(super) fn phone_text(digits: u64) -> String {
    Phone::from_digits(digits).to_string()
}
