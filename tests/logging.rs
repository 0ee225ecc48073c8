//! A log that nobody reads: the pipe behind stderr is full, and the process goes on as if it were not.

use std::{
    io::{BufRead, BufReader, PipeReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use serde_json::json;

use crate::{
    faults::SmallDisk,
    support::{Client, Setup, eventually},
};

/// Longer than anything here takes on a busy machine; a process that is stuck stays so.
const SOON: Duration = Duration::from_secs(60);
/// How long a process may take to stop.
const STOP: Duration = Duration::from_secs(20);

/// A node whose log was read up to its address, and no further.
struct Unread {
    child: Child,
    log: BufReader<PipeReader>,
    client: Client,
    /// Its directory goes with it.
    _setup: Setup,
}

impl Unread {
    async fn start(setup: &Setup) -> Self {
        let (mut child, reader) = spawn(setup.command().stdout(Stdio::null()));
        let mut log = BufReader::new(reader);
        let address = loop {
            let mut line = String::new();
            if log.read_line(&mut line).expect("a line") == 0 {
                panic!("the node ended: {:?}", child.wait());
            }
            if let Some((_, rest)) = line.split_once("its API on http://") {
                break rest.split([' ', ',']).next().expect("a word").to_owned();
            }
        };
        let client = Client::new(&format!("http://{address}"));
        let this = Self {
            child,
            log,
            client,
            _setup: setup.clone(),
        };
        this.answers("/readyz").await;
        this
    }

    /// Waits until a route is answered 200; its text.
    async fn answers(&self, path: &str) -> String {
        let look = async || {
            let answer = self.client.get(path).await;
            (answer.status == 200).then_some(answer.text)
        };
        eventually("the node answers", SOON, look).await
    }

    /// Waits until so much was logged that lines are dropped.
    async fn until_lines_are_dropped(&self) {
        eventually("lines are dropped", SOON, async || {
            // Each write is good for some lines.
            let writes = (0..50).map(|n| {
                let body = json!({ "id": format!("talk-{n}"), "phone": "+79160000001" });
                let created = self
                    .client
                    .request(reqwest::Method::POST, "/customers")
                    .json(&body);
                self.client.try_send(created)
            });
            futures_util::future::join_all(writes).await;
            let metrics = self.answers("/metrics").await;
            let mut lines = metrics.lines();
            let dropped = lines.find_map(|l| l.strip_prefix("notty_log_lines_dropped_total "))?;
            (dropped != "0").then_some(())
        })
        .await;
    }

    /// Waits for its end, without reading anything.
    async fn ended(&mut self) -> ExitStatus {
        eventually("the process ends", STOP, async || {
            self.child.try_wait().expect("it is a child")
        })
        .await
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a command whose stderr is a pipe.
fn spawn(command: &mut Command) -> (Child, PipeReader) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let child = command.stderr(writer).spawn().expect("notty starts");
    // The command holds the pipe's other end, which must be the child's alone.
    command.stderr(Stdio::null());
    (child, reader)
}

fn terminate(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is there");
}

/// The consensus logs hundreds of lines a second.
fn talkative() -> Setup {
    Setup::new().set("RUST_LOG", "debug,openraft=trace")
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_neither_answers_nor_the_stop() {
    let mut node = Unread::start(&talkative()).await;
    node.until_lines_are_dropped().await;
    for n in 0..100 {
        let body = json!({ "id": format!("c-{n}"), "phone": "+79160000001" });
        node.client.post("/customers", &body).await.expect(201);
    }
    terminate(&node.child);
    let ended = node.ended().await;
    assert!(ended.success(), "{ended}");
}

#[tokio::test]
async fn a_log_that_is_read_again_says_how_much_of_it_is_missing_and_tells_its_end() {
    let mut node = Unread::start(&talkative()).await;
    node.until_lines_are_dropped().await;
    let mut line = String::new();
    while !line.contains("the log has a gap") {
        line.clear();
        assert_ne!(
            node.log.read_line(&mut line).expect("a line"),
            0,
            "no gap was logged"
        );
    }
    let told = line
        .split_whitespace()
        .filter_map(|word| word.parse::<u64>().ok())
        .max();
    assert!(told > Some(0), "{line}");
    // Read to its end, it has all lines of the stop.
    terminate(&node.child);
    let mut rest = String::new();
    node.log.read_to_string(&mut rest).expect("text");
    assert!(node.ended().await.success());
    let last = rest.lines().last().unwrap_or_default();
    assert!(last.contains("stopped"), "{last}");
}

#[tokio::test]
async fn a_node_that_must_end_does_so_although_nobody_reads_its_log() {
    let Some(disk) = SmallDisk::new() else {
        println!("SKIPPED: a small disk can only be mounted by root");
        return;
    };
    let mut node = Unread::start(&talkative().data_dir(&disk.path().join("data"))).await;
    node.until_lines_are_dropped().await;
    disk.fill();
    for n in 0.. {
        let body = json!({ "id": format!("c-{n}"), "phone": "+79160000001",
            "name": "x".repeat(200) });
        let upload = node
            .client
            .request(reqwest::Method::POST, "/customers")
            .json(&body);
        match node.client.try_send(upload).await {
            Ok(answer) if answer.status == 201 => {}
            _ => break,
        }
    }
    assert_eq!(node.ended().await.code(), Some(1));
    // The reason is in what is read at last, if there was room for it in the pipe.
    drop(node);
}

#[tokio::test]
async fn a_command_that_cannot_serve_ends_although_stderr_is_full() {
    let setup = Setup::new().arg("--config").arg("missing.toml");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    fill(&writer);
    let child = setup.command().stdout(Stdio::null()).stderr(writer).spawn();
    let mut child = child.expect("notty starts");
    let status = eventually("the process ends", STOP, async || {
        child.try_wait().expect("it is a child")
    })
    .await;
    assert_eq!(status.code(), Some(2));
    drop(reader);
}

#[tokio::test]
async fn the_practice_gateway_ends_although_nobody_reads_what_it_says() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    fill(&writer);
    let mut command = crate::support::notty();
    command
        .args(["gateway", "--listen", "127.0.0.1:0"])
        .stdout(writer)
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("notty starts");
    drop(command);
    // It hears signals only once it is about to listen.
    let status = eventually("the process ends", STOP, async || {
        terminate_if_it_hears(&child);
        child.try_wait().expect("it is a child")
    })
    .await;
    assert_eq!(status.code(), Some(0));
    drop(reader);
}

/// SIGTERM for a process that handles it: before that, it would just be killed.
fn terminate_if_it_hears(child: &Child) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
    let status = status.unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signal n is bit n - 1; SIGTERM is 15.
    if caught.is_some_and(|mask| mask & (1 << 14) != 0) {
        terminate(child);
    }
}

/// Fills a pipe to the last byte.
fn fill(writer: &std::io::PipeWriter) {
    use std::io::Write;
    let flags = rustix::fs::fcntl_getfl(writer).expect("flags");
    let nonblocking = flags | rustix::fs::OFlags::NONBLOCK;
    rustix::fs::fcntl_setfl(writer, nonblocking).expect("set");
    let mut rest = &[b'\n'; 4_096][..];
    let mut to = writer;
    while !rest.is_empty() {
        if to.write(rest).is_err() {
            rest = &rest[..rest.len() / 2];
        }
    }
    // The flag belongs to the pipe's end, which the child inherits.
    rustix::fs::fcntl_setfl(writer, flags).expect("set");
}
