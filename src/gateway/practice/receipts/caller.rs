//! Calls with receipts: made one after the other for each message, and again where they fail.
//!
//! A call that fails is one without an answer, or with an answer that leaves hope: then providers try
//! again a few times, with longer and longer pauses, and at last give up.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::StatusCode;
use notty_storage::model::ReceiptState;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use super::{
    round::{ReceiptRound, RoundCall},
    tally::PracticeReceipts,
};
use crate::gateway::profile::{FilledReceipt, receipts::ReceiptReply};

/// Calls in flight, at most: each needs a file.
pub(in crate::gateway) const CALLS: usize = 32;
/// Messages whose receipts wait, at most; the receipts of any others are given up.
const WAITING: usize = 200_000;
/// Tries of one call, at most.
const TRIES: u32 = 5;
/// Time limit of a call.
const ANSWER: Duration = Duration::from_secs(10);
/// The longest time that the answer to a request waits for the receipt before it.
const EARLY: Duration = Duration::from_secs(2);

/// Makes the calls, and counts them.
pub(in crate::gateway::practice) struct PracticeCaller {
    client: OnceLock<reqwest::Client>,
    calls: Semaphore,
    waiting: Semaphore,
    counts: Mutex<PracticeReceipts>,
    last_fault: Mutex<String>,
}

/// The end of one call.
enum CallEnd {
    /// It was answered as the provider wants.
    Noted,
    /// It makes no sense to try again.
    Refused(String),
    /// It may go better another time.
    Failed(String),
}

impl Default for PracticeCaller {
    fn default() -> Self {
        Self {
            client: OnceLock::new(),
            calls: Semaphore::new(CALLS),
            waiting: Semaphore::new(WAITING),
            counts: Mutex::default(),
            last_fault: Mutex::default(),
        }
    }
}

impl PracticeCaller {
    /// Totals up to now.
    pub(in crate::gateway::practice) fn counts(&self) -> PracticeReceipts {
        *self.counts.lock()
    }

    /// Sends the receipts of a message, and returns at once.
    pub(in crate::gateway::practice) fn begin(self: &Arc<Self>, round: ReceiptRound) {
        tokio::spawn(self.clone().send(round, None));
    }

    /// Sends the receipts of a message, and waits a little for the first one.
    pub(in crate::gateway::practice) async fn begin_early(self: &Arc<Self>, round: ReceiptRound) {
        let (first, came) = oneshot::channel();
        tokio::spawn(self.clone().send(round, Some(first)));
        // The request waits for its answer meanwhile: a receiver that is down must not hold it for long.
        let _ = tokio::time::timeout(EARLY, came).await;
    }

    async fn send(self: Arc<Self>, round: ReceiptRound, mut first: Option<oneshot::Sender<()>>) {
        if round.calls.is_empty() {
            self.count(|counts| counts.lost += 1);
            return;
        }

        let Ok(_waiting) = self.waiting.try_acquire() else {
            return self.give_up("too many receipts wait already");
        };

        let mut told = Vec::new();
        for call in &round.calls {
            tokio::time::sleep(call.after).await;
            if self.call(&round, call).await {
                told.push(call.state);
            }
            // The answer to the message waits for an early receipt, and no longer.
            if let Some(first) = first.take() {
                let _ = first.send(());
            }
        }
        self.count_message(&told);
    }

    /// Makes one call, again and again if need be; true if it was answered well.
    async fn call(&self, round: &ReceiptRound, call: &RoundCall) -> bool {
        self.count(|counts| counts.sent += 1);
        let mut fault = String::new();
        for n in 0..TRIES {
            // Each pause is twice as long as the one before.
            if n > 0 {
                self.count(|counts| counts.repeated += 1);
                tokio::time::sleep(round.again * 2_u32.pow(n - 1)).await;
            }

            match self.try_once(round, &call.filled).await {
                CallEnd::Noted => {
                    self.count(|counts| counts.noted += 1);
                    return true;
                }
                CallEnd::Failed(why) => fault = why,
                CallEnd::Refused(why) => {
                    self.give_up(&why);
                    return false;
                }
            }
        }

        self.give_up(&fault);
        false
    }

    async fn try_once(&self, round: &ReceiptRound, filled: &FilledReceipt) -> CallEnd {
        let _slot = self.calls.acquire().await;
        let url = with_query(&round.url, &filled.query);
        let request = self
            .client()
            .request(filled.method.clone(), url)
            .headers(filled.headers.clone())
            .body(filled.body.clone());
        match request.send().await {
            Ok(answer) => judged(answer, &round.wanted).await,
            // An address that is none will be none at the next try.
            Err(error) if error.is_builder() => CallEnd::Refused(shown(error)),
            Err(error) => CallEnd::Failed(shown(error)),
        }
    }

    fn client(&self) -> &reqwest::Client {
        self.client.get_or_init(|| {
            // A process that runs no command line has none yet.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let builder = reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .timeout(ANSWER);
            builder.build().expect("a client needs no file")
        })
    }

    fn count(&self, add: impl FnOnce(&mut PracticeReceipts)) {
        add(&mut self.counts.lock());
    }

    /// Counts a message by the receipts that were answered well: delivered is never taken back.
    fn count_message(&self, told: &[ReceiptState]) {
        if told.contains(&ReceiptState::Delivered) {
            self.count(|counts| counts.delivered += 1);
        } else if told.contains(&ReceiptState::Undelivered) {
            self.count(|counts| counts.undelivered += 1);
        }
    }

    fn give_up(&self, why: &str) {
        self.count(|counts| counts.given_up += 1);
        // A receiver that is down can bring the same a million times.
        let mut last = self.last_fault.lock();
        if *last != why {
            why.clone_into(&mut last);
            tracing::warn!("a receipt was given up: {why}");
        }
    }
}

/// The meaning of an answer to a call.
async fn judged(answer: reqwest::Response, wanted: &ReceiptReply) -> CallEnd {
    let status = answer.status();
    let body = match answer.text().await {
        Ok(body) => body,
        Err(error) => return CallEnd::Failed(shown(error)),
    };

    // Some faults pass by themselves. The others would only be repeated.
    if !status.is_success() {
        let why = format!("it was answered {status}");
        return if is_hopeful(status) {
            CallEnd::Failed(why)
        } else {
            CallEnd::Refused(why)
        };
    }

    if wanted.body.is_empty() || body.trim() == wanted.body {
        return CallEnd::Noted;
    }
    let wanted = &wanted.body;
    CallEnd::Failed(format!(
        "it was answered {status} without the body `{wanted}`, which this provider wants"
    ))
}

/// True if the same call may be answered well another time.
fn is_hopeful(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 413 | 425 | 429)
}

/// An error without the address, which has a key in it.
fn shown(error: reqwest::Error) -> String {
    let mut shown = "it got no answer".to_owned();
    let error = error.without_url();
    let mut source: Option<&dyn std::error::Error> = Some(&error);
    while let Some(cause) = source {
        shown.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    shown
}

/// An address with more fields in its query.
fn with_query(url: &str, more: &str) -> String {
    let sign = match url.split_once('?') {
        _ if more.is_empty() => "",
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{url}{sign}{more}")
}

#[cfg(test)]
mod tests {
    use super::with_query;

    #[test]
    fn fields_are_added_to_the_query_that_an_address_has() {
        for (url, more, wanted) in [
            ("http://a/r", "s=1", "http://a/r?s=1"),
            ("http://a/r?", "s=1", "http://a/r?s=1"),
            ("http://a/r?k=1", "s=1", "http://a/r?k=1&s=1"),
            ("http://a/r?k=1", "", "http://a/r?k=1"),
        ] {
            assert_eq!(with_query(url, more), wanted);
        }
    }
}
