//! Pauses before another try: they double, vary a little, and heed the gateway's wish.

use std::time::Duration;

use notty_storage::{model::SendResult, rules};

use super::pause::{LONGEST, wish};
use crate::gateway::GatewayOutcome;

/// Parts of a pause that it may be longer by, in hundredths: messages that failed together do not
/// all come back together, and still share a few pauses, so that a report stays small.
const JITTER: [u64; 8] = [0, 4, 8, 12, 16, 20, 24, 28];

/// Pauses between tries, and the meaning of an unsure outcome.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// The pause after the first try, in milliseconds.
    pub initial_ms: u64,
    /// The longest pause, in milliseconds.
    pub max_ms: u64,
    /// The longest pause of one message that its gateway asks for, in milliseconds.
    pub wish_ms: u64,
    /// For how long after the first doubtful try an idempotent gateway may get the id again, in
    /// milliseconds: half of its memory. `None`: it is not idempotent.
    pub repeat_ms: Option<u64>,
}

impl RetryPolicy {
    /// The result of an outcome, after a number of tries before.
    pub fn result(&self, outcome: GatewayOutcome, tries: u16) -> SendResult {
        // Drawn only where a pause is needed: nearly all messages are done.
        let pause_ms = || self.pause_ms(tries, rand::random_range(0..JITTER.len()));

        match outcome {
            GatewayOutcome::Done => SendResult::Done,
            GatewayOutcome::Invalid => SendResult::Invalid,
            GatewayOutcome::NotTaken { retry_after, .. } => SendResult::NotTaken {
                pause_ms: pause_ms().max(self.wish_ms(outcome, retry_after)),
            },
            // Certainly not taken, and no fault of the message: it was no try.
            GatewayOutcome::Halted { .. } => rules::report_of_halt(pause_ms),
            GatewayOutcome::NotSent => SendResult::NotSent {
                pause_ms: pause_ms(),
            },

            // The gateway may have it: again only if it recognizes repeats.
            GatewayOutcome::Unsure => rules::report_of_unsure(pause_ms, self.repeat_ms),
        }
    }

    /// The result of a message that was certainly not taken, after a number of tries before.
    pub(super) fn not_taken(&self, tries: u16) -> SendResult {
        let jitter = rand::random_range(0..JITTER.len());
        SendResult::NotTaken {
            pause_ms: self.pause_ms(tries, jitter),
        }
    }

    /// The pause that the gateway asked for. One that speaks of the whole gateway holds for this message
    /// too, however short the longest pause of a message is.
    fn wish_ms(&self, outcome: GatewayOutcome, retry_after: Option<Duration>) -> u64 {
        match (wish(outcome), retry_after) {
            (Some(wish), _) => wish.min(LONGEST).as_millis() as u64,
            (None, Some(wish)) => wish.min(Duration::from_millis(self.wish_ms)).as_millis() as u64,
            (None, None) => 0,
        }
    }

    fn pause_ms(&self, tries: u16, jitter: usize) -> u64 {
        let doubled = self.initial_ms.saturating_mul(1 << tries.min(32));
        let longer = doubled.saturating_mul(100 + JITTER[jitter]) / 100;
        longer.min(self.max_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::LaterScope;

    const POLICY: RetryPolicy = RetryPolicy {
        initial_ms: 1_000,
        max_ms: 300_000,
        wish_ms: 600_000,
        repeat_ms: None,
    };

    #[test]
    fn pauses_double_and_have_an_end() {
        let pauses: Vec<_> = (0..12).map(|tries| POLICY.pause_ms(tries, 0)).collect();
        assert_eq!(pauses[..4], [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(pauses[11], 300_000);
        assert_eq!(POLICY.pause_ms(0, 7), 1_280);
    }

    #[test]
    fn the_gateways_wish_is_heeded_within_the_longest_pause() {
        let paused_ms = |scope, seconds| {
            let outcome = GatewayOutcome::NotTaken {
                status: 500,
                retry_after: Some(Duration::from_secs(seconds)),
                scope,
            };
            match POLICY.result(outcome, 0) {
                SendResult::NotTaken { pause_ms } => pause_ms,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(paused_ms(LaterScope::Message, 60), 60_000);
        assert_eq!(paused_ms(LaterScope::Message, 86_400), 600_000);
        // A pause of the whole gateway is longer than that of a message may be.
        assert_eq!(paused_ms(LaterScope::Gateway, 60), 60_000);
        assert_eq!(paused_ms(LaterScope::Gateway, 1_200), 1_200_000);
        assert_eq!(paused_ms(LaterScope::Gateway, 86_400), 3_600_000);
    }

    #[test]
    fn unsure_is_repeated_only_at_an_idempotent_gateway() {
        assert_eq!(POLICY.result(GatewayOutcome::Unsure, 0), SendResult::Unsure);
        let idempotent = RetryPolicy {
            repeat_ms: Some(5),
            ..POLICY
        };
        let result = idempotent.result(GatewayOutcome::Unsure, 0);
        assert!(matches!(
            result,
            SendResult::UnsureRepeatable { repeat_ms: 5, .. }
        ));
    }
}
