//! Two leaders that hold proposals reach nothing that commands committed at once do not, and miss
//! nothing. So the worlds without leaders stand for those with them.

use std::collections::HashSet;

use notty_model::{Bounds, Closing, Rules, State, TokenModel, state::LEADERS};
use stateright::{Model, Representative};

/// Every state that can be reached, without what leaders hold.
fn reachable(bounds: Bounds) -> HashSet<State> {
    let model = TokenModel {
        rules: Rules::ALL,
        bounds,
    };
    let mut waiting = model.init_states();
    let mut seen: HashSet<State> = waiting.iter().copied().collect();
    while let Some(state) = waiting.pop() {
        let next = model
            .next_states(&state)
            .into_iter()
            .map(|next| next.representative());
        waiting.extend(next.filter(|next| seen.insert(*next)));
    }
    let without = |state: State| {
        State {
            leaders: [None; LEADERS],
            ..state
        }
        .representative()
    };
    seen.into_iter().map(without).collect()
}

fn same_with_and_without_leaders(bounds: Bounds) {
    let with = reachable(Bounds {
        leaders: true,
        ..bounds.clone()
    });
    let without = reachable(bounds);
    assert!(
        with.len() > 1_000,
        "a world of {} states shows nothing",
        with.len()
    );
    assert!(
        with == without,
        "{} states with leaders, {} without",
        with.len(),
        without.len()
    );
}

#[test]
fn leaders_add_no_state_to_one_attempt_of_two_messages() {
    same_with_and_without_leaders(Bounds {
        attempts: [1, 1],
        ..Bounds::default()
    });
}

#[test]
fn leaders_add_no_state_to_a_crash_and_a_cancellation() {
    let closings = &[Closing::Cancel];
    let bounds = Bounds {
        attempts: [2, 0],
        crashes: [1, 0],
        closings,
        ..Bounds::default()
    };
    same_with_and_without_leaders(bounds);
}
