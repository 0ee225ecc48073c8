//! What a stop, a kill and a damaged disk leave: nothing twice, nothing lost.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{Gateway, Node, Process, Setup, eventually, total, waits_mostly};

const SOON: Duration = Duration::from_secs(60);

fn count(stats: &Value, status: &str) -> u64 {
    stats[status].as_u64().expect("a count")
}

/// Waits until a mailing is caught up; its stats.
async fn caught_up(node: &Node, mailing: &str) -> Value {
    eventually("the mailing is caught up", SOON, async || {
        let now = node
            .client
            .get(&format!("/mailings/{mailing}"))
            .await
            .expect(200);
        (now["caught_up"] == true).then_some(())
    })
    .await;
    node.stats(mailing).await
}

#[tokio::test]
async fn a_stop_in_the_middle_leaves_nothing_open_and_nothing_unconfirmed() {
    waits_mostly();
    let gateway = Gateway::with(&["--latency-ms", "50"]);
    let setup = Setup::at(&gateway).set("NOTTY_GATEWAY__CONCURRENCY", "64");
    let mut node = setup.start().await;
    node.import(10_000).await;
    node.mail("stopped", json!({})).await;
    let mut sent = 0;
    for _ in 0..3 {
        gateway.requests(sent + 500).await;
        let lines = node.stop().await.join("\n");
        assert!(
            !lines.contains("+7000") && !lines.contains("Скидка"),
            "{lines}"
        );
        sent = gateway.count("requests").await;
        // Without a gateway nothing is sent: what was left shows.
        node = setup
            .clone()
            .set("NOTTY_POSTMAN__ENABLED", "false")
            .start()
            .await;
        let stats = node.stats("stopped").await;
        assert_eq!(count(&stats, "sending"), 0, "{stats}");
        assert_eq!(count(&stats, "unconfirmed"), 0, "{stats}");
        assert_eq!(count(&stats, "done"), sent, "{stats}");
        node.stop().await;
        node = setup.start().await;
    }
    let stats = caught_up(&node, "stopped").await;
    assert_eq!(count(&stats, "done"), 10_000, "{stats}");
    assert_eq!(gateway.count("duplicates").await, 0);
}

#[tokio::test]
async fn killed_in_the_middle_again_and_again_nothing_is_sent_twice_and_nothing_disappears() {
    const CONCURRENCY: u64 = 32;
    let gateway = Gateway::with(&["--latency-ms", "20"]);
    let setup = Setup::at(&gateway).set("NOTTY_GATEWAY__CONCURRENCY", &CONCURRENCY.to_string());
    let mut node = setup.start().await;
    node.import(8_000).await;
    node.mail("killed", json!({})).await;
    let mut acknowledged = 0;
    let kills = 4;
    for kill in 0..kills {
        let before = gateway.count("requests").await;
        gateway.requests(before + 700).await;
        let phone = format!("+7916000000{kill}");
        let customer = json!({ "id": format!("late-{kill}"), "phone": phone });
        node.client.post("/customers", &customer).await.expect(201);
        acknowledged += 1;
        node = node.kill_and_restart().await;
        for kill in 0..acknowledged {
            node.client
                .get(&format!("/customers/late-{kill}"))
                .await
                .expect(200);
        }
        let stats = node.stats("killed").await;
        assert!(total(&stats) <= 8_000 + acknowledged, "{stats}");
    }
    let stats = caught_up(&node, "killed").await;
    let unconfirmed = count(&stats, "unconfirmed");
    assert_eq!(total(&stats), 8_000 + acknowledged, "{stats}");
    assert_eq!(
        count(&stats, "done") + unconfirmed,
        8_000 + acknowledged,
        "{stats}"
    );
    // The journal accounts for all but the requests that were on their way.
    assert!(unconfirmed <= kills * CONCURRENCY, "{stats}");
    let tally = gateway.tally().await;
    assert_eq!(tally["duplicates"], 0, "{tally}");
    let taken = count(&tally, "messages");
    assert!(
        (count(&stats, "done")..=8_000 + acknowledged).contains(&taken),
        "{tally} {stats}"
    );
}

#[tokio::test]
async fn killed_without_its_journal_everything_under_lease_is_unconfirmed() {
    waits_mostly();
    let gateway = Gateway::with(&["--latency-ms", "20"]);
    let setup = Setup::at(&gateway)
        .set("NOTTY_GATEWAY__CONCURRENCY", "16")
        .set("NOTTY_LEASE__TTL_MS", "3000")
        .set("NOTTY_GATEWAY__TIMEOUT_MS", "500")
        .set("NOTTY_GATEWAY__CONNECT_TIMEOUT_MS", "500");
    let mut node = setup.start().await;
    node.import(3_000).await;
    node.mail("lost", json!({})).await;
    gateway.requests(500).await;
    node.process.kill();
    std::fs::remove_dir_all(setup.data().join("journal")).expect("the journal");
    let node = setup.start().await;
    let stats = caught_up(&node, "lost").await;
    assert_eq!(
        count(&stats, "done") + count(&stats, "unconfirmed"),
        3_000,
        "{stats}"
    );
    assert!(count(&stats, "unconfirmed") > 0, "{stats}");
    assert_eq!(gateway.count("duplicates").await, 0);
}

/// A damage to the files of a journal: those of the postman, and those of its senders.
type Damage = fn(&[PathBuf], &[PathBuf]);

/// Overwrites a file in its place.
fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(file).expect("it is read");
    change(&mut bytes);
    std::fs::write(file, bytes).expect("it is written");
}

fn flip(file: &Path, at: fn(usize) -> usize) {
    change(file, |bytes| {
        let at = at(bytes.len());
        bytes[at] ^= 0x10;
    });
}

const DAMAGES: [(&str, Damage); 8] = [
    ("a bit of the header", |_, senders| {
        flip(&senders[0], |_| 20)
    }),
    ("a bit in the middle", |_, senders| {
        flip(&senders[0], |len| len / 2)
    }),
    ("a bit of the last record", |_, senders| {
        flip(&senders[0], |len| len - 9)
    }),
    ("the end is cut off", |_, senders| {
        change(&senders[0], |bytes| bytes.truncate(bytes.len() * 2 / 3));
    }),
    ("a part is zero", |_, senders| {
        change(&senders[0], |bytes| {
            let from = bytes.len() / 2;
            bytes[from..].fill(0);
        });
    }),
    ("a file is empty", |_, senders| {
        change(&senders[0], Vec::clear)
    }),
    ("a sender's file is gone", |_, senders| {
        std::fs::remove_file(&senders[0]).expect("it is removed");
    }),
    ("the postman's own file is gone", |own, _| {
        std::fs::remove_file(&own[0]).expect("it is removed");
    }),
];

/// Kills a node while 48 requests are on their way, damages its journal, and starts it again.
async fn killed_with_damage(what: &str, damage: Damage) {
    let gateway = Gateway::start();
    gateway.behave(json!({ "acts": ["hang"] })).await;
    let setup = Setup::at(&gateway)
        .set("NOTTY_GATEWAY__TIMEOUT_MS", "5000")
        .set("NOTTY_GATEWAY__CONNECT_TIMEOUT_MS", "500")
        .set("NOTTY_LEASE__TTL_MS", "8000");
    let mut node = setup.start().await;
    node.import(48).await;
    node.mail("damaged", json!({})).await;
    gateway.requests(48).await;
    node.process.kill();
    let mut own = walk(&setup.data().join("journal"));
    let senders = own
        .extract_if(.., |file| file.to_string_lossy().contains("sender"))
        .collect();
    let senders: Vec<_> = senders;
    damage(&own, &senders);
    gateway.behave(json!({})).await;
    let node = setup.start().await;
    let stats = caught_up(&node, "damaged").await;
    assert_eq!(count(&stats, "unconfirmed"), 48, "{what}: {stats}");
    assert_eq!(gateway.count("requests").await, 48, "{what}");
    let lines = node.process.lines().join("\n");
    assert!(lines.contains("journal is not whole"), "{what}: {lines}");
    assert!(lines.contains(".journal"), "{what}: {lines}");
}

#[tokio::test]
async fn killed_with_a_damaged_journal_nothing_that_was_begun_is_sent_again() {
    waits_mostly();
    for some in DAMAGES.chunks(4) {
        let killed = some
            .iter()
            .map(|(what, damage)| killed_with_damage(what, *damage));
        futures_util::future::join_all(killed).await;
    }
}

/// Messages of each mailing that is to be copied in the middle.
const EACH: u64 = 200;
/// Requests in flight while it is.
const FLYING: u64 = 32;

/// Sends mailings until the rest of one is under lease as a whole, and more than can be on its way: a postman
/// has half a second's messages beside those, so that a busy machine may miss the moment. Returns that
/// mailing, and the number of messages of all.
async fn all_under_lease(node: &Node) -> (String, u64) {
    for n in 1..=20 {
        let mailing = format!("copied-{n}");
        node.mail(&mailing, json!({})).await;
        let found = eventually("a lease or the end", SOON, async || {
            let stats = node.stats(&mailing).await;
            let is_moment = count(&stats, "created") == 0 && count(&stats, "sending") > FLYING + 8;
            let is_over = count(&stats, "done") == EACH;
            (is_moment || is_over).then_some(is_moment)
        });
        if found.await {
            return (mailing, n * EACH);
        }
    }
    panic!("no mailing had its rest under lease");
}

#[tokio::test]
async fn a_copy_of_a_running_node_does_not_hand_back_what_the_original_sends() {
    waits_mostly();
    let gateway = Gateway::with(&["--latency-ms", "400"]);
    // Times that a gateway keeps which stands still for a moment, as on a busy machine.
    let setup = Setup::at(&gateway)
        .set("NOTTY_GATEWAY__CONCURRENCY", &FLYING.to_string())
        .set("NOTTY_GATEWAY__TIMEOUT_MS", "5000")
        .set("NOTTY_GATEWAY__CONNECT_TIMEOUT_MS", "2000")
        .set("NOTTY_LEASE__TTL_MS", "12000");
    let node = setup.start().await;
    node.import(EACH).await;
    let (mailing, sent) = all_under_lease(&node).await;
    // It stands still while it is copied: what it sends meanwhile would no longer be under lease.
    node.process.signal("STOP");
    let copy = setup.dir().join("copy");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(setup.data())
        .arg(&copy)
        .status();
    node.process.signal("CONT");
    assert!(copied.expect("cp runs").success());
    let other = setup.clone().data_dir(&copy).start().await;
    let stats = caught_up(&other, &mailing).await;
    assert!(count(&stats, "unconfirmed") > FLYING, "{stats}");
    let lines = other.process.lines().join("\n");
    assert!(lines.contains("it is a copy"), "{lines}");
    let stats = caught_up(&node, &mailing).await;
    assert_eq!(count(&stats, "done"), EACH, "{stats}");
    let tally = gateway.tally().await;
    assert_eq!(
        (count(&tally, "requests"), count(&tally, "duplicates")),
        (sent, 0),
        "{tally}"
    );
}

#[tokio::test]
async fn a_process_that_slept_through_its_lease_sends_nothing_under_it() {
    waits_mostly();
    let gateway = Gateway::with(&["--latency-ms", "20"]);
    let setup = Setup::at(&gateway)
        .set("NOTTY_GATEWAY__CONCURRENCY", "16")
        .set("NOTTY_LEASE__TTL_MS", "3000")
        .set("NOTTY_GATEWAY__TIMEOUT_MS", "500")
        .set("NOTTY_GATEWAY__CONNECT_TIMEOUT_MS", "500");
    let node = setup.start().await;
    node.import(3_000).await;
    node.mail("slept", json!({})).await;
    gateway.requests(300).await;
    node.process.signal("STOP");
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    ticks.tick().await;
    ticks.tick().await;
    node.process.signal("CONT");
    let stats = caught_up(&node, "slept").await;
    assert_eq!(
        count(&stats, "done") + count(&stats, "unconfirmed"),
        3_000,
        "{stats}"
    );
    assert_eq!(gateway.count("duplicates").await, 0);
}

#[tokio::test]
async fn a_state_that_was_destroyed_is_rebuilt_from_snapshot_and_log() {
    let gateway = Gateway::start();
    let setup = Setup::at(&gateway);
    let mut node = setup.start().await;
    node.import(2_000).await;
    node.mail("kept", json!({})).await;
    let before = caught_up(&node, "kept").await;
    node.process.kill();
    let state = setup.data().join("state");
    for entry in walk(&state) {
        let length = std::fs::metadata(&entry).expect("a file").len();
        std::fs::write(&entry, vec![0xa5; length as usize]).expect("written");
    }
    let node = setup.start().await;
    eventually("it says so", Duration::from_secs(10), async || {
        node.process
            .lines()
            .iter()
            .any(|line| line.contains("rebuil"))
            .then_some(())
    })
    .await;
    assert_eq!(node.stats("kept").await, before);
    let customers = node.client.get("/customers?limit=1000").await.expect(200);
    assert_eq!(customers["items"].as_array().map(Vec::len), Some(1_000));
    assert_eq!(gateway.count("duplicates").await, 0);
}

/// All files below a directory.
fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(walk(&path))
        } else {
            files.push(path)
        }
    }
    files
}

#[tokio::test]
async fn damage_in_the_log_is_refused_and_names_the_file() {
    let setup = Setup::new();
    let mut node = setup.start().await;
    node.import(500).await;
    node.process.kill();
    let log = setup.data().join("log");
    let mut segments = walk(&log);
    segments.retain(|path| std::fs::metadata(path).is_ok_and(|meta| meta.len() > 4_096));
    let segment = segments.first().expect("a segment with entries");
    let mut bytes = std::fs::read(segment).expect("the segment");
    bytes[2_000] ^= 0x40;
    std::fs::write(segment, bytes).expect("written");
    let ended = crate::support::Ended::of(&mut setup.command());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let name = segment
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a name");
    assert!(
        ended.stderr.contains(name) && ended.stderr.contains("damaged"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_signal_during_a_long_start_ends_it_well() {
    let setup = Setup::new();
    // A pipe that nobody writes to: the start reads it for as long as the test likes.
    let words = setup.dir().join("words");
    let made = std::process::Command::new("mkfifo").arg(&words).status();
    assert!(made.expect("mkfifo").success());
    let words_file = words.to_str().expect("UTF-8").to_owned();
    let setup = setup.set("NOTTY_MODERATION__WORDS_FILE", &words_file);
    for signal in ["TERM", "INT"] {
        let (mut process, _) = Process::launch(&mut setup.command());
        // Opens once the other side is open for reading.
        let pipe = words.clone();
        let open = move || std::fs::OpenOptions::new().write(true).open(pipe);
        let held = tokio::task::spawn_blocking(open)
            .await
            .expect("no panic")
            .expect("a pipe");
        process.signal(signal);
        let ended = process.ended(Duration::from_secs(10)).await;
        assert!(ended.success(), "{signal}: {ended}: {:#?}", process.lines());
        drop(held);
    }
}

#[tokio::test]
async fn a_node_whose_journal_is_in_use_ends_and_says_so() {
    let setup = Setup::new();
    let journal = setup.dir().join("journal");
    let setup = setup.set(
        "NOTTY_POSTMAN__JOURNAL_DIR",
        journal.to_str().expect("UTF-8"),
    );
    let _node = setup.start().await;
    let other = setup.clone().data_dir(&setup.dir().join("other"));
    // Whatever somebody deletes there.
    for _ in 0..2 {
        let ended = crate::support::Ended::of(&mut other.command());
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let line = "is in use by another postman";
        assert!(
            ended.stderr.contains("journal") && ended.stderr.contains(line),
            "{ended:?}"
        );
        for file in walk(&journal) {
            std::fs::remove_file(file).expect("it is removed");
        }
    }
}
