//! `notty demo`: the whole thing in one command.

use std::time::Duration;

use super::run;
use crate::support::{Process, eventually};

#[test]
fn the_demo_sends_to_all_customers_and_its_balance_is_right() {
    let said = printed_but_notes(&["demo", "--customers", "300", "--exit"]);
    for line in [
        "imported   300 customers",
        "total             300  of 300 customers",
        "duplicates          0",
        "balance    correct",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    for address in [
        "API        http://127.0.0.1:",
        "gateway    http://127.0.0.1:",
    ] {
        assert!(said.contains(address), "{address}: {said}");
    }
    let data = said
        .lines()
        .find_map(|line| line.strip_prefix("data       "))
        .expect("a directory");
    assert!(
        !std::path::Path::new(data).exists(),
        "the directory goes with the demo"
    );
}

/// What a command prints that ends well; progress may be told on stderr.
fn printed_but_notes(args: &[&str]) -> String {
    let ended = run(args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

#[test]
fn the_demo_of_nobody_is_refused() {
    for customers in ["0", "10000000", "many"] {
        let ended = run(&["demo", "--customers", customers, "--exit"]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("--customers"), "{ended:?}");
    }
}

#[test]
fn the_demo_leaves_nothing_where_it_was_started() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut command = crate::support::notty();
    command
        .args(["demo", "--customers", "10", "--exit"])
        .current_dir(dir.path());
    let ended = crate::support::Ended::of(&mut command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        std::fs::read_dir(dir.path()).expect("a directory").count(),
        0
    );
}

#[test]
fn the_demo_of_three_nodes_goes_on_when_the_leader_is_killed() {
    let said = printed_but_notes(&[
        "demo",
        "--nodes",
        "3",
        "--kill-leader",
        "--customers",
        "1500",
        "--exit",
    ]);
    for line in [
        "(leads)",
        "duplicates          0",
        "balance    correct",
        "all three agree",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn the_demo_of_each_provider_sends_to_all_customers() {
    let ended = run(&["gateway", "--profile", "?"]);
    let names = ended.one_line(2).split("there are ").nth(1).expect("names");
    for name in names.split(", ") {
        let said = printed_but_notes(&["demo", "--profile", name, "--customers", "200", "--exit"]);
        for line in [
            &format!("/ as {name}\n"),
            "gateway           200  messages taken",
            "duplicates          0",
            "balance    correct",
        ] {
            assert!(said.contains(line), "{name}: {line}: {said}");
        }

        // Where requests name a URL for receipts, all of these come.
        let profile = printed_but_notes(&["gateways", "profile", name]);
        let asks = profile.contains("{receipt_url}");
        for line in ["delivered         200  by receipts", "receipts   correct"] {
            assert_eq!(said.contains(line), asks, "{name}: {line}: {said}");
        }
    }
}

#[test]
fn the_demo_of_a_provider_has_three_nodes_too() {
    let args = ["demo", "--profile", "twilio", "--nodes", "3"];
    let more = ["--customers", "300", "--exit"];
    let said = printed_but_notes(&[&args[..], &more[..]].concat());
    for line in [
        "/ as twilio\n",
        "balance    correct",
        "receipts   correct",
        "all three agree",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn a_demo_that_makes_no_sense_is_refused() {
    for (args, about) in [
        (&["demo", "--kill-leader", "--exit"][..], "--nodes 3"),
        (&["demo", "--nodes", "2", "--exit"], "1 or 3"),
        (&["demo", "--profile", "twillio", "--exit"], "twilio"),
    ] {
        let ended = run(args);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(about), "{ended:?}");
    }
}

#[tokio::test]
async fn a_demo_that_is_stopped_early_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for nodes in ["1", "3"] {
        let mut command = crate::support::notty();
        command.args(["demo", "--customers", "2000000", "--nodes", nodes]);
        let (mut process, _) = Process::start(command.env("TMPDIR", dir.path()));
        eventually(
            "the import is under way",
            Duration::from_secs(20),
            async || {
                process
                    .lines()
                    .iter()
                    .any(|line| line.starts_with("data"))
                    .then_some(())
            },
        )
        .await;
        process.signal("INT");
        let status = process.ended(Duration::from_secs(20)).await;
        assert_eq!(status.code(), Some(1), "{:?}", process.lines());
        let said = process.lines().join("\n");
        assert!(said.contains("stopped before the balance"), "{said}");
        let left: Vec<_> = std::fs::read_dir(dir.path())
            .expect("a directory")
            .collect();
        assert!(left.is_empty(), "{nodes}: {left:?}");
    }
}
