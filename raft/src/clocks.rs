//! The leader's stamp: its wall clock, as long as most voters' clocks agree with it.
//!
//! What time drives (start, end, expiry) must not be driven by one clock that is wrong. The leader
//! compares clocks with the other voters; while it does not agree with a majority, an entry gets no
//! time of its own, and the state goes on with that of the entry before.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use notty_storage::Timestamp;

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
/// How far apart clocks may be, in milliseconds.
const APART_MS: i64 = 2_000;

/// Stamps entries.
#[derive(Clone)]
pub(crate) struct Stamp {
    clock: Arc<dyn Clock>,
    agrees: Arc<AtomicBool>,
}

impl Stamp {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, agrees: Arc::new(AtomicBool::new(true)) }
    }

    /// The time for an entry; the beginning of time stands for that of the entry before.
    pub(crate) fn now(&self) -> Timestamp {
        match self.agrees.load(Ordering::Relaxed) {
            true => self.clock.wall(),
            false => Timestamp::default(),
        }
    }
}

/// Compares the clocks of voters for as long as this node lives and leads.
pub(crate) async fn compare(raft: Raft, peers: Arc<Peers>, stamp: Stamp) {
    let metrics = raft.metrics();
    loop {
        tokio::time::sleep(COMPARE).await;
        let others: Option<Vec<Peer>> = {
            let metrics = metrics.borrow();
            let members = metrics.membership_config.membership();
            let voters = members.voter_ids().filter(|id| *id != metrics.id);
            let others = voters.filter_map(|id| members.get_node(&id).cloned()).collect();
            metrics.state.is_leader().then_some(others)
        };
        let Some(others) = others else {
            stamp.agrees.store(true, Ordering::Relaxed);
            continue;
        };
        let readings = others.iter().map(|peer| reading(&peers, peer, &stamp));
        let readings = futures_util::future::join_all(readings).await;
        // Itself, and whoever agrees; who does not answer has no say.
        let answered = readings.iter().flatten().count();
        let agreeing = readings.iter().flatten().filter(|apart| **apart <= APART_MS).count();
        let agrees = answered == 0 || 2 * (agreeing + 1) > answered + 1;
        if stamp.agrees.swap(agrees, Ordering::Relaxed) != agrees {
            match agrees {
                true => tracing::info!("this leader's clock agrees with most voters' again"),
                false => tracing::error!(
                    "this leader's clock is more than 2 s from most voters': nothing starts, ends \
                     or expires until they agree"
                ),
            }
        }
    }
}

/// How far a peer's clock is from this one's, in milliseconds, less what asking took.
async fn reading(peers: &Peers, peer: &Peer, stamp: &Stamp) -> Option<i64> {
    let before = stamp.clock.boot();
    let answer = peers.call(&peer.peer, &Request::Status, ANSWER).await;
    let took = stamp.clock.boot().saturating_sub(before).as_millis() as i64;
    match answer {
        Ok(Response::Status(status)) => Some(stamp.clock.wall().since(status.wall).abs() - took),
        _ => None,
    }
}
