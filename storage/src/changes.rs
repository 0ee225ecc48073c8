//! Writes gathered over the state, visible to later reads of the same entry.
//!
//! Two layers: those of the commands of this entry that were accepted, and those of the command
//! at hand, which are dropped whole if it is refused. Nothing reaches the tree before the entry is
//! complete; then all of it goes there as one batch.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    codec,
    error::Error,
    index::{Ids, Index, MailingChange, OpenMailing, id_hash},
    keys::{CustomerTextsKey, Key, MailingKey, ProgressKey, StagesKey, WordKey, WordUsesKey},
    limits::{CUSTOMERS_PER_BLOCK, STAGES_PER_BLOCK, WORDS_PER_BLOCK},
    model::{CustomerId, MailingNumber, Seq, Timestamp},
    phone_changes::{Holding, PhoneChanges},
    records::{MailingRecord, Progress, Stage, TimeSetting, WordKind, WordRecord, WordUses},
    source::Source,
    tree::Tree,
    writes::Writes,
};

/// Words that are new in one dictionary.
#[derive(Debug, Default)]
pub struct NewWords {
    words: BTreeMap<u32, WordRecord>,
    /// The number of each: an import may bring thousands in one entry.
    numbers: BTreeMap<String, u32>,
    /// The highest of the free numbers that were taken, from the lowest on.
    reused: Option<u32>,
    /// Numbers that were taken behind all others.
    appended: u32,
}

impl NewWords {
    fn insert(&mut self, number: u32, word: WordRecord) {
        self.numbers.insert(word.text.clone(), number);
        self.words.insert(number, word);
    }

    fn absorb(&mut self, other: &mut NewWords) {
        self.words.append(&mut other.words);
        self.numbers.append(&mut other.numbers);
        self.reused = other.reused.take().or(self.reused);
        self.appended += std::mem::take(&mut other.appended);
    }

    /// Takes them out, by number.
    pub(crate) fn take(&mut self) -> BTreeMap<u32, WordRecord> {
        std::mem::take(self).words
    }
}

/// Writes of one command or of one entry, and what they add to memory.
#[derive(Debug, Default)]
pub struct Layer {
    /// Bytes by key.
    pub writes: Writes,
    /// New customers.
    pub ids: Ids,
    /// Changes of the holders of phones, present and former.
    pub phones: PhoneChanges,
    /// New words, one dictionary a kind.
    pub words: [NewWords; 3],
    /// How many more, or fewer, uses each word has.
    pub uses: BTreeMap<(WordKind, u32), i64>,
    /// Words that nothing uses any more.
    pub freed_words: Vec<(WordKind, u32)>,
    /// New slots of clients' keys.
    pub client_keys: Vec<([u8; 16], u32)>,
    /// Slots of clients' keys that no longer live.
    pub freed_keys: Vec<([u8; 16], u32)>,
    /// What changed of mailings.
    pub mailings: BTreeMap<MailingNumber, MailingChange>,
}

impl Layer {
    fn absorb(&mut self, other: &mut Layer) {
        // `append` would walk through all of the entry's writes for each command.
        if self.writes.is_empty() {
            std::mem::swap(&mut self.writes, &mut other.writes);
        } else {
            self.writes.extend(std::mem::take(&mut other.writes));
        }
        self.ids.absorb(&mut other.ids);
        self.phones.absorb(&mut other.phones);
        for (words, new) in self.words.iter_mut().zip(&mut other.words) {
            words.absorb(new);
        }
        for (word, change) in std::mem::take(&mut other.uses) {
            *self.uses.entry(word).or_default() += change;
        }
        self.client_keys.append(&mut other.client_keys);
        self.freed_keys.append(&mut other.freed_keys);
        for (number, change) in std::mem::take(&mut other.mailings) {
            self.mailings.entry(number).or_default().absorb(change);
        }
    }
}

/// The state with the changes of the present entry over it.
pub struct Changes<'a> {
    tree: &'a Tree,
    index: &'a Index,
    at: Timestamp,
    set: TimeSetting,
    entry: Layer,
    command: Layer,
}

impl<'a> Changes<'a> {
    pub(crate) fn new(
        tree: &'a Tree,
        index: &'a Index,
        (at, set): (Timestamp, TimeSetting),
    ) -> Self {
        Self {
            tree,
            index,
            at,
            set,
            entry: Layer::default(),
            command: Layer::default(),
        }
    }

    /// The entry's time: the only time that rules know.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The same as a steady time, in which ages and pauses are measured (see [`TimeSetting`]).
    pub fn steady(&self) -> Timestamp {
        self.set.steady(self.at)
    }

    /// How people set the time.
    pub fn setting(&self) -> &TimeSetting {
        &self.set
    }

    /// Sets the time from here on, back or forward.
    pub(crate) fn set_time(&mut self, to: Timestamp) {
        self.set.set(self.at, to);
        self.at = to;
    }

    /// Lets time pass.
    pub(crate) fn pass_to(&mut self, at: Timestamp) {
        self.at = self.at.max(at);
    }

    /// The time and its setting, as they are after all commands.
    pub(crate) fn time(&self) -> (Timestamp, TimeSetting) {
        (self.at, self.set)
    }

    /// Writes a value.
    pub fn put<K: Key>(&mut self, key: &K, value: &K::Value) {
        self.command
            .writes
            .insert(key.bytes(), Some(codec::encode(value)));
    }

    /// Removes a value.
    pub fn remove<K: Key>(&mut self, key: &K) {
        self.command.writes.insert(key.bytes(), None);
    }

    /// Reads a value or an empty one, changes it, writes it back.
    pub fn update<K: Key, R>(
        &mut self,
        key: &K,
        change: impl FnOnce(&mut K::Value) -> R,
    ) -> Result<R, Error>
    where
        K::Value: Default,
    {
        let mut value = self.get_or_default(key)?;
        let result = change(&mut value);
        self.put(key, &value);
        Ok(result)
    }

    /// Writes a mailing's record: never by [`Changes::put`], memory holds it too.
    pub fn put_mailing(&mut self, number: MailingNumber, record: MailingRecord) {
        self.put(&MailingKey(number), &record);
        self.command.mailings.entry(number).or_default().record = Some(Arc::new(record));
    }

    /// Writes a mailing's progress: never by [`Changes::put`], memory holds it too.
    pub fn put_progress(&mut self, number: MailingNumber, progress: Progress) {
        self.put(&ProgressKey(number), &progress);
        self.command.mailings.entry(number).or_default().progress = Some(Arc::new(progress));
    }

    /// Moves a mailing to a stage; one whose messages are kept for retention alone, since when.
    pub fn put_stage(
        &mut self,
        number: MailingNumber,
        stage: Stage,
        since: Timestamp,
    ) -> Result<(), Error> {
        let index = (number.0 % STAGES_PER_BLOCK) as usize;
        self.update(&StagesKey(number.0 / STAGES_PER_BLOCK), |block| {
            if block.stages.len() <= index {
                block.stages.resize(index + 1, Stage::Done);
            }
            block.stages[index] = stage;
        })?;
        self.command.mailings.entry(number).or_default().stage = Some((stage, since));
        Ok(())
    }

    /// In which stage a mailing is.
    pub fn stage(&self, number: MailingNumber) -> Stage {
        let changed = self.mailing_changes(number).find_map(|change| change.stage);
        changed.map_or_else(|| self.index.mailings.stage(number), |(stage, _)| stage)
    }

    /// All open mailings, in the order of numbers.
    pub fn open_mailings(&self) -> Vec<OpenMailing> {
        let known = self.index.mailings.all_open();
        let last = known.clone().next_back().map(|mailing| mailing.number);
        let changed = [&self.entry, &self.command]
            .into_iter()
            .flat_map(|l| l.mailings.keys());
        // None opens again, so what is new has higher numbers.
        let new = changed.copied().filter(|number| Some(*number) > last);
        let new: BTreeSet<MailingNumber> = new.collect();
        let numbers = known.map(|mailing| mailing.number).chain(new);
        numbers
            .filter_map(|number| self.open_mailing(number))
            .collect()
    }

    /// What the entry changed of a mailing so far, the latest first.
    fn mailing_changes(&self, number: MailingNumber) -> impl Iterator<Item = &MailingChange> {
        let layers = [&self.command, &self.entry].into_iter();
        layers.filter_map(move |layer| layer.mailings.get(&number))
    }

    /// Makes a new customer findable by its id.
    pub fn add_id(&mut self, hash: u64, seq: Seq) {
        self.command.ids.insert(hash, seq.0);
    }

    /// Sets how a customer stands to a phone.
    pub fn put_holding(&mut self, phone: u64, customer: u32, holding: Holding) {
        self.command.phones.set(phone, customer, holding);
    }

    /// The relation of a customer to a phone: holder, former holder, or none.
    pub fn holding(&self, phone: u64, customer: u32) -> Holding {
        let changed = self.changed_holding(phone, customer);
        changed.unwrap_or_else(|| self.index.phones.holding(phone, customer))
    }

    fn changed_holding(&self, phone: u64, customer: u32) -> Option<Holding> {
        let changed = self.command.phones.get(phone, customer);
        changed.or_else(|| self.entry.phones.get(phone, customer))
    }

    /// Those who hold a phone or held it, in any order.
    pub fn holdings(&self, phone: u64) -> impl Iterator<Item = (u32, Holding)> + '_ {
        let known = self.index.phones.of(phone);
        let known =
            known.filter(move |(customer, _)| self.changed_holding(phone, *customer).is_none());
        let changed = self.changed_phones(phone).map(|(customer, _)| customer);
        let changed: BTreeSet<u32> = changed.collect();
        let changed = changed.into_iter();
        let changed = changed.map(move |customer| (customer, self.holding(phone, customer)));
        let all = changed.chain(known);
        all.filter(|(_, holding)| !holding.is_nothing())
    }

    fn changed_phones(&self, phone: u64) -> impl Iterator<Item = (u32, Holding)> + '_ {
        let layers = [&self.command, &self.entry].into_iter();
        layers.flat_map(move |layer| layer.phones.of(phone))
    }

    /// True if anybody else may hold a customer's phone, or have held it: a cheap answer, which is true
    /// too often.
    pub fn may_share(&self, phone: u64, customer: u32) -> bool {
        let layers = [&self.command, &self.entry];
        self.index.phones.is_shared(customer)
            || layers.iter().any(|layer| !layer.phones.leaves(phone))
    }

    /// Makes a client's key findable.
    pub fn add_client_key(&mut self, key: [u8; 16], slot: u32) {
        self.command.client_keys.push((key, slot));
    }

    /// Forgets where a client's key was.
    pub fn free_client_key(&mut self, key: [u8; 16], slot: u32) {
        self.command.freed_keys.push((key, slot));
    }

    /// The first customer with this hash that `is_it` accepts, new ones among them.
    pub fn find_id(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<Seq> {
        let tables = [&self.command.ids, &self.entry.ids, &self.index.ids];
        tables
            .into_iter()
            .find_map(|ids| ids.find(hash, &mut is_it))
            .map(Seq)
    }

    /// The slot of a client's kept reply.
    pub fn client_slot(&self, key: &[u8; 16]) -> Option<u32> {
        let pending = self
            .command
            .client_keys
            .iter()
            .chain(&self.entry.client_keys);
        let pending = pending.rev().find(|(k, _)| k == key).map(|(_, slot)| *slot);
        pending.or_else(|| self.index.client_keys.get(key).copied())
    }

    /// A word's number; a new word gets the lowest that is free. It is there only if something uses
    /// it at the end of the entry.
    pub fn word_number(&mut self, kind: WordKind, text: &str, folded: &str) -> u32 {
        let known = self.index.words(kind);
        if let Some(number) = known.find(text) {
            return number;
        }
        let [entry, command] = self.new_words(kind);
        let pending = entry
            .numbers
            .get(text)
            .or_else(|| command.numbers.get(text));
        if let Some(number) = pending {
            return *number;
        }

        let reused = known.free_above(command.reused.or(entry.reused));
        let appended = known.len() + entry.appended + command.appended;
        let word = WordRecord {
            text: text.to_owned(),
            folded: folded.to_owned(),
        };
        let words = &mut self.command.words[kind as usize];
        match reused {
            Some(_) => words.reused = reused,
            None => words.appended += 1,
        }
        let number = reused.unwrap_or(appended);
        words.insert(number, word);
        number
    }

    /// Counts uses of a word, or takes some away.
    pub fn use_word(&mut self, kind: WordKind, number: u32, change: i64) {
        *self.command.uses.entry((kind, number)).or_default() += change;
    }

    /// Counts one use, or takes one away, of each word of a column.
    pub fn use_words(&mut self, kind: WordKind, numbers: &[u32], change: i64) {
        let mut numbers = numbers.to_vec();
        numbers.sort_unstable();
        for same in numbers.chunk_by(|one, next| one == next) {
            self.use_word(kind, same[0], change * same.len() as i64);
        }
    }

    /// Writes what the entry came to in uses of words: once for each block of words, however many
    /// commands and rows used them. What nothing uses is gone, or was never there.
    fn settle_words(&mut self) -> Result<(), Error> {
        let uses = std::mem::take(&mut self.entry.uses);
        let mut unused: BTreeSet<(WordKind, u32)> = BTreeSet::new();
        for kind in WordKind::COUNTED {
            let new = self.entry.words[kind as usize].words.keys();
            unused.extend(new.map(|number| (kind, *number)));
        }

        let changed: Vec<_> = uses
            .into_iter()
            .filter(|(_, change)| *change != 0)
            .collect();
        let block = |(kind, number): &(WordKind, u32)| (*kind, number / WORDS_PER_BLOCK);
        for same in changed.chunk_by(|(one, _), (next, _)| block(one) == block(next)) {
            let (kind, number) = block(&same[0].0);
            let key = WordUsesKey(kind, number);
            let mut record: WordUses = self.get_or_default(&key)?;
            for ((_, number), change) in same {
                let offset = (number % WORDS_PER_BLOCK) as usize;
                let used = record.add(offset, *change);
                let (before, after) = used.ok_or(Error::Contradiction {
                    what: "uses of a word",
                })?;
                match (before, after) {
                    (0, _) => drop(unused.remove(&(kind, *number))),
                    (_, 0) => self.entry.freed_words.push((kind, *number)),
                    _ => {}
                }
            }
            if record.uses.is_empty() {
                self.remove(&key);
            } else {
                self.put(&key, &record);
            }
        }

        for (kind, number) in unused {
            self.entry.words[kind as usize].words.remove(&number);
        }
        self.write_words();
        self.keep();
        Ok(())
    }

    fn write_words(&mut self) {
        for kind in WordKind::ALL {
            for (number, word) in &self.entry.words[kind as usize].words {
                let key = WordKey(kind, *number).bytes();
                self.command.writes.insert(key, Some(codec::encode(word)));
            }
        }
        for (kind, number) in &self.entry.freed_words {
            self.command
                .writes
                .insert(WordKey(*kind, *number).bytes(), None);
        }
    }

    /// The new words of the commands before this one, and those of this one, which follow them.
    fn new_words(&self, kind: WordKind) -> [&NewWords; 2] {
        [&self.entry, &self.command].map(|layer| &layer.words[kind as usize])
    }

    /// Keeps the changes of the command at hand.
    pub fn keep(&mut self) {
        self.entry.absorb(&mut self.command);
    }

    /// Drops the changes of the command at hand.
    pub fn drop_command(&mut self) {
        self.command = Layer::default();
    }

    /// All that the entry changes.
    pub(crate) fn into_layer(mut self) -> Result<Layer, Error> {
        self.keep();
        self.settle_words()?;
        Ok(self.entry)
    }
}

impl Source for Changes<'_> {
    fn with_bytes<R>(&self, key: &[u8], read: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, Error> {
        let layers = [&self.command.writes, &self.entry.writes];
        if let Some(written) = layers.into_iter().find_map(|writes| writes.get(key)) {
            return Ok(read(written.as_deref()));
        }
        self.tree.with_bytes(key, read)
    }

    fn index(&self) -> &Index {
        self.index
    }

    fn open_mailing(&self, number: MailingNumber) -> Option<OpenMailing> {
        if self.stage(number) != Stage::Open {
            return None;
        }
        let known = self.index.mailings.open(number);
        let record = self
            .mailing_changes(number)
            .find_map(|change| change.record.clone());
        let progress = self
            .mailing_changes(number)
            .find_map(|change| change.progress.clone());
        Some(OpenMailing {
            number,
            record: record.or_else(|| known.map(|open| open.record.clone()))?,
            progress: progress.or_else(|| known.map(|open| open.progress.clone()))?,
        })
    }

    fn find_customer(&self, id: &CustomerId) -> Result<Option<Seq>, Error> {
        let tables = [&self.command.ids, &self.entry.ids, &self.index.ids];
        find_customer(self, id, tables)
    }

    fn word(&self, kind: WordKind, number: u32) -> Option<Arc<WordRecord>> {
        let new = self.new_words(kind).into_iter();
        let new = new.filter_map(|words| words.words.get(&number)).next();
        match new {
            Some(word) => Some(Arc::new(word.clone())),
            None => self.index.words(kind).get(number).cloned(),
        }
    }
}

/// Finds a customer by its id's hash and compares the ids themselves.
pub(crate) fn find_customer<'t, S: Source>(
    source: &S,
    id: &CustomerId,
    tables: impl IntoIterator<Item = &'t Ids>,
) -> Result<Option<Seq>, Error> {
    let hash = id_hash(id.as_str());
    let mut fault = None;
    let mut is_it = |seq: u32| {
        let texts = source.get(&CustomerTextsKey(seq / CUSTOMERS_PER_BLOCK));
        match texts {
            Err(error) => {
                fault = Some(error);
                true
            }
            Ok(texts) => texts.is_some_and(|texts| {
                let index = (seq % CUSTOMERS_PER_BLOCK) as usize;
                texts
                    .ids
                    .get(index)
                    .is_some_and(|found| found == id.as_str())
            }),
        }
    };
    let found = tables
        .into_iter()
        .find_map(|ids| ids.find(hash, &mut is_it));
    match fault {
        Some(error) => Err(error),
        None => Ok(found.map(Seq)),
    }
}
