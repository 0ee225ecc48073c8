//! Entries that get a time, and entries that get none.

use std::sync::atomic::AtomicI64;

use super::*;

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

/// A stamp whose node believes the clock, and the directory that it lives in.
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
async fn a_leader_that_disagrees_for_some_seconds_should_hand_over_and_one_in_doubt_should_not() {
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
