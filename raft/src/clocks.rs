//! The leader's stamp: its wall clock, as long as most voters' clocks agree with it.
//!
//! What time drives (start, end, expiry) must not be driven by one clock that is wrong. The leader
//! compares clocks with the other voters, first of all when it comes to lead; while it does not
//! agree with a majority, or its clock has jumped since, an entry gets no time of its own, and the
//! state goes on with that of the entry before.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use notty_storage::Timestamp;
use tokio::sync::watch;

use crate::{
    clock::Clock,
    peers::{
        client::Peers,
        protocol::{Request, Response},
    },
    types::{Peer, Raft},
};

/// Between two comparisons.
const COMPARE: Duration = Duration::from_secs(1);
/// How long a peer may take to say what time it is.
const ANSWER: Duration = Duration::from_millis(500);
/// How long the first entry of a leader waits for the first comparison.
const FIRST: Duration = Duration::from_millis(600);
/// How far apart clocks may be, in milliseconds.
const APART_MS: i64 = 2_000;

/// What a comparison found, and when.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    agrees: bool,
    wall: Timestamp,
    boot: Duration,
}

/// Stamps entries.
#[derive(Clone)]
pub(crate) struct Stamp {
    clock: Arc<dyn Clock>,
    /// None while this node does not lead, or has not compared yet.
    verdict: Arc<watch::Sender<Option<Verdict>>>,
}

impl Stamp {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, verdict: Arc::new(watch::Sender::new(None)) }
    }

    /// The time for an entry, or for a postman to compare its clock with; the beginning of time
    /// stands for that of the entry before, and no postman's clock is close to it.
    pub(crate) async fn now(&self) -> Timestamp {
        let mut verdicts = self.verdict.subscribe();
        let first = tokio::time::timeout(FIRST, verdicts.wait_for(Option::is_some)).await;
        let verdict = match first {
            Ok(Ok(verdict)) => *verdict,
            _ => None,
        };
        match verdict {
            Some(verdict) if verdict.agrees && !self.has_jumped(&verdict) => self.clock.wall(),
            _ => Timestamp::default(),
        }
    }

    /// Whether the wall clock went another way than the clock that cannot be set.
    fn has_jumped(&self, since: &Verdict) -> bool {
        let passed = self.clock.boot().saturating_sub(since.boot).as_millis() as i64;
        (self.clock.wall().since(since.wall) - passed).abs() > APART_MS
    }

    fn forget(&self) {
        self.verdict.send_if_modified(|verdict| verdict.take().is_some());
    }

    fn note(&self, agrees: bool) {
        let (wall, boot) = (self.clock.wall(), self.clock.boot());
        let before = self.verdict.send_replace(Some(Verdict { agrees, wall, boot }));
        match (before.is_none_or(|before| before.agrees), agrees) {
            (true, false) => tracing::error!(
                "this leader's clock is more than 2 s from most voters': nothing starts, ends, \
                 expires or is sent until they agree"
            ),
            (false, true) => tracing::info!("this leader's clock agrees with most voters' again"),
            _ => {}
        }
    }
}

/// Compares the clocks of voters for as long as this node lives and leads.
pub(crate) async fn compare(raft: Raft, peers: Arc<Peers>, stamp: Stamp) {
    let mut metrics = raft.server_metrics();
    loop {
        let others: Option<Vec<Peer>> = {
            let metrics = metrics.borrow_and_update();
            let members = metrics.membership_config.membership();
            let voters = members.voter_ids().filter(|id| *id != metrics.id);
            let others = voters.filter_map(|id| members.get_node(&id).cloned()).collect();
            metrics.state.is_leader().then_some(others)
        };
        match others {
            Some(others) => {
                let readings = others.iter().map(|peer| reading(&peers, peer, &stamp));
                // Who does not answer has no say, and leaves it at what was found before.
                if let Some(agrees) = judge(others.len(), readings.collect()).await {
                    stamp.note(agrees);
                }
            }
            None => stamp.forget(),
        }
        let changed = tokio::time::timeout(COMPARE, metrics.changed()).await;
        if matches!(changed, Ok(Err(_))) {
            return;
        }
    }
}

/// Whether a majority of the voters agrees with this one; known as soon as enough have answered.
async fn judge<R>(others: usize, mut readings: FuturesUnordered<R>) -> Option<bool>
where
    R: Future<Output = Option<i64>>,
{
    let majority = others.div_ceil(2);
    let (mut agree, mut differ) = (0, 0);
    loop {
        if agree >= majority {
            return Some(true);
        }
        if differ > others - majority {
            return Some(false);
        }
        match readings.next().await? {
            Some(apart) if apart <= APART_MS => agree += 1,
            Some(_) => differ += 1,
            None => {}
        }
    }
}

/// How far a peer's clock is from this one's, in milliseconds, less what asking took.
async fn reading(peers: &Peers, peer: &Peer, stamp: &Stamp) -> Option<i64> {
    let before = stamp.clock.boot();
    let answer = peers.call_member(peer, &Request::Status, ANSWER).await;
    let took = stamp.clock.boot().saturating_sub(before).as_millis() as i64;
    match answer {
        Ok(Response::Status(status)) => Some(stamp.clock.wall().since(status.wall).abs() - took),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Ready, ready},
        sync::atomic::{AtomicI64, Ordering},
    };

    use super::*;

    /// What `judge` says of these readings.
    async fn judged(readings: &[Option<i64>]) -> Option<bool> {
        let ready: FuturesUnordered<Ready<_>> = readings.iter().copied().map(ready).collect();
        judge(readings.len(), ready).await
    }

    #[tokio::test]
    async fn a_majority_of_all_voters_decides_and_silence_decides_nothing() {
        let (near, far) = (Some(0), Some(3_600_000));
        assert_eq!(judged(&[]).await, Some(true), "a node by itself");
        assert_eq!(judged(&[near, far]).await, Some(true));
        assert_eq!(judged(&[far, far]).await, Some(false));
        assert_eq!(judged(&[None, near]).await, Some(true));
        assert_eq!(judged(&[None, far]).await, None, "one of three may be either");
        assert_eq!(judged(&[None, None]).await, None);
        assert_eq!(judged(&[near, far, far, far]).await, Some(false));
        assert_eq!(judged(&[near, near, far, far]).await, Some(true));
        assert_eq!(judged(&[near, None, far, far]).await, None);
    }

    #[derive(Default)]
    struct SetClock {
        wall: AtomicI64,
        boot: AtomicI64,
    }

    impl SetClock {
        fn pass(&self, wall_ms: i64, boot_ms: i64) {
            self.wall.fetch_add(wall_ms, Ordering::SeqCst);
            self.boot.fetch_add(boot_ms, Ordering::SeqCst);
        }
    }

    impl Clock for SetClock {
        fn wall(&self) -> Timestamp {
            Timestamp::from_millis(self.wall.load(Ordering::SeqCst))
        }

        fn boot(&self) -> Duration {
            Duration::from_millis(self.boot.load(Ordering::SeqCst).unsigned_abs())
        }
    }

    #[tokio::test]
    async fn an_entry_has_no_time_of_its_own_before_a_comparison_nor_after_a_jump() {
        let clock = Arc::new(SetClock::default());
        clock.pass(1_000_000, 5_000);
        let stamp = Stamp::new(clock.clone());
        assert_eq!(stamp.now().await, Timestamp::default(), "nothing was compared yet");
        stamp.note(true);
        assert_eq!(stamp.now().await, clock.wall());
        clock.pass(1_500, 1_000);
        assert_eq!(stamp.now().await, clock.wall());
        clock.pass(3_600_000, 1_000);
        assert_eq!(stamp.now().await, Timestamp::default(), "the clock jumped");
        stamp.note(true);
        assert_eq!(stamp.now().await, clock.wall(), "the others say that it was right to");
        stamp.note(false);
        assert_eq!(stamp.now().await, Timestamp::default());
        stamp.note(true);
        stamp.forget();
        assert_eq!(stamp.now().await, Timestamp::default(), "it does not lead any more");
    }
}
