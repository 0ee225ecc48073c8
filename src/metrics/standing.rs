//! The standing of a postman with its cluster, for those who ask whether it can send.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;

/// The latest view that a postman had of its cluster; all clones share it.
#[derive(Clone, Debug, Default)]
pub struct PostmanStanding(Arc<LatestView>);

#[derive(Debug, Default)]
struct LatestView {
    /// The time at which the latest view was asked for, in milliseconds of boot time; 0 before the first.
    looked_at: AtomicU64,
    /// True while the clocks are too far apart to send.
    clocks_differ: AtomicBool,
    /// The reason why the last node that was asked did not serve; stale once a view came.
    lack: Mutex<String>,
}

impl PostmanStanding {
    /// Notes a view of the cluster that was asked for at a time of the boot clock.
    pub fn looked(&self, asked_at: Duration) {
        let asked_at = asked_at.as_millis() as u64;
        self.0.looked_at.fetch_max(asked_at, Relaxed);
    }

    /// Notes whether the clocks of leader and postman agree.
    pub fn clocks(&self, agree: bool) {
        self.0.clocks_differ.store(!agree, Relaxed);
    }

    /// Notes why a node did not serve.
    pub fn lacks(&self, why: &str) {
        why.clone_into(&mut self.0.lack.lock());
    }

    /// The time of the latest view, by the boot clock; zero before the first.
    pub fn looked_at(&self) -> Duration {
        Duration::from_millis(self.0.looked_at.load(Relaxed))
    }

    /// The reason why the postman cannot send now, if it cannot.
    pub fn unready(&self, now: Duration) -> Option<String> {
        let looked_at = self.looked_at();
        let age = now.saturating_sub(looked_at);
        if looked_at.is_zero() {
            let lack = self.lack();
            Some(format!(
                "the postman has not registered at its cluster yet{lack}"
            ))
        } else if age > UNSEEN {
            let seconds = age.as_secs();
            let lack = self.lack();
            Some(format!(
                "no node of the cluster has served for {seconds} s{lack}; check the nodes and postman.peers"
            ))
        } else if self.0.clocks_differ.load(Relaxed) {
            let why = "this machine's clock and the leader's differ by more than 2 s; correct them";
            Some(why.to_owned())
        } else {
            None
        }
    }

    fn lack(&self) -> String {
        let lack = self.0.lack.lock();
        if lack.is_empty() {
            String::new()
        } else {
            format!(", the last because: {lack}")
        }
    }
}

/// Age of the latest view at which a postman is not ready: it looks several times a second.
const UNSEEN: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postman_is_ready_while_its_cluster_answers_and_the_clocks_agree() {
        let standing = PostmanStanding::default();
        let at = Duration::from_secs;
        let unready = |now| standing.unready(at(now)).unwrap_or_default();
        assert!(unready(100).contains("not registered"));
        standing.looked(at(100));
        assert_eq!(unready(102), "");
        assert!(unready(110).contains("served for 10 s; check"));
        standing.lacks("it has no leader");
        assert!(unready(110).contains("served for 10 s, the last because: it has no leader;"));
        standing.looked(at(111));
        standing.clocks(false);
        assert!(unready(111).contains("clock"));
        standing.clocks(true);
        assert_eq!(unready(111), "");
    }
}
