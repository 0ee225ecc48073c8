//! The stage: everything that happens is told here, noted in the trace, and judged.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;

use crate::{
    clock,
    event::{Event, Final},
    invariants::{Facts, Invariant},
    plan::Plan,
    trace::Trace,
};

/// Something that must not happen, and happened.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The property.
    pub property: &'static str,
    /// What is wrong.
    pub what: String,
    /// When.
    pub at: Duration,
}

/// What is told, and who judges it.
pub struct Stage {
    /// What was drawn from the seed.
    pub plan: Plan,
    book: Mutex<Book>,
}

struct Book {
    /// When the present step began; outside of hosts it is this time.
    step: Duration,
    trace: Trace,
    facts: Facts,
    invariants: Vec<Box<dyn Invariant>>,
    counts: BTreeMap<&'static str, u64>,
    violation: Option<Violation>,
}

impl Stage {
    /// For a plan, judged by all invariants.
    pub fn new(plan: Plan, echo: bool) -> Self {
        let mut trace = Trace::default();
        trace.echo = echo;
        trace.note(Duration::ZERO, &format!("{plan:#?}"));
        let book = Book {
            step: Duration::ZERO,
            trace,
            facts: Facts::new(&plan),
            invariants: crate::invariants::all(&plan),
            counts: BTreeMap::new(),
            violation: None,
        };
        Self {
            plan,
            book: Mutex::new(book),
        }
    }

    /// Time has passed.
    pub fn step(&self, now: Duration) {
        self.book.lock().step = now;
    }

    /// Notes what happened, and judges it.
    pub fn tell(&self, event: &Event<'_>) {
        let mut book = self.book.lock();
        let now = clock::now().max(book.step);
        let book = &mut *book;
        if let Event::Fault { kind, .. } = event
            && !kind.is_empty()
        {
            *book.counts.entry(kind).or_default() += 1;
        }
        let news = book.facts.take(event, now);
        if news {
            book.trace.note(now, &event.to_string());
        }
        for invariant in &mut book.invariants {
            if let Err(what) = invariant.judge(event, &book.facts, now) {
                let property = invariant.name();
                book.trace
                    .note(now, &format!("violation of {property}: {what}"));
                book.violation.get_or_insert(Violation {
                    property,
                    what,
                    at: now,
                });
            }
        }
    }

    /// Judges the state that is reached in the end.
    pub fn end(&self, end: &Final<'_>) {
        let mut book = self.book.lock();
        let now = book.step;
        let book = &mut *book;
        for invariant in &mut book.invariants {
            if let Err(what) = invariant.conclude(end, &book.facts) {
                let property = invariant.name();
                book.trace
                    .note(now, &format!("violation of {property}: {what}"));
                book.violation.get_or_insert(Violation {
                    property,
                    what,
                    at: now,
                });
            }
        }
    }

    /// Something is wrong that no event shows.
    pub fn violate(&self, property: &'static str, what: String) {
        let mut book = self.book.lock();
        let at = book.step;
        book.trace
            .note(at, &format!("violation of {property}: {what}"));
        book.violation
            .get_or_insert(Violation { property, what, at });
    }

    /// A remark for the trace.
    pub fn remark(&self, what: &str) {
        let mut book = self.book.lock();
        let now = clock::now().max(book.step);
        book.trace.note(now, what);
    }

    /// Counts something.
    pub fn count(&self, kind: &'static str, times: u64) {
        *self.book.lock().counts.entry(kind).or_default() += times;
    }

    /// Bytes that a host sent: how many, and which of them count.
    pub fn sent(&self, host: &str, len: usize, bytes: &[u8]) {
        self.book.lock().trace.sent(host, clock::now(), len, bytes);
    }

    /// Whether something went wrong.
    pub fn is_violated(&self) -> bool {
        self.book.lock().violation.is_some()
    }

    /// Asks what is known.
    pub fn ask<T>(&self, question: impl FnOnce(&Facts) -> T) -> T {
        question(&self.book.lock().facts)
    }

    /// Takes out what came of it.
    pub fn conclude(&self) -> (Trace, BTreeMap<&'static str, u64>, Option<Violation>) {
        let mut book = self.book.lock();
        let mut counts = std::mem::take(&mut book.counts);
        book.facts.count(&mut counts);
        (
            std::mem::take(&mut book.trace),
            counts,
            book.violation.take(),
        )
    }
}
