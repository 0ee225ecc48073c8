//! The work (sending) of this node: whether it may be taken on, and its end before a removal.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

/// Longest wait of a node that retired for its dismissal, before it works on: the leader that had it
/// retire may have died.
const RETIRED: Duration = Duration::from_secs(60);
/// Longest wait for the work to end.
const WIND_UP: Duration = Duration::from_secs(18);

/// Permission to work, and whether work is being done.
pub(super) struct Duty {
    may_work: watch::Sender<bool>,
    at_work: watch::Sender<bool>,
    /// The time at which this node began to wait to be taken out.
    retired: Mutex<Option<Instant>>,
}

impl Default for Duty {
    fn default() -> Self {
        Self {
            may_work: watch::Sender::new(true),
            at_work: watch::Sender::new(false),
            retired: Mutex::default(),
        }
    }
}

impl Duty {
    pub(super) fn may_work(&self) -> watch::Receiver<bool> {
        self.may_work.subscribe()
    }

    pub(super) fn set_at_work(&self, at_work: bool) {
        self.at_work.send_replace(at_work);
    }

    /// Ends this node's work, as far as it has any, because it is about to be taken out.
    pub(super) async fn retire(&self) {
        tracing::info!("this node is being removed from the cluster: it ends its work");
        *self.retired.lock() = Some(Instant::now());
        self.may_work.send_replace(false);

        let mut at_work = self.at_work.subscribe();
        let _ = timeout(WIND_UP, at_work.wait_for(|at_work| !at_work)).await;
    }

    /// Lets a node work on that was to be taken out a while ago and was not.
    pub(super) fn work_on_after_a_while(&self, is_dismissed: bool) {
        let mut retired = self.retired.lock();
        if retired.is_some_and(|since| since.elapsed() > RETIRED) {
            *retired = None;
            if !is_dismissed {
                tracing::warn!("this node was not removed within a minute: it continues its work");
                self.may_work.send_replace(true);
            }
        }
    }
}
