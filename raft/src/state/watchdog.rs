//! What ends a process whose work on its disk stands still.
//!
//! A disk may take a write and never answer; sled may wait for ever, or look for ever, where its
//! files are wrong. Nobody else would notice: heartbeats go on. So each piece of work on the disk is
//! put down while it lasts, and one that lasts for longer than it can is the end of the process. How
//! long is counted in looks: a machine that slept, or a process that was stopped, is not to blame.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{Fatal, runtime::has_threads, state::state_dir::StateDir};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// What counts between two looks, at most.
const STEP: Duration = Duration::from_secs(2);
/// How long marking the state suspect may take, on a disk that may answer nothing.
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
    /// Flushing the state.
    Flush,
    /// Reading, writing or syncing the log.
    Log,
}

impl Work {
    /// How long it may stand: far longer than on a disk that is only slow. Entries that come at once
    /// take milliseconds; a flush has up to 64 MB; a state is opened and built at the speed of its
    /// disk.
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

    /// Whether sled may look for something in its files that is not there.
    fn reads_the_state(self) -> bool {
        matches!(self, Work::Open | Work::Apply)
    }
}

/// What is being worked on.
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
    /// Puts work down.
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

/// For how long work stands, as far as it was looked at.
#[derive(Default)]
struct Watchdog {
    looked: Option<Instant>,
    stood: BTreeMap<u64, Duration>,
}

impl Watchdog {
    /// Looks at what is under way; work that has stood for too long, and for how long.
    fn look(&mut self, now: Instant, running: &BTreeMap<u64, Work>) -> Option<(Work, Duration)> {
        let step = self
            .looked
            .map_or(Duration::ZERO, |looked| (now - looked).min(STEP));
        self.looked = Some(now);
        self.stood.retain(|number, _| running.contains_key(number));
        for number in running.keys() {
            let stood = self.stood.entry(*number).and_modify(|stood| *stood += step);
            stood.or_default();
        }
        let too_long = |(number, work): (&u64, &Work)| {
            let stood = self.stood[number];
            (stood > work.limit()).then_some((*work, stood))
        };
        running.iter().find_map(too_long)
    }
}

/// Watches for as long as somebody works: on a thread of its own, because those of the runtime may
/// all stand still, too; in a simulation, which has one thread, as a task.
pub(crate) fn watch(watch: &Arc<Watch>, state: StateDir, fatal: Fatal) {
    let (watch, mut watchdog) = (Arc::downgrade(watch), Watchdog::default());
    let look = move || match Weak::upgrade(&watch) {
        None => false,
        Some(watch) => {
            let running = watch.works.lock().running.clone();
            match watchdog.look(Instant::now(), &running) {
                None => true,
                Some((work, stood)) => {
                    end(work, stood, &state, &fatal);
                    false
                }
            }
        }
    };
    let in_simulation = tokio::runtime::Handle::try_current().is_ok() && !has_threads();
    match in_simulation {
        true => drop(tokio::spawn(look_again_and_again(look))),
        false => {
            let mut look = look;
            let looking = move || {
                while look() {
                    std::thread::sleep(LOOK);
                }
            };
            let started = std::thread::Builder::new()
                .name("notty-watchdog".into())
                .spawn(looking);
            started.map(drop).unwrap_or_else(|error| {
                tracing::error!(%error, "nothing watches whether the disk stands still");
            });
        }
    }
}

async fn look_again_and_again(mut look: impl FnMut() -> bool) {
    while look() {
        tokio::time::sleep(LOOK).await;
    }
}

fn end(work: Work, stood: Duration, state: &StateDir, fatal: &Fatal) {
    let (name, seconds) = (work.name(), stood.as_secs());
    let rebuilds = match work.reads_the_state() {
        true => {
            mark(state, &format!("{name} stood still"));
            "; the next start rebuilds the state from snapshot and log"
        }
        false => "",
    };
    fatal(&format!(
        "{name} has stood still for {seconds} s: look at the disk of the data directory{rebuilds}"
    ));
}

/// Marks the state suspect, as long as the disk answers.
fn mark(state: &StateDir, why: &str) {
    if !has_threads() && tokio::runtime::Handle::try_current().is_ok() {
        return state.mark_suspect(why);
    }
    let (sender, marked) = std::sync::mpsc::channel();
    let (state, why) = (state.clone(), why.to_owned());
    std::thread::spawn(move || {
        state.mark_suspect(&why);
        // Whoever waited may have given up.
        let _ = sender.send(());
    });
    let _ = marked.recv_timeout(MARK);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every second, from a moment on, at work that is under way; the second at which it has
    /// stood for too long.
    fn looks(watchdog: &mut Watchdog, from: Instant, work: Work, seconds: u64) -> Option<u64> {
        let running = BTreeMap::from([(7, work)]);
        let at = |n: &u64| from + Duration::from_secs(*n);
        (0..seconds).find(|n| watchdog.look(at(n), &running).is_some())
    }

    #[test]
    fn work_that_stands_for_longer_than_its_limit_is_told_and_no_sooner() {
        for work in [
            Work::Open,
            Work::Apply,
            Work::Install,
            Work::Flush,
            Work::Log,
        ] {
            let mut watchdog = Watchdog::default();
            let told = looks(&mut watchdog, Instant::now(), work, 2_000);
            assert_eq!(told, Some(work.limit().as_secs() + 1), "{work:?}");
        }
    }

    #[test]
    fn work_that_comes_to_its_end_is_never_told_however_much_there_is() {
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
