//! What a gateway may do with a request, and how often it does.

use rand::{Rng, rngs::StdRng};

/// What a gateway does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Takes it and says so.
    Takes,
    /// Takes it and never answers.
    TakesAndHangs,
    /// Never answers.
    Hangs,
    /// Takes it and closes the connection.
    TakesAndResets,
    /// Closes the connection.
    Resets,
    /// Closes the connection before the request.
    Closes,
    /// Takes it, and something in between says 502.
    TakesAndSays502,
    /// Something in between says 502.
    Says502,
    /// Takes it and answers what nobody can read.
    TakesAndRaves,
    /// Takes it and answers with a code that nobody knows.
    TakesAndDoubts,
    /// Says that it is too much, and does not take it.
    Says429,
    /// Says that it cannot now, and does not take it.
    Says503,
    /// Refuses it for good.
    Refuses,
    /// Says that it is too much, does not take it, and wants no request for a while.
    AsksToWait,
    /// Takes it, and says that it cannot now: it contradicts itself, and only its receipts tell the truth.
    TakesAndSays503,
    /// Takes nothing at all, and will not take the next one either.
    HasNoMoney,
    /// Takes nothing with this text.
    ForbidsText,
}

/// Moods that have a share.
pub const MOOD_COUNT: usize = 14;
/// Those of them that any gateway may have. The last one is for gateways that send receipts.
pub const USUAL_MOODS: usize = 13;

/// All moods but the first and those that halt, in the order of their shares.
const MOODS: [Mood; MOOD_COUNT] = [
    Mood::TakesAndHangs,
    Mood::Hangs,
    Mood::TakesAndResets,
    Mood::Resets,
    Mood::Closes,
    Mood::TakesAndSays502,
    Mood::Says502,
    Mood::TakesAndRaves,
    Mood::TakesAndDoubts,
    Mood::Says429,
    Mood::Says503,
    Mood::Refuses,
    Mood::AsksToWait,
    Mood::TakesAndSays503,
];

impl Mood {
    /// True for a clear answer that does not take the message.
    pub fn declines(self) -> bool {
        use Mood::{AsksToWait, Refuses, Says429, Says503};
        self.halts() || matches!(self, AsksToWait | Refuses | Says429 | Says503)
    }

    /// True for an answer that halts. None has a share: spans of the plan decide when they come.
    pub fn halts(self) -> bool {
        matches!(self, Mood::HasNoMoney | Mood::ForbidsText)
    }

    /// Whether the message is taken.
    pub fn takes(self) -> bool {
        use Mood::{
            Takes, TakesAndDoubts, TakesAndHangs, TakesAndRaves, TakesAndResets, TakesAndSays502,
            TakesAndSays503,
        };
        matches!(
            self,
            Takes
                | TakesAndHangs
                | TakesAndResets
                | TakesAndSays502
                | TakesAndRaves
                | TakesAndDoubts
                | TakesAndSays503
        )
    }
}

/// How a gateway behaves for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayMix {
    /// How often each mood comes, of a thousand requests; the rest is taken.
    pub shares: [u32; MOOD_COUNT],
    /// How long an answer takes.
    pub latency_ms: (u64, u64),
}

impl GatewayMix {
    /// One that does one thing now and then, and answers quickly.
    pub fn only(mood: Mood, per_mille: u32) -> Self {
        let shares = MOODS.map(|other| if other == mood { per_mille } else { 0 });
        Self {
            shares,
            latency_ms: (1, 1),
        }
    }

    /// One that does another thing now and then, too.
    pub fn and(self, mood: Mood, per_mille: u32) -> Self {
        let other = Self::only(mood, per_mille);
        let shares = std::array::from_fn(|at| self.shares[at] + other.shares[at]);
        Self { shares, ..self }
    }

    /// How often a mood comes, of a thousand.
    pub fn of(&self, mood: Mood) -> u32 {
        MOODS
            .iter()
            .position(|other| *other == mood)
            .map_or(0, |at| self.shares[at])
    }

    /// Draws a mood. Connections that are closed before the request are no answer to it.
    pub fn draw(&self, rng: &mut StdRng) -> Mood {
        let mut drawn = rng.random_range(0..1_000);
        for (mood, share) in MOODS.into_iter().zip(self.shares) {
            if mood == Mood::Closes {
                continue;
            }
            if drawn < share {
                return mood;
            }
            drawn -= share;
        }
        Mood::Takes
    }
}
