//! Help, wrong usage, configuration files, tokens, and nodes that are not there.

use std::{path::Path, process::Command};

use super::{arg, at, file, printed, run};
use crate::support::{Ended, Setup, notty};

/// Commands, and what their help must speak of.
const HELP: [(&[&str], &[&str]); 9] = [
    (
        &["serve"],
        &[
            "--config",
            "--data-dir",
            "--listen",
            "--log-format",
            "text",
            "json",
        ],
    ),
    (
        &["demo"],
        &["--customers", "--nodes", "--kill-leader", "--exit", "10000"],
    ),
    (
        &["gateway"],
        &[
            "--listen",
            "--token",
            "--latency-ms",
            "--fail-per-mille",
            "--invalid-per-mille",
            "--hang-per-mille",
            "--reset-per-mille",
            "/v1/send/{id}",
            "duplicates",
        ],
    ),
    (
        &["import"],
        &[
            "<FILE>",
            "--format",
            "csv",
            "ndjson",
            "--api",
            "--dry-run",
            "NOTTY_TOKEN",
        ],
    ),
    (
        &["export"],
        &[
            "customers",
            "messages",
            "--mailing",
            "--api",
            "http://127.0.0.1:8080",
        ],
    ),
    (&["watch"], &["<MAILING>", "--api", "caught up"]),
    (&["check-config"], &["--config"]),
    (&["openapi"], &["OpenAPI"]),
    (
        &["bench"],
        &[
            "dispatch",
            "post-office",
            "import",
            "write",
            "read",
            "stats",
            "restart",
            "all",
        ],
    ),
];

#[test]
fn every_command_explains_itself() {
    let overview = printed(run(&["--help"]));
    for (command, topics) in HELP {
        assert!(
            overview.contains(command[0]),
            "{command:?} is not in the overview"
        );
        let help = printed(Ended::of(notty().args(command).arg("--help")));
        for topic in topics {
            assert!(
                help.contains(topic),
                "{command:?} says nothing of {topic}: {help}"
            );
        }
    }
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_right() {
    for (args, told) in [
        (&["nonsense"][..], "nonsense"),
        (&["--nonsense"], "--nonsense"),
        (&["import"], "<FILE>"),
        (&["import", "a", "b"], "'b'"),
        (&["export"], "<WHAT>"),
        (&["export", "letters"], "customers, messages"),
        (&["watch"], "<MAILING>"),
        (&["watch", "x", "--api"], "--api"),
        (&["serve", "--log-format", "xml"], "text, json"),
        (&["serve", "data"], "'data'"),
        (&["gateway", "--speed", "9"], "--speed"),
        (&["check-config", "--strict"], "--strict"),
    ] {
        let ended = run(args);
        let line = ended.one_line(2);
        assert_eq!(ended.stdout, "", "{args:?}");
        assert!(
            line.starts_with("notty: ") && line.contains(told),
            "{args:?}: {line}"
        );
        assert!(line.contains("--help"), "the way out: {line}");
    }
    let ended = run(&[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.stderr.contains("Usage") && ended.stderr.contains("serve"),
        "{ended:?}"
    );
}

#[test]
fn it_names_its_version_and_the_commit_that_it_was_built_from() {
    let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("NOTTY_COMMIT"));
    let printed = printed(run(&["--version"]));
    assert_eq!(printed, format!("notty {version} ({commit})\n"));

    // Only a build without the repository knows no commit.
    let head = Command::new("git").args(["rev-parse", "HEAD"]).output();
    let is_known = Path::new(".git").exists() && head.is_ok_and(|head| head.status.success());
    let is_commit = commit.len() == 12 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_commit || (!is_known && commit == "unknown"), "{commit}");
}

#[tokio::test]
async fn the_api_is_taken_from_the_environment_unless_an_option_names_another() {
    let node = Setup::new().start().await;
    let export = |api: &str, args: &[&str]| {
        let mut command = notty();
        command.env("NOTTY_API", api).args(["export", "customers"]);
        Ended::of(command.args(args))
    };
    let base = node.client.base();
    assert!(printed(export(base, &[])).starts_with("id,"));
    let other = "http://127.0.0.1:9";
    assert!(printed(export(other, &["--api", base])).starts_with("id,"));
    let ended = export(other, &[]);
    assert!(ended.one_line(1).contains(other), "{ended:?}");

    // A URL that is none is a fault of the variable, and an empty variable is as good as none.
    let ended = export("here", &[]);
    let line = ended.one_line(2);
    assert!(
        line.contains("NOTTY_API") && line.contains("`here`"),
        "{line}"
    );
    let help = printed(export("", &["--help"]));
    assert!(help.contains("[default: http://127.0.0.1:8080]"), "{help}");
}

#[test]
fn check_config_names_variables_that_look_like_settings_and_are_none() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = file(dir.path(), "a.toml", "");
    let mut command = notty();
    command.args(["check-config", "--config", arg(&path)]);
    let ended = Ended::of(command.env("NOTTY_GATEWAY_URL", "http://h/"));
    let line = ended.one_line(0);
    assert!(line.contains("did you mean NOTTY_GATEWAY__URL?"), "{line}");
    assert!(ended.stdout.ends_with("a.toml: valid\n"), "{ended:?}");
}

#[test]
fn an_api_that_is_not_there_ends_with_1_and_one_clear_line() {
    for args in [
        &["watch", "x"][..],
        &["export", "customers"],
        &["export", "messages"],
    ] {
        let ended = Ended::of(notty().args(args).args(["--api", "http://127.0.0.1:9"]));
        let line = ended.one_line(1);
        assert!(line.starts_with("notty: http://127.0.0.1:9 "), "{line}");
        assert!(line.contains("refused") && line.contains("--api"), "{line}");
    }
    let ended = run(&["watch", "x", "--api", "not a url"]);
    let line = ended.one_line(2);
    assert!(
        line.contains("not a url") && line.contains("http://"),
        "{line}"
    );
}

#[tokio::test]
async fn the_token_is_taken_from_the_environment() {
    let tokens = r#"[{ name = "a", token = "secret-a", role = "reader" }]"#;
    let node = Setup::new().set("NOTTY_API__TOKENS", tokens).start().await;
    let export = |token: &str| {
        let mut command = notty();
        command.args(["export", "customers", "--api", node.client.base()]);
        Ended::of(command.env("NOTTY_TOKEN", token))
    };
    assert!(printed(export("secret-a")).starts_with("id,"));
    for token in ["secret-b", ""] {
        let ended = export(token);
        assert!(ended.one_line(1).contains("unauthorized"), "{ended:?}");
    }
    assert!(
        at(&node, &["export", "customers"])
            .one_line(1)
            .contains("unauthorized")
    );
}

#[test]
fn check_config_says_whether_a_file_is_right_and_where_it_is_not() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let check = |text: &str| {
        let path = file(dir.path(), "notty.toml", text);
        run(&["check-config", "--config", arg(&path)])
    };
    for right in [
        "",
        "[gateway]\nconcurrency = 7\n",
        "[retention]\nfinished_days = 0.5\n",
    ] {
        assert!(printed(check(right)).contains("notty.toml"), "{right}");
    }
    for (wrong, told) in [
        (
            "[gateway]\nurl = \"http://x/y\"\nspeed = 9\n",
            &["notty.toml:3", "speed"][..],
        ),
        (
            "[gatewai]\nurl = \"http://x/y\"\n",
            &["notty.toml:1", "gatewai"],
        ),
        ("[lease]\n\nsize = \"many\"\n", &["notty.toml:3", "size"]),
        ("[lease\n", &["notty.toml:1"]),
        ("[lease]\nsize = 0\n", &["lease.size", "0"]),
        ("[lease]\nsize = 1001\n", &["lease.size", "1000"]),
        (
            "[lease]\nttl_ms = 12000\n",
            &["lease.ttl_ms", "gateway.timeout_ms"],
        ),
        ("[gateway]\nconcurrency = 0\n", &["gateway.concurrency"]),
        ("[gateway]\nurl = \"ftp://x\"\n", &["gateway.url"]),
        ("[gateway]\nurl = \"here\"\n", &["gateway.url"]),
        (
            "[gateway]\nunsure_statuses = [99]\n",
            &["gateway.unsure_statuses", "99"],
        ),
        ("[gateway]\ntimeout_ms = 0\n", &["gateway.timeout_ms"]),
        ("[node]\ntimezone = \"Mars\"\n", &["node.timezone", "Mars"]),
        (
            "[api]\nlisten = \"0.0.0.0:8080\"\n",
            &["api.listen", "0.0.0.0:8080", "api.tokens"],
        ),
        ("[api]\nlisten = \"here\"\n", &["api.listen", "here"]),
        (
            "[api]\ntokens = [{ name = \"a\", token = \"short\", role = \"admin\" }]\n",
            &["api.tokens"],
        ),
        (
            "[api]\ntokens = [{ name = \"a\", token = \"long-enough\", role = \"king\" }]\n",
            &["king"],
        ),
        (
            "[retention]\nfinished_days = -1.0\n",
            &["retention.finished_days"],
        ),
        ("[retry]\ninitial_ms = 9\nmax_ms = 8\n", &["retry.max_ms"]),
        (
            "[moderation]\nwords_file = \"nowhere.txt\"\n",
            &["moderation.words_file", "nowhere.txt"],
        ),
        ("[postman]\nname = \"a b\"\n", &["postman.name"]),
    ] {
        let ended = check(wrong);
        let line = ended.one_line(2);
        for part in told {
            assert!(line.contains(part), "{wrong}: {line}");
        }
        assert_eq!(ended.stdout, "", "{wrong}");
    }
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let missing = dir.path().join("missing.toml");
    for command in ["check-config", "serve"] {
        let ended = run(&[command, "--config", arg(&missing)]);
        assert!(ended.one_line(2).contains("missing.toml"), "{ended:?}");
    }
    let ended = Ended::of(notty().arg("check-config").current_dir(dir.path()));
    assert!(ended.one_line(2).contains("config.toml"), "{ended:?}");
    file(dir.path(), "config.toml", "[lease]\nsize = 0\n");
    for command in ["check-config", "serve"] {
        let ended = Ended::of(notty().arg(command).current_dir(dir.path()));
        assert!(ended.one_line(2).contains("lease.size"), "{ended:?}");
    }
}

#[test]
fn a_gateway_token_is_never_shown() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = file(dir.path(), "a.toml", "[gateway]\ntoken = [\"hush-hush\"]\n");
    let ended = run(&["check-config", "--config", arg(&path)]);
    assert!(!ended.one_line(2).contains("hush-hush"), "{ended:?}");
}
