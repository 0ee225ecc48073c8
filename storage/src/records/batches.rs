//! Batches: the unit of storage, lease and report. Members are written once; columns change.

use serde::{Deserialize, Serialize};

use super::delivery::DeliveryColumn;
use crate::{
    codec,
    error::Error,
    model::{Counts, Delivery, DeliveryCounts, ErrorCode, Reason, Status, Timestamp, ZoneNumber},
};

/// What finding work reads of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its messages by status.
    pub counts: Counts,
    /// No failed message is due before this steady time.
    pub due: Timestamp,
    /// The lowest and the highest customer number.
    pub customers: (u32, u32),
    /// Whether it holds customers who came to match late; such batches are not in the order.
    pub late: bool,
    /// The zones of its created messages, as bits; the last bit stands for 63 and above. May have
    /// bits too many, never too few; none where no message is created.
    pub created_zones: u64,
    /// The zones of its failed messages, in the same way: a zone whose messages wait for their
    /// first turn says nothing of when those of another are due.
    pub failed_zones: u64,
    /// When it was expanded.
    pub created_at: Timestamp,
    /// By how much people had set the time by then, in milliseconds.
    pub shift_ms: i64,
    /// Whether its messages are counted in the facets (done once they are final, but for a few).
    pub counted: bool,
    /// Its messages by delivery.
    pub delivery: DeliveryCounts,
}

impl Head {
    /// Messages that are not final.
    pub fn open(&self) -> u64 {
        self.counts.open()
    }

    /// The steady time at which it was expanded.
    pub fn created_steady(&self) -> Timestamp {
        self.created_at.plus_millis(self.shift_ms.saturating_neg())
    }

    /// Whether a grant at the steady time `at` for some zones, as bits, may find something here.
    pub fn is_ready(&self, at: Timestamp, zones: u64) -> bool {
        self.created_zones & zones != 0 || (self.failed_zones & zones != 0 && self.due <= at)
    }

    /// Messages that a grant at the steady time `at` may find here, about: where those of several zones wait
    /// together, each zone counts for as much. At least one where there is one.
    pub fn ready(&self, at: Timestamp, zones: u64) -> u64 {
        let failed = if self.due <= at {
            self.counts.of(Status::Failed)
        } else {
            0
        };
        share(self.counts.of(Status::Created), self.created_zones, zones)
            + share(failed, self.failed_zones, zones)
    }

    /// The bit of a zone.
    pub fn zone_bit(zone: u16) -> u64 {
        1 << zone.min(63)
    }

    /// The bits of the zones that a grant is for; none: all of them.
    pub fn zone_bits(zones: Option<&[ZoneNumber]>) -> u64 {
        zones.map_or(u64::MAX, |zones| {
            zones.iter().fold(0, |bits, z| bits | Self::zone_bit(z.0))
        })
    }
}

/// The part of a count that falls to some of its zones.
fn share(count: u64, of: u64, zones: u64) -> u64 {
    let part = count * u64::from((of & zones).count_ones());
    part.div_ceil(u64::from(of.count_ones().max(1)))
}

/// The heads of 32 batches that follow each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heads {
    /// In the order of batch numbers.
    pub heads: Vec<Head>,
}

/// Who is in a batch, frozen for all attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// Customer numbers as differences, so that most take a byte.
    steps: Vec<u32>,
    /// Phone digits.
    pub phones: Vec<u64>,
    /// Zone numbers.
    pub zones: Vec<u16>,
    /// Tag numbers.
    pub tags: Vec<u32>,
    /// Operator numbers.
    pub operators: Vec<u32>,
}

impl Members {
    /// Adds a customer; the caller adds them in rising order of numbers.
    pub fn push(&mut self, last: Option<u32>, customer: u32, row: (u64, u16, u32, u32)) {
        self.steps.push(customer - last.unwrap_or_default());
        self.phones.push(row.0);
        self.zones.push(row.1);
        self.tags.push(row.2);
        self.operators.push(row.3);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The customers' numbers, in rising order.
    pub fn customers(&self) -> impl Iterator<Item = u32> + '_ {
        self.steps.iter().scan(0, |last, step| {
            *last += step;
            Some(*last)
        })
    }

    /// The customers' numbers alone, in rising order, from a record's bytes.
    pub fn customers_in(bytes: &[u8]) -> Result<Vec<u32>, Error> {
        let steps = codec::Columns::of(bytes)?.numbers()?;
        let sum = |last: &mut u32, step| {
            *last += step as u32;
            Some(*last)
        };
        Ok(steps.into_iter().scan(0, sum).collect())
    }

    /// Phone digits alone, from a record's bytes.
    pub fn phones_in(bytes: &[u8]) -> Result<Vec<u64>, Error> {
        let mut columns = codec::Columns::of(bytes)?;
        columns.pass()?;
        columns.numbers()
    }

    /// Numbers of tag and operator alone, from a record's bytes.
    pub fn words_in(bytes: &[u8]) -> Result<Vec<(u32, u32)>, Error> {
        let mut columns = codec::Columns::of(bytes)?;
        // Customers, phones and zones.
        for _ in 0..3 {
            columns.pass()?;
        }
        let (tags, operators) = (columns.numbers()?, columns.numbers()?);
        Ok(tags
            .into_iter()
            .zip(operators)
            .map(|(tag, op)| (tag as u32, op as u32))
            .collect())
    }

    /// The customer at an index.
    pub fn customer(&self, index: usize) -> u32 {
        self.steps[..=index].iter().sum()
    }
}

/// Why a message may already have been taken although it is not final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// Its index in the batch.
    pub index: u16,
    /// Since when its gateway may have it, as a steady time: when the first attempt in doubt was granted.
    pub since: Timestamp,
    /// It may go to its gateway again until then, a steady time; never again where there is none.
    pub repeat_until: Option<Timestamp>,
    /// The gateway and account that may have it.
    pub gateway: u64,
}

/// What changes of a batch's messages; one entry of each column per message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// Status numbers.
    pub statuses: Vec<u8>,
    /// The number of grants of each.
    pub attempts: Vec<u16>,
    /// What the last attempt of each was reported as first, by number; 0 while it was not.
    pub reported: Vec<u8>,
    /// When each last changed, in milliseconds of steady time after the batch was expanded.
    pub changed_ms: Vec<u64>,
    /// Steady times at which failed messages are due, by index, in the order of indexes.
    pub due: Vec<(u16, Timestamp)>,
    /// How often messages were handed back untried, by index, in the order of indexes.
    pub handed_back: Vec<(u16, u16)>,
    /// Steady times at which messages were granted whose lease ran out unreported, in the order of
    /// indexes.
    pub lapsed: Vec<(u16, Timestamp)>,
    /// Messages reported unsure, or done by an old attempt, in the order of indexes.
    pub doubts: Vec<Doubt>,
    /// Messages whose customer was deleted while they were under way: they do not come back, also
    /// where the customer does. In the order of indexes.
    pub forsaken: Vec<u16>,
    /// Numbers of reasons, where there are any, in the order of indexes.
    pub reasons: Vec<(u16, u8)>,
    /// The deliveries of messages; empty while no receipt has come.
    pub deliveries: DeliveryColumn,
    /// The gateway's codes of errors, where it named one, in the order of indexes.
    pub errors: Vec<(u16, ErrorCode)>,
}

impl Columns {
    /// Columns of a batch just expanded.
    pub fn new(len: usize, status: Status) -> Self {
        Self {
            statuses: vec![status as u8; len],
            attempts: vec![0; len],
            reported: vec![0; len],
            changed_ms: vec![0; len],
            ..Self::default()
        }
    }

    /// Cancels a message from the beginning; those of a batch in rising order of indexes.
    pub fn bear_cancelled(&mut self, index: usize, reason: Reason) {
        self.statuses[index] = Status::Cancelled as u8;
        self.reasons.push((index as u16, reason as u8));
    }

    /// The reason for which a message has its status, if one is known.
    pub fn reason(&self, index: usize) -> Option<Reason> {
        let at = find(&self.reasons, index)?;
        Reason::from_u8(self.reasons[at].1)
    }

    /// The delivery of a message, if a receipt named one.
    pub fn delivery(&self, index: usize) -> Option<Delivery> {
        self.deliveries.get(index).map(|(delivery, _)| delivery)
    }

    /// Sets the delivery of a message and the gateway's code of the error, at a steady time after the
    /// batch was expanded.
    pub fn set_delivery(
        &mut self,
        index: usize,
        to: Delivery,
        error: Option<&ErrorCode>,
        at_ms: u64,
    ) {
        let delay_ms = at_ms.saturating_sub(self.changed_ms[index]);
        let len = self.statuses.len();
        self.deliveries.set(index, len, to, delay_ms);

        if let Some(at) = find(&self.errors, index) {
            self.errors.remove(at);
        }
        if let Some(error) = error {
            let at = self
                .errors
                .partition_point(|(i, _)| usize::from(*i) < index);
            self.errors.insert(at, (index as u16, error.clone()));
        }
    }

    /// The gateway's code of the error of a message, if it named one.
    pub fn error(&self, index: usize) -> Option<&ErrorCode> {
        find(&self.errors, index).map(|at| &self.errors[at].1)
    }

    /// True if a receipt settled the present attempt of a message, and its report has not come yet.
    pub fn is_settled_by_receipt(&self, index: usize) -> bool {
        self.status(index) == Status::Done && self.reported[index] == 0
    }

    /// The statuses alone, by number, from a record's bytes.
    pub fn statuses_in(bytes: &[u8]) -> Result<Vec<Status>, Error> {
        let statuses = codec::Columns::of(bytes)?.bytes()?;
        let known = statuses.iter().map(|status| Status::from_u8(*status));
        known
            .collect::<Option<_>>()
            .ok_or(Error::Contradiction { what: "a status" })
    }

    /// For each message whether it went to nobody and never will, from a record's bytes: it was cancelled
    /// before it was ever granted. After a grant, a postman that contradicts itself may have sent it.
    pub fn unused_in(bytes: &[u8]) -> Result<Vec<bool>, Error> {
        let mut columns = codec::Columns::of(bytes)?;
        let statuses = columns.bytes()?;
        let grants = columns.numbers()?;

        let cancelled = statuses.iter().map(|of| *of == Status::Cancelled as u8);
        let messages = cancelled.zip(grants);
        Ok(messages
            .map(|(cancelled, grants)| cancelled && grants == 0)
            .collect())
    }

    /// The status of one message.
    ///
    /// # Panics
    /// If the index is beyond the batch or the byte is no status: damage that a checksum missed.
    pub fn status(&self, index: usize) -> Status {
        Status::from_u8(self.statuses[index]).expect("a stored status is one of eight")
    }

    /// When a failed message is due.
    pub fn due_of(&self, index: usize) -> Option<Timestamp> {
        find(&self.due, index).map(|at| self.due[at].1)
    }

    /// Sets when a failed message is due.
    pub fn set_due(&mut self, index: usize, due: Timestamp) {
        match self.due.binary_search_by_key(&(index as u16), |(i, _)| *i) {
            Ok(at) => self.due[at].1 = due,
            Err(at) => self.due.insert(at, (index as u16, due)),
        }
    }

    /// Forgets when a message is due.
    pub fn clear_due(&mut self, index: usize) {
        if let Some(at) = find(&self.due, index) {
            self.due.remove(at);
        }
    }

    /// Remembers when a message was granted whose lease runs out unreported.
    pub fn add_lapsed(&mut self, index: usize, granted_at: Timestamp) {
        match self
            .lapsed
            .binary_search_by_key(&(index as u16), |(i, _)| *i)
        {
            Ok(at) => self.lapsed[at].1 = granted_at,
            Err(at) => self.lapsed.insert(at, (index as u16, granted_at)),
        }
    }

    /// Takes out when a message was granted whose lease ran out; none if it did not.
    pub fn take_lapsed(&mut self, index: usize) -> Option<Timestamp> {
        find(&self.lapsed, index).map(|at| self.lapsed.remove(at).1)
    }

    /// Notes that a message's customer was deleted while it was under way; false if it was known.
    pub fn forsake(&mut self, index: usize) -> bool {
        let at = self.forsaken.binary_search(&(index as u16));
        at.map_err(|at| self.forsaken.insert(at, index as u16))
            .is_err()
    }

    /// Whether a message's customer was deleted while it was under way.
    pub fn is_forsaken(&self, index: usize) -> bool {
        self.forsaken.binary_search(&(index as u16)).is_ok()
    }

    /// Tries of a message: its grants without those handed back untried.
    pub fn tries(&self, index: usize) -> u16 {
        let back = find(&self.handed_back, index).map_or(0, |at| self.handed_back[at].1);
        self.attempts[index].saturating_sub(back)
    }

    /// Counts one handing back.
    pub fn add_handed_back(&mut self, index: usize) {
        match self
            .handed_back
            .binary_search_by_key(&(index as u16), |(i, _)| *i)
        {
            Ok(at) => self.handed_back[at].1 = self.handed_back[at].1.saturating_add(1),
            Err(at) => self.handed_back.insert(at, (index as u16, 1)),
        }
    }

    /// The doubt about a message, if there is one.
    pub fn doubt(&self, index: usize) -> Option<&Doubt> {
        let key = index as u16;
        self.doubts
            .binary_search_by_key(&key, |doubt| doubt.index)
            .ok()
            .map(|at| &self.doubts[at])
    }

    /// Adds a doubt. An older one stays as it is, but for one that forbids repeating, or is about another
    /// gateway: no gateway may get what two may have.
    pub fn add_doubt(&mut self, doubt: Doubt) {
        match self.doubts.binary_search_by_key(&doubt.index, |d| d.index) {
            Ok(at) => {
                let older = &mut self.doubts[at];
                if doubt.repeat_until.is_none() || doubt.gateway != older.gateway {
                    older.repeat_until = None;
                }
            }
            Err(at) => self.doubts.insert(at, doubt),
        }
    }
}

fn find<T>(column: &[(u16, T)], index: usize) -> Option<usize> {
    column
        .binary_search_by_key(&(index as u16), |(i, _)| *i)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_columns_are_those_of_the_whole_record() {
        let mut members = Members::default();
        let mut last = None;
        for n in 0..1_000 {
            members.push(
                last,
                n * n,
                (79_160_000_000 + u64::from(n), n as u16, n * 300, n % 7),
            );
            last = Some(n * n);
        }
        let bytes = codec::encode(&members);
        assert!(
            Members::customers_in(&bytes)
                .expect("reads")
                .into_iter()
                .eq(members.customers())
        );
        let words = members
            .tags
            .iter()
            .copied()
            .zip(members.operators.iter().copied());
        assert!(
            Members::words_in(&bytes)
                .expect("reads")
                .into_iter()
                .eq(words)
        );
        let mut columns = Columns::new(3, Status::Created);
        columns.statuses[1] = Status::Done as u8;
        let statuses = Columns::statuses_in(&codec::encode(&columns)).expect("reads");
        assert_eq!(statuses, [Status::Created, Status::Done, Status::Created]);
    }

    /// A head with messages created in the zones 1 and 2, and failed in zone 3.
    fn head(created: u64, failed: u64) -> Head {
        let mut head = Head {
            due: Timestamp::from_millis(10),
            ..Head::default()
        };
        head.counts.add(Status::Created, created);
        head.counts.add(Status::Failed, failed);
        (head.created_zones, head.failed_zones) = (0b0110, 0b1000);
        head
    }

    #[test]
    fn a_zone_is_ready_by_its_own_messages_alone() {
        let (before, due) = (Timestamp::from_millis(9), Timestamp::from_millis(10));
        let head = head(5, 5);
        assert!(head.is_ready(before, 0b0010) && !head.is_ready(before, 0b1000));
        assert!(head.is_ready(due, 0b1000) && !head.is_ready(due, 0b0001));
    }

    #[test]
    fn messages_of_closed_zones_do_not_count_as_ready() {
        let (before, due) = (Timestamp::from_millis(9), Timestamp::from_millis(10));
        assert_eq!(head(999, 7).ready(before, 0b0010), 500);
        assert_eq!(head(1, 7).ready(before, 0b0100), 1);
        assert_eq!(head(999, 7).ready(due, u64::MAX), 1_006);
        assert_eq!(head(999, 7).ready(due, 0b0001), 0);
    }
}
