//! Random choices from one seed. Each actor of each round has dice of its own, so that the speed of
//! one does not change what the others choose.

use std::ops::Range;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// A source of choices.
pub struct Dice(StdRng);

impl Dice {
    /// The dice of one actor in one round.
    pub fn new(seed: u64, round: u64, actor: u64) -> Self {
        Self(StdRng::seed_from_u64(mix(seed, mix(round, actor))))
    }

    /// True in so many of a thousand cases.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.0.random_range(0..1_000) < per_mille
    }

    pub fn draw(&mut self, range: Range<u64>) -> u64 {
        self.0.random_range(range)
    }

    pub fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items
            .choose(&mut self.0)
            .expect("the lists of this program have items")
            .clone()
    }

    /// One of the items, by weight.
    pub fn weigh<T: Clone>(&mut self, items: &[(u32, T)]) -> T {
        let item = items.choose_weighted(&mut self.0, |(weight, _)| *weight);
        item.expect("the lists of this program have weights")
            .1
            .clone()
    }
}

/// A number that looks random but is the same for the same two numbers (splitmix64).
pub fn mix(a: u64, b: u64) -> u64 {
    let mut x = a.wrapping_mul(0xd6e8_feb8_6659_fd93).wrapping_add(b);
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
