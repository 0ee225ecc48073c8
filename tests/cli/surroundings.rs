//! Commands in narrow surroundings: few open files, a reader that goes away, a full disk, no streams, no
//! home, no terminal.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use super::{arg, at, file, printed, run, serve::limited};
use crate::support::{Ended, Process, Setup, eventually, free_addresses, notty};

/// The binary by a shell, which does something first.
fn after(first: &str, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let program = notty().get_program().to_owned();
    command
        .args(["-c", &format!("{first} exec \"$0\" \"$@\"")])
        .arg(program)
        .args(args)
        .env_clear()
        .stdin(Stdio::null());
    command
}

#[test]
fn with_too_few_files_a_command_says_so_and_the_way_out() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let postman =
        "[postman]\nname = \"p\"\npeers = [\"h:1\"]\n[cluster]\nsecret = \"sixteen letters.\"\n";
    file(dir.path(), "postman.toml", postman);
    for args in [
        &["serve"][..],
        &["postman", "--config", "postman.toml"],
        &["demo", "--exit"],
        &["bench", "dispatch"],
    ] {
        let ended = Ended::of(after("ulimit -n 64;", args).current_dir(dir.path()));
        let line = ended.one_line(1);
        for part in ["64 files", args[0], "needs at least", "ulimit -n"] {
            assert!(line.contains(part), "{args:?}: no `{part}` in {line}");
        }
    }
}

#[test]
fn commands_that_need_few_files_work_with_few() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let rows = file(dir.path(), "c.csv", "id,phone\na,+79160000001\n");
    let config = file(dir.path(), "c.toml", "");
    for args in [
        &["openapi"][..],
        &["import", arg(&rows), "--dry-run"],
        &["check-config", "--config", arg(&config)],
        &["completions", "zsh"],
    ] {
        printed(Ended::of(&mut after("ulimit -n 64;", args)));
    }
}

#[test]
fn a_demo_is_right_with_as_many_files_as_a_mac_allows() {
    for first in ["ulimit -S -n 256;", "ulimit -n 256;"] {
        let args = ["demo", "--customers", "2000", "--exit"];
        let ended = Ended::of(&mut after(first, &args));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("balance    correct"), "{ended:?}");
        assert!(!ended.stderr.contains("files"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_practice_gateway_with_few_files_names_what_lacks() {
    let mut command = after("ulimit -n 64;", &["gateway", "--listen", "127.0.0.1:0"]);
    let (process, _) = Process::start(&mut command);
    // It says where it listens on the other stream.
    eventually("it warns", Duration::from_secs(30), async || {
        let lines = process.lines();
        let warns = |line: &String| line.contains("64 files") && line.contains("ulimit");
        lines.iter().any(warns).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_with_few_files_sends_with_fewer_connections() {
    let setup = Setup::new();
    let node = setup.start_by(&mut limited(&setup, "-n", 200)).await;
    let lines = node.stop().await;
    let told = lines.iter().find(|line| line.contains("200 files"));
    let told = told.expect("a warning");
    let number_before = |words: &str| {
        let number = told
            .split(words)
            .next()
            .and_then(|text| text.rsplit(' ').next());
        number
            .and_then(|number| number.parse::<usize>().ok())
            .expect("a number")
    };
    let slots = number_before(" requests to the gateway are in flight");
    let connections = number_before(" connections at once");
    // The data come first: what is left is for both together.
    assert!(slots >= 1 && slots + connections <= 200 - 128, "{told}");
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let node = Setup::new().start().await;
    node.import(5_000).await;
    let api = node.client.base();
    for args in [
        &["export", "customers", "--api", api][..],
        &["openapi"],
        &["completions", "bash"],
    ] {
        let mut command = notty();
        command
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("notty runs");
        let stdout = child.stdout.take().expect("piped");
        let mut first = String::new();
        BufReader::new(stdout)
            .read_line(&mut first)
            .expect("a line");
        let output = child.wait_with_output().expect("it ends");
        assert!(
            output.status.success() && !first.is_empty(),
            "{args:?}: {output:?}"
        );
        assert_eq!(output.stderr, b"", "{args:?}");
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_that_names_the_output() {
    let node = Setup::new().start().await;
    let api = node.client.base();
    let export = ["export", "customers", "--api", api];
    for args in [&["openapi"][..], &["completions", "fish"], &export] {
        let ended = Ended::of(&mut after("exec >/dev/full;", args));
        let line = ended.one_line(1);
        assert!(
            line.contains("stdout") && line.contains("No space left"),
            "{line}"
        );
    }
    let ended = at(&node, &["export", "customers", "-o", "/dev/full"]);
    let line = ended.one_line(1);
    assert!(
        line.contains("/dev/full: ") && line.contains("No space left"),
        "{line}"
    );
}

#[tokio::test]
async fn an_export_gets_its_name_when_it_is_whole() {
    let node = Setup::new().start().await;
    node.import(2_500).await;
    let path = file(node.setup.dir(), "customers.csv", "older");
    let export = ["export", "customers", "-o", arg(&path)];
    let unreachable = Ended::of(notty().args(export).args(["--api", "http://127.0.0.1:9"]));
    assert_eq!(unreachable.code, Some(1));
    let read = || std::fs::read_to_string(&path).expect("read");
    assert_eq!(read(), "older", "an export that fails changes nothing");

    assert_eq!(printed(at(&node, &export)), "");
    let piped = printed(at(&node, &["export", "customers", "-o", "-"]));
    assert_eq!(read(), piped);
    assert_eq!(piped.lines().count(), 2_501);
    let left = std::fs::read_dir(node.setup.dir()).expect("a directory");
    let left = left.map(|entry| entry.expect("an entry").file_name());
    assert!(left.into_iter().all(|name| name != ".customers.csv.new"));

    let ended = at(&node, &["export", "customers", "-o", "/nowhere/c.csv"]);
    assert!(
        ended
            .one_line(1)
            .contains("/nowhere/c.csv: cannot be written"),
        "{ended:?}"
    );
    let dir = arg(node.setup.dir());
    let ended = at(&node, &["export", "customers", "-o", dir]);
    assert!(ended.one_line(1).contains("a directory"), "{ended:?}");
}

#[tokio::test]
async fn a_command_without_streams_home_and_terminal_works() {
    let closed = "exec <&- >&- 2>&-;";
    let dir = tempfile::tempdir().expect("a temporary directory");
    for args in [&["openapi"][..], &["completions", "zsh"]] {
        assert_eq!(
            Ended::of(&mut after(closed, args)).code,
            Some(0),
            "{args:?}"
        );
    }
    let addresses = free_addresses(2);
    let serve = ["serve", "--listen", &addresses[0]];
    let gateway = ["gateway", "--listen", &addresses[1]];
    for (args, address) in [(&serve, &addresses[0]), (&gateway, &addresses[1])] {
        let mut command = after(closed, args);
        let mut process = Process::start_silently(command.current_dir(dir.path()));
        answers(address).await;
        process.signal("TERM");
        let ended = process.ended(Duration::from_secs(20)).await;
        assert!(ended.success(), "{args:?}: {ended}");
    }
}

/// Waits until something answers requests at an address.
async fn answers(address: &str) {
    eventually("it answers", Duration::from_secs(30), async || {
        tokio::net::TcpStream::connect(address).await.ok().map(drop)
    })
    .await;
}

#[test]
fn a_directory_that_cannot_be_made_is_named_with_its_key() {
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let ended = Ended::of(notty().args(serve).current_dir("/proc"));
    let line = ended.one_line(1);
    for part in ["node.data_dir", "data", "--data-dir"] {
        assert!(line.contains(part), "no `{part}` in {line}");
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = file(dir.path(), "plain", "");
    let ended = run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", arg(&path)]);
    let line = ended.one_line(2);
    assert!(
        line.contains("--data-dir: node.data_dir: ") && line.contains("is a file"),
        "{line}"
    );
}

/// The log of a node on a terminal, with further variables. It warns of one of them, and ends because its
/// port is taken.
fn log_on_a_terminal(dir: &Path, variables: &[(&str, &str)]) -> Option<String> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = listener.local_addr().expect("bound");
    let program = notty().get_program().to_owned();
    let program = program.to_str().expect("a path of ours is UTF-8");
    let line = format!("{program} serve --listen {taken} --data-dir data");
    let mut command = Command::new("script");
    command
        .args(["-qec", &line, "/dev/null"])
        .env("NOTTY_PORT", "tcp://10.0.0.1:80");
    command.envs(variables.iter().copied()).current_dir(dir);
    let output = command.stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_log_has_colours_on_a_terminal_unless_they_are_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let colour = "\u{1b}[";
    for (variables, wanted) in [
        (&[("TERM", "xterm"), ("NO_COLOR", "")][..], true),
        (&[("TERM", "xterm"), ("NO_COLOR", "1")], false),
        (&[("TERM", "dumb"), ("NO_COLOR", "")], false),
    ] {
        let Some(log) = log_on_a_terminal(dir.path(), variables) else {
            println!("SKIPPED: `script`, which makes a terminal, is not there (util-linux)");
            return;
        };
        assert!(log.contains("enableServiceLinks: false"), "{log}");
        assert_eq!(log.contains(colour), wanted, "{variables:?}: {log}");
    }
}
