//! The nodes that this one knows: numbers and disks of members and of admitted nodes.
//!
//! A peer says its number and its disk, and anybody who knows the secret can say any. So both must
//! be those of a member (by the log), or of a node that was admitted (by the state). While the log
//! names no member yet, the members that the invitation named count. A node that lags may not know
//! of the newest: it asks the members that it knows, and believes one of them.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    front::responder::Responder,
    peers::{
        client::Peers,
        protocol::{Vouch, Word},
    },
    types::{NodeId, Peer},
};

/// Time limit of a member for the answer whether it knows a node.
const ANSWER: Duration = Duration::from_millis(800);
/// For how long the word of a member counts: by then the log should say the same.
const KEPT: Duration = Duration::from_secs(10);
/// For how long nobody is asked again about a node that nobody knows.
const AGAIN: Duration = Duration::from_secs(1);
/// Words that are kept, at most.
const WORDS: usize = 64;

/// A number and a disk, as a peer claims them.
pub(super) type Claim = Vouch;

/// Looks a claim up in the members and the state of this node. `inviters` are the members that the
/// invitation named; before the node runs, they alone count.
pub(super) fn word(
    node: Option<&dyn Responder>,
    claim: &Claim,
    inviters: &BTreeMap<NodeId, Peer>,
) -> Word {
    let is_of = |members: &BTreeMap<NodeId, Peer>| {
        let member = members.get(&claim.node);
        member.is_some_and(|member| member.disk == claim.disk)
    };
    let members = node.map_or(BTreeMap::new(), Responder::members);
    // A member that is to be taken out is one until it is.
    if is_of(&members) {
        return Word::Known;
    }

    // An admitted node speaks before it is a member: it has to be invited and to learn first.
    if let Some(admitted) = node.and_then(Responder::admitted) {
        if admitted.is_dismissed(&claim.disk) {
            return Word::Dismissed;
        }
        let record = admitted.of_disk(&claim.disk);
        if record.is_some_and(|record| record.node == claim.node) {
            return Word::Known;
        }
    }

    if members.is_empty() && is_of(inviters) {
        Word::Known
    } else {
        Word::Unknown
    }
}

/// Words of members about nodes that are not known here.
#[derive(Default)]
pub(super) struct Words {
    kept: Mutex<HashMap<(NodeId, String), (Word, Instant)>>,
}

impl Words {
    /// Asks members about a claim that this node cannot check by itself. The first that knows the
    /// node, or dismissed it, is believed.
    pub(super) async fn ask(
        &self,
        peers: &Peers,
        members: &BTreeMap<NodeId, Peer>,
        claim: Claim,
    ) -> Word {
        if let Some(word) = self.get(&claim) {
            return word;
        }

        let my_disk = peers.me().disk;
        let others = members.values().filter(|member| member.disk != my_disk);
        let mut asked: FuturesUnordered<_> = others
            .map(|member| peers.call_member(member, claim.clone(), ANSWER))
            .collect();

        let mut word = Word::Unknown;
        while let Some(answer) = asked.next().await {
            if let Ok(said) = answer
                && said != Word::Unknown
            {
                word = said;
                break;
            }
        }

        // Kept, also where nobody knows it: a stranger must not have this node ask again and again.
        self.keep(claim, word);
        word
    }

    fn get(&self, claim: &Claim) -> Option<Word> {
        let kept = self.kept.lock();
        let (word, since) = kept.get(&(claim.node, claim.disk.clone()))?;
        let time = if *word == Word::Unknown { AGAIN } else { KEPT };
        (since.elapsed() < time).then_some(*word)
    }

    fn keep(&self, claim: Claim, word: Word) {
        let mut kept = self.kept.lock();
        if kept.len() >= WORDS {
            kept.retain(|_, (_, since)| since.elapsed() < AGAIN);
        }
        if kept.len() < WORDS {
            kept.insert((claim.node, claim.disk), (word, Instant::now()));
        }
    }
}
