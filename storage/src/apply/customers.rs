//! Customers: writing them row by row, deleting them, and what that does to their messages.

use super::{
    at_start::FormerCustomer,
    batches::MailingEdit,
    customer_blocks::{CustomerBlock, CustomerBlocks, CustomerWords},
    followers::Followers,
    mailings,
    members::find_member,
    phones,
    ruled::Ruled,
};
use crate::{
    changes::Changes,
    command::{
        CustomerRow, CustomersWritten, DeleteCustomer, KeptFields, PutCustomer, PutCustomers,
        PutMode, Rejection, SweepDeleted, SweptBatches,
    },
    error::Error,
    index::id_hash,
    keys::{DeletedKey, NumbersKey, UnsweptKey},
    limits::{CUSTOMER_ROWS, DELETED_PER_BLOCK, ENTRY_BATCHES, SWEEP_MAILINGS},
    model::{Customer, CustomerId, MailingNumber, Phone, Seq, Status},
    records::{DeletedBlock, Numbers, WordKind},
    source::Source,
};

/// Deleted customers that may wait for their sweep at once.
const UNSWEPT: usize = 1_000;

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
        let word = |changes: &mut Changes<'_>, kind, (text, folded): &(String, String)| {
            changes.word_number(kind, text, folded)
        };
        Self {
            zones: put
                .zones
                .iter()
                .map(|text| zone_number(changes, text))
                .collect(),
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

    fn words(&self, row: &CustomerRow) -> Option<CustomerWords> {
        let zone = match row.zone {
            None => 0,
            Some(zone) => *self.zones.get(usize::from(zone))?,
        };
        let tag = *self.tags.get(usize::from(row.tag))?;
        let operator = *self.operators.get(usize::from(row.operator))?;
        Some(CustomerWords {
            zone,
            tag,
            operator,
        })
    }
}

/// What one row did.
enum Written {
    Created(Seq, Phone),
    Revived(Seq, Phone),
    Changed(Seq, FormerCustomer),
    Same,
}

/// Texts and phone of a row, without its words.
#[derive(Clone, Copy)]
struct RowTexts<'a> {
    id: &'a CustomerId,
    by_phone: bool,
    name: &'a str,
    /// None: the customer must exist, and keeps the phone.
    phone: Option<Phone>,
    /// Fields that the row leaves alone if the customer exists.
    kept: KeptFields,
}

/// The rows of one command while they are written.
struct RowWriter {
    mode: PutMode,
    blocks: CustomerBlocks,
    numbers: Numbers,
    followers: Followers,
}

impl RowWriter {
    fn new(changes: &Changes<'_>, mode: PutMode, counts_live: bool) -> Result<Self, Error> {
        Ok(Self {
            mode,
            blocks: CustomerBlocks::default(),
            numbers: changes.get_or_default(&NumbersKey)?,
            followers: Followers::new(counts_live),
        })
    }

    fn put(
        &mut self,
        changes: &mut Changes<'_>,
        row: RowTexts<'_>,
        words: CustomerWords,
    ) -> Result<Result<Written, Rejection>, Error> {
        let put = put_row(
            changes,
            &mut self.blocks,
            &mut self.numbers,
            self.mode,
            row,
            words,
        )?;
        match put {
            Ok(Written::Created(seq, phone)) => {
                self.followers
                    .created(changes, seq, (words, phone.digits()));
            }
            Ok(Written::Revived(seq, phone)) => {
                let now = (words, phone.digits());
                self.followers.revived(changes, seq, now)?;
            }
            Ok(Written::Changed(seq, before)) => {
                // Fields that the row keeps are not those of the row.
                let (block, index) = self.blocks.get(changes, seq)?;
                let now = (block.words(index), block.columns.phones[index]);
                self.followers.changed(changes, (seq, before), now)?;
            }
            Ok(Written::Same) | Err(_) => {}
        }
        Ok(put)
    }

    /// Writes everything; which mailings the customers come to match, and how many of them.
    fn write(self, changes: &mut Changes<'_>) -> Result<Vec<(MailingNumber, u32)>, Error> {
        self.blocks.write(changes);
        changes.put(&NumbersKey, &self.numbers);
        self.followers.write(changes)
    }
}

/// Writes many customers; a row that is refused holds up none but itself.
pub(super) fn put(changes: &mut Changes<'_>, put: &PutCustomers) -> Ruled<CustomersWritten> {
    if put.rows.is_empty() || put.rows.len() > CUSTOMER_ROWS {
        let what = format!("1 to {CUSTOMER_ROWS} customers at once");
        return Err(Rejection::OutOfBounds { what }.into());
    }

    let dictionary = Dictionary::new(changes, put);
    let mut rows = RowWriter::new(changes, put.mode, true)?;
    let mut written = CustomersWritten {
        created: 0,
        updated: 0,
        rejected: Vec::new(),
        live: Vec::new(),
    };
    for (row, index) in put.rows.iter().zip(0..) {
        let words = dictionary
            .words(row)
            .ok_or_else(|| Rejection::OutOfBounds {
                what: "a row refers to a word that the command does not carry".to_owned(),
            })?;
        let texts = RowTexts {
            id: &row.id,
            by_phone: row.by_phone,
            name: &row.name,
            phone: row.phone,
            kept: row.kept,
        };

        match rows.put(changes, texts, words)? {
            Ok(Written::Created(..) | Written::Revived(..)) => written.created += 1,
            Ok(Written::Changed(..) | Written::Same) => written.updated += 1,
            // It can be written later, and then all of the command in its order.
            Err(Rejection::CustomerBusy) => return Err(Rejection::CustomerBusy.into()),
            Err(rejection) => written.rejected.push((index, rejection)),
        }
    }
    written.live = rows.write(changes)?;
    Ok(written)
}

/// Writes one customer; a refusal is that of the command.
pub(super) fn put_one(changes: &mut Changes<'_>, put: &PutCustomer) -> Ruled<Box<Customer>> {
    let customer = &put.customer;
    // Zone 0 stands for none, so it is taken before any zone is.
    changes.word_number(WordKind::Zone, "", "");
    let words = CustomerWords {
        zone: customer
            .timezone
            .as_ref()
            .map_or(0, |zone| zone_number(changes, zone)),
        tag: changes.word_number(WordKind::Tag, &customer.tag, &put.folded_tag),
        operator: changes.word_number(WordKind::Operator, &customer.operator, &put.folded_operator),
    };

    let mut rows = RowWriter::new(changes, put.mode, false)?;
    let texts = RowTexts {
        id: &customer.id,
        by_phone: false,
        name: &customer.name,
        phone: Some(customer.phone),
        kept: KeptFields::NONE,
    };
    rows.put(changes, texts, words)??;
    rows.write(changes)?;
    Ok(Box::new(customer.clone()))
}

fn zone_number(changes: &mut Changes<'_>, zone: &str) -> u16 {
    let number = changes.word_number(WordKind::Zone, zone, zone);
    number.try_into().unwrap_or(u16::MAX)
}

/// Counts that a customer no longer uses some words.
fn disuse_words(changes: &mut Changes<'_>, words: CustomerWords) {
    changes.use_word(WordKind::Tag, words.tag, -1);
    changes.use_word(WordKind::Operator, words.operator, -1);
}

/// The customer that a row is about, present or deleted; none if it is new.
fn whose(
    changes: &Changes<'_>,
    blocks: &mut CustomerBlocks,
    row: RowTexts<'_>,
) -> Result<Result<Option<Seq>, Rejection>, Error> {
    if let (true, Some(phone)) = (row.by_phone, row.phone) {
        match phones::holder(changes, phone.digits()) {
            // Its id is new, unless the same command was executed before, and its customer has
            // another phone by now.
            Ok(None) => {}
            found => return Ok(found),
        }
    }
    Ok(Ok(blocks.find(changes, row.id)?))
}

fn put_row(
    changes: &mut Changes<'_>,
    blocks: &mut CustomerBlocks,
    numbers: &mut Numbers,
    mode: PutMode,
    row: RowTexts<'_>,
    words: CustomerWords,
) -> Result<Result<Written, Rejection>, Error> {
    let found = match whose(changes, blocks, row)? {
        Ok(found) => found,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let Some(seq) = found else {
        if mode == PutMode::Update {
            return Ok(Err(Rejection::CustomerNotFound));
        }
        let Some(phone) = row.phone else {
            return Ok(Err(Rejection::MissingPhone));
        };
        let seq = Seq(numbers.customers);
        numbers.customers += 1;
        append(changes, blocks, seq, (row, phone), words)?;
        blocks.use_words(words);
        return Ok(Ok(Written::Created(seq, phone)));
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
        // Nothing of its former life is left to keep, nor is its phone.
        let Some(phone) = row.phone else {
            return Ok(Err(Rejection::MissingPhone));
        };
        let kept = KeptFields::NONE;
        overwrite(block, index, RowTexts { kept, ..row }, words);
        blocks.use_words(words);
        numbers.deleted -= 1;
        mark_deleted(changes, seq, false)?;
        return Ok(Ok(Written::Revived(seq, phone)));
    }
    let words_before = block.words(index);
    let words = words.keeping(row.kept, words_before);
    let before = FormerCustomer {
        phone: block.columns.phones[index],
        words: (words_before.tag, words_before.operator),
    };
    let changed = overwrite(block, index, row, words);
    if changed {
        disuse_words(changes, words_before);
        blocks.use_words(words);
    }
    Ok(Ok(if changed {
        Written::Changed(seq, before)
    } else {
        Written::Same
    }))
}

fn append(
    changes: &mut Changes<'_>,
    blocks: &mut CustomerBlocks,
    seq: Seq,
    (row, phone): (RowTexts<'_>, Phone),
    words: CustomerWords,
) -> Result<(), Error> {
    let hash = id_hash(row.id.as_str());
    let (block, _) = blocks.get(changes, seq)?;
    block.grown = true;
    block.columns.zones.push(words.zone);
    block.columns.tags.push(words.tag);
    block.columns.operators.push(words.operator);
    block.columns.phones.push(phone.digits());
    block.texts.ids.push(row.id.as_str().to_owned());
    block.texts.names.push(row.name.to_owned());
    block.hashes.push(hash);
    changes.add_id(hash, seq);
    Ok(())
}

/// Writes a row over a customer, but for the fields that it keeps; whether anything that filters or sending look at changed.
fn overwrite(
    block: &mut CustomerBlock,
    index: usize,
    row: RowTexts<'_>,
    words: CustomerWords,
) -> bool {
    if !row.kept.has(KeptFields::NAME) && block.texts.names[index] != row.name {
        row.name.clone_into(&mut block.texts.names[index]);
        block.texts_changed = true;
    }
    let columns = &mut block.columns;
    let old = (
        columns.zones[index],
        columns.tags[index],
        columns.operators[index],
        columns.phones[index],
    );
    let phone = match row.phone {
        Some(phone) if !row.kept.has(KeptFields::PHONE) => phone.digits(),
        _ => old.3,
    };
    let new = (words.zone, words.tag, words.operator, phone);
    (columns.zones[index], columns.tags[index]) = (new.0, new.1);
    (columns.operators[index], columns.phones[index]) = (new.2, new.3);
    let changed = old != new;
    block.columns_changed |= changed;
    changed
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

pub(super) fn delete(changes: &mut Changes<'_>, delete: &DeleteCustomer) -> Ruled<()> {
    let mut blocks = CustomerBlocks::default();
    let seq = blocks
        .find(changes, &delete.id)?
        .ok_or(Rejection::CustomerNotFound)?;
    let (block, index) = blocks.get(changes, seq)?;
    if !block.columns.is_present(index) {
        return Err(Rejection::CustomerNotFound.into());
    }
    let words = block.words(index);
    let phone = block.columns.phones[index];
    disuse_words(changes, words);
    let are_remembered = phones::are_remembered(changes.open_mailings().iter());
    phones::give_up(changes, seq, phone, are_remembered)?;
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
    Ok(())
}

pub(super) fn sweep_deleted(
    changes: &mut Changes<'_>,
    sweep: &SweepDeleted,
) -> Ruled<SweptBatches> {
    let mut unswept = changes.get_or_default(&UnsweptKey)?;
    if unswept.is_empty() {
        return Err(Rejection::NothingToDo.into());
    }
    let given = sweep.batches.min(ENTRY_BATCHES);
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
    Ok(SweptBatches {
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
        edit.progress.forsaken = true;
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
