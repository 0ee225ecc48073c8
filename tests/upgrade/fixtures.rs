//! The data of earlier versions is opened by this one: a single node, a backup, three nodes and the
//! journal of a postman.
//!
//! `tests/upgrade/fixtures/VERSION` holds what that version left. `MAKE_FIXTURES=1` makes the directory
//! of the present version anew:
//!
//! ```text
//! MAKE_FIXTURES=1 cargo test -p notty --test black_box upgrade::fixtures
//! ```
//!
//! The directories `state/` are left out: a node builds its state from snapshot and log.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    Client, Cluster, Ended, Gateway, Node, Postman, Process, Setup, Shape, eventually, notty,
    sample_csv, total,
};

/// Customers of each fixture.
const CUSTOMERS: u64 = 40;
/// A start and an end that no test lives to see.
const FAR: [&str; 2] = ["9997-01-01T00:00:00Z", "9998-01-01T00:00:00Z"];
/// Time limit of nodes of older data for anything.
const LONG: Duration = Duration::from_secs(120);
/// Bytes of the fixtures of one version, at most.
const BYTES: u64 = 200 * 1024;
/// Nodes that do not send by themselves.
const NO_SENDERS: &str = "[postman]\nenabled = false\n";

/// The directory with the fixtures of all versions.
fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade/fixtures")
}

/// The versions that fixtures are kept of.
fn versions() -> Vec<PathBuf> {
    let dirs = fs::read_dir(home()).expect("fixtures");
    dirs.map(|dir| dir.expect("listed").path()).collect()
}

/// Packs directories, without what can be built from the rest.
fn pack(from: &Path, names: &[&str], into: &Path) {
    let mut tar = Command::new("tar");
    tar.args(["--exclude=state", "--exclude=LOCK", "-czf"])
        .arg(into)
        .arg("-C")
        .arg(from)
        .args(names);
    assert!(tar.status().expect("tar runs").success());
}

fn unpack(file: &Path, into: &Path) {
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(file).arg("-C").arg(into);
    assert!(tar.status().expect("tar runs").success(), "{file:?}");
}

/// Three mailings: one sent to everybody, one that waits, one that was stopped.
async fn mail(client: &Client, gateway: &Gateway) {
    let csv = sample_csv(1, CUSTOMERS);
    let imported = client.upload("/customers/import", "text/csv", csv).await;
    imported.expect(200);
    for (id, otherwise) in [
        ("sent", json!({ "end": FAR[1] })),
        ("waits", json!({ "start": FAR[0], "end": FAR[1] })),
        ("stopped", json!({ "start": FAR[0], "end": FAR[1] })),
    ] {
        let mailing = crate::support::mailing(id, otherwise);
        client.post("/mailings", &mailing).await.expect(201);
    }
    client.poke("/mailings/stopped/cancel").await.expect(200);
    eventually("all got it", LONG, async || {
        (count(client, "sent", "done").await == CUSTOMERS).then_some(())
    })
    .await;
    assert_eq!(gateway.count("duplicates").await, 0);
}

async fn count(client: &Client, mailing: &str, status: &str) -> u64 {
    let stats = client.get(&format!("/stats/mailings/{mailing}")).await;
    stats.expect(200)[status].as_u64().expect("a count")
}

/// Ids of a mailing's messages, in order.
async fn ids(client: &Client, mailing: &str) -> Vec<u64> {
    let path = format!("/messages?mailing={mailing}&limit=1000");
    let page = client.get(&path).await.expect(200);
    let items = page["items"].as_array().expect("items");
    let id = |message: &Value| message["id"].to_string().trim_matches('"').parse();
    items.iter().map(|item| id(item).expect("an id")).collect()
}

/// Makes the fixtures of the present version.
async fn make(into: &Path) {
    if into.exists() {
        fs::remove_dir_all(into).expect("removed");
    }
    fs::create_dir_all(into).expect("a directory");
    let mut facts = json!({});
    facts["single"] = make_single(into).await;
    make_three(into).await;
    let text = serde_json::to_string_pretty(&facts).expect("JSON");
    fs::write(into.join("facts.json"), text + "\n").expect("written");
}

/// A single node, and a backup of it.
async fn make_single(into: &Path) -> Value {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    mail(&node.client, &gateway).await;

    let mut backup = notty();
    backup.arg("backup").arg(into.join("backup"));
    backup.args(["--api", node.client.base()]);
    assert_eq!(Ended::of(&mut backup).code, Some(0));

    let ids = ids(&node.client, "sent").await;
    // Its directory is there as long as this is.
    let setup = node.setup.clone();
    node.stop().await;
    pack(setup.data(), &["."], &into.join("single.tar.gz"));
    json!({ "ids": ids })
}

/// Three nodes and a postman, all killed in the middle of a mailing that no gateway answered.
async fn make_three(into: &Path) {
    let gateway = Gateway::start();
    let mut cluster = Cluster::start(Shape {
        more: NO_SENDERS,
        ..Shape::default()
    })
    .await;
    let mut postman = Postman::start(&cluster, &gateway, "postman-1");
    mail(&cluster.members[0].client, &gateway).await;

    gateway.behave(json!({ "acts": ["hang"] })).await;
    let doubt = crate::support::mailing("doubt", json!({ "end": FAR[1] }));
    let client = cluster.members[0].client.clone();
    client.post("/mailings", &doubt).await.expect(201);
    gateway.requests(CUSTOMERS + 16).await;
    postman.kill();
    cluster.members.iter_mut().for_each(|member| member.kill());

    // Each by the names that its test will look for.
    for (n, member) in cluster.members.iter().enumerate() {
        let name = format!("node-{n}.tar.gz");
        pack(&member.data(), &["."], &into.join(name));
    }
    pack(&postman.home, &["journal"], &into.join("journal.tar.gz"));
}

/// Has a node believe the present time, however long ago its data was written.
async fn set_time(client: &Client) {
    eventually("the node answers", LONG, async || {
        let ready = client.request(reqwest::Method::GET, "/readyz");
        let ready = client.try_send(ready).await.ok()?;
        if ready.status == 200 {
            return Some(());
        }
        let set = client.request(reqwest::Method::POST, "/cluster/time");
        drop(client.try_send(set).await);
        None
    })
    .await;
}

/// Opens a directory of a single node.
async fn open(setup: Setup) -> Node {
    let (process, address) = Process::start(&mut setup.command());
    let client = Client::new(&format!("http://{address}"));
    set_time(&client).await;
    Node {
        process,
        client,
        setup,
    }
}

/// Customers, mailings and messages are as they were left.
async fn holds_what_was_left(client: &Client, statuses: [&str; 3]) {
    let customer = client.get("/customers/customer-7").await.expect(200);
    assert_eq!(customer["phone"], "+70000000007");
    assert_eq!(customer["operator"], "T2");
    for (id, status) in ["sent", "waits", "stopped"].into_iter().zip(statuses) {
        let mailing = client.get(&format!("/mailings/{id}")).await.expect(200);
        assert_eq!(mailing["status"], status, "{mailing}");
    }
    let stats = client.get("/stats/mailings/sent").await.expect(200);
    assert_eq!(stats["done"], CUSTOMERS, "{stats}");
    assert_eq!(total(&stats), CUSTOMERS, "{stats}");
}

/// Mails to one customer; returns the number of the new mailing.
async fn next_number(client: &Client) -> u64 {
    let otherwise = json!({ "end": FAR[1], "phone_filter": "+70000000007" });
    let mailing = crate::support::mailing("next", otherwise);
    client.post("/mailings", &mailing).await.expect(201);
    eventually("it has a message", LONG, async || {
        ids(client, "next").await.first().map(|id| id >> 32)
    })
    .await
}

async fn opens_a_single_node(of: &Path, facts: &Value) {
    let setup = Setup::new();
    fs::create_dir_all(setup.data()).expect("a directory");
    unpack(&of.join("single.tar.gz"), setup.data());
    let node = open(setup).await;

    holds_what_was_left(&node.client, ["active", "scheduled", "cancelled"]).await;
    let known: Vec<u64> = serde_json::from_value(facts["ids"].clone()).expect("numbers");
    assert_eq!(ids(&node.client, "sent").await, known);
    let message = node.client.get(&format!("/messages/{}", known[6])).await;
    assert_eq!(message.expect(200)["status"], "done");
    assert_eq!(next_number(&node.client).await, (known[0] >> 32) + 3);
    node.stop().await;
}

async fn restores_a_backup(of: &Path, facts: &Value) {
    let setup = Setup::new();
    let mut restore = notty();
    restore.arg("restore").arg(of.join("backup"));
    restore.arg("--data-dir").arg(setup.data());
    let restored = Ended::of(&mut restore);
    assert_eq!(restored.code, Some(0), "{restored:?}");
    let node = open(setup).await;

    holds_what_was_left(&node.client, ["paused", "paused", "cancelled"]).await;
    let first = facts["ids"][0].as_u64().expect("a number") >> 32;
    assert!(next_number(&node.client).await > first + 65_536);
    node.stop().await;
}

/// Messages that were under way when everything was killed are in doubt, and never sent again.
async fn opens_three_nodes_and_a_journal(of: &Path) {
    let gateway = Gateway::start();
    let mut cluster = Cluster::new(Shape {
        more: NO_SENDERS,
        ..Shape::default()
    });
    for (n, member) in cluster.members.iter().enumerate() {
        fs::create_dir_all(member.data()).expect("a directory");
        unpack(&of.join(format!("node-{n}.tar.gz")), &member.data());
    }
    cluster.start_all();
    for member in &cluster.members {
        set_time(&member.client).await;
    }

    let mut postman = Postman::new(&cluster, &gateway, "postman-1", "postman-1");
    unpack(&of.join("journal.tar.gz"), &postman.home);
    postman.run();
    postman.says("sends for the cluster").await;
    let statuses = ["active", "scheduled", "cancelled"];
    holds_what_was_left(&cluster.members[1].client, statuses).await;

    let stats = cluster.agree("doubt", LONG).await;
    let sent = gateway.count("requests").await;
    let doubt = stats["unconfirmed"].as_u64().expect("a count");
    assert_eq!(total(&stats), CUSTOMERS, "{stats}");
    assert!(doubt >= 16, "{stats}");
    assert_eq!(sent + doubt, CUSTOMERS, "nothing in doubt is sent: {stats}");
    postman.stop().await;
}

#[tokio::test]
async fn data_of_every_released_version_is_opened() {
    let present = home().join(env!("CARGO_PKG_VERSION"));
    if std::env::var_os("MAKE_FIXTURES").is_some_and(|value| value == "1") {
        make(&present).await;
    }

    let versions = versions();
    assert!(
        versions.contains(&present),
        "MAKE_FIXTURES=1 makes those of this version"
    );
    for of in versions {
        let facts = fs::read_to_string(of.join("facts.json")).expect("facts");
        let facts: Value = serde_json::from_str(&facts).expect("JSON");
        opens_a_single_node(&of, &facts["single"]).await;
        restores_a_backup(&of, &facts["single"]).await;
        opens_three_nodes_and_a_journal(&of).await;
    }
}

#[test]
fn the_fixtures_of_a_version_are_small() {
    for of in versions() {
        let files = fs::read_dir(&of).expect("listed");
        let bytes = files.map(|file| file.and_then(|file| file.metadata()));
        let bytes: u64 = bytes.map(|file| file.expect("there").len()).sum();
        assert!(bytes <= BYTES, "{}: {bytes} bytes", of.display());
    }
}
