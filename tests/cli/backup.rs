//! `notty backup` and `notty restore` on one node.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use super::{arg, at, printed, run};
use crate::support::{Ended, Gateway, Node, Setup, eventually, notty, total};

const CUSTOMERS: u64 = 6_000;

/// Backs a node up into a file of its test's directory.
fn back_up(node: &Node, name: &str) -> PathBuf {
    let path = node.setup.dir().join(name);
    let said = printed(at(node, &["backup", arg(&path)]));
    assert!(
        said.starts_with(arg(&path)) && said.contains("position "),
        "{said}"
    );
    path
}

fn restore(file: &Path, into: &Path) -> Ended {
    run(&["restore", arg(file), "--data-dir", arg(into)])
}

/// A small backup of a node with everything in it.
async fn small() -> (Node, PathBuf) {
    let node = Setup::new().start().await;
    node.import(300).await;
    node.mail("m", json!({})).await;
    expanded(&node, 300).await;
    let path = back_up(&node, "small");
    (node, path)
}

/// Waits until a mailing has messages for so many, whatever becomes of them.
async fn expanded(node: &Node, at_least: u64) {
    eventually(
        "messages are expanded",
        Duration::from_secs(20),
        async || (total(&node.stats("m").await) >= at_least).then_some(()),
    )
    .await;
}

/// Names in a directory, in order; none if it is not there.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backup_taken_while_sending_is_restored_and_repeats_no_message() {
    let gateway = Gateway::with(&["--latency-ms", "40"]);
    let setup = Setup::at(&gateway).set("NOTTY_GATEWAY__CONCURRENCY", "32");
    let setup = setup.set("NOTTY_LEASE__SIZE", "100");
    let mut node = setup.start().await;
    node.import(CUSTOMERS).await;
    node.mail("m", json!({})).await;
    eventually("some are done", Duration::from_secs(20), async || {
        (node.stats("m").await["done"].as_u64() >= Some(200)).then_some(())
    })
    .await;
    let file = back_up(&node, "backup");
    let during = gateway.count("requests").await;
    assert!(during < CUSTOMERS, "the mailing was over already: {during}");
    // Sending goes on as if nothing had been; these messages the backup does not know.
    gateway.requests(during + 200).await;
    node.process.kill();
    // What was on its way arrives.
    let (mut settled, mut looks) = (0, 0);
    eventually(
        "the gateway is at rest",
        Duration::from_secs(10),
        async || {
            let now = gateway.count("requests").await;
            looks = if now == settled { looks + 1 } else { 0 };
            settled = now;
            // For half a second or longer.
            (looks == 25).then_some(())
        },
    )
    .await;

    let data = setup.dir().join("restored");
    let said = printed(restore(&file, &data));
    assert!(said.contains("6,000 customers, 1 mailing"), "{said}");
    let node = setup.clone().data_dir(&data).start().await;
    let stats = node.stats("m").await;
    let (known, done) = (total(&stats), stats["done"].as_u64().expect("a count"));
    assert!(known > 0 && known < CUSTOMERS && done >= 200, "{stats}");
    let unconfirmed = known - done;
    node.until("m", json!({ "done": done, "unconfirmed": unconfirmed }))
        .await;
    assert!(
        said.replace(',', "")
            .contains(&format!("unconfirmed now: {unconfirmed}\n")),
        "{said}"
    );
    node.until_field("m", "status", json!("paused")).await;

    // Another mailing shows that the postman is at work, and by its numbers that it is a new life.
    node.mail("n", json!({})).await;
    node.until("n", json!({ "done": CUSTOMERS })).await;
    let id: u64 = node.messages("n").await[0]["id"]
        .as_str()
        .expect("an id")
        .parse()
        .expect("id");
    assert!(id >> 32 > 1 + 65_536, "{id}");
    assert_eq!(
        gateway.count("requests").await,
        settled + CUSTOMERS,
        "something else was sent"
    );
    assert_eq!(node.stats("m").await, stats);

    let refused = node.client.post("/mailings/m/resume", &json!({})).await;
    let detail = refused.problem(409, "duplicates_not_accepted")["detail"].to_string();
    assert!(detail.contains("accept_duplicates: true"), "{detail}");
    let accept = json!({ "accept_duplicates": true });
    node.client
        .post("/mailings/m/resume", &accept)
        .await
        .expect(200);
    let all = json!({ "done": CUSTOMERS - unconfirmed, "unconfirmed": unconfirmed });
    node.until("m", all).await;
    let tally = gateway.tally().await;
    assert_eq!(tally["duplicates"], 0, "{tally}");
    let sent = settled + CUSTOMERS + (CUSTOMERS - known);
    assert_eq!(
        (tally["requests"].as_u64(), tally["messages"].as_u64()),
        (Some(sent), Some(sent))
    );
    node.stop().await;
}

/// Restores a backup, backs the new node up before anything is sent, and has it send the rest of
/// the mailing that the backup held and one of its own. The ids that its gateway got, and the new
/// backup.
async fn send_on(backup: &Path, data: &Path) -> (Vec<u64>, PathBuf) {
    printed(restore(backup, data));
    let gateway = Gateway::with(&[]);
    let node = Setup::at(&gateway).data_dir(data).start().await;
    let copy = data.with_extension("copy");
    std::fs::copy(back_up(&node, "again"), &copy).expect("copied");

    let known = total(&node.stats("m").await);
    assert!(known < CUSTOMERS, "nothing of the mailing is left to send");
    let accept = json!({ "accept_duplicates": true });
    node.client
        .post("/mailings/m/resume", &accept)
        .await
        .expect(200);
    node.mail("n", json!({})).await;
    node.until("n", json!({ "done": CUSTOMERS })).await;
    gateway.requests(2 * CUSTOMERS - known).await;

    // Each message is found by the id that the gateway got.
    let ids = gateway.taken().await;
    assert_eq!(ids.len() as u64, 2 * CUSTOMERS - known);
    for id in ids.iter().step_by(997) {
        let message = node
            .client
            .get(&format!("/messages/{id}"))
            .await
            .expect(200);
        assert_eq!(message["id"], id.to_string(), "{message}");
    }
    node.stop().await;
    (ids, copy)
}

#[tokio::test]
async fn restores_of_one_backup_and_of_a_restore_share_no_message_id() {
    let gateway = Gateway::with(&["--latency-ms", "40"]);
    let setup = Setup::at(&gateway).set("NOTTY_GATEWAY__CONCURRENCY", "32");
    let mut node = setup.set("NOTTY_LEASE__SIZE", "100").start().await;
    node.import(CUSTOMERS).await;
    node.mail("m", json!({})).await;
    gateway.requests(200).await;
    let backup = back_up(&node, "backup");
    gateway
        .requests(gateway.count("requests").await + 100)
        .await;
    node.process.kill();

    let data = |name: &str| node.setup.dir().join(name);
    let (first, copy) = send_on(&backup, &data("first")).await;
    let (second, _) = send_on(&backup, &data("second")).await;
    let (of_first, _) = send_on(&copy, &data("of-first")).await;
    let original = gateway.taken().await;
    let mut seen = std::collections::HashMap::new();
    let lives = [
        ("the original", original),
        ("one restore", first),
        ("another", second),
    ];
    for (life, ids) in lives
        .into_iter()
        .chain([("a restore of a restore", of_first)])
    {
        for id in ids {
            let other = seen.insert(id, life);
            assert_eq!(other, None, "{life} gave the message id {id} too");
        }
    }
}

#[tokio::test]
async fn a_restored_node_is_killed_and_comes_back_like_any_other() {
    let (node, file) = small().await;
    let data = node.setup.dir().join("restored");
    printed(restore(&file, &data));
    let before = node
        .client
        .get("/stats")
        .await
        .header("notty-index")
        .parse::<u64>();
    let restored = node.setup.clone().data_dir(&data).start().await;
    let stats = json!({ "unconfirmed": 300 });
    restored.until("m", stats.clone()).await;
    let body = json!({ "id": "new", "phone": "+79161112233" });
    let index = restored.client.post("/customers", &body).await;
    let index = index
        .header("notty-index")
        .parse::<u64>()
        .expect("a position");
    assert!(index > 0 && before.is_ok());
    let restored = restored.kill_and_restart().await;
    restored.until("m", stats.clone()).await;
    restored.client.get("/customers/new").await.expect(200);
    // The state is built again from what the restore wrote and the log.
    let Node {
        mut process, setup, ..
    } = restored;
    process.kill();
    std::fs::remove_dir_all(data.join("state")).expect("removed");
    let restored = setup.start().await;
    restored.until("m", stats).await;
    restored.client.get("/customers/new").await.expect(200);
    // And it can be backed up in turn.
    let again = back_up(&restored, "again");
    let data = setup.dir().join("again-restored");
    printed(restore(&again, &data));
    // Its truth is the snapshot from the first moment on.
    std::fs::remove_dir_all(data.join("state")).expect("removed");
    let restored = setup.clone().data_dir(&data).start().await;
    restored.until("m", json!({ "unconfirmed": 300 })).await;
    restored.client.get("/customers/new").await.expect(200);
}

#[tokio::test]
async fn a_backup_is_refused_wherever_it_is_damaged_and_the_directory_is_left_alone() {
    let (node, file) = small().await;
    let (bytes, dir) = (
        std::fs::read(&file).expect("read"),
        node.setup.dir().to_owned(),
    );
    let (damaged, data) = (dir.join("damaged"), dir.join("never"));
    let refused = |bytes: &[u8], what: &str| {
        std::fs::write(&damaged, bytes).expect("written");
        let ended = restore(&damaged, &data);
        let line = ended.one_line(1);
        assert!(
            line.contains(arg(&damaged)) && line.len() > arg(&damaged).len() + 20,
            "{line}"
        );
        assert!(!data.exists(), "{what}: something was made");
    };
    let len = bytes.len();
    for at in [0, 1, 7, 8, 12, 20, 40, len / 4, len / 2, len - 30, len - 1] {
        refused(&bytes[..at], &format!("cut at {at}"));
    }
    let places = (0..120)
        .chain((120..len).step_by(len / 60))
        .chain(len - 40..len);
    for at in places {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        refused(&flipped, &format!("byte {at} flipped"));
    }
    refused(&[&bytes[..], b"x"].concat(), "a byte too many");
    refused(b"PK\x03\x04 something else altogether", "foreign");
    refused(
        &[b"nottybk\x09", &bytes[8..]].concat(),
        "of another version",
    );
    let ended = restore(&dir.join("nowhere"), &data);
    assert!(ended.one_line(1).contains("nowhere"), "{ended:?}");
    std::fs::write(&damaged, &bytes).expect("written");
    printed(restore(&damaged, &data));
}

#[tokio::test]
async fn a_backup_replaces_no_file_and_a_restore_no_directory() {
    let (node, file) = small().await;
    let dir = node.setup.dir().to_owned();
    let said = at(&node, &["backup", arg(&file)]);
    assert!(said.one_line(1).contains("--force"), "{said:?}");
    printed(at(&node, &["backup", arg(&file), "--force"]));
    let elsewhere = at(&node, &["backup", arg(&dir.join("nowhere/backup"))]);
    assert!(
        elsewhere
            .one_line(1)
            .contains("nowhere/backup: cannot be written"),
        "{elsewhere:?}"
    );
    let nobody = run(&[
        "backup",
        arg(&dir.join("none")),
        "--api",
        "http://127.0.0.1:9",
    ]);
    assert!(
        nobody.one_line(1).contains("cannot be reached"),
        "{nobody:?}"
    );
    assert_eq!(names(&dir), ["data", "small"], "nothing is left behind");

    let in_use = restore(&file, node.setup.data());
    assert!(
        in_use.one_line(1).contains("holds a node already"),
        "{in_use:?}"
    );
    let strange = dir.join("strange");
    std::fs::create_dir(&strange).expect("made");
    std::fs::write(strange.join("letter.txt"), "dear all").expect("written");
    let refused = restore(&file, &strange);
    assert!(refused.one_line(1).contains("letter.txt"), "{refused:?}");
    assert_eq!(names(&strange), ["letter.txt"]);
    let no_directory = restore(&file, &file);
    assert!(
        no_directory
            .one_line(1)
            .contains("no directory; choose another"),
        "{no_directory:?}"
    );
    let usage = run(&["restore", arg(&file)]);
    assert!(usage.one_line(2).contains("--data-dir"), "{usage:?}");
    let empty = dir.join("empty");
    std::fs::create_dir(&empty).expect("made");
    printed(restore(&file, &empty));
}

/// Waits, looking often, until something is there or the process has ended.
fn until_there(process: &mut std::process::Child, there: impl Fn() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(30);
    while Instant::now() < until {
        if there() {
            return true;
        }
        if process.try_wait().expect("a child").is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    panic!("the restore neither gets there nor ends");
}

#[tokio::test]
async fn a_restore_that_is_killed_anywhere_is_repeated() {
    let node = Setup::new().start().await;
    node.import(20_000).await;
    node.mail("m", json!({})).await;
    expanded(&node, 2_000).await;
    let file = back_up(&node, "backup");
    let data = node.setup.dir().join("restored");
    let has = |dir: &str, what: &str| {
        let (dir, what) = (data.join(dir), what.to_owned());
        move || names(&dir).iter().any(|name| name.contains(&what))
    };
    let moments: [Box<dyn Fn() -> bool>; 7] = [
        Box::new(has("", "LOCK")),
        Box::new(has("", "identity.restoring")),
        Box::new(has("state", "state-0")),
        Box::new(has("snapshots", ".new")),
        Box::new(has("snapshots", ".meta")),
        Box::new(has("log", "vote")),
        Box::new(has("log", "purged")),
    ];
    let mut cut_short = 0;
    for moment in &moments {
        let mut command: Command = notty();
        command.args(["restore", arg(&file), "--data-dir", arg(&data)]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().expect("notty starts");
        until_there(&mut process, moment);
        process.kill().expect("it can be killed");
        process.wait().expect("it ends");
        if data.join("identity").exists() {
            // It was quicker: then it is whole, and is looked at below as well as any other.
            std::fs::remove_dir_all(&data).expect("removed");
            continue;
        }
        cut_short += 1;
        if names(&data).iter().any(|name| name == "identity.restoring") {
            let refused = Ended::of(&mut node.setup.clone().data_dir(&data).command());
            let lines = refused.stderr;
            assert!(lines.contains("run `notty restore` again"), "{lines}");
        }
    }
    assert!(cut_short >= 4, "only {cut_short} were cut short");
    printed(restore(&file, &data));
    let restored = node.setup.clone().data_dir(&data).start().await;
    restored.until_field("m", "status", json!("paused")).await;
    let stats = restored.stats("m").await;
    assert_eq!(
        stats["unconfirmed"].as_u64(),
        Some(total(&stats)),
        "{stats}"
    );
    assert_eq!(
        restored
            .client
            .get("/customers/customer-20000")
            .await
            .status,
        200
    );
}

/// Files that a process holds open although they have no name any more.
fn nameless(process: u32) -> usize {
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).expect("its files");
    let targets = open.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    targets
        .filter(|target| target.to_string_lossy().ends_with(" (deleted)"))
        .count()
}

#[tokio::test]
async fn a_client_that_breaks_off_leaves_nothing_behind() {
    let node = Setup::new().start().await;
    // More than what lies on the way between node and client.
    let name = "Ы".repeat(200);
    let rows = (0..60_000).map(|n| format!("c-{n},{name},+7916{n:07}\n"));
    let csv = "id,name,phone\n".to_owned() + &rows.collect::<String>();
    node.client
        .upload("/customers/import", "text/csv", csv)
        .await
        .expect(200);
    let mut stream = TcpStream::connect(&node.client.base()["http://".len()..]).expect("connected");
    stream
        .write_all(b"GET /backup HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("written");
    let mut start = [0; 1_000];
    stream.read_exact(&mut start).expect("an answer");
    assert!(
        start.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&start)
    );
    assert_eq!(nameless(node.process.id()), 1, "the copy is on its way");
    let snapshots = node.setup.data().join("snapshots");
    assert_eq!(names(&snapshots), [""; 0]);
    drop(stream);
    eventually("the copy is gone", Duration::from_secs(20), async || {
        (nameless(node.process.id()) == 0).then_some(())
    })
    .await;
    // And so can the next.
    back_up(&node, "whole");
}
