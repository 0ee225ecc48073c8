//! Calls to peers: one at a time on a session, with a deadline.
//!
//! A call to a member reaches that member or nobody. Sessions are opened and kept in [`super::pool`].

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use notty_storage::rules;
use tokio::sync::watch;

use super::{
    call::{CallError, Denial},
    pool::Pool,
    proof::Credentials,
    protocol::PeerCall,
    session::{Hello, Session},
    tls,
    transport::Transport,
};
use crate::types::Peer;

/// The peers, as this node calls them.
pub(crate) struct Peers {
    pool: Arc<Pool>,
    routes: PeerRoutes,
    /// True once this node was removed from the cluster, by the state or the word of a member.
    dismissed: watch::Sender<bool>,
    /// The reason why this node's version is too old for its cluster, by the word of a member.
    outdated: watch::Sender<Option<String>>,
}

/// Configured addresses of nodes, by name: a member that moved is called there too, and not only at the
/// address in the members' list. The node that answers must show the member's disk, so that a wrong
/// address does no harm.
#[derive(Default)]
struct PeerRoutes(HashMap<String, String>);

impl PeerRoutes {
    /// Addresses at which to try a member.
    fn to(&self, member: &Peer) -> Vec<String> {
        let mut addresses: Vec<_> = self.0.get(&member.name).cloned().into_iter().collect();
        if !addresses.contains(&member.peer) {
            addresses.push(member.peer.clone());
        }

        // A node by itself has no address for peers.
        addresses.retain(|address| !address.is_empty());
        addresses
    }
}

impl Peers {
    /// Peers that know this process under a name, which it proves with its credentials.
    pub(crate) fn new(transport: Arc<dyn Transport>, credentials: Credentials, me: Hello) -> Self {
        let pool = Arc::new(Pool::new(transport, credentials, me));
        Self {
            pool,
            routes: PeerRoutes::default(),
            dismissed: watch::Sender::new(false),
            outdated: watch::Sender::new(None),
        }
    }

    /// The same, with the configured addresses of nodes.
    pub(crate) fn knowing(mut self, nodes: &[Peer]) -> Self {
        let address = |node: &Peer| (node.name.clone(), node.peer.clone());
        self.routes = PeerRoutes(nodes.iter().map(address).collect());
        self
    }

    /// Becomes true once this node was removed from the cluster.
    pub(crate) fn dismissed(&self) -> watch::Receiver<bool> {
        self.dismissed.subscribe()
    }

    /// Notes that this node was removed from the cluster.
    pub(crate) fn note_dismissal(&self) {
        self.dismissed.send_replace(true);
    }

    /// Gets the reason once a member says that this node's version is too old for the cluster.
    pub(crate) fn outdated(&self) -> watch::Receiver<Option<String>> {
        self.outdated.subscribe()
    }

    /// Calls peers under another name from now on, because this node became a member.
    pub(crate) fn become_somebody(&self, me: Hello) {
        self.pool.become_somebody(me);
    }

    /// The name under which this node calls peers.
    pub(crate) fn me(&self) -> Hello {
        self.pool.me()
    }

    /// The credentials of this process.
    pub(super) fn credentials(&self) -> &Credentials {
        &self.pool.credentials
    }

    async fn session(&self, address: &str, member: Option<&Peer>) -> Result<Session, CallError> {
        let is_wanted =
            |there: &Hello| member.is_none_or(|member| self.check(there, member).is_ok());
        match self.pool.take(address, is_wanted).await {
            Some(session) => Ok(session),
            None => self.open(address, member).await,
        }
    }

    async fn open(&self, address: &str, member: Option<&Peer>) -> Result<Session, CallError> {
        let session = self.pool.open(address).await?;
        match member.map_or(Ok(()), |member| self.check(&session.peer, member)) {
            Ok(()) => Ok(session),
            Err(what) => Err(CallError::NotSent {
                address: address.to_owned(),
                what,
            }),
        }
    }

    /// Checks that the other end is a member: another node at its address, or another disk under its
    /// name, must get nothing that is meant for it.
    fn check(&self, there: &Hello, member: &Peer) -> Result<(), String> {
        if there.cluster.is_empty() {
            return Err(format!(
                "`{}` is there, which belongs to no cluster: its data directory is empty",
                there.name
            ));
        }
        if there.cluster != self.me().cluster {
            return Err(format!(
                "`{}` is there, which belongs to another cluster",
                there.name
            ));
        }

        if !rules::is_same_disk(&there.disk, &member.disk) {
            return Err(format!(
                "`{}` is there, with another disk than `{}` was taken in with",
                there.name, member.name
            ));
        }
        Ok(())
    }

    /// Opens a session with a member for more than one call.
    pub(crate) async fn open_to(&self, member: &Peer) -> Result<Session, CallError> {
        let addresses = self.routes.to(member).into_iter();
        let tries = addresses.map(|address| async move { self.open(&address, Some(member)).await });
        first(tries, member).await
    }

    /// Calls a member at any of its addresses; nothing is sent to another node.
    pub(crate) async fn call_member<C: PeerCall>(
        &self,
        member: &Peer,
        call: C,
        within: Duration,
    ) -> Result<C::Reply, CallError> {
        let tries = self
            .routes
            .to(member)
            .into_iter()
            .map(|address| async move {
                let session = self.session(&address, Some(member)).await?;
                Ok((session, address))
            });
        let (session, address) = first(tries, member).await?;

        // Only one session gets the call: after this, a failure may mean that it was made.

        let answer = self.talk(session, &address, call, within).await?;
        if matches!(answer, Err(Denial::Dismissed)) {
            // Believed because a member says so: this session has shown its disk.
            self.note_dismissal();
        }
        if let Err(Denial::Outdated(why)) = &answer {
            self.outdated.send_replace(Some(why.clone()));
        }
        answer.map_err(|denial| CallError::denied(&address, denial))
    }

    /// Calls whatever peer is at an address; the answer must come within a time.
    pub(crate) async fn call<C: PeerCall>(
        &self,
        address: &str,
        call: C,
        within: Duration,
    ) -> Result<C::Reply, CallError> {
        let session = self.session(address, None).await?;
        let answer = self.talk(session, address, call, within).await?;
        answer.map_err(|denial| CallError::denied(address, denial))
    }

    async fn talk<C: PeerCall>(
        &self,
        mut session: Session,
        address: &str,
        call: C,
        within: Duration,
    ) -> Result<Result<C::Reply, Denial>, CallError> {
        understands::<C>(&session.peer, address)?;
        let lost = |what: String| CallError::Lost {
            address: address.to_owned(),
            what,
        };
        let talking = async {
            session.send(&call.into_any()).await?;
            session.receive_answer::<C>().await
        };
        // An answer that is late may still come: the session is dropped with it.
        let answer = match tokio::time::timeout(within, talking).await {
            Ok(answer) => answer.map_err(|error| lost(tls::explained(&error).to_string()))?,
            Err(_) => return Err(lost("no answer in time".to_owned())),
        };

        // The peer may end a session in which it has refused something.
        if !matches!(answer, Err(Denial::Refused(_))) {
            self.pool.keep(address, session);
        }
        Ok(answer)
    }
}

/// Withholds a call that the peer does not know yet.
fn understands<C: PeerCall>(peer: &Hello, address: &str) -> Result<(), CallError> {
    if peer.level >= C::LEVEL {
        return Ok(());
    }
    Err(CallError::NotSent {
        address: address.to_owned(),
        what: format!(
            "`{}` runs notty {}, which does not know this call (level {})",
            peer.name,
            peer.version,
            C::LEVEL
        ),
    })
}

/// The first try that succeeds. All are made at once: an address at which nothing answers, not even
/// with a refusal, must not keep the right one waiting.
async fn first<T>(
    tries: impl Iterator<Item = impl Future<Output = Result<T, CallError>>>,
    member: &Peer,
) -> Result<T, CallError> {
    let tries: Vec<_> = tries.map(Box::pin).collect();
    if tries.is_empty() {
        return Err(CallError::NotSent {
            address: format!("`{}`", member.name),
            what: "no address of it is known".to_owned(),
        });
    }

    futures_util::future::select_ok(tries)
        .await
        .map(|(found, _)| found)
}
