//! Pauses of a leader that no majority answers, so that the others can elect another one.
//!
//! openraft 0.9 has a leader lead on that is cut off. A follower that still hears it supports nobody
//! else, although the others may need its vote: five nodes, one of them dead, and a leader that two of
//! them do not hear, would have no leader that can write. So such a leader keeps still. Between two
//! pauses it speaks for a while: it may be the only one that can lead, and from the answers it learns of a
//! newer leader.

use std::{sync::Arc, time::Duration};

use openraft::RaftMetrics;
use tokio::time::{Instant, sleep};

use crate::{
    consensus::handle::{Consensus, is_cut_off},
    types::{NodeId, Peer},
};

/// Between two looks at the answers of the followers.
const LOOK: Duration = Duration::from_millis(50);
/// The most that counts between two looks: a process that was stopped has asked nobody meanwhile.
const STEP: Duration = Duration::from_millis(150);
/// Time without a majority, after the leader counts as cut off, before the first pause. It is for a
/// leader that was stopped: its followers answer as soon as it goes on.
const DELAY: Duration = Duration::from_millis(500);
/// Length of a pause. The lease of this leader (1 s) runs out in it, then a follower that heard it waits
/// up to another second, asks for support and is elected.
const PAUSE: Duration = Duration::from_secs(3);
/// Time between two pauses: enough to open sessions, and to be answered.
const SPEAKING: Duration = Duration::from_secs(1);
/// Voters up to which no pause is of use: a leader that one of two others answers has a majority.
const FEW_VOTERS: usize = 3;

/// Has a leader pause while no majority answers it, until raft has ended.
pub(crate) async fn pause_when_cut_off(consensus: Arc<Consensus>) {
    let metrics = consensus.raft().metrics();
    let mut pauses = Pauses::default();

    while metrics.has_changed().is_ok() {
        sleep(LOOK).await;
        let is_useless = is_useless(&metrics.borrow());
        let pauses_now = pauses.note(Instant::now(), is_useless);
        if pauses_now != consensus.heartbeats().pauses() {
            tracing::debug!(pauses_now, "no majority answers this leader");
            consensus.heartbeats().note_cut_off(pauses_now);
        }
    }
}

/// True if this node leads without a majority, and the others might elect another leader.
fn is_useless(metrics: &RaftMetrics<NodeId, Peer>) -> bool {
    let members = metrics.membership_config.membership();
    is_cut_off(metrics) && members.voter_ids().count() > FEW_VOTERS
}

/// The alternation of pauses and speaking, while it lasts.
#[derive(Debug, Default)]
struct Pauses {
    looked: Option<Instant>,
    /// Time without a majority in which this node was awake.
    lasted: Duration,
}

impl Pauses {
    /// Takes in a look; returns true if the leader should keep still until the next one.
    fn note(&mut self, now: Instant, is_cut_off: bool) -> bool {
        let step = self.looked.replace(now).map_or(Duration::ZERO, |looked| {
            now.saturating_duration_since(looked).min(STEP)
        });
        if !is_cut_off {
            self.lasted = Duration::ZERO;
            return false;
        }

        self.lasted += step;
        let Some(since) = self.lasted.checked_sub(DELAY) else {
            return false;
        };
        let round = (PAUSE + SPEAKING).as_millis();
        since.as_millis() % round < PAUSE.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks until a time without a majority has passed; returns the last answer.
    fn after(pauses: &mut Pauses, start: Instant, time: Duration) -> bool {
        let looks = (time.as_millis() / LOOK.as_millis()) as u32;
        let answers = (0..=looks).map(|n| pauses.note(start + LOOK * n, true));
        answers.last().expect("there is one")
    }

    #[test]
    fn a_leader_without_a_majority_pauses_and_speaks_in_turns() {
        let start = Instant::now();
        let pauses_after = |time| after(&mut Pauses::default(), start, time);
        let look = LOOK;
        assert!(!pauses_after(DELAY - look));
        assert!(pauses_after(DELAY));
        assert!(pauses_after(DELAY + PAUSE - look));
        assert!(!pauses_after(DELAY + PAUSE));
        assert!(!pauses_after(DELAY + PAUSE + SPEAKING - look));
        assert!(pauses_after(DELAY + PAUSE + SPEAKING));
    }

    #[test]
    fn a_majority_ends_the_pause_and_a_process_that_was_stopped_begins_none() {
        let start = Instant::now();
        let mut pauses = Pauses::default();
        assert!(after(&mut pauses, start, DELAY + LOOK));
        assert!(!pauses.note(start + DELAY + LOOK * 2, false));
        assert!(!pauses.note(start + DELAY + LOOK * 3, true));

        let hour = Duration::from_secs(3_600);
        assert!(!pauses.note(start + hour, true));
    }
}
