//! Disks that lie, fill up or fail under a node's state.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, Gateway, Node, Process, Setup, eventually, mailing, sample_csv};

/// Far longer than anything here needs.
const SOON: Duration = Duration::from_secs(60);
/// Starts after which damage must be mended: one that meets it, and one that has rebuilt the state;
/// another where two parts of it are damaged by one flip.
const STARTS: usize = 3;

/// Questions whose answers take in all that a node knows.
const QUESTIONS: [&str; 7] = [
    "/customers?limit=1000",
    "/customers/customer-1777",
    "/mailings/first",
    "/stats/mailings/first",
    "/stats?tag=staff",
    "/stats",
    "/messages?mailing=first&limit=1000",
];

/// All files below a directory, sorted.
fn all_files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let below = |path: PathBuf| {
        if path.is_dir() {
            all_files(&path)
        } else {
            vec![path]
        }
    };
    let mut files: Vec<_> = paths.flat_map(below).collect();
    files.sort();
    files
}

/// Those that hold something.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = all_files(dir);
    files.retain(|path| std::fs::metadata(path).is_ok_and(|meta| meta.len() > 0));
    files
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("created");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let place = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &place),
            false => drop(std::fs::copy(entry.path(), place).expect("copied")),
        }
    }
}

/// What a node answers to all questions; none once it does not answer any more.
async fn answers(client: &Client) -> Option<Vec<Value>> {
    let mut answers = Vec::new();
    for path in QUESTIONS {
        let answer = client
            .try_send(client.request(Method::GET, path))
            .await
            .ok()?;
        if answer.status != 200 {
            // Its last one, perhaps; one that stays is asked again, and must answer.
            return None;
        }
        answers.push(answer.json());
    }
    Some(answers)
}

/// Starts a node as a supervisor does, again and again, until it answers as before and can be
/// written to.
async fn serves_again(setup: &Setup, before: &[Value], what: &str) {
    let mut lines = Vec::new();
    for start in 0..STARTS {
        let (mut process, address) = Process::launch(&mut setup.command());
        let listens = eventually("it listens or ends", SOON, async || {
            match address.try_recv() {
                Ok(address) => Some(Some(address)),
                Err(_) => process.has_ended().then_some(None),
            }
        });
        let served = match listens.await {
            Some(address) => {
                let client = Client::new(&format!("http://{address}"));
                is_as_before(&mut process, &client, before, what).await
                    && writes(&client, &format!("again-{start}")).await
            }
            None => false,
        };
        if served {
            return;
        }
        // One that does not serve ends by itself.
        process.ended(SOON).await;
        lines.extend(process.lines());
    }
    panic!("{what}: {STARTS} starts were not enough: {lines:#?}");
}

/// Whether a node comes to answer as before; false if it ends instead. It does one or the other.
async fn is_as_before(
    process: &mut Process,
    client: &Client,
    before: &[Value],
    what: &str,
) -> bool {
    let ready = eventually("it is ready or ends", SOON, async || {
        match client
            .try_send(client.request(Method::GET, "/readyz"))
            .await
        {
            Ok(answer) if answer.status == 200 => Some(true),
            _ => process.has_ended().then_some(false),
        }
    });
    if !ready.await {
        return false;
    }
    let answered = eventually("it answers or ends", SOON, async || {
        match answers(client).await {
            Some(answers) => Some(Some(answers)),
            None => process.has_ended().then_some(None),
        }
    });
    let Some(answers) = answered.await else {
        return false;
    };
    for (now, before) in answers.iter().zip(before) {
        assert_eq!(now, before, "{what}");
    }
    true
}

/// Writes something of each kind; false if the node ended meanwhile.
async fn writes(client: &Client, id: &str) -> bool {
    let row = json!({ "id": format!("new-{id}"), "phone": "+79160000000", "tag": "staff" });
    let customer = client.request(Method::POST, "/customers").json(&row);
    let another = mailing(&format!("m-{id}"), json!({ "tag_filter": "staff" }));
    let create = client.request(Method::POST, "/mailings").json(&another);
    for request in [customer, create] {
        match client.try_send(request).await {
            Ok(answer) if answer.status == 201 => {}
            _ => return false,
        }
    }
    let path = format!("/stats/mailings/m-{id}");
    let expanded = eventually(
        "the mailing is expanded, or the node ends",
        SOON,
        async || match client.try_send(client.request(Method::GET, &path)).await {
            Ok(answer) if answer.status == 200 => {
                let counts = answer.json();
                let all: u64 = counts.as_object()?.values().filter_map(Value::as_u64).sum();
                (all > 0).then_some(true)
            }
            _ => Some(false),
        },
    );
    expanded.await
}

/// A node that was sent a mailing through, and stopped; what it answered.
async fn stopped(setup: &Setup) -> Vec<Value> {
    let node = setup.start().await;
    node.import(4_000).await;
    node.mail("first", json!({})).await;
    eventually("the mailing is caught up", SOON, async || {
        let now = node.client.get("/mailings/first").await.expect(200);
        (now["caught_up"] == true).then_some(())
    })
    .await;
    let before = answers(&node.client).await.expect("it answers");
    node.stop().await;
    before
}

#[tokio::test]
async fn a_bit_that_flipped_in_any_file_of_the_state_is_mended_by_a_restart_or_two() {
    let gateway = Gateway::start();
    let setup = Setup::at(&gateway);
    let before = stopped(&setup).await;
    let whole = setup.dir().join("whole");
    copy(setup.data(), &whole);
    let state = whole.join("state");
    let damaged: Vec<_> = files(&state)
        .into_iter()
        .filter(|path| !path.ends_with("CURRENT"))
        .collect();
    assert!(damaged.len() > 8, "{damaged:?}");
    // Each copy would send what another has sent.
    let setup = setup.set("NOTTY_POSTMAN__ENABLED", "false");
    for (n, file) in damaged.iter().enumerate() {
        std::fs::remove_dir_all(setup.data()).expect("removed");
        copy(&whole, setup.data());
        let name = file.strip_prefix(&whole).expect("it is inside");
        let mut bytes = std::fs::read(file).expect("it reads");
        let at = bytes.len() * (2 * (n % 5) + 1) / 10;
        bytes[at] ^= 1 << (n % 8);
        std::fs::write(setup.data().join(name), bytes).expect("written");
        serves_again(&setup, &before, &format!("{} at {at}", name.display())).await;
    }
}

/// Bytes of sled's logs of metadata: every flush that has something to flush writes to them.
fn metadata_bytes(setup: &Setup) -> u64 {
    let all = files(&setup.data().join("state"));
    let logs = all
        .iter()
        .filter(|path| path.to_string_lossy().contains("/metadata/log_"));
    logs.map(|path| std::fs::metadata(path).expect("a file").len())
        .sum()
}

#[tokio::test]
async fn counting_while_others_write_flushes_nothing() {
    let setup = Setup::new();
    let node = setup.start().await;
    node.import(2_000).await;
    node.mail("first", json!({})).await;
    let before = metadata_bytes(&setup);
    for n in 0..20 {
        let row = json!({ "id": format!("late-{n}"), "phone": "+79160000000", "tag": "staff" });
        node.client.post("/customers", &row).await.expect(201);
        node.client.get("/stats?tag=staff").await.expect(200);
        node.client.get("/customers?limit=100").await.expect(200);
    }
    assert_eq!(metadata_bytes(&setup), before);
}

/// A small filesystem, until it is dropped.
struct Disk {
    place: PathBuf,
}

impl Disk {
    /// None where this process may not mount one.
    fn of(place: &Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(place).expect("created");
        let size = format!("size={megabytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "none"]).arg(place);
        let mounted = mount
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then(|| Self {
            place: place.to_owned(),
        })
    }

    /// Fills it until so many bytes are left.
    fn fill(&self, left: u64) -> PathBuf {
        let ballast = self.place.join("ballast");
        let disk = rustix::fs::statvfs(&self.place).expect("it is there");
        let bytes = (disk.f_bavail * disk.f_frsize).saturating_sub(left);
        std::fs::write(&ballast, vec![0; bytes as usize]).expect("there is room");
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still has files on it keeps it until it ends.
        let _ = Command::new("umount").arg("-l").arg(&self.place).status();
    }
}

#[tokio::test]
async fn a_backup_without_room_fails_alone() {
    let setup = Setup::new();
    let place = setup.dir().join("small");
    let Some(disk) = Disk::of(&place, 96) else {
        println!("skipped: this process may not mount a small disk");
        return;
    };
    let setup = setup.data_dir(&place.join("data"));
    let node = setup.start().await;
    let csv = sample_csv(1, 60_000);
    node.client
        .upload("/customers/import", "text/csv", csv)
        .await
        .expect(200);
    let whole = node.client.get("/backup").await;
    assert_eq!(whole.status, 200);
    let needed = whole.headers["content-length"]
        .to_str()
        .expect("a number")
        .to_owned();
    let needed: u64 = needed.parse().expect("a number");
    // With half of what it needs beyond what is left alone (a sixteenth of the disk).
    let ballast = disk.fill(6 * 1024 * 1024 + needed / 2);
    for n in 0..4 {
        node.client
            .get("/backup")
            .await
            .problem(503, "backup_failed");
        for k in 0..10 {
            let row = json!({ "id": format!("late-{n}-{k}"), "phone": "+79160000000" });
            node.client.post("/customers", &row).await.expect(201);
            node.client.get("/stats?tag=staff").await.expect(200);
        }
        node.client.get("/readyz").await.expect(200);
    }
    std::fs::remove_file(ballast).expect("removed");
    assert_eq!(node.client.get("/backup").await.status, 200);
    node.client.get("/customers/late-3-9").await.expect(200);
    node.stop().await;
}

#[tokio::test]
async fn a_full_disk_of_backups_ends_nothing_and_is_one_warning() {
    let setup = Setup::new();
    let place = setup.dir().join("small");
    let Some(disk) = Disk::of(&place, 8) else {
        println!("skipped: this process may not mount a small disk");
        return;
    };
    let ballast = disk.fill(16 * 1024);
    let backups = place.join("backups");
    let setup = setup.set("NOTTY_BACKUP__DIR", &backups.display().to_string());
    let setup = setup.set("NOTTY_BACKUP__EVERY", "1s");
    let setup = setup.set("NOTTY_BACKUP__KEEP", "2");
    let node = setup.start().await;
    node.import(3_000).await;

    let figure = async |name: &str| {
        let text = node.client.get("/metrics").await.text;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or(-1.0)
    };
    let failures = "notty_backup_failures_total";
    let before = figure(failures).await;
    eventually("backups fail again and again", SOON, async || {
        (figure(failures).await >= before + 2.0).then_some(())
    })
    .await;
    node.client
        .get("/customers/customer-3000")
        .await
        .expect(200);
    let is_warning = |line: &&String| line.contains("WARN") && line.contains("a backup in");
    assert_eq!(node.process.lines().iter().filter(is_warning).count(), 1);

    // With room again it goes on by itself, and what it makes is good.
    let since = jiff::Timestamp::now().as_second() as f64;
    std::fs::remove_file(ballast).expect("removed");
    eventually("a backup is made", SOON, async || {
        let last = figure("notty_backup_last_success_timestamp_seconds").await;
        (last > since).then_some(())
    })
    .await;
    node.stop().await;
    let mut found = files(&backups);
    let is_hidden = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with('.')
    };
    found.retain(|path| !is_hidden(path));
    assert!((1..=2).contains(&found.len()), "{found:?}");
    let into = Setup::new();
    let mut restore = crate::support::notty();
    restore
        .arg("restore")
        .arg(&found[found.len() - 1])
        .arg("--data-dir")
        .arg(into.data());
    assert!(restore.status().expect("it runs").success());
}

/// Makes calls of the system fail in a running process, from now on.
struct Tracer {
    strace: Child,
    /// Kept: without anyone to write to, it would end.
    told: BufReader<ChildStderr>,
}

impl Tracer {
    /// Has every sync of the state fail in a process; none where that cannot be done here.
    fn failing_syncs(pid: u32, setup: &Setup) -> Option<Self> {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]);
        strace.args([
            "-e",
            "inject=fsync,fdatasync:error=EIO",
            "-p",
            &pid.to_string(),
        ]);
        for slab in all_files(&setup.data().join("state/state-0/slabs")) {
            strace.arg("-P").arg(slab);
        }
        let strace = strace.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut strace = strace.ok()?;
        let told = BufReader::new(strace.stderr.take().expect("piped"));
        let mut this = Self { strace, told };
        let mut line = String::new();
        this.told.read_line(&mut line).ok()?;
        line.contains("attached").then_some(this)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // It may have ended with the process.
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

#[tokio::test]
async fn a_failed_sync_of_the_state_ends_the_process_at_once_and_no_reader_meets_one() {
    let setup = Setup::new().set("NOTTY_NODE__COMPACT_LOG_MB", "1");
    let mut node: Node = setup.start().await;
    node.import(1_000).await;
    let Some(_tracer) = Tracer::failing_syncs(node.process.id(), &setup) else {
        println!("skipped: there is no strace here, or it may not be used");
        return;
    };
    // Readers sync nothing: not one of these answers is late or wrong.
    for n in 0..10 {
        let row = json!({ "id": format!("late-{n}"), "phone": "+79160000000", "tag": "staff" });
        node.client.post("/customers", &row).await.expect(201);
        node.client.get("/stats?tag=staff").await.expect(200);
    }
    // A log long enough for a snapshot, before which the state is flushed.
    let csv = sample_csv(1_001, 60_000);
    let upload = node.client.request(Method::POST, "/customers/import");
    let upload = upload.header("content-type", "text/csv").body(csv);
    // The process may end before it has answered.
    let _ = node.client.try_send(upload).await;
    let ended = node.process.ended(SOON).await;
    let lines = node.process.lines();
    assert_eq!(ended.code(), Some(1), "{lines:#?}");
    let told = lines.iter().filter(|line| line.contains("flush")).count();
    assert_eq!(told, 1, "{lines:#?}");
    let node = setup.start().await;
    node.client.get("/customers/late-9").await.expect(200);
    node.stop().await;
}
