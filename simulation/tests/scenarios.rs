//! Histories that are written down: each passes, and once its rule is left out, each fails.

use notty_simulation::scenarios::{SCENARIOS, Scenario};
use notty_storage::planted::PLANTED;

use crate::{passes, simulation, told};

fn all() -> impl Iterator<Item = &'static Scenario> {
    SCENARIOS.iter().flat_map(|some| *some)
}

#[test]
fn every_rule_has_a_scenario() {
    for planted in PLANTED {
        assert!(
            all().any(|scenario| scenario.rule == Some(planted)),
            "{planted:?}"
        );
    }
}

#[test]
fn scenarios_pass() {
    all().for_each(|scenario| drop(passes(&["scenario", scenario.name])));
}

#[test]
fn scenarios_fail_without_their_rules() {
    for scenario in all().filter(|scenario| scenario.rule.is_some()) {
        let output = simulation(&["scenario", scenario.name, "--plant"]);
        let told = told(&output);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{} found nothing: {told}",
            scenario.name
        );
        assert!(told.contains(" is violated"), "{told}");
        let again = format!("scenario {} --plant", scenario.name);
        assert!(
            told.contains(&again),
            "it does not say how to repeat it: {told}"
        );
    }
}
