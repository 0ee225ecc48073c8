//! `notty serve`: what its flags, its file and the environment do, and what it prints.

use serde_json::{Value, json};

use super::{arg, file};
use crate::support::{Client, Process, Setup, eventually, mailing, notty};

#[tokio::test]
async fn without_a_file_the_data_lies_in_the_current_directory() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut command = notty();
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .current_dir(dir.path());
    let (_process, address) = Process::start(&mut command);
    let client = Client::new(&format!("http://{address}"));
    eventually(
        "the node is ready",
        std::time::Duration::from_secs(20),
        async || (client.get("/readyz").await.status == 200).then_some(()),
    )
    .await;
    let entries = std::fs::read_dir(dir.path()).expect("a directory");
    let names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names, ["data"]);
}

#[tokio::test]
async fn logs_are_lines_for_people_or_one_json_object_a_line() {
    for (format, is_json) in [("json", true), ("text", false)] {
        let node = Setup::new().arg("--log-format").arg(format).start().await;
        node.mail("logged", json!({})).await;
        let lines = node.stop().await;
        assert!(
            lines.iter().any(|line| line.contains("logged")),
            "{lines:?}"
        );
        for line in lines {
            let object = serde_json::from_str::<Value>(&line).is_ok_and(|line| line.is_object());
            assert_eq!(object, is_json, "{format}: {line}");
        }
    }
}

#[tokio::test]
async fn flags_go_before_the_environment_and_the_environment_before_the_file() {
    let setup = Setup::new();
    let text = "[gateway]\nrate_limit = 5\nconcurrency = 1\n\
        [api]\nlisten = \"127.0.0.1:1\"\n[node]\ndata_dir = \"from-file\"\n";
    let path = file(setup.dir(), "notty.toml", text);
    let setup = setup
        .arg("--config")
        .arg(arg(&path))
        .set("NOTTY_GATEWAY__RATE_LIMIT", "7")
        .set("NOTTY_NODE__DATA_DIR", "from-environment");
    let node = setup.start().await;
    let preview = node
        .client
        .post("/mailings/preview", &mailing("a", json!({})))
        .await;
    assert_eq!(preview.expect(200)["rate"], 7.0);
    assert!(node.setup.data().exists(), "the flag's directory");
    for other in ["from-file", "from-environment"] {
        assert!(!node.setup.dir().join(other).exists(), "{other}");
    }
    let node = node.setup.clone().set("NOTTY_GATEWAY__RATE_LIMIT", "0");
    let other = node.data_dir(&setup.dir().join("other")).start().await;
    let preview = other
        .client
        .post("/mailings/preview", &mailing("a", json!({})))
        .await;
    // One request at a time, and no limit.
    assert_eq!(preview.expect(200)["rate_from"], "assumed");
}

/// The command with another limit of open files, `ulimit`'s way.
pub(crate) fn limited(setup: &Setup, flag: &str, files: u32) -> std::process::Command {
    let inner = setup.command();
    let mut command = std::process::Command::new("sh");
    command
        .arg("-c")
        .arg(format!("ulimit {flag} {files} && exec \"$0\" \"$@\""));
    command
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir(setup.dir());
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(
        inner
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    command
}

#[tokio::test]
async fn a_node_may_open_as_many_files_as_the_system_lets_it() {
    let setup = Setup::new();
    let node = setup.start_by(&mut limited(&setup, "-S -n", 300)).await;
    if let Ok(limits) = std::fs::read_to_string(format!("/proc/{}/limits", node.process.id())) {
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"))
            .expect("a line");
        let limits: Vec<_> = line.split_whitespace().skip(3).take(2).collect();
        assert_eq!(limits[0], limits[1], "{line}");
    }
    node.stop().await;
    let node = setup.start_by(&mut limited(&setup, "-n", 300)).await;
    let lines = node.stop().await;
    let told = lines
        .iter()
        .filter(|line| line.contains("files") && line.contains("300"));
    assert_eq!(told.count(), 1, "{lines:#?}");
}
