//! The part of a postman that its slots share with it: results on their way to reports, and what must
//! hold for all of its sending.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam_utils::CachePadded;
use notty_raft::{Clock, Fatal};
use notty_storage::model::SendResult;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{
    journal::SendToken,
    outlet::Outlet,
    terms::{Circumstances, Job, may_begin},
};
use crate::metrics::SendingMetrics;

/// Results after which the postman is woken while there is more to send.
const NEWS: usize = 256;

/// The result of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) token: SendToken,
    pub(super) result: SendResult,
}

impl Settled {
    /// A message that was never begun.
    pub(super) fn handed_back(token: SendToken) -> Self {
        Self {
            token,
            result: SendResult::HandedBack,
        }
    }
}

/// State that the postman and its slots share.
pub(super) struct Floor {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: SendingMetrics,
    pub(super) fatal: Fatal,
    settled: CachePadded<Mutex<Vec<Settled>>>,
    /// Notified when results wait.
    pub(super) news: Notify,
    /// The time at which the latest view of the cluster was asked for, in milliseconds of boot time.
    seen_at: AtomicU64,
    /// True while the clocks of leader and postman are close enough to send at all.
    clocks_agree: AtomicBool,
    is_stopping: AtomicBool,
    /// The same for those who wait for it.
    stopping: watch::Sender<bool>,
}

impl Floor {
    /// A floor before the first view of the cluster.
    pub(super) fn new(clock: Arc<dyn Clock>, metrics: SendingMetrics, fatal: Fatal) -> Arc<Self> {
        Arc::new(Self {
            clock,
            metrics,
            fatal,
            settled: CachePadded::default(),
            news: Notify::new(),
            seen_at: AtomicU64::new(0),
            clocks_agree: AtomicBool::new(true),
            is_stopping: AtomicBool::new(false),
            stopping: watch::Sender::new(false),
        })
    }

    /// Hands back all messages that wait at an outlet.
    pub(super) fn hand_back_waiting(&self, outlet: &Outlet) {
        self.hand_back(&outlet.take_waiting());
    }

    /// Hands back messages that were not begun.
    pub(super) fn hand_back(&self, jobs: &[Job]) {
        let back = jobs.iter().map(|job| Settled::handed_back(job.token()));
        self.settled.lock().extend(back);
        self.news.notify_one();
    }

    /// Makes sure that nothing more is begun.
    pub(super) fn stop(&self, outlet: &Outlet) {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.stopping.send_replace(true);
        self.hand_back_waiting(outlet);
    }

    /// Waits until nothing more is begun.
    pub(super) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives as long as this.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Takes out the results so far.
    pub(super) fn take_settled(&self) -> Vec<Settled> {
        std::mem::take(&mut *self.settled.lock())
    }

    /// Adds a result at an outlet.
    pub(super) fn settle(&self, outlet: &Outlet, settled: Settled) {
        let unread = {
            let mut all = self.settled.lock();
            all.push(settled);
            all.len()
        };
        // While there is work, results are read many at a time; the last ones at once.
        if unread.is_multiple_of(NEWS) || outlet.ready.available_permits() == 0 {
            self.news.notify_one();
        }
    }

    /// Age of the view of the cluster.
    pub(super) fn view_age(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_millis(self.seen_at.load(Ordering::Relaxed)))
    }

    /// Notes a view that was asked for at a time.
    pub(super) fn seen(&self, asked_at: Duration) {
        self.seen_at
            .fetch_max(asked_at.as_millis() as u64, Ordering::Relaxed);
        self.metrics.standing.looked(asked_at);
    }

    pub(super) fn clocks_agree(&self) -> bool {
        self.clocks_agree.load(Ordering::Relaxed)
    }

    /// Notes whether the clocks agree; true if that is new.
    pub(super) fn note_clocks(&self, agree: bool) -> bool {
        self.metrics.standing.clocks(agree);
        self.clocks_agree.swap(agree, Ordering::Relaxed) != agree
    }

    /// True if a message may be begun, given the time that sending it may still take.
    pub(super) fn may_begin(&self, job: &Job, now: Duration, needs: Duration) -> bool {
        let at = Circumstances {
            now,
            wall: self.clock.wall(),
            needs,
            view_age: self.view_age(now),
            clocks_agree: self.clocks_agree(),
            is_stopping: self.is_stopping.load(Ordering::Relaxed),
        };
        may_begin(job, &at)
    }
}
