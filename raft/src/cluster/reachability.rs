//! Reachability of the other members, watched all the time by every node.
//!
//! A member that does not answer three times in a row is lost: that is one line in the log, and its
//! return another. openraft's own lines about it are several a second, and name numbers only.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::{
    cluster::myself::Myself,
    consensus::handle::Consensus,
    peers::{client::Peers, protocol::AskStatus},
    types::{NodeId, Peer},
};

/// Between two questions to all members.
const ASK: Duration = Duration::from_secs(1);
/// Time limit of a member for its answer, the opening of a session included.
const ANSWER: Duration = Duration::from_millis(900);
/// Questions without an answer, one after the other, that make a member a lost one.
const LOST: u32 = 3;
/// The same for a member that never answered this process: nodes that start together take a while.
const NEVER_SEEN: u32 = 10;

/// Watches whether the other members answer.
pub(crate) struct Reachability {
    me: Arc<Myself>,
    consensus: Arc<Consensus>,
    peers: Arc<Peers>,
    seen: Mutex<BTreeMap<NodeId, Presence>>,
}

/// A member that this node cannot reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Its name and addresses.
    pub(crate) peer: Peer,
    /// The reason, as text for people.
    pub(crate) reason: String,
}

/// The answers of one member so far.
#[derive(Debug, Default)]
struct Presence {
    has_answered: bool,
    is_lost: bool,
    /// Questions without an answer since the last answer.
    failures: u32,
    /// The first of those.
    since: Option<Instant>,
    /// The reason of the last one.
    reason: String,
}

/// A change of a member's presence that an operator wants to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Lost,
    Back { after: Duration },
}

impl Reachability {
    pub(crate) fn new(me: Arc<Myself>, consensus: Arc<Consensus>, peers: Arc<Peers>) -> Self {
        Self {
            me,
            consensus,
            peers,
            seen: Mutex::default(),
        }
    }

    /// Asks all members again and again, for as long as this node lives.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut ticks = interval(ASK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let others = self.others();
            self.seen.lock().retain(|node, _| others.contains_key(node));

            let asking = others.iter().map(|(node, peer)| self.ask(*node, peer));
            join_all(asking).await;
        }
    }

    /// The members that did not answer the last question.
    pub(crate) fn missing(&self) -> Vec<Missing> {
        let seen = self.seen.lock();
        let others = self.others().into_iter();
        others
            .filter_map(|(node, peer)| {
                let presence = seen.get(&node).filter(|presence| presence.failures > 0)?;
                let reason = presence.reason.clone();
                Some(Missing { peer, reason })
            })
            .collect()
    }

    fn others(&self) -> BTreeMap<NodeId, Peer> {
        let mut others = self.consensus.members();
        others.remove(&self.me.node);
        others
    }

    async fn ask(&self, node: NodeId, peer: &Peer) {
        let asking = timeout(ANSWER, self.peers.call_member(peer, AskStatus, ANSWER));
        let answer = match asking.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.reason()),
            Err(_) => Err("does not answer: no answer in time".to_owned()),
        };

        let turn = {
            let mut seen = self.seen.lock();
            let presence = seen.entry(node).or_default();
            presence.note(Instant::now(), answer.clone())
        };
        log(turn, peer, &answer.err().unwrap_or_default());
    }
}

impl Missing {
    /// Name, address and reason in one text.
    pub(crate) fn text(&self) -> String {
        let Peer { name, peer, .. } = &self.peer;
        format!("`{name}` at {peer} {}", self.reason)
    }
}

impl Presence {
    fn note(&mut self, now: Instant, answer: Result<(), String>) -> Option<Turn> {
        let Err(reason) = answer else {
            let since = self.since.take();
            let was_lost = std::mem::replace(&mut self.is_lost, false);
            self.failures = 0;
            self.has_answered = true;
            let after = since.map_or(Duration::ZERO, |since| now - since);
            return was_lost.then_some(Turn::Back { after });
        };

        self.since.get_or_insert(now);
        self.failures = self.failures.saturating_add(1);
        self.reason = reason;
        let limit = if self.has_answered { LOST } else { NEVER_SEEN };
        if self.is_lost || self.failures < limit {
            return None;
        }
        self.is_lost = true;
        Some(Turn::Lost)
    }
}

fn log(turn: Option<Turn>, peer: &Peer, reason: &str) {
    let Peer { name, peer, .. } = peer;
    match turn {
        Some(Turn::Lost) => tracing::warn!("the peer `{name}` at {peer} is lost: it {reason}"),
        Some(Turn::Back { after }) => {
            tracing::info!(
                "the peer `{name}` at {peer} is back after {} s",
                after.as_secs()
            );
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Result<(), String> {
        Err("cannot be reached: connection refused".to_owned())
    }

    #[test]
    fn a_member_is_lost_once_and_back_once() {
        let mut presence = Presence::default();
        let start = Instant::now();
        assert_eq!(presence.note(start, Ok(())), None);

        let turns: Vec<_> = (1..=30)
            .filter_map(|n| presence.note(start + ASK * n, refused()))
            .collect();
        assert_eq!(turns, [Turn::Lost]);

        let after = ASK * 30;
        let turn = presence.note(start + ASK * 31, Ok(()));
        assert_eq!(turn, Some(Turn::Back { after }));
        assert_eq!(presence.note(start + ASK * 32, Ok(())), None);
    }

    #[test]
    fn a_member_that_misses_a_question_or_starts_a_little_later_is_not_lost() {
        let start = Instant::now();
        let mut late = Presence::default();
        for n in 0..9 {
            assert_eq!(late.note(start + ASK * n, refused()), None);
        }
        assert_eq!(late.note(start + ASK * 10, Ok(())), None);

        assert_eq!(late.note(start + ASK * 11, refused()), None);
        assert_eq!(late.note(start + ASK * 12, refused()), None);
        assert_eq!(late.note(start + ASK * 13, Ok(())), None);
        assert_eq!(late.note(start + ASK * 14, refused()), None);
    }
}
