//! Goes through the worlds that are too large for the tests: `cargo run -p notty-model`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use notty_model::worlds;

fn main() -> io::Result<ExitCode> {
    let mut good = true;
    for world in worlds::small().into_iter().chain(worlds::large()) {
        let outcome = world.go_through();
        writeln!(io::stdout(), "{outcome}")?;
        good &= outcome.violated.is_empty() && outcome.unreached.is_empty();
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
