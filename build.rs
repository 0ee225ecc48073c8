//! Names the commit that the program is built from, for `notty --version`.
//!
//! The variable `NOTTY_COMMIT` goes before git, for builds without the repository, like that of the image.
//! Without either the commit is `unknown`. Only a new commit, or another value of the variable, runs this
//! again.

use std::{path::Path, process::Command};

/// Digits of a commit that are shown.
const DIGITS: usize = 12;

fn main() {
    println!("cargo::rerun-if-env-changed=NOTTY_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");

    let given = std::env::var("NOTTY_COMMIT").ok();
    let commit = given.as_deref().and_then(shortened).or_else(of_repository);
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=NOTTY_COMMIT={commit}");
}

/// The commit of the repository that has this package at its top.
fn of_repository() -> Option<String> {
    // A package inside of another repository, like a vendored one, has not that one's commit.
    if !Path::new(".git").exists() {
        return None;
    }
    watch("HEAD");
    if let Some(branch) = git(&["symbolic-ref", "-q", "HEAD"]) {
        watch(&branch);
        watch("packed-refs");
    }
    shortened(&git(&["rev-parse", "HEAD"])?)
}

/// Runs the build script again when a file of the repository changes. A file that is not there would run it
/// each time.
fn watch(file: &str) {
    if let Some(path) = git(&["rev-parse", "--git-path", file])
        && Path::new(&path).exists()
    {
        println!("cargo::rerun-if-changed={path}");
    }
}

/// The output of git; none without git.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// A commit as it is shown; none if the text is no commit.
fn shortened(text: &str) -> Option<String> {
    let text = text.trim();
    let is_commit = text.len() >= DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit.then(|| text[..DIGITS].to_lowercase())
}
