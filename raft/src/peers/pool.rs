//! Sessions with peers: opened, and kept while they are idle.
//!
//! Opening takes several round trips. A call that is given up meanwhile (openraft waits 150 ms for an
//! answer) must not throw them away, or over a slow network none would ever be open: what it was
//! opening is kept for the next call.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::oneshot, time::Instant};

use super::{
    call::CallError,
    proof::Credentials,
    refusals::Refusals,
    session::{self, Hello, Session},
    tls,
    transport::Transport,
};

/// How long connecting and proving both ends may take.
const OPEN: Duration = Duration::from_secs(2);
/// Idle sessions kept for one peer.
const IDLE: usize = 64;
/// For how long an idle session is kept.
const KEPT: Duration = Duration::from_secs(session::IDLE.as_secs() / 2);

/// Sessions with peers.
pub(super) struct Pool {
    transport: Arc<dyn Transport>,
    pub(super) credentials: Credentials,
    me: Mutex<Hello>,
    idle: Mutex<HashMap<String, Vec<(Session, Instant)>>>,
    refusals: Refusals,
}

impl Pool {
    pub(super) fn new(transport: Arc<dyn Transport>, credentials: Credentials, me: Hello) -> Self {
        let credentials = if transport.is_closed() {
            Credentials::none()
        } else {
            credentials
        };
        let (me, idle, refusals) = (Mutex::new(me), Mutex::default(), Refusals::default());
        Self {
            transport,
            credentials,
            me,
            idle,
            refusals,
        }
    }

    /// Who this process says it is.
    pub(super) fn me(&self) -> Hello {
        self.me.lock().clone()
    }

    /// From now on it says something else.
    pub(super) fn become_somebody(&self, me: Hello) {
        *self.me.lock() = me;
        self.idle.lock().clear();
    }

    /// Opens a session. Where nobody waits for it any more, it is kept for the next call.
    pub(super) async fn open(self: &Arc<Self>, address: &str) -> Result<Session, CallError> {
        let (pool, to) = (self.clone(), address.to_owned());
        let (sender, opened) = oneshot::channel();
        tokio::spawn(async move {
            let me = pool.me();
            let opened = pool.open_as(&me, &to).await;
            // One under the name that this process had before would be worth nothing.
            if let Err(Ok(session)) = sender.send(opened)
                && pool.me() == me
            {
                pool.keep(&to, session);
            }
        });
        opened.await.unwrap_or_else(|_| {
            let (address, what) = (address.to_owned(), "this node stops".to_owned());
            Err(CallError::NotSent { address, what })
        })
    }

    async fn open_as(&self, me: &Hello, address: &str) -> Result<Session, CallError> {
        let opening = async {
            let stream = self.transport.connect(address).await?;
            let channel = self.credentials.connect(stream, address).await?;
            Session::open(channel, &self.credentials, me).await
        };
        let late = || Err(io::ErrorKind::TimedOut.into());
        let opened = tokio::time::timeout(OPEN, opening)
            .await
            .unwrap_or_else(|_| late());
        opened.map_err(|error| {
            let error = tls::explained(&error);
            self.refusals.tell_opened(address, &error);
            CallError::NotSent {
                address: address.to_owned(),
                what: error.to_string(),
            }
        })
    }

    /// Keeps a session that is idle.
    pub(super) fn keep(&self, address: &str, session: Session) {
        let mut idle = self.idle.lock();
        let kept = idle.entry(address.to_owned()).or_default();
        kept.retain(|(_, since)| since.elapsed() < KEPT);
        if kept.len() < IDLE {
            kept.push((session, Instant::now()));
        }
    }

    /// Takes one that is kept and can be used. Others are dropped: the peer closed them meanwhile, is
    /// about to, or is another than is wanted.
    pub(super) async fn take(
        &self,
        address: &str,
        is_wanted: impl Fn(&Hello) -> bool,
    ) -> Option<Session> {
        loop {
            let (mut session, since) = self.idle.lock().get_mut(address).and_then(Vec::pop)?;
            if is_wanted(&session.peer) && since.elapsed() < KEPT && session.is_idle().await {
                return Some(session);
            }
        }
    }
}
