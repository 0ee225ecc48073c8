//! The nodes that this one knows: numbers and disks of members and of admitted nodes.
//!
//! A peer says its number and its disk, and anybody who knows the secret can say any. So both must
//! be those of a member (by the log), or of a node that was admitted (by the state). While the log
//! names no member yet, those count whom the invitation named. A node that lags may not know of the
//! newest: it asks the members whom it knows, and believes one of them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use notty_storage::query;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    peers::{
        client::Peers,
        protocol::{Request, Response, Word},
    },
    state::state_machine::Shared,
    types::{NodeId, Peer, Raft},
};

/// How long a member may take to say whether it knows a node.
const ANSWER: Duration = Duration::from_millis(800);
/// For how long the word of a member counts: by then the log should say the same.
const KEPT: Duration = Duration::from_secs(10);
/// For how long nobody is asked again about a node that nobody knows.
const AGAIN: Duration = Duration::from_secs(1);
/// Words that are kept, at most.
const WORDS: usize = 64;

/// The nodes that this one knows.
#[derive(Default)]
pub(crate) struct Acquaintance {
    raft: OnceLock<(Raft, Arc<Shared>)>,
    /// What members said of nodes that are not known here, and when.
    words: Mutex<HashMap<(NodeId, String), (Word, Instant)>>,
}

impl Acquaintance {
    /// The log and the state say who is known, from now on.
    pub(crate) fn open(&self, raft: Raft, shared: Arc<Shared>) {
        let _ = self.raft.set((raft, shared));
    }

    /// Raft, once it runs.
    pub(crate) fn raft(&self) -> Option<&(Raft, Arc<Shared>)> {
        self.raft.get()
    }

    /// A member by its number.
    pub(crate) fn member(&self, node: NodeId) -> Option<Peer> {
        let metrics = self.raft.get()?.0.metrics();
        let metrics = metrics.borrow();
        metrics
            .membership_config
            .membership()
            .get_node(&node)
            .cloned()
    }

    /// The members; as long as the log names none, those who are given.
    pub(crate) fn members_or(&self, invited_by: &BTreeMap<NodeId, Peer>) -> BTreeMap<NodeId, Peer> {
        let of_log = self.raft.get().map_or(BTreeMap::new(), |(raft, _)| {
            let metrics = raft.metrics();
            let metrics = metrics.borrow();
            let members = metrics.membership_config.membership().nodes();
            members.map(|(node, peer)| (*node, peer.clone())).collect()
        });
        if of_log.is_empty() {
            invited_by.clone()
        } else {
            of_log
        }
    }

    /// Looks up a number and a disk in the members and the state of this node.
    pub(crate) fn word(
        &self,
        node: NodeId,
        disk: &str,
        invited_by: &BTreeMap<NodeId, Peer>,
    ) -> Word {
        // A member that is to be taken out is one until it is.
        if self.member(node).is_some_and(|member| member.disk == disk) {
            return Word::Known;
        }
        let of_state = self.raft.get().and_then(|(_, shared)| {
            let view = shared.view();
            shared.checked(query::nodes::nodes(&view.read())).ok()
        });
        if let Some(nodes) = of_state {
            if nodes.is_dismissed(disk) {
                return Word::Dismissed;
            }
            if nodes
                .of_disk(disk)
                .is_some_and(|record| record.node == node)
            {
                return Word::Known;
            }
        }
        let members = self.members_or(invited_by);
        match members.get(&node).is_some_and(|member| member.disk == disk) {
            true => Word::Known,
            false => Word::Unknown,
        }
    }

    /// Asks members about a number and a disk that this node does not know.
    pub(crate) async fn ask(
        &self,
        peers: &Peers,
        members: &BTreeMap<NodeId, Peer>,
        (node, disk): (NodeId, &str),
    ) -> Word {
        let key = (node, disk.to_owned());
        if let Some(word) = self.kept(&key) {
            return word;
        }
        let request = Request::Vouch {
            node,
            disk: disk.to_owned(),
        };
        let others = members
            .values()
            .filter(|member| member.disk != peers.me().disk);
        let mut asked: FuturesUnordered<_> = others
            .map(|member| peers.call_member(member, &request, ANSWER))
            .collect();
        let mut word = Word::Unknown;
        while let Some(answer) = asked.next().await {
            if let Ok(Response::Vouched(said)) = answer
                && said != Word::Unknown
            {
                word = said;
                break;
            }
        }
        self.keep(key, word);
        word
    }

    fn kept(&self, key: &(NodeId, String)) -> Option<Word> {
        let words = self.words.lock();
        let (word, since) = words.get(key)?;
        let time = if *word == Word::Unknown { AGAIN } else { KEPT };
        (since.elapsed() < time).then_some(*word)
    }

    fn keep(&self, key: (NodeId, String), word: Word) {
        let mut words = self.words.lock();
        if words.len() >= WORDS {
            words.retain(|_, (_, since)| since.elapsed() < AGAIN);
        }
        if words.len() < WORDS {
            words.insert(key, (word, Instant::now()));
        }
    }
}
