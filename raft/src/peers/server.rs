//! Peers' calls, taken in: sessions are proved, then each request is handled in turn.

use std::{future::Future, io, pin::Pin, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};

use super::{
    client::Peers,
    protocol::{Request, Response},
    refusals::Refusals,
    session::{Hello, Session},
    transport::{Io, Listener},
};

/// How long proving both ends may take.
const ACCEPT: Duration = Duration::from_secs(5);
/// How long a session may be without a request. Longer than clients keep one that is idle, so that
/// none ends just when it is used.
pub(super) const IDLE: Duration = Duration::from_secs(60);
/// Sessions at once, at most.
const SESSIONS: usize = 1_024;

/// An answer under way. A request that is followed by frames of its own reads them from the
/// session.
pub(crate) type Handling<'a> = Pin<Box<dyn Future<Output = Response> + Send + 'a>>;

/// Answers peers.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Whether a peer may speak at all; why not.
    fn admit(&self, peer: &Hello) -> Result<(), String>;
    /// Answers one request.
    fn handle<'a>(&'a self, request: Request, session: &'a mut Session) -> Handling<'a>;
}

/// Serves peers until told to stop.
pub(crate) async fn serve(
    mut listener: Box<dyn Listener>,
    peers: Arc<Peers>,
    handler: Arc<dyn Handler>,
    mut stop: watch::Receiver<bool>,
) {
    let mut sessions = JoinSet::new();
    let refusals = Arc::new(Refusals::default());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = sessions.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, from)) if sessions.len() < SESSIONS => {
                let (peers, handler) = (peers.clone(), handler.clone());
                let refusals = refusals.clone();
                sessions.spawn(async move {
                    if let Err(error) = converse(stream, &peers, &*handler).await {
                        refusals.tell_taken_in(&from, &error);
                    }
                });
            }
            Ok((_, from)) => {
                let what = format!("there are {SESSIONS} peer sessions already");
                refusals
                    .tell_taken_in(&from, &io::Error::new(io::ErrorKind::PermissionDenied, what));
            }
            Err(error) => {
                tracing::warn!(%error, "a peer could not be taken in");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

pub(super) async fn converse(
    stream: Box<dyn Io>,
    peers: &Peers,
    handler: &dyn Handler,
) -> io::Result<()> {
    let me = peers.me();
    let accepting = Session::accept(stream, peers.key(), &me);
    let late = || Err(io::ErrorKind::TimedOut.into());
    let mut session = tokio::time::timeout(ACCEPT, accepting).await.unwrap_or_else(|_| late())?;
    loop {
        let request = session.receive_after::<Request>(IDLE).await?;
        // Asked each time: who may speak changes with the members.
        let response = match handler.admit(&session.peer) {
            Ok(()) => handler.handle(request, &mut session).await,
            Err(why) => {
                session.send_in_time(&Response::Refused(why.clone())).await?;
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
        };
        session.send_in_time(&response).await?;
    }
}
