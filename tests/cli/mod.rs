//! The command line: what each command prints, and how it ends.

mod backup;
mod bench;
mod cluster;
mod credentials;
mod data;
mod demo;
mod gateway;
mod live;
mod postman;
mod practice;
mod practice_receipts;
mod profiles;
pub(crate) mod serve;
mod signals;
mod surroundings;
mod usage;
mod watch;

use std::path::{Path, PathBuf};

use crate::support::{Ended, Node, notty};

/// Runs a command to its end.
fn run(args: &[&str]) -> Ended {
    Ended::of(notty().args(args))
}

/// Runs a command that talks to a node.
fn at(node: &Node, args: &[&str]) -> Ended {
    Ended::of(notty().args(args).args(["--api", node.client.base()]))
}

/// What a command prints that ends well and says nothing on stderr.
#[track_caller]
fn printed(ended: Ended) -> String {
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
    ended.stdout
}

/// Writes a file in a directory.
fn file(dir: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

/// A path as an argument.
fn arg(path: &Path) -> &str {
    path.to_str().expect("a path of ours is UTF-8")
}
