//! Prints the figures of each room, or of one of them: `cargo run -p notty-style -- --room src/api`.

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail, ensure};
use notty_style::{
    Workspace,
    table::{LEGEND, table},
};

/// Explanation of the command line.
const USAGE: &str = "\
Usage: notty-style [--room ROOM] [--root PATH]

  --room ROOM  a directory of code, for example src/api; all of them otherwise
  --root PATH  a checkout of the workspace; otherwise the one that this was built in
";

/// Arguments of the command line.
struct Options {
    /// Room to print; `None` stands for all rooms.
    room: Option<String>,
    /// Directory of the workspace.
    root: PathBuf,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut options = Self {
            room: None,
            root: here,
        };

        while let Some(option) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .with_context(|| format!("{option} needs a value"))
            };
            match option.as_str() {
                "--room" => options.room = Some(value()?.trim_end_matches('/').to_owned()),
                "--root" => options.root = PathBuf::from(value()?),
                _ => bail!("{option} is unknown\n\n{USAGE}"),
            }
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1).peekable();
    if arguments
        .peek()
        .is_some_and(|argument| argument == "--help")
    {
        return write!(io::stdout(), "{USAGE}").context("the usage cannot be printed");
    }

    let Options { room, root } = Options::parse(arguments)?;
    let workspace = Workspace::read(&root)?;
    if let Some(room) = &room {
        let rooms = workspace.rooms();
        ensure!(
            rooms.contains(&room.as_str()),
            "no room {room}; there are {}",
            rooms.join(", ")
        );
    }

    let table = table(&workspace, room.as_deref());
    write!(io::stdout(), "{table}\n{LEGEND}").context("the table cannot be printed")
}
