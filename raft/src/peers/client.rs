//! Calls to peers: one at a time on a connection, with a deadline; idle connections are kept.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    protocol::{Request, Response},
    refusals::Refusals,
    server,
    session::{Hello, Key, Session},
    tls,
    transport::Transport,
};

/// How long connecting and proving both ends may take.
const OPEN: Duration = Duration::from_secs(2);
/// Idle connections kept for one peer.
const IDLE: usize = 64;
/// For how long an idle connection is kept.
const KEPT: Duration = Duration::from_secs(server::IDLE.as_secs() / 2);

/// Why a call has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// Nothing of it was sent.
    #[error("{address} cannot be reached: {what}")]
    NotSent {
        /// The peer's address.
        address: String,
        /// What happened.
        what: String,
    },
    /// It may have been taken.
    #[error("{address} did not answer: {what}")]
    Lost {
        /// The peer's address.
        address: String,
        /// What happened.
        what: String,
    },
    /// The peer refused it.
    #[error("{address} refused: {what}")]
    Refused {
        /// The peer's address.
        address: String,
        /// Why.
        what: String,
    },
}

/// The peers, as this node calls them.
pub(crate) struct Peers {
    transport: Arc<dyn Transport>,
    key: Key,
    me: Mutex<Hello>,
    idle: Mutex<HashMap<String, Vec<(Session, Instant)>>>,
    refusals: Refusals,
}

impl Peers {
    pub(crate) fn new(transport: Arc<dyn Transport>, key: Key, me: Hello) -> Self {
        let (me, idle) = (Mutex::new(me), Mutex::default());
        Self { transport, key, me, idle, refusals: Refusals::default() }
    }

    /// From now on this node is somebody else: it became a member.
    pub(crate) fn become_somebody(&self, me: Hello) {
        *self.me.lock() = me;
        self.idle.lock().clear();
    }

    /// Who this node is.
    pub(crate) fn me(&self) -> Hello {
        self.me.lock().clone()
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// A session of its own, for more than one call.
    pub(crate) async fn open(&self, address: &str) -> Result<Session, CallError> {
        let me = self.me();
        let opening = async {
            let stream = self.transport.connect(address).await?;
            Session::open(stream, &self.key, &me).await
        };
        let late = || Err(io::ErrorKind::TimedOut.into());
        let opened = tokio::time::timeout(OPEN, opening).await.unwrap_or_else(|_| late());
        opened.map_err(|error| {
            let error = tls::explained(&error);
            self.refusals.tell_opened(address, &error);
            CallError::NotSent { address: address.to_owned(), what: error.to_string() }
        })
    }

    async fn session(&self, address: &str) -> Result<Session, CallError> {
        loop {
            let kept = self.idle.lock().get_mut(address).and_then(Vec::pop);
            let Some((mut kept, since)) = kept else {
                return self.open(address).await;
            };
            // Otherwise the peer closed it meanwhile, or is about to.
            if since.elapsed() < KEPT && kept.is_idle().await {
                return Ok(kept);
            }
        }
    }

    /// Calls a peer; the answer must come within a time.
    pub(crate) async fn call(
        &self,
        address: &str,
        request: &Request,
        within: Duration,
    ) -> Result<Response, CallError> {
        let lost = |what: String| CallError::Lost { address: address.to_owned(), what };
        let mut session = self.session(address).await?;
        let talking = async {
            session.send(request).await?;
            session.receive::<Response>().await
        };
        let answer = match tokio::time::timeout(within, talking).await {
            Ok(answer) => answer.map_err(|error| lost(error.to_string()))?,
            Err(_) => return Err(lost("no answer in time".to_owned())),
        };
        let mut idle = self.idle.lock();
        let kept = idle.entry(address.to_owned()).or_default();
        kept.retain(|(_, since)| since.elapsed() < KEPT);
        if kept.len() < IDLE {
            kept.push((session, Instant::now()));
        }
        drop(idle);
        match answer {
            Response::Refused(what) => {
                Err(CallError::Refused { address: address.to_owned(), what })
            }
            answer => Ok(answer),
        }
    }
}
