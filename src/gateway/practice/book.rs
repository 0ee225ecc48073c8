//! The book of the practice gateway: counts by message, totals, the latest messages.

use std::{
    collections::{HashMap, VecDeque},
    time::Instant,
};

use serde::Serialize;
use tokio::sync::oneshot;

use super::Act;

/// Messages whose marks share a page of memory.
const PAGE: u64 = 1 << 16;
/// Pages kept, at most: 256 MiB, marks of 268 million message ids.
const PAGES: usize = 4096;
/// The latest messages kept to be looked at.
const LATEST: usize = 200;
/// In a message's mark: it was taken, or may have been.
const TAKEN: u8 = 0x80;

/// Totals. `requests` is the sum of the answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PracticeTally {
    /// Requests for messages that arrived whole.
    pub requests: u64,
    /// Requests whose message was taken.
    pub taken: u64,
    /// Requests that were refused or cut off before the message was taken.
    pub refused: u64,
    /// Requests taken whose message had been taken before: must be 0.
    pub duplicates: u64,
    /// Different messages that were taken.
    pub messages: u64,
    /// Milliseconds between the first and the last request.
    pub span_ms: u64,
}

/// One message as it was received.
#[derive(Clone, Debug, Serialize)]
pub struct ReceivedMessage {
    /// Id of the message, as a string.
    pub id: String,
    /// Phone of the customer.
    pub phone: u64,
    /// Text of the message.
    pub text: String,
    /// True if it was taken.
    pub taken: bool,
    /// True if it had been taken before.
    pub duplicate: bool,
}

/// The messages that were received.
#[derive(Default)]
pub struct PracticeBook {
    pages: HashMap<u64, Box<[u8]>>,
    tally: PracticeTally,
    latest: VecDeque<ReceivedMessage>,
    first: Option<Instant>,
    /// Waits for a message to a phone.
    awaited: HashMap<u64, oneshot::Sender<Instant>>,
}

impl PracticeBook {
    /// Number of requests for a message that came before.
    pub(super) fn tries(&self, id: u64) -> u8 {
        let page = self.pages.get(&(id / PAGE));
        page.map_or(0, |page| tries_of(page[place(id)]))
    }

    /// Notes a request, and the act on it.
    pub(super) fn note(&mut self, id: u64, phone: u64, text: &str, act: &Act) {
        // The span begins with the first request, however long the gateway has been up.
        let now = Instant::now();
        let first = *self.first.get_or_insert(now);
        self.tally.span_ms = (now - first).as_millis() as u64;
        self.tally.requests += 1;
        self.wake(phone, now);

        let is_taken = act.takes();
        let is_duplicate = self.count(id, is_taken);
        self.keep(ReceivedMessage {
            id: id.to_string(),
            phone,
            text: text.to_owned(),
            taken: is_taken,
            duplicate: is_duplicate,
        });
    }

    /// Counts a request for a message, and marks the message. Returns true if it had been taken before.
    fn count(&mut self, id: u64, is_taken: bool) -> bool {
        self.tally.taken += u64::from(is_taken);
        self.tally.refused += u64::from(!is_taken);

        // Without room for its mark it counts neither as new nor as a duplicate.
        let Some(mark) = self.mark(id) else {
            return false;
        };
        let was_taken = is_marked(*mark);
        *mark = after_try(*mark, is_taken);

        self.tally.duplicates += u64::from(was_taken);
        self.tally.messages += u64::from(is_taken && !was_taken);
        was_taken
    }

    /// Keeps a message among the latest.
    fn keep(&mut self, message: ReceivedMessage) {
        // Enough for a person to look at: a benchmark sends millions.
        if self.latest.len() == LATEST {
            self.latest.pop_front();
        }
        self.latest.push_back(message);
    }

    /// Ends the wait for a message to a phone, if there is one.
    fn wake(&mut self, phone: u64, now: Instant) {
        // Nearly always nobody waits, and a benchmark's gateway should not hash each phone for that.
        if !self.awaited.is_empty()
            && let Some(waiting) = self.awaited.remove(&phone)
        {
            // Nobody may wait any more.
            let _ = waiting.send(now);
        }
    }

    /// Returns the moment of the next message to a phone, once it comes.
    pub(super) fn await_phone(&mut self, phone: u64) -> oneshot::Receiver<Instant> {
        let (sender, receiver) = oneshot::channel();
        self.awaited.insert(phone, sender);
        receiver
    }

    /// The mark of a message; `None` once there are pages enough, and none of them has it.
    fn mark(&mut self, id: u64) -> Option<&mut u8> {
        let full = self.pages.len() >= PAGES;
        let page = match self.pages.entry(id / PAGE) {
            std::collections::hash_map::Entry::Occupied(page) => page.into_mut(),
            std::collections::hash_map::Entry::Vacant(_) if full => return None,
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(vec![0; PAGE as usize].into_boxed_slice())
            }
        };
        page.get_mut(place(id))
    }

    /// Totals up to now.
    pub(super) fn tally(&self) -> PracticeTally {
        self.tally
    }

    /// The latest messages, newest first.
    pub(super) fn latest(&self) -> Vec<ReceivedMessage> {
        self.latest.iter().rev().cloned().collect()
    }

    /// The ids of all messages taken, in order.
    pub(super) fn taken_ids(&self) -> Vec<u64> {
        let mut ids = Vec::new();
        for (page, marks) in &self.pages {
            let taken = marks
                .iter()
                .zip(page * PAGE..)
                .filter(|(mark, _)| is_marked(**mark));
            ids.extend(taken.map(|(_, id)| id));
        }
        ids.sort_unstable();
        ids
    }
}

/// The place of a message's mark in its page.
fn place(id: u64) -> usize {
    (id % PAGE) as usize
}

/// True if a mark is that of a message that was taken.
fn is_marked(mark: u8) -> bool {
    mark & TAKEN != 0
}

/// Number of requests that a mark has counted.
fn tries_of(mark: u8) -> u8 {
    mark & !TAKEN
}

/// A mark after one more request. The count stops at its highest value, or it would run into the
/// bit beside it.
fn after_try(mark: u8, is_taken: bool) -> u8 {
    let tries = tries_of(mark).saturating_add(1).min(!TAKEN);
    if is_taken || is_marked(mark) {
        tries | TAKEN
    } else {
        tries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_duplicate_only_after_it_was_taken() {
        let mut book = PracticeBook::default();
        let (body, headers) = (String::new(), Vec::new());
        let refuse = Act::Answer {
            status: 503,
            body,
            headers,
            breaks_off: false,
        };
        for act in [&refuse, &refuse, &Act::Take] {
            book.note(1 << 32, 7, "x", act);
        }
        assert_eq!(book.tally().duplicates, 0);
        book.note(1 << 32, 7, "x", &Act::Take);
        let tally = book.tally();
        assert_eq!((tally.duplicates, tally.messages, tally.taken), (1, 1, 2));
        assert_eq!((book.tries(1 << 32), book.taken_ids()), (4, vec![1 << 32]));
        let marked = book
            .latest()
            .iter()
            .map(|message| message.duplicate)
            .collect::<Vec<_>>();
        assert_eq!(marked, [true, false, false, false], "newest first");
    }
}
