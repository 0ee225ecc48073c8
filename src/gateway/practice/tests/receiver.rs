//! A receiver of receipts: notes each call, and answers as a test wants.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Far longer than anything takes here.
const SOON: Duration = Duration::from_secs(60);

/// One call as it came.
#[derive(Clone, Debug)]
pub(super) struct NotedCall {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) at: Instant,
}

/// Status and body of an answer.
pub(super) type Reply = (u16, String);

/// A receiver that runs until the test ends.
#[derive(Clone, Default)]
pub(super) struct Receiver {
    calls: Arc<Mutex<Vec<NotedCall>>>,
    /// Answers to the next calls; the last one stays.
    replies: Arc<Mutex<VecDeque<Reply>>>,
    came: Arc<Notify>,
}

impl Receiver {
    /// One that answers so, in order; and its address.
    pub(super) async fn start(replies: &[(u16, &str)]) -> (Self, SocketAddr) {
        let receiver = Self::default();
        let replies = replies
            .iter()
            .map(|(status, body)| (*status, (*body).to_owned()));
        receiver.replies.lock().extend(replies);

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, address)
    }

    /// The calls once there are so many.
    pub(super) async fn calls(&self, count: usize) -> Vec<NotedCall> {
        let all = async {
            loop {
                let came = self.came.notified();
                let calls = self.calls.lock().clone();
                if calls.len() >= count {
                    return calls;
                }
                came.await;
            }
        };
        let calls = tokio::time::timeout(SOON, all).await;
        calls.unwrap_or_else(|_| panic!("{count} calls, and not {:?}", self.calls.lock()))
    }

    fn next_reply(&self) -> Reply {
        let mut replies = self.replies.lock();
        let next = if replies.len() > 1 {
            replies.pop_front()
        } else {
            replies.front().cloned()
        };
        next.unwrap_or((204, String::new()))
    }
}

async fn take(State(receiver): State<Receiver>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    receiver.calls.lock().push(NotedCall {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
        at: Instant::now(),
    });
    receiver.came.notify_waiters();

    let (status, body) = receiver.next_reply();
    let answer = Response::builder().status(status).body(Body::from(body));
    answer.expect("an answer")
}
