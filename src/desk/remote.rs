//! The desk of a standalone postman: calls become calls of a cluster's nodes.
//!
//! Any node answers; the postman stays with one as long as that one does, so that postmen spread over
//! the nodes, and goes on to the next when it is dead, hangs, or has no leader. A call is made once:
//! whether to repeat it, under the same id, is for the postman to say.

use std::{sync::Arc, time::Duration};

use notty_raft::{Credentials, PeerClient, Transport};
use notty_storage::{
    codec,
    command::Report,
    model::{Epoch, LeaseId, MailingNumber, PostmanName},
};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use tokio::{sync::watch, time::Instant};

use super::{
    calls::{Call, CallResult},
    contact::{Contact, Loss},
};
use crate::metrics::PostmanStanding;
use crate::postman::desk::{
    ClusterLook, Desk, DeskAnswer, DeskError, HeldLease, Left, NOT_UNDERSTOOD, Parcel, SendableWork,
};

/// Longest time for a look: a hanging node must be left before the postman's view is too old.
const LOOK: Duration = Duration::from_millis(700);
/// Longest time for any other call.
const CALL: Duration = Duration::from_secs(6);
/// Longest time that calls under way may still take once their node was left.
const GRACE: Duration = Duration::from_secs(2);
/// Time between two rounds of the nodes in search of the cluster.
const ROUND: Duration = Duration::from_millis(500);

/// The settings of a standalone postman's desk.
pub struct RemoteDeskOptions {
    /// The name of the postman.
    pub name: PostmanName,
    /// Its proof to the nodes.
    pub credentials: Credentials,
    /// Peer addresses of its nodes, at least one.
    pub peers: Vec<String>,
    /// Makes streams to the nodes.
    pub transport: Arc<dyn Transport>,
    /// Takes the reason when no node serves, for those who ask.
    pub standing: PostmanStanding,
}

/// The desk of a standalone postman.
pub struct RemoteDesk {
    client: PeerClient,
    peers: Vec<String>,
    /// The peer that is asked now, as a count of changes.
    current: watch::Sender<usize>,
    contact: Mutex<Contact>,
    standing: PostmanStanding,
}

impl RemoteDesk {
    /// Waits until one of the nodes answers with its cluster. Returns the cluster's id.
    pub async fn find(options: RemoteDeskOptions) -> (Arc<Self>, String) {
        let RemoteDeskOptions {
            name,
            credentials,
            peers,
            transport,
            standing,
        } = options;
        let client = PeerClient::new(name.as_str(), credentials, transport);

        // Postmen begin at different nodes.
        let first = codec::hash(name.as_str().as_bytes()) as usize % peers.len();
        let (at, cluster) = find_cluster(&client, &peers, first, &standing).await;

        client.belong_to(&cluster);
        let desk = Self {
            client,
            peers,
            current: watch::Sender::new(at),
            contact: Mutex::default(),
            standing,
        };
        (Arc::new(desk), cluster)
    }

    /// Asks a node if a gateway is the one that it sends to; `None` if it does not send.
    pub async fn compare_gateway(&self, gateway: u64) -> CallResult<Option<bool>> {
        self.call(Call::CompareGateway(gateway), CALL, GRACE).await
    }

    fn address(&self, at: usize) -> &str {
        &self.peers[at % self.peers.len()]
    }

    /// Calls the node that is asked now. Once that is left, the call may take `grace` more.
    async fn call<T: DeserializeOwned>(
        &self,
        call: Call,
        within: Duration,
        grace: Duration,
    ) -> CallResult<T> {
        let at = *self.current.borrow();
        let address = self.address(at);

        // A hanging node is found out by the looks, which have less time: other calls end with those.
        let answered = tokio::select! {
            answered = self.try_call(address, call, within) => answered,
            () = self.left(at, grace) => Err(format!("{address} did not answer, and was left")),
        };
        match answered {
            Ok(answer) => answer,
            Err(why) => {
                self.leave(at, &why);
                Err(DeskError::Unavailable(why))
            }
        }
    }

    /// Calls a node. An error is the reason for leaving it.
    async fn try_call<T: DeserializeOwned>(
        &self,
        address: &str,
        call: Call,
        within: Duration,
    ) -> Result<CallResult<T>, String> {
        let calling = self.client.call(address, codec::encode(&call), within);
        let bytes = match tokio::time::timeout(within, calling).await {
            Ok(answered) => answered.map_err(|error| error.to_string())?,
            Err(_) => return Err(format!("{address} did not answer in time")),
        };

        // An answer that does not decode is as good as none: another node may understand.
        codec::decode_known(&bytes)
            .map_err(|_| format!("{address} gave an answer of another version of notty"))
    }

    /// Makes a call that any node can answer while it can reach its leader; one that cannot is left.
    async fn question<T: DeserializeOwned>(
        &self,
        call: Call,
        within: Duration,
        grace: Duration,
    ) -> CallResult<T> {
        let at = *self.current.borrow();
        let answer = self.call(call, within, grace).await;
        if let Err(DeskError::Unavailable(why)) = &answer {
            self.leave(at, why);
        }
        answer
    }

    /// Goes on to the next node, unless that was done already.
    fn leave(&self, at: usize, why: &str) {
        // Several calls may fail with the same node: only the first goes on to the next.
        let next = |current: &mut usize| {
            let is_current = *current == at;
            *current += usize::from(is_current);
            is_current
        };
        if !self.current.send_if_modified(next) {
            return;
        }

        self.standing.lacks(why);
        match self.contact.lock().note_loss(Instant::now()) {
            Some(Loss::Node) => tracing::info!("{} is left: {why}", self.address(at)),
            Some(Loss::Cluster) => tracing::warn!(
                "no node of the cluster serves this postman, and nothing is sent meanwhile: {why}"
            ),
            None => {}
        }
    }

    /// Notes that the node that is asked now has shown the cluster.
    fn note_view(&self) {
        if self.contact.lock().note_view() {
            let address = self.address(*self.current.borrow());
            tracing::info!("the node at {address} is asked now");
        }
    }

    /// Returns some time after a node was left.
    async fn left(&self, at: usize, grace: Duration) {
        let mut current = self.current.subscribe();
        // The sender lives as long as this desk.
        let _ = current.wait_for(|current| *current != at).await;
        tokio::time::sleep(grace).await;
    }
}

/// Asks the nodes in turns, from one on, for their cluster. Returns the place of the one that answered.
async fn find_cluster(
    client: &PeerClient,
    peers: &[String],
    first: usize,
    standing: &PostmanStanding,
) -> (usize, String) {
    let mut told = String::new();
    loop {
        for n in first..first + peers.len() {
            let address = &peers[n % peers.len()];
            let why = match client.cluster_of(address).await {
                Ok(Some(cluster)) => return (n, cluster),
                Ok(None) => format!("{address} belongs to no cluster yet"),
                Err(error) => error.to_string(),
            };
            tracing::debug!(why, "no cluster at this peer");
            standing.lacks(&why);

            // One line a reason, and of the first node alone: it may be down for hours.
            if n == first && why != told {
                tracing::info!("no cluster is found yet: {why}");
                told = why;
            }
        }
        tokio::time::sleep(ROUND).await;
    }
}

impl Desk for RemoteDesk {
    fn register(&self, name: PostmanName, nonce: u64) -> DeskAnswer<'_, Epoch> {
        Box::pin(self.question(Call::Register { name, nonce }, CALL, GRACE))
    }

    fn declare(&self, postman: Epoch, gateway: u64, repeat_ms: Option<u64>) -> DeskAnswer<'_, ()> {
        let call = Call::Declare {
            postman,
            gateway,
            repeat_ms,
        };
        Box::pin(self.question(call, CALL, GRACE))
    }

    fn ask(
        &self,
        lease: LeaseId,
        room: u16,
        work: SendableWork,
        again: bool,
    ) -> DeskAnswer<'_, Option<Parcel>> {
        let call = move |unwanted| Call::Ask {
            lease,
            room,
            gateway: work.gateway,
            again,
            unwanted,
        };

        // A leader at work may refuse for some time. Looks find out a node that has no leader.
        let ask = move |call| self.call(call, CALL, GRACE);
        Box::pin(understood(work.unwanted, call, ask))
    }

    fn report(&self, report: Report) -> DeskAnswer<'_, usize> {
        Box::pin(self.call(Call::Report(report), CALL, GRACE))
    }

    fn look(&self, held: Vec<HeldLease>) -> DeskAnswer<'_, ClusterLook> {
        Box::pin(async move {
            let view = self.question(Call::Look(held), LOOK, GRACE).await;
            if view.is_ok() {
                self.note_view();
            }
            view
        })
    }

    fn left(&self, epoch: Epoch) -> DeskAnswer<'_, Vec<Left>> {
        Box::pin(self.question(Call::Left(epoch), CALL, GRACE))
    }

    fn wait(&self, postman: Epoch, work: SendableWork, seen: Option<u64>) -> DeskAnswer<'_, u64> {
        let call = move |unwanted| Call::Wait {
            postman,
            gateway: work.gateway,
            seen,
            unwanted,
        };
        // Nothing is lost with a node that is left: the next ask goes to another.
        let ask = move |call| self.question(call, CALL, Duration::ZERO);
        Box::pin(understood(work.unwanted, call, ask))
    }
}

/// Makes a call with the mailings that are not wanted, and without them where the node is of an older
/// version: such a node has refused the call, and done nothing.
async fn understood<T, F: Future<Output = CallResult<T>>>(
    unwanted: Vec<MailingNumber>,
    call: impl Fn(Vec<MailingNumber>) -> Call,
    ask: impl Fn(Call) -> F,
) -> CallResult<T> {
    let is_plain = unwanted.is_empty();
    match ask(call(unwanted)).await {
        Err(DeskError::Refused(why)) if why == NOT_UNDERSTOOD && !is_plain => {
            ask(call(Vec::new())).await
        }
        answer => answer,
    }
}
