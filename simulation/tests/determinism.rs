//! One seed is one history.

use crate::passes;

/// With the state in memory, on sled, and with a node taken in.
#[test]
fn a_seed_gives_the_same_history_twice() {
    for seed in ["3", SLED, JOINS] {
        let told = passes(&["twice", "--seed", seed]);
        assert!(told.contains("the same twice"), "{told}");
    }
}

/// A seed whose state lies on sled.
const SLED: &str = "23";
/// A seed with a change of members.
const JOINS: &str = "5";

#[test]
fn the_seeds_above_are_of_the_kinds_that_they_stand_for() {
    use notty_simulation::{faults::Fault, plan::Plan};
    let plan = |seed: &str| Plan::of(seed.parse().expect("a number"));
    assert!(plan(SLED).sled);
    let joins = |(_, fault): &(u64, Fault)| matches!(fault, Fault::Join { .. });
    assert!(plan(JOINS).faults.iter().any(joins));
}
