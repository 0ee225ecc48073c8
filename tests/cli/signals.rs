//! Ctrl-C, SIGTERM and the end of a terminal: every command ends, whatever started it, and what it was
//! doing is in order.

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::{Gateway, Postman, Process, Setup, eventually, notty, waits_mostly};

/// Far longer than the end of a command takes.
const SOON: Duration = Duration::from_secs(30);
/// The signals, with their numbers.
const SIGNALS: [(Signal, i32); 3] = [(Signal::HUP, 1), (Signal::INT, 2), (Signal::TERM, 15)];

/// The end of a command by a signal.
#[derive(Clone, Copy)]
enum EndsAs {
    /// It has this status, whatever the signal.
    InOrder(i32),
    /// It has the status of a process that the signal ended.
    Stopped,
}

/// Commands that go on until they are stopped, or for longer than a test.
struct Waiting {
    dir: tempfile::TempDir,
    /// Takes connections and never answers.
    silent: TcpListener,
}

impl Waiting {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
            silent: TcpListener::bind("127.0.0.1:0").expect("a free port"),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = notty();
        command.args(args).current_dir(self.dir.path());
        // Some read from it, and have to wait.
        command.stdin(Stdio::piped());
        command
    }

    fn client(&self, args: &[&str]) -> Command {
        let mut command = self.command(args);
        let silent = self.silent.local_addr().expect("bound");
        command.args(["--api", &format!("http://{silent}")]);
        command
    }

    fn all(&self) -> Vec<(Command, EndsAs)> {
        let config = "[postman]\nname = \"p\"\npeers = [\"127.0.0.1:9\"]\n[cluster]\n\
                      secret = \"sixteen letters.\"\n";
        std::fs::write(self.dir.path().join("postman.toml"), config).expect("written");
        let serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", "d"];
        vec![
            (self.command(&serve), EndsAs::InOrder(0)),
            (
                self.command(&["postman", "--config", "postman.toml"]),
                EndsAs::InOrder(0),
            ),
            (
                self.command(&["gateway", "--listen", "127.0.0.1:0"]),
                EndsAs::InOrder(0),
            ),
            (self.client(&["backup", "b"]), EndsAs::InOrder(1)),
            (self.client(&["watch", "x"]), EndsAs::Stopped),
            (self.client(&["export", "customers"]), EndsAs::Stopped),
            (
                self.client(&["export", "messages", "-o", "m.csv"]),
                EndsAs::Stopped,
            ),
            (self.client(&["cluster", "status"]), EndsAs::Stopped),
            (self.client(&["import", "-"]), EndsAs::Stopped),
            (self.command(&["import", "-", "--dry-run"]), EndsAs::Stopped),
        ]
    }
}

/// Waits until a process listens to all three signals.
async fn listens(pid: i32) {
    eventually("it listens to signals", SOON, async || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))?;
        let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
        SIGNALS
            .iter()
            .all(|(_, number)| caught >> (number - 1) & 1 == 1)
            .then_some(())
    })
    .await;
}

/// Stops a command by a signal, and checks its end.
async fn ends(process: &mut Process, pid: i32, signal: (Signal, i32), wanted: EndsAs, what: &str) {
    listens(pid).await;
    let of = Pid::from_raw(pid).expect("a process");
    kill_process(of, signal.0).expect("the process is there");
    let code = process.ended(SOON).await.code();

    let wanted = match wanted {
        EndsAs::InOrder(code) => code,
        EndsAs::Stopped => 128 + signal.1,
    };
    let lines = process.lines();
    assert_eq!(code, Some(wanted), "{what} by {signal:?}: {lines:#?}");
    assert!(
        !lines.iter().any(|line| line.contains("panic")),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn every_command_ends_by_each_signal() {
    waits_mostly();
    for signal in SIGNALS {
        let waiting = Waiting::new();
        for (mut command, wanted) in waiting.all() {
            let what = format!("{command:?}");
            let mut process = Process::start_silently(&mut command);
            let pid = i32::try_from(process.id()).expect("a pid");
            ends(&mut process, pid, signal, wanted, &what).await;
        }
        assert_no_leftovers(waiting.dir.path());
    }
}

/// Nothing is left of a file that was not whole.
fn assert_no_leftovers(dir: &Path) {
    let names = std::fs::read_dir(dir).expect("a directory");
    let names = names.map(|entry| entry.expect("an entry").file_name());
    let names: Vec<_> = names.filter(|name| name != "d" && name != "data").collect();
    assert_eq!(names, ["postman.toml"]);
}

/// The same command as the first process of a container: it gets no signal that it does not listen to.
fn as_first_process(inner: &Command) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--fork", "--kill-child"])
        .arg(inner.get_program())
        .args(inner.get_args());
    let dir = inner.get_current_dir().expect("set");
    command.current_dir(dir).stdin(Stdio::piped());
    command
}

/// The child of a process, once there is one.
async fn child_of(process: &mut Process) -> Option<i32> {
    let id = process.id();
    eventually("the command runs, or cannot", SOON, async || {
        if process.has_ended() {
            return Some(None);
        }
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let child = children.ok()?.split_whitespace().next()?.parse().ok()?;
        // Between fork and exec it is still `unshare`.
        let name = std::fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
        (name.trim() == "notty").then_some(Some(child))
    })
    .await
}

#[tokio::test]
async fn every_command_ends_as_the_first_process_of_a_container() {
    waits_mostly();
    let signal = (Signal::TERM, 15);
    let waiting = Waiting::new();
    for (command, wanted) in waiting.all() {
        let mut process = Process::start_silently(&mut as_first_process(&command));
        let Some(child) = child_of(&mut process).await else {
            println!("SKIPPED: no namespace for processes: {:?}", process.lines());
            return;
        };
        let what = format!("{command:?}");
        ends(&mut process, child, signal, wanted, &what).await;
    }
}

#[tokio::test]
async fn a_demo_that_serves_ends_in_order() {
    let mut command = notty();
    command.args(["demo", "--customers", "10"]);
    let mut process = Process::start_silently(&mut command);
    eventually("it serves", SOON, async || {
        let lines = process.lines();
        let serves = lines.iter().any(|line| line.contains("until Ctrl-C"));
        serves.then_some(())
    })
    .await;
    process.signal("HUP");
    assert!(
        process.ended(SOON).await.success(),
        "{:#?}",
        process.lines()
    );
}

#[tokio::test]
async fn the_end_of_the_terminal_leaves_no_request_in_doubt() {
    waits_mostly();
    let gateway = Gateway::with(&["--latency-ms", "300"]);
    let setup = Setup::at(&gateway).set("NOTTY_GATEWAY__CONCURRENCY", "64");
    let mut node = setup.start().await;
    node.import(1_000).await;
    node.mail("closed", json!({})).await;
    gateway.requests(64).await;

    node.process.signal("HUP");
    let ended = node.process.ended(SOON).await;
    assert!(ended.success(), "{ended}: {:#?}", node.process.lines());

    // Without a gateway nothing more is sent: what was left shows.
    let quiet = setup.set("NOTTY_POSTMAN__ENABLED", "false");
    let stats = quiet.start().await.stats("closed").await;
    let sent = gateway.count("requests").await;
    assert_eq!(
        (&stats["sending"], &stats["unconfirmed"], &stats["done"]),
        (&json!(0), &json!(0), &json!(sent)),
        "{stats}"
    );
}

#[tokio::test]
async fn a_postman_stops_in_order_when_its_terminal_ends() {
    waits_mostly();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let gateway = Gateway::start();
    let peers = ["127.0.0.1:9".to_owned()];
    let mut postman = Postman::in_dir(&dir.path().join("p"), &peers, &gateway, "p");
    postman.run();
    listens(i32::try_from(postman.process().id()).expect("a pid")).await;
    postman.process().signal("HUP");
    let (ended, lines) = postman.ended().await;
    assert!(ended.success(), "{lines}");
    assert!(lines.contains("stopping"), "{lines}");
}

#[tokio::test]
async fn a_node_under_nohup_outlives_its_terminal() {
    let setup = Setup::new();
    let inner = setup.command();
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' HUP && exec \"$0\" \"$@\""])
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir(setup.dir());
    let mut node = setup.start_by(&mut command).await;
    node.process.signal("HUP");
    node.import(5).await;
    assert!(!node.process.has_ended());
    node.stop().await;
}
