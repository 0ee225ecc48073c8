//! Log lines about a gateway that fails: the first failure of each kind at once, later ones from time to
//! time, each with the gateway's own words.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::gateway::GatewayOutcome;

/// Time between two log lines about the same kind of failure.
const COMPLAIN: Duration = Duration::from_secs(60);

/// The log's memory of one gateway.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    not_taken: LastLine,
    not_sent: LastLine,
    unsure: LastLine,
    invalid: LastLine,
    halted: LastLine,
}

impl Complaints {
    /// Logs an outcome that is no success, if it is the first of its kind for a while. The words come
    /// without phones and texts.
    pub(super) fn note(
        &self,
        outcome: GatewayOutcome,
        now: Duration,
        words: impl FnOnce() -> Option<String>,
    ) {
        let Some(last) = self.last_line(outcome) else {
            return;
        };
        if last.is_due(now) {
            let words = words().unwrap_or_else(|| "no more is known".to_owned());
            log(outcome, &words);
        }
    }

    /// The last line about outcomes of this kind; `None` for a success.
    fn last_line(&self, outcome: GatewayOutcome) -> Option<&LastLine> {
        match outcome {
            GatewayOutcome::Done => None,
            GatewayOutcome::Invalid => Some(&self.invalid),
            GatewayOutcome::NotTaken { .. } => Some(&self.not_taken),
            GatewayOutcome::NotSent => Some(&self.not_sent),
            GatewayOutcome::Unsure => Some(&self.unsure),
            GatewayOutcome::Halted { .. } => Some(&self.halted),
        }
    }
}

fn log(outcome: GatewayOutcome, words: &str) {
    match outcome {
        GatewayOutcome::Done => {}
        // A refusal is about one message: mostly its phone.
        GatewayOutcome::Invalid => {
            tracing::info!(
                "the gateway refused a message, which is `invalid` now and is not tried again: {words}"
            );
        }

        GatewayOutcome::NotTaken { status, .. } => tracing::warn!(
            http.status = status,
            "the gateway does not take messages: {words}; they are tried again"
        ),
        GatewayOutcome::NotSent => {
            tracing::warn!("a message did not get to the gateway: {words}; it is tried again");
        }
        // A halt itself is a line of its own.
        GatewayOutcome::Halted { .. } => tracing::warn!(
            "the gateway did not take a message: {words}; it is tried again, and the gateway is halted \
             once it answers three messages in a row so"
        ),
        GatewayOutcome::Unsure => tracing::warn!(
            "the gateway leaves open whether it took a message: {words}; the message is unconfirmed, \
             or sent again to a [gateway] that is `idempotent`"
        ),
    }
}

/// The time of the last line of one kind.
#[derive(Debug, Default)]
struct LastLine {
    /// In milliseconds since the machine started; 0 before the first.
    at: AtomicU64,
}

impl LastLine {
    /// True if another line is due; then this one counts as logged.
    fn is_due(&self, now: Duration) -> bool {
        let now = (now.as_millis() as u64).max(1);
        let last = self.at.load(Ordering::Relaxed);
        let is_due = last == 0 || now >= last + COMPLAIN.as_millis() as u64;
        // Of several threads, one logs.
        is_due && self.at.swap(now, Ordering::Relaxed) == last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_each_kind_is_due_at_once_and_the_next_after_a_while() {
        let complaints = Complaints::default();
        let is_due = |outcome, seconds| {
            let last = complaints.last_line(outcome).expect("no success");
            last.is_due(Duration::from_secs(seconds))
        };
        for outcome in [
            GatewayOutcome::Unsure,
            GatewayOutcome::NotSent,
            GatewayOutcome::Invalid,
        ] {
            assert!(is_due(outcome, 0), "{outcome:?}");
            assert!(!is_due(outcome, 59), "{outcome:?}");
            assert!(is_due(outcome, 61), "{outcome:?}");
        }
        assert!(complaints.last_line(GatewayOutcome::Done).is_none());
    }
}
