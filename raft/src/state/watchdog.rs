//! Ends a process whose work on its disk stands still.
//!
//! A disk may take a write and never answer; sled may wait for ever, or search for ever, where its
//! files are wrong. Nobody else would notice: heartbeats go on. So each piece of work on the disk is
//! registered while it lasts, and one that lasts longer than it can ends the process. Its age is
//! counted from look to look: a machine that slept, or a process that was stopped, is not to blame.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak, mpsc},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{runtime::Handle, time::Instant};

use crate::{Fatal, runtime::has_threads, state::state_dir::StateDir};

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Time that counts between two looks, at most.
const STEP: Duration = Duration::from_secs(2);
/// Time to mark the state suspect, on a disk that may never answer.
const MARK: Duration = Duration::from_secs(2);

/// Work that must come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Opening the state, which reads a part of it.
    Open,
    /// Applying the entries that came at once.
    Apply,
    /// Building a state from a snapshot that came.
    Install,
    /// Flushing the state to its disk.
    Flush,
    /// Reading, writing or syncing the log.
    Log,
}

impl Work {
    /// Longest time that it may take, far longer than on a disk that is only slow. Entries that come
    /// at once take milliseconds; a flush has up to 64 MB; a state is opened and built at the speed
    /// of its disk.
    fn limit(self) -> Duration {
        match self {
            Work::Apply | Work::Log => Duration::from_secs(30),
            Work::Flush => Duration::from_secs(60),
            Work::Open | Work::Install => Duration::from_secs(600),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Work::Open => "opening the state",
            Work::Apply => "applying entries",
            Work::Install => "installing a snapshot",
            Work::Flush => "flushing the state",
            Work::Log => "work on the log",
        }
    }

    /// True if sled may search its files for something that is not there.
    fn reads_the_state(self) -> bool {
        matches!(self, Work::Open | Work::Apply)
    }
}

/// The register of work under way.
#[derive(Default)]
pub(crate) struct Watch {
    works: Mutex<Works>,
}

#[derive(Default)]
struct Works {
    begun: u64,
    running: BTreeMap<u64, Work>,
}

/// Work that is under way, until it is dropped.
pub(crate) struct Working {
    watch: Arc<Watch>,
    number: u64,
}

impl Watch {
    /// Registers work until the returned value is dropped.
    pub(crate) fn begin(self: &Arc<Self>, work: Work) -> Working {
        let mut works = self.works.lock();
        works.begun += 1;
        let number = works.begun;
        works.running.insert(number, work);

        Working {
            watch: self.clone(),
            number,
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.watch.works.lock().running.remove(&self.number);
    }
}

/// The age of each piece of work, as far as it was looked at.
#[derive(Default)]
struct Watchdog {
    looked: Option<Instant>,
    stood: BTreeMap<u64, Duration>,
}

/// Work that has stood still for longer than its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standstill {
    work: Work,
    stood: Duration,
}

impl Watchdog {
    /// Looks at the work under way, and returns work that has stood for too long.
    fn look(&mut self, now: Instant, running: &BTreeMap<u64, Work>) -> Option<Standstill> {
        let step = match self.looked {
            Some(looked) => (now - looked).min(STEP),
            None => Duration::ZERO,
        };
        self.looked = Some(now);

        self.stood.retain(|number, _| running.contains_key(number));
        for number in running.keys() {
            let stood = self.stood.entry(*number).and_modify(|stood| *stood += step);
            stood.or_default();
        }

        running.iter().find_map(|(number, work)| {
            let stood = self.stood[number];
            (stood > work.limit()).then_some(Standstill { work: *work, stood })
        })
    }
}

/// A watchdog with all that it needs to end the process.
struct Lookout {
    watch: Weak<Watch>,
    watchdog: Watchdog,
    state: StateDir,
    fatal: Fatal,
}

impl Lookout {
    /// Looks once. False if there is nothing more to look at: the work is over, or the process.
    fn look(&mut self) -> bool {
        let Some(watch) = self.watch.upgrade() else {
            return false;
        };
        let running = watch.works.lock().running.clone();

        let standstill = self.watchdog.look(Instant::now(), &running);
        if let Some(standstill) = standstill {
            end(standstill, &self.state, &self.fatal);
        }
        standstill.is_none()
    }

    async fn run(mut self) {
        while self.look() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Watches for as long as somebody works: on a thread of its own, because those of the runtime may
/// all stand still, too; in a simulation, which has one thread, as a task.
pub(crate) fn watch(watch: &Arc<Watch>, state: StateDir, fatal: Fatal) {
    let mut lookout = Lookout {
        watch: Arc::downgrade(watch),
        watchdog: Watchdog::default(),
        state,
        fatal,
    };
    if is_simulated() {
        tokio::spawn(lookout.run());
        return;
    }

    let looking = move || {
        while lookout.look() {
            std::thread::sleep(LOOK);
        }
    };
    let started = std::thread::Builder::new()
        .name("notty-watchdog".into())
        .spawn(looking);
    if let Err(error) = started {
        // The node does its work all the same.
        tracing::error!(%error, "nothing watches whether the disk stands still");
    }
}

/// True if this is the one thread of a simulation.
fn is_simulated() -> bool {
    Handle::try_current().is_ok() && !has_threads()
}

fn end(standstill: Standstill, state: &StateDir, fatal: &Fatal) {
    let name = standstill.work.name();
    let seconds = standstill.stood.as_secs();

    let rebuilds = if standstill.work.reads_the_state() {
        mark(state, &format!("{name} stood still"));
        "; the next start rebuilds the state from snapshot and log"
    } else {
        ""
    };
    fatal(&format!(
        "{name} has stood still for {seconds} s: look at the disk of the data directory{rebuilds}"
    ));
}

/// Marks the state suspect, as long as the disk answers.
fn mark(state: &StateDir, why: &str) {
    if is_simulated() {
        return state.mark_suspect(why);
    }

    // On another thread: this one must end the process even if the disk never answers.
    let (sender, marked) = mpsc::channel();
    let state = state.clone();
    let why = why.to_owned();
    std::thread::spawn(move || {
        state.mark_suspect(&why);
        // The other end may have given up.
        let _ = sender.send(());
    });
    let _ = marked.recv_timeout(MARK);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every second, from a moment on, at work that is under way. Returns the second at which
    /// it has stood for too long.
    fn looks(watchdog: &mut Watchdog, from: Instant, work: Work, seconds: u64) -> Option<u64> {
        let running = BTreeMap::from([(7, work)]);
        let at = |n: &u64| from + Duration::from_secs(*n);
        (0..seconds).find(|n| watchdog.look(at(n), &running).is_some())
    }

    #[test]
    fn work_that_stands_for_longer_than_its_limit_ends_the_process_and_no_sooner() {
        for work in [
            Work::Open,
            Work::Apply,
            Work::Install,
            Work::Flush,
            Work::Log,
        ] {
            let mut watchdog = Watchdog::default();
            let ended = looks(&mut watchdog, Instant::now(), work, 2_000);
            assert_eq!(ended, Some(work.limit().as_secs() + 1), "{work:?}");
        }
    }

    #[test]
    fn work_that_comes_to_its_end_never_ends_it_however_much_there_is() {
        let (mut watchdog, from) = (Watchdog::default(), Instant::now());
        for n in 0..1_000 {
            let running = BTreeMap::from([(n, Work::Apply), (n + 1, Work::Log)]);
            assert_eq!(watchdog.look(from + Duration::from_secs(n), &running), None);
        }
        assert!(watchdog.stood.len() <= 2);
    }

    #[test]
    fn a_process_that_was_stopped_for_an_hour_is_not_to_blame() {
        let (mut watchdog, from) = (Watchdog::default(), Instant::now());
        assert_eq!(looks(&mut watchdog, from, Work::Apply, 10), None);
        let later = from + Duration::from_secs(3_600);
        assert_eq!(looks(&mut watchdog, later, Work::Apply, 15), None);
    }

    /// In the runtime of a simulation, whose time passes at once.
    #[tokio::test(start_paused = true)]
    async fn work_that_never_ends_ends_the_process_and_marks_what_it_may_have_looked_for() {
        for (work, marks) in [(Work::Apply, true), (Work::Flush, false)] {
            let dir = tempfile::tempdir().expect("a directory");
            let state = StateDir::open(dir.path()).expect("opens");
            let (sender, mut ended) = tokio::sync::mpsc::unbounded_channel();
            let fatal: Fatal = Arc::new(move |line: &str| {
                sender.send(line.to_owned()).expect("someone waits");
            });
            let works = Arc::new(Watch::default());
            watch(&works, state.clone(), fatal);
            drop(works.begin(Work::Log));
            let begun = Instant::now();
            let _working = works.begin(work);
            let ending = tokio::time::timeout(2 * work.limit(), ended.recv());
            let line = ending.await.expect("it ends the process").expect("a line");
            assert!(
                line.contains(work.name()) && begun.elapsed() > work.limit(),
                "{line}"
            );
            assert_eq!(state.suspicion().is_some(), marks, "{line}");
        }
    }
}
