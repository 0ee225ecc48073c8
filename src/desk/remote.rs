//! The desk of a postman by itself: calls become calls of a cluster's nodes.
//!
//! Any node answers; the postman stays with one as long as that one does, so that postmen spread over
//! the nodes, and goes on to the next when it is dead, hangs, or has no leader. A call is made once:
//! whether to repeat it, under the same id, is for the postman to say.

use std::{sync::Arc, time::Duration};

use notty_raft::{AppliedChanges, Credentials, PeerClient, Transport};
use notty_storage::{
    codec,
    command::Report,
    model::{Epoch, LeaseId, PostmanName},
};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::calls::{Answered, Call};
use crate::postman::desk::{Answer, Desk, DeskError, Held, Left, Look, Parcel};

/// How long a look may take: a hanging node must be left before the postman's view is too old.
const LOOK: Duration = Duration::from_millis(700);
/// How long any other call may take.
const CALL: Duration = Duration::from_secs(6);
/// How long calls under way may still take once their node was left.
const GRACE: Duration = Duration::from_secs(2);
/// Between two rounds of the nodes in search of the cluster.
const ROUND: Duration = Duration::from_millis(500);

/// How a cluster is reached.
pub struct RemoteDeskOptions {
    /// The postman's name.
    pub name: PostmanName,
    /// What proves it to them.
    pub credentials: Credentials,
    /// Peer addresses of its nodes, at least one.
    pub peers: Vec<String>,
    /// The streams to them.
    pub transport: Arc<dyn Transport>,
}

/// The desk of a postman by itself.
pub struct RemoteDesk {
    client: PeerClient,
    peers: Vec<String>,
    /// The peer that is asked now, as a count of changes.
    current: watch::Sender<usize>,
    /// What was last told of the peers.
    told: Mutex<Told>,
}

#[derive(Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Answered,
    Failed,
}

impl RemoteDesk {
    /// Waits until one of the nodes says which cluster it belongs to; its id.
    pub async fn find(options: RemoteDeskOptions) -> (Arc<Self>, String) {
        let RemoteDeskOptions {
            name,
            credentials,
            peers,
            transport,
        } = options;
        let client = PeerClient::new(name.as_str(), credentials, transport);
        // Postmen begin at different nodes.
        let first = codec::hash(name.as_str().as_bytes()) as usize % peers.len();
        let mut told = String::new();
        let (at, cluster) = 'found: loop {
            for n in first..first + peers.len() {
                let address = &peers[n % peers.len()];
                let why = match client.cluster_of(address).await {
                    Ok(Some(cluster)) => break 'found (n, cluster),
                    Ok(None) => format!("{address} belongs to no cluster yet"),
                    Err(error) => error.to_string(),
                };
                tracing::debug!(why, "no cluster at this peer");
                if n == first && why != told {
                    tracing::info!("no cluster is found yet: {why}");
                    told = why;
                }
            }
            tokio::time::sleep(ROUND).await;
        };
        client.belong_to(&cluster);
        let current = watch::Sender::new(at);
        let told = Mutex::new(Told::Nothing);
        (
            Arc::new(Self {
                client,
                peers,
                current,
                told,
            }),
            cluster,
        )
    }

    fn address(&self, at: usize) -> &str {
        &self.peers[at % self.peers.len()]
    }

    /// Calls the node that is asked now.
    async fn call<T: DeserializeOwned>(&self, call: Call, within: Duration) -> Answered<T> {
        let at = *self.current.borrow();
        let address = self.address(at);
        let calling = self.client.call(address, codec::encode(&call), within);
        let answer = tokio::select! {
            answer = tokio::time::timeout(within, calling) => match answer {
                Ok(answer) => answer.map_err(|error| error.to_string()),
                Err(_) => Err(format!("{address} did not answer in time")),
            },
            () = self.left(at) => Err(format!("{address} did not answer, and was left")),
        };
        let answer = answer.and_then(|bytes| {
            let answer = codec::decode::<Answered<T>>(&bytes);
            answer.map_err(|_| format!("{address} gave an answer of another version of notty"))
        });
        match answer {
            Ok(answer) => {
                self.tell_answered(at);
                answer
            }
            Err(why) => {
                self.leave(at, &why);
                Err(DeskError::Unavailable(why))
            }
        }
    }

    /// Calls for what any node that can reach its leader knows; one that cannot is left.
    async fn question<T: DeserializeOwned>(&self, call: Call, within: Duration) -> Answered<T> {
        let at = *self.current.borrow();
        let answer = self.call(call, within).await;
        if let Err(DeskError::Unavailable(why)) = &answer {
            self.leave(at, why);
        }
        answer
    }

    /// Goes on to the next node, unless that was done already.
    fn leave(&self, at: usize, why: &str) {
        let next = |current: &mut usize| {
            let is_current = *current == at;
            *current += usize::from(is_current);
            is_current
        };
        if !self.current.send_if_modified(next) {
            return;
        }
        let mut told = self.told.lock();
        if *told != Told::Failed {
            tracing::info!("{} is left: {why}", self.address(at));
            *told = Told::Failed;
        }
    }

    fn tell_answered(&self, at: usize) {
        let at = at % self.peers.len();
        let mut told = self.told.lock();
        if *told == Told::Failed {
            tracing::info!("the node at {} is asked now", self.peers[at]);
        }
        *told = Told::Answered;
    }

    /// Ends a while after a node was left.
    async fn left(&self, at: usize) {
        let mut current = self.current.subscribe();
        // The sender lives as long as this desk.
        let _ = current.wait_for(|current| *current != at).await;
        tokio::time::sleep(GRACE).await;
    }
}

impl Desk for RemoteDesk {
    fn register(&self, name: PostmanName, nonce: u64) -> Answer<'_, Epoch> {
        Box::pin(self.question(Call::Register { name, nonce }, CALL))
    }

    fn declare(&self, postman: Epoch, gateway: u64, repeat_ms: Option<u64>) -> Answer<'_, ()> {
        Box::pin(self.question(
            Call::Declare {
                postman,
                gateway,
                repeat_ms,
            },
            CALL,
        ))
    }

    fn ask(
        &self,
        lease: LeaseId,
        room: u16,
        gateway: u64,
        again: bool,
    ) -> Answer<'_, Option<Parcel>> {
        Box::pin(self.call(
            Call::Ask {
                lease,
                room,
                gateway,
                again,
            },
            CALL,
        ))
    }

    fn report(&self, report: Report) -> Answer<'_, usize> {
        Box::pin(self.call(Call::Report(report), CALL))
    }

    fn look(&self, held: Vec<Held>) -> Answer<'_, Look> {
        Box::pin(self.question(Call::Look(held), LOOK))
    }

    fn left(&self, epoch: Epoch) -> Answer<'_, Vec<Left>> {
        Box::pin(self.question(Call::Left(epoch), CALL))
    }

    fn changes(&self) -> Option<AppliedChanges> {
        None
    }
}
