//! The records of a journal's file: leases, and tokens begun and settled under them.

use notty_storage::model::{MailingNumber, Run, SendResult};

use super::{RunTerms, SendToken, header::Seal};

/// Bytes of a record.
pub(super) const RECORD: usize = 28;
/// Bytes of a record that its checksum covers.
const SEALED: usize = RECORD - 4;

/// The meaning of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// A run of messages was leased.
    Leased = 2,
    /// A lease is closed: every report was acknowledged.
    Closed = 3,
    /// A message's request may be on its way.
    Begun = 4,
    /// A message's result is known.
    Settled = 5,
    /// Nothing comes after this; written over by the next record.
    End = 6,
    /// The stream goes on in the next file.
    Followed = 7,
}

impl RecordKind {
    fn of(number: u8) -> Option<Self> {
        Some(match number {
            2 => Self::Leased,
            3 => Self::Closed,
            4 => Self::Begun,
            5 => Self::Settled,
            6 => Self::End,
            7 => Self::Followed,
            _ => return None,
        })
    }
}

/// One record; fields that its kind does not need are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JournalRecord {
    pub(super) kind: RecordKind,
    /// The number of the result.
    pub(super) code: u8,
    /// The length of the run that was leased.
    pub(super) len: u16,
    pub(super) token: SendToken,
}

impl JournalRecord {
    /// A record of a token.
    pub(super) fn of(kind: RecordKind, token: SendToken) -> Self {
        Self {
            kind,
            code: 0,
            len: 0,
            token,
        }
    }

    /// A record of a lease as a whole.
    pub(super) fn of_lease(kind: RecordKind, n: u64) -> Self {
        let token = SendToken {
            n,
            mailing: MailingNumber(0),
            position: 0,
            attempt: 0,
        };
        Self::of(kind, token)
    }

    /// A record of a file, which needs no more than its kind.
    pub(super) fn of_file(kind: RecordKind) -> Self {
        Self::of_lease(kind, 0)
    }

    /// The record of a run of messages that was leased.
    pub(super) fn leased(n: u64, mailing: MailingNumber, run: &Run) -> Self {
        let first = SendToken {
            n,
            mailing,
            position: run.first,
            attempt: run.attempt,
        };
        Self {
            len: run.len,
            ..Self::of(RecordKind::Leased, first)
        }
    }

    /// The record of a result.
    pub(super) fn settled(token: SendToken, result: SendResult) -> Self {
        Self {
            code: result.number(),
            ..Self::of(RecordKind::Settled, token)
        }
    }

    pub(super) fn bytes(self, seal: &Seal, place: u64) -> [u8; RECORD] {
        let token = self.token;
        let mut bytes = [0; RECORD];
        bytes[0] = self.kind as u8;
        bytes[1] = self.code;
        bytes[2..4].copy_from_slice(&token.attempt.to_be_bytes());
        bytes[4..6].copy_from_slice(&self.len.to_be_bytes());
        // Two bytes are left empty, so that what follows is aligned.
        bytes[8..12].copy_from_slice(&token.mailing.0.to_be_bytes());
        bytes[12..16].copy_from_slice(&token.position.to_be_bytes());
        bytes[16..24].copy_from_slice(&token.n.to_be_bytes());

        let checksum = seal.checksum(place, &bytes[..SEALED]);
        bytes[SEALED..].copy_from_slice(&checksum);
        bytes
    }

    pub(super) fn parse(bytes: &[u8; RECORD], seal: &Seal, place: u64) -> Option<Self> {
        if seal.checksum(place, &bytes[..SEALED]) != bytes[SEALED..] {
            return None;
        }

        // The places of `bytes`.
        let token = SendToken {
            n: u64::from(four_bytes(bytes, 16)) << 32 | u64::from(four_bytes(bytes, 20)),
            mailing: MailingNumber(four_bytes(bytes, 8)),
            position: four_bytes(bytes, 12),
            attempt: two_bytes(bytes, 2),
        };
        Some(Self {
            kind: RecordKind::of(bytes[0])?,
            code: bytes[1],
            len: two_bytes(bytes, 4),
            token,
        })
    }
}

fn two_bytes(bytes: &[u8; RECORD], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn four_bytes(bytes: &[u8; RECORD], at: usize) -> u32 {
    u32::from(two_bytes(bytes, at)) << 16 | u32::from(two_bytes(bytes, at + 2))
}

/// The result of a number, as the run that noted it would report it.
pub(super) fn result(code: u8, pause_ms: u64, run: &RunTerms) -> Option<SendResult> {
    Some(match code {
        1 => SendResult::Done,
        2 => SendResult::Invalid,
        3 => SendResult::NotTaken { pause_ms },
        4 => SendResult::NotSent { pause_ms },
        5 => SendResult::HandedBack,
        6 => SendResult::Unsure,

        // Only a run whose gateway takes repeats can have noted it.
        7 => SendResult::UnsureRepeatable {
            pause_ms,
            repeat_ms: run.repeat_ms?,
        },
        _ => return None,
    })
}
