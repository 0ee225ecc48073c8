//! The server for peers: sessions are proved, then each call is answered in turn.
//!
//! A connection that is not proved has one of a few places ([`super::handshakes`]) for a short time.
//! Only proved ones count as sessions, and postmen cannot take all of these. The answers are given
//! behind the trait [`Handler`].

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet};

use super::{
    call::Denial,
    client::Peers,
    handshakes::{Evicted, HandshakePlace, HandshakeStep, Handshakes, Listened},
    opening,
    proof::{Grade, refused},
    protocol::AnyCall,
    refusals::Refusals,
    session::{Hello, IDLE, Session, within},
    transport::{Accepted, Io, Listener},
};

/// Time for TLS and for proving both ends.
const ACCEPT: Duration = Duration::from_secs(3);
/// Sessions at once, at most.
const SESSIONS: usize = 1_024;
/// Sessions of standalone postmen among them, at most.
const SESSIONS_OF_POSTMEN: usize = 768;

/// An answer under way; it ends once the answer is sent. A call that is followed by frames of its own
/// reads them from the session.
pub(crate) type Handling<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;
/// A peer that is being looked up.
pub(crate) type Admitting<'a> = Pin<Box<dyn Future<Output = Result<Who, String>> + Send + 'a>>;

/// A peer, as this node's cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A member, or an admitted node: its number and its disk are right.
    Node,
    /// A standalone postman, by its name.
    Postman(String),
    /// It has no place in this node's cluster, and claims none.
    Visitor,
    /// Its disk was dismissed, for good.
    Dismissed,
    /// It is a node of the cluster, and its version is too old for it; the text names both versions.
    Outdated(String),
}

/// Answers the calls of peers.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Looks a peer up. `Err` is the reason not to talk with it at all.
    fn admit<'a>(&'a self, peer: &'a Hello, grade: Grade) -> Admitting<'a>;
    /// Answers one call of a peer.
    fn handle<'a>(&'a self, who: Who, call: AnyCall, session: &'a mut Session) -> Handling<'a>;
}

/// Serves peers until `stop` becomes true.
pub(crate) async fn serve(
    mut listener: Box<dyn Listener>,
    peers: Arc<Peers>,
    handler: Arc<dyn Handler>,
    mut stop: watch::Receiver<bool>,
) {
    let mut tasks = JoinSet::new();
    let refusals = Arc::<Refusals>::default();
    let handshakes = Arc::<Handshakes>::default();
    let sessions = Arc::<Sessions>::default();

    loop {
        // Tasks that end are collected here; those that are left end with the server.
        let accepted = tokio::select! {
            accepted = listener.accept_observed() => accepted,
            Some(_) = tasks.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a peer could not be accepted");
                // The process may be out of file descriptors for a while.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };

        // Before anything is awaited: a newcomer has its place at once.
        let Accepted {
            stream,
            from,
            has_sent,
        } = accepted;
        let place = handshakes.enter(&from, has_sent);
        let peers = peers.clone();
        let handler = handler.clone();
        let refusals = refusals.clone();
        let sessions = sessions.clone();
        tasks.spawn(async move {
            let serving = serve_one(stream, &from, place, &sessions, (&peers, &*handler));
            if let Err(error) = serving.await {
                refusals.log_accepted(&from, &error);
            }
        });
    }
}

/// The numbers of proved sessions.
#[derive(Default)]
pub(super) struct Sessions {
    all: AtomicUsize,
    of_postmen: AtomicUsize,
}

/// A proved session, counted until it is dropped.
struct Counted<'s> {
    sessions: &'s Sessions,
    is_postman: bool,
}

impl Sessions {
    fn count(&self, peer: &Hello) -> io::Result<Counted<'_>> {
        let is_postman = peer.disk.is_empty();
        let counted = Counted {
            sessions: self,
            is_postman,
        };

        // Counted first: dropping it takes back what is counted here, refused or not.
        let all = self.all.fetch_add(1, Ordering::Relaxed);
        let of_postmen = self
            .of_postmen
            .fetch_add(usize::from(is_postman), Ordering::Relaxed);

        if all >= SESSIONS || (is_postman && of_postmen >= SESSIONS_OF_POSTMEN) {
            return Err(refused(format!(
                "there are {all} peer sessions already, {of_postmen} of them of postmen"
            )));
        }
        Ok(counted)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.sessions.all.fetch_sub(1, Ordering::Relaxed);
        self.sessions
            .of_postmen
            .fetch_sub(usize::from(self.is_postman), Ordering::Relaxed);
    }
}

/// Proves a connection and answers its requests until it ends.
pub(super) async fn serve_one(
    stream: Box<dyn Io>,
    from: &str,
    (place, mut evicted): (Arc<HandshakePlace>, Evicted),
    sessions: &Sessions,
    (peers, handler): (&Peers, &dyn Handler),
) -> io::Result<()> {
    let credentials = peers.credentials();
    let me = peers.me();

    let stream = Box::new(Listened {
        stream,
        place: Some(place.clone()),
    });
    // One time for all of it: each step alone could be drawn out.
    let proving = async {
        let channel = credentials.accept(stream).await?;
        place.note(HandshakeStep::Encrypted);
        opening::accept(channel, credentials, &me).await
    };
    let session = tokio::select! {
        proved = within(ACCEPT, proving) => proved?,
        () = &mut evicted => {
            return Err(io::Error::other("others came, and it had not proved itself"));
        }
    };

    // From here on it holds a session, and no place among the unproved.
    let _proved = place.prove(from);
    let _counted = sessions.count(&session.peer)?;

    converse(session, handler).await
}

/// Answers a session's requests until it ends.
async fn converse(mut session: Session, handler: &dyn Handler) -> io::Result<()> {
    loop {
        let call = match session.receive_call(IDLE).await? {
            Ok(call) => call,
            Err(denial) => {
                session.send_in_time(&Err::<(), _>(denial)).await?;
                continue;
            }
        };
        // Asked each time: who may speak changes with the members.
        match handler.admit(&session.peer, session.grade).await {
            Ok(who) => handler.handle(who, call, &mut session).await?,
            Err(why) => {
                let denied = Err::<(), _>(Denial::Refused(why.clone()));
                session.send_in_time(&denied).await?;
                return Err(refused(why));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postmen_leave_sessions_to_nodes() {
        let sessions = Sessions::default();
        let postman = Hello::new("p", "c", None, "");
        let node = Hello::new("b", "c", Some(2), "disk");
        let taken: Vec<_> = (0..SESSIONS)
            .map_while(|_| sessions.count(&postman).ok())
            .collect();
        assert_eq!(taken.len(), SESSIONS_OF_POSTMEN);
        let of_nodes: Vec<_> = (0..SESSIONS)
            .map_while(|_| sessions.count(&node).ok())
            .collect();
        assert_eq!(of_nodes.len(), SESSIONS - SESSIONS_OF_POSTMEN);
        // Whoever goes makes room.
        drop(taken);
        assert!(sessions.count(&postman).is_ok() && sessions.count(&node).is_ok());
    }
}
