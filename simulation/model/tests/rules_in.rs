//! With all rules in, no history of any world violates anything. `-- --nocapture` prints how many
//! states each has.

use std::io::Write;

use notty_model::worlds::{self, World};

fn holds(world: World) {
    let outcome = world.go_through();
    writeln!(std::io::stdout(), "{outcome}").expect("a line of output");
    assert!(
        outcome.violated.is_empty() && outcome.unreached.is_empty(),
        "{outcome}"
    );
    assert!(
        outcome.states > 1_000,
        "a world this small shows nothing: {outcome}"
    );
}

/// One test a world, so that one can be run alone.
macro_rules! worlds {
    ($($world:ident)*) => {
        $(#[test]
        fn $world() {
            holds(worlds::$world());
        })*

        #[test]
        fn every_small_world_is_gone_through() {
            let tested = [$(worlds::$world().name),*];
            let small: Vec<_> = worlds::small().iter().map(|world| world.name).collect();
            assert_eq!(tested[..], small[..]);
        }
    };
}

worlds! {
    two_postmen three_attempts two_leaders closing idempotent idempotent_closing crash one_name
    one_name_crash repeats repeats_leaders
}
