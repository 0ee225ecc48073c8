//! What the gateway received, and the judgement of each request when it arrives.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    super::{
        ledger::{Hours, Rules},
        people::{Person, ZONES},
    },
    Fate,
};

/// How long after an acknowledgement a request may still arrive: the second that the service is given,
/// and what a loaded machine needs to bring it here.
const GRACE: Duration = Duration::from_secs(4);

/// Violations kept, at most; one is enough to fail.
const VIOLATIONS: usize = 20;

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub serial: u32,
    pub person: Person,
    /// After how many restores it came first.
    pub generation: u32,
    pub requests: u32,
    /// What became of the latest request.
    pub fate: Fate,
    /// When it was first taken by one of the requests, if it was.
    pub taken: Option<Instant>,
    /// One of the requests was answered 200.
    pub confirmed: bool,
}

/// What was received.
#[derive(Default)]
pub struct Book {
    idempotent: bool,
    records: HashMap<u64, Record>,
    /// The message that a customer got, or may have got, of a mailing, and after how many restores.
    reached: HashMap<(u32, u32), (u64, u32)>,
    generation: u32,
    pub requests: u64,
    pub taken: u64,
    /// Requests that repeat a message by right: its gateway is idempotent.
    pub repeats: u64,
    violations: Vec<String>,
}

/// A request as it arrived.
pub(super) struct Arrival<'a> {
    pub(super) id: u64,
    pub(super) phone: u64,
    pub(super) text: &'a str,
}

/// A mailing's text, by which it is known again.
pub fn text(serial: u32) -> String {
    format!("Заказ по рассылке №{serial} ждёт вас в пункте выдачи")
}

fn serial_of(sent: &str) -> Option<u32> {
    let digits = sent.split('№').nth(1)?.split(' ').next()?;
    let serial = digits.parse().ok()?;
    (text(serial) == sent).then_some(serial)
}

impl Book {
    pub(super) fn new(idempotent: bool) -> Self {
        Self {
            idempotent,
            ..Self::default()
        }
    }

    /// How many requests of a message came before.
    pub(super) fn tries(&self, id: u64) -> u64 {
        self.records
            .get(&id)
            .map_or(0, |record| u64::from(record.requests))
    }

    /// Notes a request and what is done with it; what is wrong with it is kept.
    pub(super) fn note(&mut self, arrival: &Arrival<'_>, fate: Fate, rules: &Rules) {
        self.requests += 1;
        let (person, serial) = (Person::of_phone(arrival.phone), serial_of(arrival.text));
        let (Some(person), Some(serial)) = (person, serial) else {
            let Arrival { id, phone, text } = arrival;
            return self.wrong(format!(
                "message {id} to {phone} says what nobody wrote: {text}"
            ));
        };
        self.judge_time(arrival.id, person, serial, rules);
        self.judge_repeat(arrival.id, person, serial, rules);

        let generation = self.generation;
        let new = Record {
            serial,
            person,
            generation,
            requests: 0,
            fate,
            taken: None,
            confirmed: false,
        };
        let record = self.records.entry(arrival.id).or_insert(new);
        record.requests += 1;
        record.fate = fate;
        record.confirmed |= fate == Fate::Take;
        if fate.takes() && record.taken.is_none() {
            record.taken = Some(Instant::now());
            self.taken += 1;
        }
        if fate.takes() {
            self.reached
                .insert((serial, person.number), (arrival.id, generation));
        }
    }

    /// Whether the message, or another with the same text to the same customer, came before.
    fn judge_repeat(&mut self, id: u64, person: Person, serial: u32, rules: &Rules) {
        if let Some(before) = self.records.get(&id).copied() {
            let same = before.serial == serial && before.person == person;
            let generation = self.generation;
            if before.generation != generation {
                self.wrong(format!(
                    "message id {id} came before a restore ({before:?}), and now for {person:?} of \
                     mailing {serial} in generation {generation}"
                ));
            } else if !same {
                self.wrong(format!(
                    "message {id} was {before:?}, now {person:?} of {serial}"
                ));
            } else if self.idempotent {
                // Also after a 400, which a node that was killed may never have read.
                self.repeats += u64::from(!before.fate.allows_another());
            } else if !before.fate.allows_another() {
                self.wrong(format!("message {id} came again: {before:?}"));
            }
        }

        let Some((other, generation)) = self.reached.get(&(serial, person.number)).copied() else {
            return;
        };
        let by_right = generation != self.generation && rules.accepted.contains(&serial);
        if other != id && !by_right {
            let before = self.records.get(&other).copied();
            self.wrong(format!(
                "customer {person:?} gets the text of mailing {serial} again by message {id}, after \
                 message {other}: {before:?}"
            ));
        }
    }

    /// Whether anything may be sent of this mailing and to this customer at this time.
    fn judge_time(&mut self, id: u64, person: Person, serial: u32, rules: &Rules) {
        let now = Instant::now();
        let late = |since: &Instant| {
            let from = rules.thawed.map_or(*since, |thawed| thawed.max(*since));
            now.saturating_duration_since(from) > GRACE
        };
        if rules.quiet_mailings.get(&serial).is_some_and(late) {
            self.wrong(format!(
                "message {id} of mailing {serial} came although that is paused, held, cancelled or \
                 deleted"
            ));
        }
        if rules.quiet_people.get(&person.number).is_some_and(late) {
            self.wrong(format!("message {id} came to {person:?}, who was deleted"));
        }

        let wall = jiff::Timestamp::now().as_millisecond();
        let grace = GRACE.as_millis() as i64;
        let thawed = rules.thawed.is_some_and(|thawed| thawed.elapsed() < GRACE);
        if let Some((start, end)) = rules.spans.get(&serial).copied()
            && (wall < start || (wall > end + grace && !thawed))
        {
            self.wrong(format!(
                "message {id} of mailing {serial} came outside its time"
            ));
        }
        if let Some(hours) = rules.hours.get(&serial)
            && !hours.is_empty()
            && !thawed
            && !open_anywhere(hours, wall)
            && !open_anywhere(hours, wall - grace)
        {
            self.wrong(format!(
                "message {id} of mailing {serial} came outside its hours"
            ));
        }
    }

    fn wrong(&mut self, what: String) {
        if self.violations.len() < VIOLATIONS {
            self.violations.push(what);
        }
    }

    /// The violations since they were last asked for.
    pub fn violations(&mut self) -> Vec<String> {
        std::mem::take(&mut self.violations)
    }

    /// A cluster was restored: what comes from now on has ids of its own.
    pub fn next_generation(&mut self) {
        self.generation += 1;
    }

    pub fn generation(&self) -> u32 {
        self.generation
    }

    pub fn record(&self, id: u64) -> Option<Record> {
        self.records.get(&id).copied()
    }

    /// The taken messages of this life of the cluster.
    pub fn taken_now(&self) -> Vec<(u64, Record)> {
        let now = self
            .records
            .iter()
            .filter(|(_, record)| record.generation == self.generation);
        now.filter(|(_, record)| record.taken.is_some())
            .map(|(id, record)| (*id, *record))
            .collect()
    }
}

/// Whether it is one of these hours in any time zone that customers have.
fn open_anywhere(hours: &[Hours], wall_ms: i64) -> bool {
    let minute = wall_ms / 60_000;
    hours.iter().any(|hours| {
        ZONES.iter().any(|(_, offset)| {
            let local = (minute + offset * 60).rem_euclid(1_440);
            if hours.from <= hours.to {
                (hours.from..hours.to).contains(&local)
            } else {
                local >= hours.from || local < hours.to
            }
        })
    })
}
