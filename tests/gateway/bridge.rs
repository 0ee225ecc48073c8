//! The bridge of `deploy/`: a program gets each message once, and its failures are what they can prove.

use std::process::Command;

use serde_json::json;

use crate::support::{Node, Process, Setup};

/// A bridge to a shell script, which has the phone and the text as `$1` and `$2`, and a node that sends to it.
async fn bridged(setup: Setup, program: &[&str]) -> (Process, Node) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/bridge.py");
    let mut command = Command::new("python3");
    command.args([path, "0"]).args(program);
    command.args(["{phone}", "{text}"]);
    let (bridge, address) = Process::start(&mut command);

    let url = format!("http://{address}/");
    let node = setup.set("NOTTY_GATEWAY__URL", &url).start().await;
    (bridge, node)
}

fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: python3 is not installed");
    }
    found
}

#[tokio::test]
async fn a_program_gets_each_message_once() {
    if !has_python() {
        return;
    }
    let setup = Setup::new();
    let list = setup.dir().join("list");
    let script = format!("echo \"$1 $2\" >> {}", list.display());
    let (_bridge, node) = bridged(setup, &["sh", "-c", &script, "sh"]).await;
    node.import(20).await;
    let text = "Скидка \"20 %\" {phone} $(id) `id`";
    node.mail("all", json!({ "text": text })).await;
    node.until("all", json!({ "done": 20 })).await;

    let list = std::fs::read_to_string(&list).expect("a list");
    let mut phones: Vec<&str> = list
        .lines()
        .map(|line| line.strip_suffix(text).expect("the text").trim_end())
        .collect();
    phones.sort_unstable();
    phones.dedup();
    assert_eq!((list.lines().count(), phones.len()), (20, 20));
    assert!(phones.iter().all(|phone| phone.starts_with('+')));
}

#[tokio::test]
async fn a_program_that_fails_leaves_a_message_in_doubt() {
    if !has_python() {
        return;
    }
    let (_bridge, node) = bridged(Setup::new(), &["sh", "-c", "exit 3", "sh"]).await;
    node.import(3).await;
    node.mail("all", json!({})).await;
    node.until("all", json!({ "unconfirmed": 3 })).await;
}

#[tokio::test]
async fn a_program_that_does_not_start_took_nothing() {
    if !has_python() {
        return;
    }
    let (_bridge, node) = bridged(Setup::new(), &["/no/such/program"]).await;
    node.import(3).await;
    node.mail("all", json!({})).await;
    node.until("all", json!({ "failed": 3 })).await;
}
