//! The choice of the mailings that the next lease can come from, and of how far a grant looks in one.

use std::collections::HashMap;

use notty_storage::{
    Reader, Timestamp, limits,
    model::{MailingNumber, Run, ZoneNumber},
    query::{
        self,
        work::{self, OpenMailing},
    },
};

use super::looks::{Looks, Wanted};
use crate::zones::Zones;

/// The most mailings that are tried for one ask.
const CANDIDATES: usize = 8;
/// Batches that are enough for nearly every grant, because messages that are ready lie together.
const FEW: u8 = 4;

/// A mailing that has something to send now.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Number of the mailing.
    pub mailing: MailingNumber,
    /// The zones in which it may send; `None` means all.
    pub zones: Option<Vec<ZoneNumber>>,
    /// Messages that seem ready, counted up to the number asked for; some may not be.
    pub ready: u64,
    /// The messages that a grant would be for, and the mailing as it was then.
    pub wanted: Wanted,
}

/// An ask, and the knowledge by which candidates for it are chosen.
pub struct CandidatePolicy<'a> {
    /// The time, by a clock that is agreed on.
    pub now: Timestamp,
    /// Messages that the postman has room for.
    pub room: u16,
    /// The time zones of the state.
    pub zones: &'a Zones,
    /// The turn in which each mailing was served last, as a rising number.
    pub served: &'a HashMap<MailingNumber, u64>,
    /// Grants that would find nothing.
    pub looks: &'a Looks,
    /// Hash of the gateway that the postman sends to.
    pub gateway: u64,
    /// Mailings that the postman cannot send now.
    pub unwanted: &'a [MailingNumber],
}

/// The part of a mailing that a grant may look at.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// The most batches that messages are taken from.
    pub batches: u8,
    /// The most batches that are opened in vain.
    pub barren: u8,
}

impl Reach {
    /// A grant that may touch many batches fills an entry of the log by itself. So it may do so only
    /// where the last grant needed many.
    pub fn of(is_scattered: bool) -> Self {
        if is_scattered {
            Self {
                batches: limits::LEASE_BATCHES,
                barren: limits::GRANT_BARREN_BATCHES,
            }
        } else {
            Self {
                batches: FEW,
                barren: FEW,
            }
        }
    }
}

/// True if the messages of a mailing lie so far apart that the next grant should look far again: the
/// last one gave fewer messages than it should have, or those of more than a few batches.
pub fn is_scattered(runs: &[Run], wanted: u64) -> bool {
    let batch = |run: &Run| run.first >> limits::BATCH_STRIDE_BITS;
    let batches = runs.chunk_by(|one, next| batch(one) == batch(next)).count();
    let granted: u64 = runs.iter().map(|run| u64::from(run.len)).sum();
    granted < wanted || batches > usize::from(FEW)
}

/// Finds mailings with something to send. The one that was served longest ago comes first, so that
/// none waits for another to end.
pub fn candidates(
    reader: &Reader<'_>,
    policy: &CandidatePolicy<'_>,
) -> Result<Vec<Candidate>, notty_storage::Error> {
    let steady = query::time::setting(reader)?.steady(policy.now);
    let mut found = Vec::new();
    for mailing in running(reader, policy) {
        found.extend(candidate(reader, mailing, steady, policy)?);
        if found.len() == CANDIDATES {
            break;
        }
    }
    Ok(found)
}

/// Mailings that may send, the one that was served longest ago first.
fn running<'r>(reader: &'r Reader<'_>, policy: &CandidatePolicy<'_>) -> Vec<&'r OpenMailing> {
    let mut running: Vec<_> = work::open_mailings(reader)
        .filter(|mailing| may_send(mailing, policy.now))
        .filter(|mailing| !policy.unwanted.contains(&mailing.number))
        .collect();
    running.sort_by_key(|mailing| policy.served.get(&mailing.number).copied().unwrap_or(0));
    running
}

/// A mailing as a candidate; `None` if it has nothing to send now.
fn candidate(
    reader: &Reader<'_>,
    mailing: &OpenMailing,
    steady: Timestamp,
    policy: &CandidatePolicy<'_>,
) -> Result<Option<Candidate>, notty_storage::Error> {
    let window = mailing.record.spec.send_window.as_ref();
    let zones = window.map(|window| policy.zones.open(window, policy.now));
    let enough = u64::from(policy.room.max(1));
    let ready = work::ready(reader, mailing, zones.as_deref(), steady, enough)?;
    if ready == 0 {
        return Ok(None);
    }

    // The summary of what is ready can promise too much; the looks know better.
    let wanted = Wanted::new(mailing, policy.gateway, zones.as_deref());
    if policy.looks.is_in_vain(&wanted, steady) {
        return Ok(None);
    }

    Ok(Some(Candidate {
        mailing: mailing.number,
        zones,
        ready,
        wanted,
    }))
}

fn may_send(mailing: &OpenMailing, now: Timestamp) -> bool {
    let record = &mailing.record;
    record.is_running() && !record.paused && now < record.spec.end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(of: &[(u32, u16)]) -> Vec<Run> {
        let run = |(batch, len): &(u32, u16)| Run {
            first: *batch << limits::BATCH_STRIDE_BITS,
            len: *len,
            attempt: 1,
        };
        of.iter().map(run).collect()
    }

    #[test]
    fn messages_that_lie_together_are_not_looked_for_far_away() {
        assert!(!is_scattered(&runs(&[(0, 400), (1, 600)]), 1_000));
        assert!(!is_scattered(
            &runs(&[(0, 1), (0, 1), (0, 1), (0, 1), (0, 1)]),
            5
        ));
        assert!(is_scattered(&runs(&[(0, 400), (1, 599)]), 1_000));
        assert!(is_scattered(
            &runs(&[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)]),
            5
        ));
    }
}
