//! Receipts of the gateway: of what it took it tells the truth, early or late, twice, out of order, and
//! to any node, until it gets an answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use hyper::{HeaderMap, Method};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use super::http::{Ask, Got, Lost, ask};
use crate::{event::Event, plan::PUBLIC_URL, stage::Stage};

/// The part of the gateway that reports.
pub(super) struct Reporter {
    stage: Arc<Stage>,
    rng: Mutex<StdRng>,
    /// Receipts without an answer after which they do not come again.
    waiting: AtomicUsize,
}

impl Reporter {
    pub(super) fn new(stage: Arc<Stage>) -> Arc<Self> {
        let rng = StdRng::seed_from_u64(stage.plan.seed ^ 0x7265_6370);
        Arc::new(Self {
            stage,
            rng: Mutex::new(rng),
            waiting: AtomicUsize::new(0),
        })
    }

    /// True if each receipt had its answer. A healed cluster answers all.
    pub(super) fn has_reported(&self) -> bool {
        self.waiting.load(Relaxed) == 0
    }

    /// Reports of a message that was taken, to the path that its request named.
    pub(super) fn report(self: &Arc<Self>, id: u64, path: &str) {
        for (pause_ms, status) in self.draw() {
            let path = format!("{path}&status={status}");
            let reporter = self.clone();
            self.waiting.fetch_add(1, Relaxed);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                reporter.insist(id, status, path).await;
                reporter.waiting.fetch_sub(1, Relaxed);
            });
        }
    }

    /// The reports of one message, each after so many milliseconds: some receipts come before the
    /// answer to the message.
    fn draw(&self) -> Vec<(u64, &'static str)> {
        let rng = &mut *self.rng.lock();
        let mut drawn = Vec::new();
        if rng.random_ratio(1, 3) {
            drawn.push((rng.random_range(0..300), "sent"));
        }
        let end = if rng.random_ratio(1, 4) {
            "undelivered"
        } else {
            "delivered"
        };
        drawn.push((rng.random_range(0..6_000), end));
        if rng.random_ratio(1, 5) {
            drawn.push((rng.random_range(0..9_000), end));
        }
        if rng.random_ratio(1, 10) {
            drawn.push((rng.random_range(0..9_000), "delivered"));
        }
        drawn
    }

    async fn insist(&self, id: u64, status: &'static str, path: String) {
        let what = Ask {
            method: Method::GET,
            path,
            body: None,
            key: None,
        };
        loop {
            let nodes = self.stage.plan.nodes;
            let node = self.rng.lock().random_range(0..nodes);
            let answer = ask(&format!("notty-{node}"), "", &what).await;
            if let Some(answer) = final_answer(answer) {
                self.stage
                    .tell(&Event::ReceiptAnswered { id, status, answer });
                return;
            }
            let pause_ms = self.rng.lock().random_range(100..1_500);
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
    }
}

/// The status of an answer after which the receipt does not come again.
fn final_answer(answer: Result<Got, Lost>) -> Option<u16> {
    let status = answer.ok()?.status;
    (status.is_success() || status.is_client_error()).then(|| status.as_u16())
}

/// The path to which a request wants receipts, if it does.
pub(super) fn path_of(headers: &HeaderMap) -> Option<String> {
    let url = headers.get("notty-receipt-url")?.to_str().ok()?;
    url.strip_prefix(PUBLIC_URL).map(str::to_owned)
}

/// The same of a request that is made by a profile.
pub(super) fn path_in(body: &Value) -> Option<String> {
    let url = body["receipt_url"].as_str()?;
    url.strip_prefix(PUBLIC_URL).map(str::to_owned)
}
