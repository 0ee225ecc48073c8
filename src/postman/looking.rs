//! Looks at the cluster: pauses, ends, deletions, and the leader's clock (rule 8).

use std::time::Duration;

use notty_storage::Timestamp;

/// Time between two looks at the cluster.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// Difference between the clocks of leader and postman from which on nothing is sent, in milliseconds.
const CLOCKS_MS: i64 = 2_000;

/// The call that is under way, or the time of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looking {
    /// The next look comes after a time.
    Resting { until: Duration },
    /// A look is under way.
    Looks,
}

impl Default for Looking {
    fn default() -> Self {
        Self::Resting {
            until: Duration::ZERO,
        }
    }
}

impl Looking {
    /// The time of the next look; `None` while one is under way.
    pub(super) fn due(self) -> Option<Duration> {
        match self {
            Self::Resting { until } => Some(until),
            Self::Looks => None,
        }
    }

    /// Looks as soon as possible. A look that is under way goes on.
    pub(super) fn hurry(&mut self, now: Duration) {
        if let Self::Resting { until } = self {
            *until = now;
        }
    }

    /// Notes the end of a look that was begun at a time.
    pub(super) fn looked(&mut self, asked_at: Duration) {
        *self = Self::Resting {
            until: asked_at + LOOK,
        };
    }
}

/// The clocks of leader and postman, compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClockCheck {
    /// They are close enough to send.
    Agree,
    /// They are so many milliseconds apart, at least.
    Apart { ms: i64 },
    /// The leader does not trust its own clock.
    LeaderInDoubt,
}

/// Compares the clocks; the answer came some time after the question, and the leader's clock was read
/// in between.
pub(super) fn compare_clocks(leader: Timestamp, wall: Timestamp, took: Duration) -> ClockCheck {
    let ms = wall.since(leader).abs() - took.as_millis() as i64;
    if ms <= CLOCKS_MS {
        ClockCheck::Agree
    } else if leader == Timestamp::default() {
        ClockCheck::LeaderInDoubt
    } else {
        ClockCheck::Apart { ms }
    }
}

impl ClockCheck {
    /// Logs a result that differs from the one before.
    pub(super) fn tell(self) {
        match self {
            Self::Agree => tracing::info!("the clocks of leader and postman agree again"),
            Self::LeaderInDoubt => tracing::error!(
                "the leader's clock is more than 2 s from most nodes', or was not compared with \
                 them yet: nothing is sent until they agree; look at the clock of the leader"
            ),
            Self::Apart { ms } => tracing::error!(
                apart_ms = ms,
                "the clocks of leader and postman are more than 2 s apart: nothing is sent until they \
                 agree"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_agree_within_two_seconds_and_the_time_of_the_call() {
        let leader = Timestamp::from_millis(1_700_000_000_000);
        let check = |apart: i64, took| {
            compare_clocks(
                leader,
                leader.plus_millis(apart),
                Duration::from_millis(took),
            )
        };
        for apart in [-2_000, 0, 2_000] {
            assert_eq!(check(apart, 0), ClockCheck::Agree);
        }
        for apart in [-2_001, 2_001] {
            assert_eq!(check(apart, 0), ClockCheck::Apart { ms: 2_001 });
        }
        assert_eq!(check(2_300, 300), ClockCheck::Agree);
        assert_eq!(check(2_301, 300), ClockCheck::Apart { ms: 2_001 });
        let nobody = compare_clocks(Timestamp::default(), leader, Duration::ZERO);
        assert_eq!(nobody, ClockCheck::LeaderInDoubt);
    }

    #[test]
    fn a_hurry_shortens_the_rest_and_not_a_look_that_is_under_way() {
        let second = Duration::from_secs(1);
        let mut looking = Looking::default();
        looking.looked(second);
        assert_eq!(looking.due(), Some(second + LOOK));
        looking.hurry(second);
        assert_eq!(looking.due(), Some(second));
        looking = Looking::Looks;
        looking.hurry(second);
        assert_eq!(looking.due(), None);
    }
}
