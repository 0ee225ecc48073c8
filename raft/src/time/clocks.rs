//! The leader's stamp: its wall clock, as long as it is believed and most voters' clocks agree with it.
//!
//! What time drives (start, end, expiry) must not be driven by one clock that is wrong. Every node looks
//! whether its own clock can be believed ([`crate::time::trust`]). The leader besides compares clocks with the
//! other voters, first of all when it comes to lead; a node whose clock contradicts its own machine has
//! no say there. While the leader does not agree with a majority, is in doubt, or its clock has jumped
//! since, an entry gets no time of its own, and the state goes on with that of the entry before. A leader
//! that disagrees for some seconds hands over to a voter whose clock most agree with.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use notty_storage::{Timestamp, query};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::{
    peers::{client::Peers, protocol::AskStatus},
    runtime::blocking,
    state::state_machine::Shared,
    time::clock::Clock,
    time::trust::{ClockDoubt, StateTime, Trust},
    types::{Peer, Raft},
};

/// Between two comparisons.
const COMPARE: Duration = Duration::from_secs(1);
/// How long a peer may take to say what time it is.
const ANSWER: Duration = Duration::from_millis(500);
/// How long the first entry of a leader waits for the first comparison.
const FIRST: Duration = Duration::from_millis(600);
/// How far apart clocks may be, in milliseconds.
pub(crate) const APART_MS: i64 = 2_000;
/// How long a leader disagrees with most voters before it hands over: longer than NTP needs to step a
/// clock, or a busy machine to answer.
const DISAGREES: Duration = Duration::from_secs(5);
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
    trust: Arc<Trust>,
    /// None while this node does not lead, or has not compared yet.
    verdict: Arc<watch::Sender<Option<Verdict>>>,
    /// Since when this leader disagrees with most voters, by the boot clock.
    disagrees: Arc<Mutex<Option<Duration>>>,
    /// How many set the time just now: until that is done, entries get none.
    held: Arc<AtomicUsize>,
    /// Has the clocks compared at once.
    hurry: Arc<Notify>,
}

/// While this lives, entries get no time of their own.
pub(crate) struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Stamp {
    pub(crate) fn new(clock: Arc<dyn Clock>, trust: Arc<Trust>) -> Self {
        let verdict = Arc::new(watch::Sender::new(None));
        let (disagrees, held, hurry) = (Arc::default(), Arc::default(), Arc::default());
        Self {
            clock,
            trust,
            verdict,
            disagrees,
            held,
            hurry,
        }
    }

    /// Gives entries no time of their own for now.
    pub(crate) fn hold(&self) -> Held {
        self.held.fetch_add(1, Ordering::AcqRel);
        Held(self.held.clone())
    }

    /// Looks whether the clock is believed.
    pub(crate) fn look(&self, state: StateTime) -> Option<ClockDoubt> {
        self.trust.look(state);
        self.doubt()
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
        if self.held.load(Ordering::Acquire) > 0 {
            return Timestamp::default();
        }
        let believed = verdict.filter(|verdict| verdict.agrees && !self.has_jumped(verdict));
        match believed {
            // A clock that jumped amid a comparison did so before that noted what it says.
            Some(_) if self.trust.is_near() => self.clock.wall(),
            _ => Timestamp::default(),
        }
    }

    /// Whether the wall clock went another way than the clock that cannot be set.
    fn has_jumped(&self, since: &Verdict) -> bool {
        let passed = self.clock.boot().saturating_sub(since.boot).as_millis() as i64;
        (self.clock.wall().since(since.wall) - passed).abs() > APART_MS
    }

    /// Why this node does not believe its clock.
    pub(crate) fn doubt(&self) -> Option<ClockDoubt> {
        let differs = self.disagrees.lock().map(|_| ClockDoubt::Differs);
        self.trust.doubt().or(differs)
    }

    /// People say what time it is.
    pub(crate) fn set(&self, to: Timestamp) {
        self.trust.set(to);
        self.hurry.notify_one();
    }

    /// Whether this leader has disagreed with most voters for so long that another should lead.
    pub(crate) fn should_hand_over(&self) -> bool {
        let since = *self.disagrees.lock();
        since.is_some_and(|since| self.clock.boot().saturating_sub(since) >= DISAGREES)
    }

    fn forget(&self) {
        self.disagrees.lock().take();
        self.verdict
            .send_if_modified(|verdict| verdict.take().is_some());
    }

    /// Notes what most voters say, none if too few said anything, and whether the clock is believed.
    fn note(&self, agree: Option<bool>, is_believed: bool) {
        let (wall, boot) = (self.clock.wall(), self.clock.boot());
        let verdict = match agree {
            Some(agree) => Some(Verdict {
                agrees: agree && is_believed,
                wall,
                boot,
            }),
            // Who does not answer has no say, and leaves it at what was found before.
            None if !is_believed => Some(Verdict {
                agrees: false,
                wall,
                boot,
            }),
            None if self.verdict.borrow().is_none() => Some(Verdict {
                agrees: false,
                wall,
                boot,
            }),
            None => None,
        };
        if let Some(verdict) = verdict {
            self.verdict.send_replace(Some(verdict));
        }

        let mut disagrees = self.disagrees.lock();
        match (disagrees.is_some(), agree) {
            (false, Some(false)) => {
                *disagrees = Some(boot);
                tracing::error!("{}", ClockDoubt::Differs);
            }
            (true, Some(true)) => {
                *disagrees = None;
                tracing::info!("this leader's clock agrees with most voters' again");
            }
            _ => {}
        }
    }
}

/// Compares the clocks of voters for as long as this node lives: as the leader, and where its own clock
/// is in doubt, which others may agree with.
pub(crate) async fn compare(raft: Raft, peers: Arc<Peers>, shared: Arc<Shared>, stamp: Stamp) {
    let mut metrics = raft.server_metrics();
    loop {
        let (leads, others) = {
            let metrics = metrics.borrow_and_update();
            let members = metrics.membership_config.membership();
            let voters = members.voter_ids().filter(|id| *id != metrics.id);
            let others = voters.filter_map(|id| members.get_node(&id).cloned());
            (metrics.state.is_leader(), others.collect::<Vec<_>>())
        };
        compare_once(&peers, &shared, &stamp, (leads, &others)).await;

        let changed = async {
            tokio::select! {
                changed = metrics.changed() => changed.is_ok(),
                () = stamp.hurry.notified() => true,
            }
        };
        if tokio::time::timeout(COMPARE, changed).await == Ok(false) {
            return;
        }
    }
}

async fn compare_once(
    peers: &Peers,
    shared: &Shared,
    stamp: &Stamp,
    (leads, others): (bool, &[Peer]),
) {
    let look = || blocking(|| stamp.trust.look(state_time(shared)));
    let began = (stamp.clock.wall(), stamp.clock.boot());
    let mut doubt = look();
    let is_in_doubt = doubt.is_some_and(ClockDoubt::is_about_the_clock);
    if !leads && (!is_in_doubt || others.is_empty()) {
        return stamp.forget();
    }

    let readings = others.iter().map(|peer| reading(peers, peer, stamp));
    let agree = judge(others.len(), readings.collect()).await;
    if agree == Some(true) && is_in_doubt && !others.is_empty() {
        stamp.trust.confirm(began);
        doubt = look();
    }
    if leads {
        stamp.note(agree, doubt.is_none());
    } else {
        stamp.forget();
    }
}

/// The time of the state, as it is here.
pub(crate) fn state_time(shared: &Shared) -> StateTime {
    let view = shared.view();
    let reader = view.read();
    let setting = query::time::setting(&reader).unwrap_or_default();
    StateTime {
        at: query::time::at(&reader).unwrap_or_default(),
        sets: setting.count,
    }
}

/// Of the other voters, one whose clock agrees with most voters', and with most of them; `None` if no
/// clock does.
pub(crate) async fn find_heir<'p>(
    peers: &Peers,
    others: &'p [Peer],
    stamp: &Stamp,
) -> Option<&'p Peer> {
    let asked = others.iter().map(|peer| offset(peers, peer, stamp));
    let offsets: Vec<_> = join_all(asked)
        .await
        .into_iter()
        .map(|seen| seen.map(|(apart, _)| apart))
        .collect();
    heir(&offsets).map(|at| &others[at])
}

/// Of the others, by how far their clocks are from this leader's: one whose clock agrees with those of
/// most voters, and with most of them.
fn heir(offsets: &[Option<i64>]) -> Option<usize> {
    let majority = offsets.len().div_ceil(2) + 1;
    // This leader's own is among those compared with.
    let all = || offsets.iter().flatten().copied().chain([0]);
    let near = |apart: i64| {
        all()
            .filter(|other| (other - apart).abs() <= APART_MS)
            .count()
    };
    let counted = offsets
        .iter()
        .enumerate()
        .filter_map(|(at, apart)| Some((near((*apart)?), at)));
    let best = counted.max_by_key(|(near, at)| (*near, std::cmp::Reverse(*at)))?;
    (best.0 >= majority).then_some(best.1)
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

/// How far a peer's clock is from this one's, in milliseconds, less what asking took; none where it
/// has no say.
async fn reading(peers: &Peers, peer: &Peer, stamp: &Stamp) -> Option<i64> {
    let (apart, took) = offset(peers, peer, stamp).await?;
    Some(apart.abs() - took)
}

/// By how much a peer's clock is ahead of this one's, and what asking took, in milliseconds.
async fn offset(peers: &Peers, peer: &Peer, stamp: &Stamp) -> Option<(i64, i64)> {
    let before = stamp.clock.boot();
    let status = peers.call_member(peer, AskStatus, ANSWER).await;
    let took = stamp.clock.boot().saturating_sub(before).as_millis() as i64;
    let status = status.ok().filter(|status| status.has_say)?;
    Some((status.wall.since(stamp.clock.wall()), took))
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Ready, ready},
        sync::atomic::AtomicI64,
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
        assert_eq!(
            judged(&[None, far]).await,
            None,
            "one of three may be either"
        );
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

    #[test]
    fn the_heir_is_one_whose_clock_agrees_with_most_voters() {
        assert_eq!(heir(&[Some(-5_000), Some(-5_100)]), Some(0));
        assert_eq!(
            heir(&[Some(-5_000), None]),
            None,
            "one of three is no majority"
        );
        assert_eq!(heir(&[Some(-5_000)]), None, "one of two");
        assert_eq!(
            heir(&[Some(-5_000), Some(9_000)]),
            None,
            "each has another time"
        );
        assert_eq!(
            heir(&[Some(100), Some(9_000)]),
            Some(0),
            "this leader's counts"
        );
        assert_eq!(
            heir(&[Some(90_000), Some(-5_000), Some(-5_000), Some(-4_000)]),
            Some(1)
        );
        assert_eq!(heir(&[Some(-5_000), Some(-5_000), None, None]), None);
        assert_eq!(heir(&[]), None);
    }

    /// A stamp whose node believes the clock as it is, in a directory that goes with it.
    fn stamp(clock: &Arc<SetClock>) -> (Stamp, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("a directory");
        let state = StateTime {
            at: clock.wall(),
            sets: 0,
        };
        let trust = Trust::open(clock.clone(), dir.path().join("clock"), state);
        assert_eq!(trust.look(state), None);
        (Stamp::new(clock.clone(), trust), dir)
    }

    #[tokio::test]
    async fn a_clock_that_jumps_amid_a_comparison_stamps_nothing() {
        let clock = Arc::new(SetClock::default());
        clock.pass(1_000_000, 5_000);
        let (stamp, _dir) = stamp(&clock);
        clock.pass(31_536_000_000, 100);
        stamp.note(Some(true), true);
        assert_eq!(stamp.now().await, Timestamp::default());
        clock.pass(-31_536_000_000, 100);
        stamp.note(Some(true), true);
        assert_eq!(stamp.now().await, clock.wall());
    }

    #[tokio::test]
    async fn a_leader_that_disagrees_for_some_seconds_should_hand_over_and_one_in_doubt_should_not()
    {
        let clock = Arc::new(SetClock::default());
        let (stamp, _dir) = stamp(&clock);
        stamp.note(Some(false), true);
        assert!(!stamp.should_hand_over());
        clock.pass(4_000, 4_000);
        stamp.note(None, true);
        assert!(!stamp.should_hand_over());
        clock.pass(1_500, 1_500);
        assert!(stamp.should_hand_over());
        stamp.note(Some(true), true);
        assert!(!stamp.should_hand_over());
        stamp.note(None, false);
        clock.pass(60_000, 60_000);
        assert!(
            !stamp.should_hand_over(),
            "nobody says that another's clock is better"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_waits_for_the_first_comparison_only() {
        let clock = Arc::new(SetClock::default());
        let (stamp, _dir) = stamp(&clock);
        stamp.note(None, true);
        let began = tokio::time::Instant::now();
        assert_eq!(stamp.now().await, Timestamp::default());
        assert_eq!(
            began.elapsed(),
            Duration::ZERO,
            "too few said anything, and may never do"
        );
    }

    #[tokio::test]
    async fn an_entry_has_no_time_of_its_own_before_a_comparison_nor_after_a_jump() {
        let clock = Arc::new(SetClock::default());
        clock.pass(1_000_000, 5_000);
        let (stamp, _dir) = stamp(&clock);
        assert_eq!(
            stamp.now().await,
            Timestamp::default(),
            "nothing was compared yet"
        );
        stamp.note(Some(true), true);
        assert_eq!(stamp.now().await, clock.wall());
        clock.pass(1_500, 1_000);
        assert_eq!(stamp.now().await, clock.wall());
        clock.pass(200_000, 1_000);
        assert_eq!(stamp.now().await, Timestamp::default(), "the clock jumped");
        stamp.note(Some(true), true);
        assert_eq!(
            stamp.now().await,
            clock.wall(),
            "the others say that it was right to"
        );
        stamp.note(Some(false), true);
        assert_eq!(stamp.now().await, Timestamp::default());
        stamp.note(Some(true), true);
        stamp.forget();
        assert_eq!(
            stamp.now().await,
            Timestamp::default(),
            "it does not lead any more"
        );
    }
}
