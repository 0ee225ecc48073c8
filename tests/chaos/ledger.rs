//! The ledger: what the nodes acknowledged, and what may be besides.
//!
//! Each customer and each mailing has one owner among the actors, who writes one thing at a time; so
//! there is at most one write whose outcome is not known, and what is written is left alone from then
//! on until an audit has read what became of it. Writes of a round are kept with the position of their
//! answer: a backup taken meanwhile holds those up to its own position.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use super::people::{Person, Version};

/// A customer as it is: its version, or not there.
pub type Standing = Option<Version>;

/// The hours in which a mailing may send, in minutes of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    pub from: i64,
    pub to: i64,
}

/// What was done to a mailing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Open,
    Paused,
    Cancelled,
}

/// A mailing as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Mailed {
    /// Which creation this is: a mailing's id may be used again, its text may not.
    pub serial: u32,
    pub mark: Mark,
    /// It comes from a backup, and nobody accepted duplicates yet.
    pub held: bool,
    pub tag: String,
    pub operator: String,
    pub phone: String,
    /// Milliseconds of the wall clock.
    pub start_ms: i64,
    pub end_ms: i64,
    pub hours: Option<Hours>,
    pub desc: u64,
}

/// One write.
#[derive(Clone, Debug)]
pub enum Subject {
    Customer(u32, Standing),
    Mailing(u32, Option<Mailed>),
}

/// A write and where in the log it is: not before `low`, not after `high`.
#[derive(Clone, Debug)]
pub struct Write {
    pub subject: Subject,
    pub low: u64,
    pub high: u64,
}

/// Customers and mailings as they certainly are, but for what is in `maybe`.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub people: Vec<Standing>,
    pub mailings: BTreeMap<u32, Mailed>,
}

/// What may be instead of what is known.
#[derive(Clone, Debug, Default)]
pub struct Maybe {
    pub people: HashMap<u32, Vec<Standing>>,
    pub mailings: HashMap<u32, Vec<Option<Mailed>>>,
}

/// What the gateway checks each request against.
#[derive(Debug, Default)]
pub struct Rules {
    /// Since when nothing more may be begun of a mailing, by serial.
    pub quiet_mailings: HashMap<u32, Instant>,
    /// Since when nothing more may be begun to a customer.
    pub quiet_people: HashMap<u32, Instant>,
    /// Start and latest end of each mailing.
    pub spans: HashMap<u32, (i64, i64)>,
    /// All hours that a mailing had; empty: any hour.
    pub hours: HashMap<u32, Vec<Hours>>,
    /// Mailings that were resumed with `accept_duplicates` since the last restore.
    pub accepted: BTreeSet<u32>,
    /// When the last process that was frozen went on.
    pub thawed: Option<Instant>,
}

/// The ledger.
#[derive(Debug)]
pub struct Ledger {
    pub known: Known,
    pub maybe: Maybe,
    /// What was known when the round began, and what was written since.
    base: Known,
    writes: Vec<Write>,
    versions: Vec<Version>,
    serials: u32,
    pub rules: Rules,
    /// The highest position that was acknowledged since the last restore.
    pub index: u64,
    /// Mailings were deleted: their messages are counted, and listed no more.
    pub deleted_mailings: u64,
    /// Writes that were acknowledged, refused, unknown: for the balance.
    pub acked: u64,
    pub unknown: u64,
}

impl Ledger {
    /// Of nobody yet; so many customers there may be.
    pub fn new(people: u32) -> Self {
        let known = Known {
            people: vec![None; people as usize],
            mailings: BTreeMap::new(),
        };
        Self {
            base: known.clone(),
            known,
            maybe: Maybe::default(),
            writes: Vec::new(),
            versions: vec![0; people as usize],
            serials: 0,
            rules: Rules::default(),
            index: 0,
            deleted_mailings: 0,
            acked: 0,
            unknown: 0,
        }
    }

    /// A version that a customer never had.
    pub fn next_version(&mut self, number: u32) -> Person {
        let version = &mut self.versions[number as usize];
        *version += 1;
        Person {
            number,
            version: *version,
        }
    }

    /// The latest version that was ever written, or tried to be.
    pub fn latest_version(&self, number: u32) -> Version {
        self.versions[number as usize]
    }

    /// The number of one more creation of a mailing.
    pub fn next_serial(&mut self) -> u32 {
        self.serials += 1;
        self.serials
    }

    /// A customer's standing, if it is certain.
    pub fn standing(&self, number: u32) -> Option<Standing> {
        let certain = !self.maybe.people.contains_key(&number);
        certain.then(|| self.known.people[number as usize])
    }

    /// A mailing as it is, if that is certain.
    pub fn mailed(&self, slot: u32) -> Option<Option<Mailed>> {
        let certain = !self.maybe.mailings.contains_key(&slot);
        certain.then(|| self.known.mailings.get(&slot).cloned())
    }

    /// A write was acknowledged at a position.
    pub fn ack(&mut self, subject: Subject, index: u64) {
        self.ack_within(subject, index, index);
    }

    /// A write was acknowledged that may lie before its answer's position.
    pub fn ack_within(&mut self, subject: Subject, low: u64, high: u64) {
        self.acked += 1;
        self.index = self.index.max(high);
        self.silence(&subject);
        self.known.set(&subject);
        self.writes.push(Write { subject, low, high });
    }

    /// The outcome of a write is not known.
    pub fn doubt(&mut self, subject: Subject) {
        self.unknown += 1;
        self.maybe.add(&subject);
        self.writes.push(Write {
            subject,
            low: 0,
            high: u64::MAX,
        });
    }

    /// Notes since when nothing more may come of it.
    fn silence(&mut self, subject: &Subject) {
        let now = Instant::now();
        match subject {
            Subject::Customer(number, None) => drop(self.rules.quiet_people.insert(*number, now)),
            Subject::Customer(..) => {}
            Subject::Mailing(slot, None) => {
                self.deleted_mailings += 1;
                if let Some(gone) = self.known.mailings.get(slot) {
                    self.rules.quiet_mailings.entry(gone.serial).or_insert(now);
                }
            }
            Subject::Mailing(_, Some(mailed)) if mailed.mark != Mark::Open => {
                self.rules
                    .quiet_mailings
                    .entry(mailed.serial)
                    .or_insert(now);
            }
            Subject::Mailing(..) => {}
        }
    }

    /// Something may be sent again from now on; noted before the request is made.
    pub fn wake_person(&mut self, number: u32) {
        self.rules.quiet_people.remove(&number);
    }

    /// The same of a mailing that is to be resumed; where it was held, its text may come again to
    /// those whom it reached before the restore.
    pub fn wake_mailing(&mut self, resumed: &Mailed, was_held: bool) {
        self.rules.quiet_mailings.remove(&resumed.serial);
        if was_held {
            self.rules.accepted.insert(resumed.serial);
        }
    }

    /// A position that was read: whoever reads from now on must see as much.
    pub fn see(&mut self, index: u64) {
        self.index = self.index.max(index);
    }

    /// Notes start, end and hours of a mailing beside those that it had.
    pub fn allow(&mut self, mailed: &Mailed) {
        let span = self.rules.spans.entry(mailed.serial);
        let span = span.or_insert((mailed.start_ms, mailed.end_ms));
        span.1 = span.1.max(mailed.end_ms);
        let is_new = !self.rules.hours.contains_key(&mailed.serial);
        let hours = self.rules.hours.entry(mailed.serial).or_default();
        match mailed.hours {
            // Once any hour was allowed, any is.
            None => hours.clear(),
            Some(new) if is_new || !hours.is_empty() => hours.push(new),
            Some(_) => {}
        }
    }

    /// An audit has read how a customer stands.
    pub fn adopt_person(&mut self, number: u32, standing: Standing) {
        self.known.people[number as usize] = standing;
        self.maybe.people.remove(&number);
        if standing.is_none() {
            self.rules
                .quiet_people
                .entry(number)
                .or_insert_with(Instant::now);
        }
    }

    /// An audit has read how a mailing stands.
    pub fn adopt_mailing(&mut self, slot: u32, mailed: Option<Mailed>) {
        self.maybe.mailings.remove(&slot);
        match mailed {
            Some(mailed) => {
                if mailed.mark != Mark::Open || mailed.held {
                    self.rules
                        .quiet_mailings
                        .entry(mailed.serial)
                        .or_insert_with(Instant::now);
                }
                self.known.mailings.insert(slot, mailed);
            }
            None => {
                self.deleted_mailings += u64::from(self.known.mailings.remove(&slot).is_some());
            }
        }
    }

    /// A round begins: what was written before it no backup can cut in two.
    pub fn begin_round(&mut self) {
        self.base = self.known.clone();
        self.writes.clear();
    }

    /// What a backup of this round holds, taken at a position.
    pub fn as_of(&self, index: u64) -> (Known, Maybe) {
        let mut known = self.base.clone();
        let mut certain: Vec<_> = self.writes.iter().filter(|w| w.high <= index).collect();
        certain.sort_by_key(|write| write.high);
        certain
            .into_iter()
            .for_each(|write| known.set(&write.subject));

        let mut maybe = Maybe::default();
        for write in self
            .writes
            .iter()
            .filter(|w| w.low <= index && w.high > index)
        {
            maybe.add(&write.subject);
        }
        (known, maybe)
    }

    /// A restored cluster knows this much; nothing of it is sent before it is resumed.
    pub fn restore(&mut self, known: Known, maybe: Maybe) {
        self.known = known;
        self.maybe = maybe;
        self.index = 0;
        self.rules.accepted.clear();
        self.rules.quiet_people.clear();
        // Long ago: not even what was on its way may come.
        let since = Instant::now()
            .checked_sub(Duration::from_secs(60))
            .unwrap_or(Instant::now());
        self.rules.quiet_mailings = (1..=self.serials).map(|serial| (serial, since)).collect();
    }

    /// The mailings that are there, by slot.
    pub fn slots(&self) -> Vec<u32> {
        self.known.mailings.keys().copied().collect()
    }
}

impl Known {
    fn set(&mut self, subject: &Subject) {
        match subject {
            Subject::Customer(number, standing) => self.people[*number as usize] = *standing,
            Subject::Mailing(slot, Some(mailed)) => {
                self.mailings.insert(*slot, mailed.clone());
            }
            Subject::Mailing(slot, None) => drop(self.mailings.remove(slot)),
        }
    }
}

impl Maybe {
    fn add(&mut self, subject: &Subject) {
        match subject {
            Subject::Customer(number, standing) => {
                self.people.entry(*number).or_default().push(*standing);
            }
            Subject::Mailing(slot, mailed) => {
                self.mailings.entry(*slot).or_default().push(mailed.clone());
            }
        }
    }
}
