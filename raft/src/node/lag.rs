//! How far a node's state is behind what is committed, and what a node does about it.
//!
//! Entries that are committed are applied at once, as long as the disk under the state does its work.
//! A leader whose state stands still is of no use to anyone, and nobody else can tell: its heartbeats
//! go on. So it hands over, and does not stand for election, until its state moves again or the
//! [`watchdog`](crate::state::watchdog) ends it.

use std::{sync::Weak, time::Duration};

use tokio::time::{Instant, sleep};

use super::Node;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// What counts between two looks, at most: a process that was stopped is not behind for that.
const STEP: Duration = Duration::from_millis(500);
/// A node is not ready while entries wait to be applied that were committed so long ago.
const BEHIND: Duration = Duration::from_secs(2);
/// A leader whose state has stood still for so long, although there was something to apply, hands
/// over.
const STILL: Duration = Duration::from_secs(3);
/// Between two tries to hand over.
const AGAIN: Duration = Duration::from_secs(5);

/// How a state keeps up with what is committed.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    looked: Option<Instant>,
    applied: u64,
    committed: u64,
    /// What was committed when the wait began that is measured now.
    mark: u64,
    behind: Duration,
    still: Duration,
}

impl Lag {
    /// Takes in how things stand.
    pub(crate) fn note(&mut self, now: Instant, committed: u64, applied: u64) {
        let step = self
            .looked
            .map_or(Duration::ZERO, |looked| (now - looked).min(STEP));
        self.looked = Some(now);
        match applied >= self.mark {
            true => (self.mark, self.behind) = (committed, Duration::ZERO),
            false => self.behind += step,
        }
        match applied != self.applied || applied >= committed {
            true => self.still = Duration::ZERO,
            false => self.still += step,
        }
        (self.applied, self.committed) = (applied, committed);
    }

    /// Why the node is not ready, if its state is behind.
    pub(crate) fn reason(&self) -> Option<String> {
        let Self {
            applied,
            committed,
            behind,
            ..
        } = self;
        (*behind >= BEHIND).then(|| {
            format!(
                "entries that were committed {} s ago are not applied: the state stands at {applied} \
                 of {committed}",
                behind.as_secs()
            )
        })
    }

    /// Whether nothing is applied any more.
    fn stands_still(&self) -> bool {
        self.still >= STILL
    }
}

/// Follows how the state keeps up, for as long as the node lives.
pub(crate) async fn follow(node: Weak<Node>) {
    let mut tried: Option<Instant> = None;
    let mut keeps_still = false;
    loop {
        sleep(LOOK).await;
        let Some(node) = node.upgrade() else {
            return;
        };
        let still = node.note_lag();
        if still != keeps_still {
            keeps_still = still;
            // One that was retired stays away from elections all the same: it has no vote.
            node.consensus.raft().runtime_config().elect(!still);
        }
        let due = tried.is_none_or(|tried| tried.elapsed() >= AGAIN);
        if still && due && node.leads_now() {
            tried = Some(Instant::now());
            match node.transfer_leader(None).await {
                Ok(to) => tracing::warn!("the state stands still: `{to}` leads instead"),
                Err(error) => {
                    tracing::warn!("the state stands still, and this node leads: {error}")
                }
            }
        }
    }
}

impl Node {
    /// Takes in how the state keeps up; whether it stands still.
    fn note_lag(&self) -> bool {
        let (committed, applied) = (self.log.committed_index(), self.applied_index());
        let mut lag = self.readiness.lag().lock();
        lag.note(Instant::now(), committed, applied);
        lag.stands_still()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is seen at a quarter of a second each: committed and applied.
    fn seen(lag: &mut Lag, from: Instant, positions: impl IntoIterator<Item = (u64, u64)>) {
        for (n, (committed, applied)) in (0..).zip(positions) {
            lag.note(from + LOOK * n, committed, applied);
        }
    }

    #[test]
    fn a_state_that_keeps_up_under_load_is_ready_although_it_is_always_a_little_behind() {
        let mut lag = Lag::default();
        seen(
            &mut lag,
            Instant::now(),
            (0..1_000).map(|n| (n * 100 + 90, n * 100)),
        );
        assert!(lag.reason().is_none() && !lag.stands_still(), "{lag:?}");
    }

    #[test]
    fn a_state_that_stands_still_is_told_of_after_a_moment_and_not_once_it_moves() {
        let (mut lag, from) = (Lag::default(), Instant::now());
        seen(&mut lag, from, (0..8).map(|n| (10 + n, 10)));
        assert!(lag.reason().is_none() && !lag.stands_still(), "{lag:?}");
        seen(&mut lag, from + LOOK * 8, (0..8).map(|n| (18 + n, 10)));
        let reason = lag.reason().expect("it is behind");
        assert!(reason.contains("10 of 25"), "{reason}");
        assert!(lag.stands_still(), "{lag:?}");
        seen(&mut lag, from + LOOK * 16, [(25, 25)]);
        assert!(lag.reason().is_none() && !lag.stands_still(), "{lag:?}");
    }

    #[test]
    fn a_state_that_moves_too_slowly_is_not_ready_and_its_node_leads_on() {
        let mut lag = Lag::default();
        seen(
            &mut lag,
            Instant::now(),
            (0..40).map(|n| (10_000 + n, n + 1)),
        );
        assert!(lag.reason().is_some() && !lag.stands_still(), "{lag:?}");
    }

    #[test]
    fn a_process_that_was_stopped_in_the_middle_of_an_entry_has_not_stood_still() {
        let (mut lag, from) = (Lag::default(), Instant::now());
        seen(&mut lag, from, [(10, 9), (10, 9)]);
        lag.note(from + Duration::from_secs(3_600), 10, 9);
        assert!(lag.reason().is_none() && !lag.stands_still(), "{lag:?}");
    }
}
