//! Messages: their ids, their statuses, what a report says of them, and the counts.

use serde::{Deserialize, Serialize};

use super::{CustomerId, Delivery, ErrorCode, MailingId, MailingNumber, Phone, Timestamp};

/// A message's id: the mailing's number and the position in the mailing, 63 bits, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId {
    /// Its mailing.
    pub mailing: MailingNumber,
    /// Its position: batch number and index in the batch.
    pub position: u32,
}

impl MessageId {
    /// From the 63-bit form; none if it is no id that could have been given.
    pub fn from_u64(id: u64) -> Option<Self> {
        let mailing = MailingNumber(u32::try_from(id >> 32).ok()?);
        let valid = mailing.0 != 0 && mailing.0 <= i32::MAX as u32;
        valid.then_some(Self {
            mailing,
            position: id as u32,
        })
    }

    /// The 63-bit form, which the gateway gets.
    pub const fn as_u64(self) -> u64 {
        ((self.mailing.0 as u64) << 32) | self.position as u64
    }
}

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_u64().fmt(f)
    }
}

/// What has become of a message. Every message is in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Status {
    /// Waits for its turn.
    Created = 0,
    /// Leased to a postman.
    Sending = 1,
    /// The gateway took it.
    Done = 2,
    /// Certainly not taken; will be tried again.
    Failed = 3,
    /// The gateway refused it for good.
    Invalid = 4,
    /// Its mailing ended first.
    Expired = 5,
    /// Mailing cancelled or deleted, or customer deleted, before it was sent.
    Cancelled = 6,
    /// It may have been taken: never sent again, unless proven unsent.
    Unconfirmed = 7,
}

/// All statuses, in the order of their numbers.
pub const STATUSES: [Status; 8] = [
    Status::Created,
    Status::Sending,
    Status::Done,
    Status::Failed,
    Status::Invalid,
    Status::Expired,
    Status::Cancelled,
    Status::Unconfirmed,
];

impl Status {
    /// From its number.
    pub fn from_u8(number: u8) -> Option<Self> {
        STATUSES.get(usize::from(number)).copied()
    }

    /// The name that people and programs see.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Sending => "sending",
            Status::Done => "done",
            Status::Failed => "failed",
            Status::Invalid => "invalid",
            Status::Expired => "expired",
            Status::Cancelled => "cancelled",
            Status::Unconfirmed => "unconfirmed",
        }
    }

    /// From its name.
    pub fn from_name(name: &str) -> Option<Self> {
        STATUSES.into_iter().find(|status| status.name() == name)
    }

    /// Whether nothing more happens to the message by itself.
    pub const fn is_final(self) -> bool {
        !matches!(self, Status::Created | Status::Sending | Status::Failed)
    }

    /// Whether a grant may take the message (a failed one once its pause is over).
    pub const fn is_ready(self) -> bool {
        matches!(self, Status::Created | Status::Failed)
    }
}

/// How many messages are in each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts([u64; 8]);

impl Counts {
    /// The count of one status.
    pub const fn of(&self, status: Status) -> u64 {
        self.0[status as usize]
    }

    /// All messages.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Messages that are not final.
    pub fn open(&self) -> u64 {
        STATUSES
            .into_iter()
            .filter(|s| !s.is_final())
            .map(|s| self.of(s))
            .sum()
    }

    /// Adds `n` messages of a status.
    pub fn add(&mut self, status: Status, n: u64) {
        self.0[status as usize] += n;
    }

    /// Moves `n` messages from one status to another.
    ///
    /// # Panics
    /// If there are fewer than `n`: the sums would no longer add up, and the node must stop.
    pub fn shift(&mut self, from: Status, to: Status, n: u64) {
        let left = self.0[from as usize].checked_sub(n);
        self.0[from as usize] = left.expect("a message that changes was counted before");
        self.0[to as usize] += n;
    }

    /// Takes one part's counts out and its later counts in.
    ///
    /// # Panics
    /// If the part was not contained: the sums would no longer add up.
    pub fn replace(&mut self, before: &Counts, after: &Counts) {
        for (mine, (before, after)) in self.0.iter_mut().zip(before.0.into_iter().zip(after.0)) {
            let rest = mine.checked_sub(before);
            *mine = rest.expect("the whole contains its parts") + after;
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Counts) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

/// What a postman says became of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendResult {
    /// The gateway took it.
    Done,
    /// The gateway refused it for good.
    Invalid,
    /// The gateway answered that it did not take it; try again after the pause.
    NotTaken {
        /// Milliseconds until the next try.
        pause_ms: u64,
    },
    /// It was tried, and nothing was written to the gateway; try again after the pause.
    NotSent {
        /// Milliseconds until the next try.
        pause_ms: u64,
    },
    /// Handed back untried.
    HandedBack,
    /// It may have been taken, and nothing says that a repeat is harmless: never sent again.
    Unsure,
    /// It may have been taken, but the gateway is declared idempotent and its memory of the id
    /// lasts: the same body may go to it again after the pause.
    UnsureRepeatable {
        /// Milliseconds until the next try.
        pause_ms: u64,
        /// For how many milliseconds after the first such try the gateway may get the id again:
        /// half the time for which it remembers one.
        repeat_ms: u64,
    },
}

impl SendResult {
    /// The number under which it is remembered of a token, so that a second report can be told
    /// from a repeat; the pause does not count. Never 0, and never used again for another.
    pub const fn number(self) -> u8 {
        match self {
            SendResult::Done => 1,
            SendResult::Invalid => 2,
            SendResult::NotTaken { .. } => 3,
            SendResult::NotSent { .. } => 4,
            SendResult::HandedBack => 5,
            SendResult::Unsure => 6,
            SendResult::UnsureRepeatable { .. } => 7,
        }
    }
}

/// The reason for which a message has its status, where the status alone does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Reason {
    /// Another message of its mailing went, or goes, to the same phone.
    DuplicatePhone = 1,
}

impl Reason {
    /// All reasons, in the order of their numbers. A number is never used again for another.
    const ALL: [Self; 1] = [Self::DuplicatePhone];

    /// From its number.
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *reason as u8 == number)
    }

    /// The stable name that programs see.
    pub const fn code(self) -> &'static str {
        match self {
            Reason::DuplicatePhone => "duplicate_phone",
        }
    }

    /// The same in words, for people.
    pub const fn detail(self) -> &'static str {
        match self {
            Reason::DuplicatePhone => {
                "the mailing's one message to this phone is another customer's, sent or not"
            }
        }
    }
}

/// A message as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Its mailing.
    pub mailing_id: MailingId,
    /// Its customer.
    pub customer_id: CustomerId,
    /// The phone that it was expanded with.
    pub phone: Phone,
    /// What it says.
    pub text: String,
    /// What has become of it.
    pub status: Status,
    /// Tries, without what was handed back untried.
    pub attempts: u16,
    /// When it was expanded.
    pub created_at: Timestamp,
    /// When its status last changed.
    pub updated_at: Timestamp,
    /// When the gateway's taking it was recorded.
    pub sent_at: Option<Timestamp>,
    /// The reason for its status, where the status alone does not say it.
    pub reason: Option<Reason>,
    /// Its delivery, if a receipt named one.
    pub delivery: Option<Delivery>,
    /// The time at which that was noted, rounded down to a quarter of a second, or to a 500th of the time since it was
    /// sent.
    pub delivered_at: Option<Timestamp>,
    /// The gateway's code of the error, if it was not delivered and the gateway named one.
    pub delivery_error: Option<ErrorCode>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_is_its_mailing_and_its_position() {
        let id = MessageId {
            mailing: MailingNumber(1),
            position: 7,
        };
        assert_eq!(id.as_u64(), (1 << 32) | 7);
        assert_eq!(MessageId::from_u64(id.as_u64()), Some(id));
        assert_eq!(MessageId::from_u64(u64::MAX), None);
        assert_eq!(MessageId::from_u64(7), None);
    }
}
