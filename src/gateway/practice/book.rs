//! The book of the practice gateway: counts by message, totals, the latest messages.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use http::Request;
use serde::Serialize;
use tokio::sync::oneshot;

use super::{PracticeAnswers, PracticeTally};
use crate::gateway::profile::AnswerKind;

/// Messages whose marks share a page of memory.
const PAGE: u64 = 1 << 16;
/// Pages kept, at most: 256 MiB, marks of 268 million message ids.
const PAGES: usize = 4096;
/// Marks of messages without an id that are kept, at most; some 700 MB.
const SCATTERED: usize = 20_000_000;
/// The latest messages kept to be looked at.
const LATEST: usize = 200;
/// In a message's mark: it was taken, or may have been.
const TAKEN: u8 = 0x80;

/// A message's name in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageKey {
    /// Its id. Those of a mailing are close together, so that their marks share pages.
    Id(u64),
    /// A hash of what is known of it where no id travels.
    Hash(u64),
}

impl MessageKey {
    /// The number in it, for draws.
    pub(super) fn number(self) -> u64 {
        let (Self::Id(number) | Self::Hash(number)) = self;
        number
    }
}

/// A message that arrives.
pub(super) struct ArrivedMessage<'a> {
    pub(super) key: MessageKey,
    pub(super) phone: u64,
    pub(super) text: &'a str,
    pub(super) is_taken: bool,
    /// The request, where a profile is spoken.
    pub(super) seen: Option<SeenRequest>,
}

/// A request as it came, and the answer to it.
#[derive(Clone, Debug)]
pub(super) struct SeenRequest {
    pub(super) request: Arc<Request<Bytes>>,
    pub(super) outcome: String,
    /// The meaning of the answer; `None` where there is none.
    pub(super) kind: Option<AnswerKind>,
    /// Shown as the id, if the message has one.
    pub(super) id: String,
}

/// One message as it was received.
#[derive(Clone, Debug, Default, Serialize)]
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
    /// Name of the answer, where a profile is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The parts of the request that do not fit the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub misfit: Option<String>,
    /// The request with dots in the place of secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The request as it came, secrets and all.
    #[serde(skip)]
    pub(super) raw: Option<Arc<Request<Bytes>>>,
}

/// The messages that were received.
#[derive(Default)]
pub struct PracticeBook {
    pages: HashMap<u64, Box<[u8]>>,
    /// Marks of messages by their hashes, which share no pages.
    scattered: HashMap<u64, u8>,
    tally: PracticeTally,
    latest: VecDeque<ReceivedMessage>,
    last_misfit: String,
    first: Option<Instant>,
    /// Waits for a message to a phone.
    awaited: HashMap<u64, oneshot::Sender<Instant>>,
}

impl PracticeBook {
    /// A book that counts misfits, too.
    pub(super) fn of_provider() -> Self {
        let tally = PracticeTally {
            misfits: Some(0),
            answers: Some(PracticeAnswers::default()),
            ..PracticeTally::default()
        };
        Self {
            tally,
            ..Self::default()
        }
    }

    /// Number of requests for a message that came before.
    pub(super) fn tries(&self, key: MessageKey) -> u8 {
        match key {
            MessageKey::Hash(hash) => self.scattered.get(&hash).map_or(0, |mark| tries_of(*mark)),
            MessageKey::Id(id) => self.tries_in_page(id),
        }
    }

    fn tries_in_page(&self, id: u64) -> u8 {
        let page = self.pages.get(&(id / PAGE));
        page.map_or(0, |page| tries_of(page[place(id)]))
    }

    /// Notes a message, and whether it was taken.
    pub(super) fn note(&mut self, message: ArrivedMessage<'_>) {
        // The span begins with the first request, however long the gateway has been up.
        let now = Instant::now();
        let first = *self.first.get_or_insert(now);
        self.tally.span_ms = (now - first).as_millis() as u64;
        let kind = message.seen.as_ref().and_then(|seen| seen.kind);
        self.tally.count(message.is_taken, kind);
        self.wake(message.phone, now);

        let is_duplicate = self.count(message.key, message.is_taken);
        self.keep(received(message, is_duplicate));
    }

    /// Notes a request that no profile makes. Returns false if the last one of them was the same.
    pub(super) fn note_misfit(&mut self, misfit: &str, seen: SeenRequest) -> bool {
        let is_new = self.last_misfit != misfit;
        misfit.clone_into(&mut self.last_misfit);
        *self.tally.misfits.get_or_insert_default() += 1;
        self.keep(ReceivedMessage {
            misfit: Some(misfit.to_owned()),
            outcome: Some(seen.outcome),
            raw: Some(seen.request),
            ..ReceivedMessage::default()
        });
        is_new
    }

    /// Marks the message of a request. Returns true if it had been taken before.
    fn count(&mut self, key: MessageKey, is_taken: bool) -> bool {
        // Without room for its mark it counts neither as new nor as a duplicate.
        let Some(mark) = self.mark(key) else {
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

    /// The mark of a message; `None` once there is no room for another one.
    fn mark(&mut self, key: MessageKey) -> Option<&mut u8> {
        match key {
            MessageKey::Id(id) => self.mark_in_page(id),
            MessageKey::Hash(hash) => self.scattered_mark(hash),
        }
    }

    fn scattered_mark(&mut self, hash: u64) -> Option<&mut u8> {
        let has_room = self.scattered.len() < SCATTERED;
        if has_room || self.scattered.contains_key(&hash) {
            return Some(self.scattered.entry(hash).or_default());
        }
        None
    }

    fn mark_in_page(&mut self, id: u64) -> Option<&mut u8> {
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

/// A message as it is kept to be looked at.
fn received(message: ArrivedMessage<'_>, is_duplicate: bool) -> ReceivedMessage {
    let plain = ReceivedMessage {
        phone: message.phone,
        text: message.text.to_owned(),
        taken: message.is_taken,
        duplicate: is_duplicate,
        ..ReceivedMessage::default()
    };

    // Only the request of a provider is kept: that of the service's own protocol has nothing more to show.
    match message.seen {
        None => ReceivedMessage {
            id: message.key.number().to_string(),
            ..plain
        },
        Some(seen) => ReceivedMessage {
            id: seen.id,
            outcome: Some(seen.outcome),
            raw: Some(seen.request),
            ..plain
        },
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

    fn arrived(key: MessageKey, is_taken: bool) -> ArrivedMessage<'static> {
        ArrivedMessage {
            key,
            phone: 7,
            text: "x",
            is_taken,
            seen: None,
        }
    }

    #[test]
    fn a_message_is_a_duplicate_only_after_it_was_taken() {
        for key in [MessageKey::Id(1 << 32), MessageKey::Hash(u64::MAX)] {
            let mut book = PracticeBook::default();
            for is_taken in [false, false, true] {
                book.note(arrived(key, is_taken));
            }
            assert_eq!(book.tally().duplicates, 0);

            book.note(arrived(key, true));
            let tally = book.tally();
            assert_eq!((tally.duplicates, tally.messages, tally.taken), (1, 1, 2));
            assert_eq!(book.tries(key), 4);
            let marked = book
                .latest()
                .iter()
                .map(|message| message.duplicate)
                .collect::<Vec<_>>();
            assert_eq!(marked, [true, false, false, false], "newest first");
        }
    }

    #[test]
    fn ids_that_were_taken_are_told() {
        let mut book = PracticeBook::default();
        book.note(arrived(MessageKey::Id(1 << 32), true));
        book.note(arrived(MessageKey::Id(7), false));
        assert_eq!(book.taken_ids(), vec![1 << 32]);
    }
}
