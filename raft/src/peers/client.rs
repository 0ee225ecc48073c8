//! Calls to peers: one at a time on a session, with a deadline.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use notty_storage::rules;
use tokio::sync::watch;

use super::{
    call::{CallError, Denial},
    pool::Pool,
    proof::Credentials,
    protocol::PeerCall,
    session::{Hello, Session},
    transport::Transport,
};
use crate::types::Peer;

/// The peers, as this node calls them.
pub(crate) struct Peers {
    pool: Arc<Pool>,
    routes: Routes,
    /// Whether this node was taken out of the cluster: the state, or a member, says so.
    dismissed: watch::Sender<bool>,
}

/// Where nodes are configured to be, by name: a member that moved is called there too, and not only
/// where the members' list has it. Whoever answers must show the member's disk, so that a wrong
/// address does no harm.
#[derive(Default)]
struct Routes(HashMap<String, String>);

impl Routes {
    /// Addresses to try.
    fn to(&self, member: &Peer) -> Vec<String> {
        let configured = self.0.get(&member.name).cloned();
        let listed = Some(member.peer.clone()).filter(|listed| Some(listed) != configured.as_ref());
        configured
            .into_iter()
            .chain(listed)
            .filter(|address| !address.is_empty())
            .collect()
    }
}

impl Peers {
    /// Who this process is to them, and what it proves it with.
    pub(crate) fn new(transport: Arc<dyn Transport>, credentials: Credentials, me: Hello) -> Self {
        let pool = Arc::new(Pool::new(transport, credentials, me));
        Self {
            pool,
            routes: Routes::default(),
            dismissed: watch::Sender::new(false),
        }
    }

    /// The same, knowing where nodes are configured to be.
    pub(crate) fn knowing(mut self, nodes: &[Peer]) -> Self {
        let address = |node: &Peer| (node.name.clone(), node.peer.clone());
        self.routes = Routes(nodes.iter().map(address).collect());
        self
    }

    /// Whether this node was taken out of the cluster, and changes of that.
    pub(crate) fn dismissed(&self) -> watch::Receiver<bool> {
        self.dismissed.subscribe()
    }

    /// This node was taken out of the cluster.
    pub(crate) fn note_dismissal(&self) {
        self.dismissed.send_replace(true);
    }

    /// From now on this node is somebody else: it became a member.
    pub(crate) fn become_somebody(&self, me: Hello) {
        self.pool.become_somebody(me);
    }

    /// Who this node is.
    pub(crate) fn me(&self) -> Hello {
        self.pool.me()
    }

    /// What this process proves itself with, and asks of others.
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

    /// Whether who answers is that member: another node at its address, or another disk under its
    /// name, must get nothing that is meant for it.
    fn check(&self, there: &Hello, member: &Peer) -> Result<(), String> {
        if there.cluster != self.me().cluster {
            return Err(format!(
                "`{}` is there, which belongs to another cluster",
                there.name
            ));
        }
        match rules::is_same_disk(&there.disk, &member.disk) {
            true => Ok(()),
            false => Err(format!(
                "`{}` is there, with another disk than `{}` was taken in with",
                there.name, member.name
            )),
        }
    }

    /// A session of its own with a member, for more than one call.
    pub(crate) async fn open_to(&self, member: &Peer) -> Result<Session, CallError> {
        let addresses = self.routes.to(member).into_iter();
        let tries = addresses.map(|address| async move { self.open(&address, Some(member)).await });
        first(tries, member).await
    }

    /// Calls a member, wherever it is; nothing is sent to anyone else.
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

        let answer = self.talk(session, &address, call, within).await?;
        if matches!(answer, Err(Denial::Dismissed)) {
            // Believed because a member says so: this session has shown its disk.
            self.note_dismissal();
        }
        answer.map_err(|denial| CallError::denied(&address, denial))
    }

    /// Calls the peer at an address; the answer must come within a time.
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
        let lost = |what: String| CallError::Lost {
            address: address.to_owned(),
            what,
        };
        let talking = async {
            session.send(&call.into_any()).await?;
            session.receive_answer::<C>().await
        };
        let answer = match tokio::time::timeout(within, talking).await {
            Ok(answer) => answer.map_err(|error| lost(error.to_string()))?,
            Err(_) => return Err(lost("no answer in time".to_owned())),
        };

        // The peer may end a session in which it has refused something.
        if !matches!(answer, Err(Denial::Refused(_))) {
            self.pool.keep(address, session);
        }
        Ok(answer)
    }
}

/// The first try that succeeds. All are made at once: an address where nothing answers, not even a
/// refusal, must not keep the right one waiting.
async fn first<T>(
    tries: impl Iterator<Item = impl Future<Output = Result<T, CallError>>>,
    member: &Peer,
) -> Result<T, CallError> {
    let tries: Vec<_> = tries.map(Box::pin).collect();
    if tries.is_empty() {
        let what = "no address of it is known".to_owned();
        return Err(CallError::NotSent {
            address: format!("`{}`", member.name),
            what,
        });
    }
    futures_util::future::select_ok(tries)
        .await
        .map(|(found, _)| found)
}
