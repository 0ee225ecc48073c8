//! The worlds that are checked, each for the sake of one part of the protocol.
//!
//! One world with everything would have too many states, and most parts do not meet: what two
//! messages have in common is who holds them and whether the mailing is over.

use std::{fmt, time::Instant};

use stateright::{Checker, DiscoveryClassification, Expectation, HasDiscoveries, Model};

use crate::{Action, Bounds, Closing, Rules, State, TokenModel};

/// A world with a name.
#[derive(Clone, Debug)]
pub struct World {
    /// What it is about.
    pub name: &'static str,
    /// What there is.
    pub bounds: Bounds,
}

/// What came of going through a world.
pub struct Outcome {
    /// What it is about.
    name: &'static str,
    /// Different states.
    pub states: usize,
    /// Steps between them.
    steps: usize,
    seconds: f32,
    /// Properties that must always hold and do not, each with a history.
    pub violated: Vec<(&'static str, Vec<Action>)>,
    /// Properties that must be reachable and are not.
    pub unreached: Vec<&'static str>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            states,
            steps,
            seconds,
            ..
        } = self;
        write!(f, "{name}: {states} states, {steps} steps, {seconds:.1} s")?;
        for (property, history) in &self.violated {
            write!(f, "\n  violated: {property}")?;
            history
                .iter()
                .try_for_each(|action| write!(f, "\n    {action:?}"))?;
        }
        self.unreached
            .iter()
            .try_for_each(|property| write!(f, "\n  never reached: {property}"))
    }
}

impl World {
    /// Goes through all of it, under all rules.
    pub fn go_through(&self) -> Outcome {
        let began = Instant::now();
        let model = TokenModel {
            rules: Rules::ALL,
            bounds: self.bounds.clone(),
        };
        let checker = model.checker().threads(2).symmetry().spawn_dfs().join();
        let found = checker.discoveries();
        let reached = |name: &str| found.contains_key(name);
        let unreached = checker.model().properties().into_iter().filter(|property| {
            property.expectation == Expectation::Sometimes && !reached(property.name)
        });
        let unreached = unreached.map(|property| property.name).collect();
        let violated = found.into_iter().filter(|(name, _)| {
            let class = checker.discovery_classification(name);
            matches!(class, DiscoveryClassification::Counterexample)
        });
        let violated = violated
            .map(|(name, path)| (name, path.into_actions()))
            .collect();
        Outcome {
            name: self.name,
            states: checker.unique_state_count(),
            steps: checker.state_count(),
            seconds: began.elapsed().as_secs_f32(),
            violated,
            unreached,
        }
    }

    /// A short history that violates a property under some rules, if there is one.
    pub fn violate(&self, rules: Rules, property: &'static str) -> Option<Vec<Action>> {
        let model = TokenModel {
            rules,
            bounds: self.bounds.clone(),
        };
        let wanted = HasDiscoveries::AllOf([property].into());
        let checker = model.checker().finish_when(wanted).spawn_bfs().join();
        let path = checker.discovery(property)?;
        // The search is by blocks of states, so the history may go on after the violation.
        let condition = checker.model().property(property).condition;
        let whole = |(state, _): &(State, Option<Action>)| condition(checker.model(), state);
        let steps = path.into_vec().into_iter().take_while(whole);
        Some(steps.filter_map(|(_, action)| action).collect())
    }
}

/// Two postmen of different names.
pub fn two_postmen() -> World {
    World {
        name: "two postmen",
        bounds: Bounds::default(),
    }
}

/// What an old report can do needs a third attempt.
pub fn three_attempts() -> World {
    World {
        name: "three attempts",
        bounds: Bounds {
            attempts: [3, 1],
            ..Bounds::default()
        },
    }
}

/// A deposed leader acts beside the new one.
pub fn two_leaders() -> World {
    let bounds = Bounds {
        attempts: [2, 1],
        leaders: true,
        ..Bounds::default()
    };
    World {
        name: "two leaders",
        bounds,
    }
}

/// The mailing is cancelled or ends, and customers are deleted.
pub fn closing() -> World {
    let closings = &[Closing::Cancel, Closing::End, Closing::Delete];
    let bounds = Bounds {
        attempts: [2, 1],
        closings,
        ..Bounds::default()
    };
    World {
        name: "closing",
        bounds,
    }
}

/// A gateway that takes nothing twice.
pub fn idempotent() -> World {
    World {
        name: "idempotent gateway",
        bounds: Bounds {
            idempotent: true,
            ..Bounds::default()
        },
    }
}

/// The same, and the mailing ends.
pub fn idempotent_closing() -> World {
    let closings = &[Closing::End];
    let bounds = Bounds {
        attempts: [2, 1],
        idempotent: true,
        closings,
        ..Bounds::default()
    };
    World {
        name: "idempotent gateway, and the mailing ends",
        bounds,
    }
}

/// A postman crashes at any step and starts again, with its journal or without.
pub fn crash() -> World {
    let bounds = Bounds {
        attempts: [2, 1],
        crashes: [1, 0],
        ..Bounds::default()
    };
    World {
        name: "a postman crashes",
        bounds,
    }
}

/// A second postman of the same name starts while the first works.
pub fn one_name() -> World {
    World {
        name: "one name",
        bounds: Bounds {
            one_name: true,
            ..Bounds::default()
        },
    }
}

/// The same, and the first crashes and starts again.
pub fn one_name_crash() -> World {
    let bounds = Bounds {
        attempts: [2, 1],
        one_name: true,
        crashes: [1, 0],
        ..Bounds::default()
    };
    World {
        name: "one name, and one of them crashes",
        bounds,
    }
}

/// A proposer repeats a command whose answer it did not get, and both postmen crash.
pub fn repeats() -> World {
    let bounds = Bounds {
        numbered: 2,
        crashes: [1, 1],
        ..Bounds::default()
    };
    World {
        name: "repeated commands",
        bounds,
    }
}

/// The same through two leaders.
pub fn repeats_leaders() -> World {
    let bounds = Bounds {
        numbered: 2,
        leaders: true,
        ..Bounds::default()
    };
    World {
        name: "repeated commands through two leaders",
        bounds,
    }
}

/// What the tests go through.
pub fn small() -> Vec<World> {
    vec![
        two_postmen(),
        three_attempts(),
        two_leaders(),
        closing(),
        idempotent(),
        idempotent_closing(),
        crash(),
        one_name(),
        one_name_crash(),
        repeats(),
        repeats_leaders(),
    ]
}

/// What takes minutes and some memory.
pub fn large() -> Vec<World> {
    let closings = &[Closing::Cancel];
    let world = |name, bounds| World { name, bounds };
    let default = Bounds::default;
    vec![
        world(
            "two leaders, two attempts each",
            Bounds {
                leaders: true,
                ..default()
            },
        ),
        world(
            "two leaders, a crash, and the mailing is cancelled",
            Bounds {
                attempts: [2, 1],
                leaders: true,
                crashes: [1, 0],
                closings,
                ..default()
            },
        ),
        world(
            "two leaders and an idempotent gateway",
            Bounds {
                attempts: [2, 1],
                leaders: true,
                idempotent: true,
                ..default()
            },
        ),
        world(
            "three attempts each",
            Bounds {
                attempts: [3; 2],
                ..default()
            },
        ),
        world(
            "both postmen crash",
            Bounds {
                crashes: [1; 2],
                ..default()
            },
        ),
        world(
            "one name, both crash",
            Bounds {
                one_name: true,
                crashes: [1; 2],
                ..default()
            },
        ),
        world(
            "idempotent gateway, crash and end",
            Bounds {
                idempotent: true,
                attempts: [2, 1],
                crashes: [1, 0],
                closings: &[Closing::End, Closing::Delete],
                ..default()
            },
        ),
    ]
}
