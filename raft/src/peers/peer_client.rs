//! Calls to the nodes of a cluster from a process that is none of them: a standalone postman.
//!
//! It speaks the nodes' own protocol, proves itself as they do, and shows that it is no node. Before
//! it may ask for anything it names the cluster that it means, so that no data of one cluster goes to
//! another. The caller chooses the node to call, and the next step when one does not answer.

use std::{sync::Arc, time::Duration};

use crate::peers::{
    CallError, Credentials, Transport,
    client::Peers,
    protocol::{CallService, Identify},
    session::Hello,
};

/// Time for a node to name the cluster that it belongs to.
const IDENTIFY: Duration = Duration::from_secs(2);

/// A client of a cluster's nodes that is not a member.
pub struct PeerClient {
    peers: Peers,
    name: String,
}

impl PeerClient {
    /// A client under a name, with the credentials that nodes ask for.
    pub fn new(name: &str, credentials: Credentials, transport: Arc<dyn Transport>) -> Self {
        let hello = Hello::new(name, "", None, "");
        let peers = Peers::new(transport, credentials.of_postman(), hello);
        Self {
            peers,
            name: name.to_owned(),
        }
    }

    /// The cluster of the node at an address; `None` while it belongs to none.
    pub async fn cluster_of(&self, address: &str) -> Result<Option<String>, CallError> {
        let standing = self.peers.call(address, Identify, IDENTIFY).await?;
        Ok(standing.cluster)
    }

    /// Talks to nodes of this cluster only, from now on.
    pub fn belong_to(&self, cluster: &str) {
        self.peers
            .become_somebody(Hello::new(&self.name, cluster, None, ""));
    }

    /// Calls the service of the node at an address; its answer must come within a time.
    pub async fn call(
        &self,
        address: &str,
        request: Vec<u8>,
        within: Duration,
    ) -> Result<Vec<u8>, CallError> {
        self.peers.call(address, CallService(request), within).await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;
    use notty_storage::{
        Action, Command, StoreOptions,
        command::{DeleteCustomer, RegisterPostman},
        model::{CustomerId, PostmanName},
    };

    use tokio::sync::Notify;

    use super::*;
    use crate::{
        Caller, ClusterOptions, Node, NodeOptions, Peer, Service, SystemClock, TcpTransport,
        peers::protocol::{AskReadPoint, ProposeCommand, StandForElection},
    };

    const SECRET: &[u8] = b"a secret of this test";
    const SOON: Duration = Duration::from_secs(10);

    /// Answers with its caller.
    struct Echo;

    impl Service for Echo {
        fn call(&self, caller: Caller, _request: Vec<u8>) -> BoxFuture<'_, Vec<u8>> {
            Box::pin(async move { format!("{caller:?}").into_bytes() })
        }
    }

    async fn alone(dir: &std::path::Path) -> (Arc<Node>, String) {
        let address = crate::ports::free_addresses(1).remove(0);
        let me = Peer {
            name: "node".into(),
            peer: address.clone(),
            ..Peer::default()
        };
        let options = NodeOptions {
            exercises_levels: false,
            cluster: Some(ClusterOptions {
                listen: address.clone(),
                credentials: Credentials::by_secret(SECRET),
                expect: 1,
                nodes: vec![me.clone()],
                transport: Arc::new(TcpTransport),
            }),
            peer: me,
            store: StoreOptions::default(),
            log: Default::default(),
            files: Arc::new(crate::disk::files::RealFiles),
            onlooker: None,
            clock: Arc::new(SystemClock),
            fatal: Arc::new(|line| panic!("{line}")),
        };
        let node = Node::open(dir, options).await.expect("opens");
        assert!(
            tokio::time::timeout(SOON, node.ready())
                .await
                .expect("ready")
        );
        (node, address)
    }

    fn client(name: &str) -> PeerClient {
        PeerClient::new(name, Credentials::by_secret(SECRET), Arc::new(TcpTransport))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_postman_gets_the_service_and_nothing_that_members_get() {
        let dir = tempfile::tempdir().expect("a directory");
        let (node, address) = alone(dir.path()).await;
        let service: Arc<dyn Service> = Arc::new(Echo);
        node.open_service(&service);
        let postman = client("p");
        let early = postman.call(&address, Vec::new(), SOON).await;
        assert!(
            matches!(early, Err(CallError::Refused { .. })),
            "which cluster? {early:?}"
        );
        let cluster = postman
            .cluster_of(&address)
            .await
            .expect("an answer")
            .expect("formed");
        postman.belong_to(&cluster);
        let answer = postman
            .call(&address, Vec::new(), SOON)
            .await
            .expect("an answer");
        assert_eq!(answer, br#"Postman("p")"#);

        let name = PostmanName::parse("p").expect("a name");
        let register = Action::RegisterPostman(RegisterPostman { name, nonce: 1 });
        let delete = Action::DeleteCustomer(DeleteCustomer {
            id: CustomerId::parse("c").expect("an id"),
        });
        let is_refused = |answer: Option<CallError>| {
            assert!(
                matches!(answer, Some(CallError::Refused { .. })),
                "{answer:?}"
            );
        };
        let peers = &postman.peers;
        for action in [register, delete] {
            let call = ProposeCommand(Command::new(action));
            is_refused(peers.call(&address, call, SOON).await.err());
        }
        is_refused(peers.call(&address, AskReadPoint, SOON).await.err());
        is_refused(peers.call(&address, StandForElection, SOON).await.err());
        node.stop().await.expect("stops");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_postman_of_another_cluster_gets_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let (node, address) = alone(dir.path()).await;
        let service: Arc<dyn Service> = Arc::new(Echo);
        node.open_service(&service);
        let postman = client("p");
        postman.belong_to("another");
        let answer = postman.call(&address, Vec::new(), SOON).await;
        let told = answer.expect_err("refused").to_string();
        assert!(told.contains("another cluster"), "{told}");
        assert!(told.ends_with("restart the postman"), "{told}");
        node.stop().await.expect("stops");
    }

    /// Holds every call for ever, and counts those that were dropped.
    #[derive(Default)]
    struct Holds {
        begun: Notify,
        dropped: Arc<Notify>,
    }

    /// Notifies when it is dropped.
    struct Dropped(Arc<Notify>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }

    impl Service for Holds {
        fn call(&self, _: Caller, _: Vec<u8>) -> BoxFuture<'_, Vec<u8>> {
            let dropped = Dropped(self.dropped.clone());
            Box::pin(async move {
                let _held = dropped;
                self.begun.notify_one();
                std::future::pending().await
            })
        }

        fn may_be_dropped(&self, request: &[u8]) -> bool {
            request == b"hold"
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_call_that_is_held_ends_when_its_caller_goes() {
        let dir = tempfile::tempdir().expect("a directory");
        let (node, address) = alone(dir.path()).await;
        let holds = Arc::new(Holds::default());
        let service: Arc<dyn Service> = holds.clone();
        node.open_service(&service);
        let postman = client("p");
        let cluster = postman.cluster_of(&address).await.expect("an answer");
        postman.belong_to(&cluster.expect("formed"));

        let request = b"hold".to_vec();
        let call = tokio::spawn(async move { postman.call(&address, request, SOON).await });
        let soon = |waits| tokio::time::timeout(SOON, waits);
        soon(holds.begun.notified()).await.expect("it is held");
        call.abort();
        soon(holds.dropped.notified()).await.expect("it ends");
        node.stop().await.expect("stops");
    }
}
