//! The lag of a node's state behind what is committed, and its consequences.
//!
//! Entries that are committed are applied at once, as long as the disk under the state does its work.
//! A leader whose state stands still is of no use to anyone, and nobody else can tell: its heartbeats
//! go on. So it hands over, and does not stand for election, until its state moves again or the
//! [`watchdog`](crate::state::watchdog) ends it.

use std::{sync::Weak, time::Duration};

use tokio::time::{Instant, sleep};

use super::Node;

/// Between two looks at the state.
const LOOK: Duration = Duration::from_millis(250);
/// The most that counts between two looks: a process that was stopped is not behind for that.
const STEP: Duration = Duration::from_millis(500);
/// A node is not ready while entries wait to be applied that were committed so long ago.
const BEHIND: Duration = Duration::from_secs(2);
/// A leader whose state has stood still for so long, although there was something to apply, hands
/// over.
const STILL: Duration = Duration::from_secs(3);
/// Between two tries to hand over.
const AGAIN: Duration = Duration::from_secs(5);

/// The lag of one state, looked at again and again.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    looked: Option<Instant>,
    applied: u64,
    committed: u64,
    /// The position that was committed when the present wait began.
    mark: u64,
    /// For how long the state has not reached that position.
    behind: Duration,
    /// For how long nothing was applied although something was committed.
    still: Duration,
}

impl Lag {
    /// Takes in the positions that are committed and applied now.
    pub(crate) fn note(&mut self, now: Instant, committed: u64, applied: u64) {
        let step = self
            .looked
            .map_or(Duration::ZERO, |looked| (now - looked).min(STEP));
        self.looked = Some(now);

        // A new wait begins with what is committed now: under load there is always something to apply.
        if applied >= self.mark {
            self.mark = committed;
            self.behind = Duration::ZERO;
        } else {
            self.behind += step;
        }

        let moves = applied != self.applied || applied >= committed;
        if moves {
            self.still = Duration::ZERO;
        } else {
            self.still += step;
        }
        self.applied = applied;
        self.committed = committed;
    }

    /// The reason why the node is not ready, if its state is behind.
    pub(crate) fn reason(&self) -> Option<String> {
        (self.behind >= BEHIND).then(|| {
            format!(
                "entries that were committed {} s ago are not applied: the state stands at {} of {}",
                self.behind.as_secs(),
                self.applied,
                self.committed
            )
        })
    }

    /// True if nothing is applied any more.
    fn stands_still(&self) -> bool {
        self.still >= STILL
    }
}

/// Follows the lag for as long as the node lives.
pub(super) async fn follow(node: Weak<Node>) {
    let mut tried: Option<Instant> = None;
    let mut stood_still = false;
    loop {
        sleep(LOOK).await;
        let Some(node) = node.upgrade() else {
            return;
        };

        let stands_still = look(&node);
        if stands_still != stood_still {
            stood_still = stands_still;
            // One that was retired stays away from elections all the same: it has no vote.
            node.consensus.let_stand(!stands_still);
        }

        let is_due = tried.is_none_or(|tried| tried.elapsed() >= AGAIN);
        if stands_still && is_due && node.leads_now() {
            tried = Some(Instant::now());
            hand_over(&node).await;
        }
    }
}

/// Looks at the state once; true if it stands still.
fn look(node: &Node) -> bool {
    let committed = node.log.committed_index();
    let applied = node.applied_index();
    let mut lag = node.readiness.lag().lock();
    lag.note(Instant::now(), committed, applied);
    lag.stands_still()
}

async fn hand_over(node: &Node) {
    match node.transfer_leader(None).await {
        Ok(to) => tracing::warn!("the state makes no progress: `{to}` leads instead"),
        Err(error) => {
            tracing::warn!("the state makes no progress, and this node still leads: {error}")
        }
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
