//! Sessions with peers: opened, and kept while they are idle.
//!
//! Opening takes several round trips. A call that is given up meanwhile (openraft waits 150 ms for an
//! answer) must not throw them away, or over a slow network no session would ever be open: the session
//! is kept for the next call. The calls themselves are made in [`super::client`].

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::oneshot, time::Instant};

use super::{
    call::CallError,
    opening,
    proof::Credentials,
    refusals::Refusals,
    session::{self, Hello, Session},
    tls,
    transport::Transport,
};

/// Time to connect and prove both ends.
const OPEN: Duration = Duration::from_secs(2);
/// Idle sessions kept for one peer, at most.
const IDLE: usize = 64;
/// Time for which an idle session is kept: well before the peer ends it.
const KEPT: Duration = Duration::from_secs(session::IDLE.as_secs() / 2);

/// Sessions of this process with its peers.
pub(super) struct Pool {
    transport: Arc<dyn Transport>,
    pub(super) credentials: Credentials,
    me: Mutex<Hello>,
    /// Idle sessions by address, the latest last.
    idle: Mutex<HashMap<String, Vec<IdleSession>>>,
    refusals: Refusals,
}

struct IdleSession {
    session: Session,
    since: Instant,
}

impl IdleSession {
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < KEPT
    }
}

impl Pool {
    pub(super) fn new(transport: Arc<dyn Transport>, credentials: Credentials, me: Hello) -> Self {
        // Nobody but the two ends can read the streams of a closed network.
        let credentials = if transport.is_closed() {
            Credentials::none()
        } else {
            credentials
        };

        Self {
            transport,
            credentials,
            me: Mutex::new(me),
            idle: Mutex::default(),
            refusals: Refusals::default(),
        }
    }

    /// The name under which this process opens sessions.
    pub(super) fn me(&self) -> Hello {
        self.me.lock().clone()
    }

    /// Opens sessions under another name from now on; those under the old one are dropped.
    pub(super) fn become_somebody(&self, me: Hello) {
        *self.me.lock() = me;
        self.idle.lock().clear();
    }

    /// Opens a session. If the caller gives up meanwhile, it is kept for the next call.
    pub(super) async fn open(self: &Arc<Self>, address: &str) -> Result<Session, CallError> {
        let pool = self.clone();
        let to = address.to_owned();
        let (sender, opened) = oneshot::channel();

        // In a task of its own, which goes on when the caller is dropped.
        tokio::spawn(async move {
            let me = pool.me();
            let session = pool.open_as(&me, &to).await;
            // A session under a former name would be refused later.
            if let Err(Ok(unclaimed)) = sender.send(session)
                && pool.me() == me
            {
                pool.keep(&to, unclaimed);
            }
        });

        opened.await.unwrap_or_else(|_| {
            Err(CallError::NotSent {
                address: address.to_owned(),
                what: "this node stops".to_owned(),
            })
        })
    }

    async fn open_as(&self, me: &Hello, address: &str) -> Result<Session, CallError> {
        let opening = async {
            let stream = self.transport.connect(address).await?;
            let channel = self.credentials.connect(stream, address).await?;
            opening::open(channel, &self.credentials, me).await
        };
        let opened = match tokio::time::timeout(OPEN, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };

        // Nothing of a call was sent yet, so that it may be made elsewhere.
        opened.map_err(|error| {
            let error = tls::explained(&error);
            self.refusals.log_opened(address, &error);
            CallError::NotSent {
                address: address.to_owned(),
                what: error.to_string(),
            }
        })
    }

    /// Keeps an idle session for the next call.
    pub(super) fn keep(&self, address: &str, session: Session) {
        let mut idle = self.idle.lock();
        let kept = idle.entry(address.to_owned()).or_default();
        kept.retain(IdleSession::is_fresh);
        if kept.len() < IDLE {
            kept.push(IdleSession {
                session,
                since: Instant::now(),
            });
        }
    }

    /// Takes a kept session that can be used. Unusable ones are dropped: the peer closed them, is about
    /// to, or is not the wanted one.
    pub(super) async fn take(
        &self,
        address: &str,
        is_wanted: impl Fn(&Hello) -> bool,
    ) -> Option<Session> {
        loop {
            let mut kept = self.idle.lock().get_mut(address).and_then(Vec::pop)?;
            if is_wanted(&kept.session.peer) && kept.is_fresh() && kept.session.is_idle().await {
                return Some(kept.session);
            }
        }
    }
}
