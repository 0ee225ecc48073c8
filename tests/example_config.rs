//! `config.toml.example`: right, complete, and what holds without it; and the environment, which
//! overrides each of its keys. That the program's own defaults are the same is a unit test there.

use std::path::Path;

use toml::{Table, Value};

use crate::support::{Ended, notty};

/// Every key with its default as the contract has it, another value that is right, and one that is
/// wrong; none where every text is right.
const KEYS: [(&str, &str, &str, Option<&str>); 27] = [
    ("node.data_dir", "\"data\"", "elsewhere", None),
    ("node.compact_log_mb", "64", "1", Some("0")),
    (
        "node.public_url",
        "\"\"",
        "https://sms.example",
        Some("sms.example"),
    ),
    ("node.timezone", "\"UTC\"", "Asia/Omsk", Some("Mars/Base")),
    (
        "api.listen",
        "\"127.0.0.1:8080\"",
        "127.0.0.1:0",
        Some("0.0.0.0:8080"),
    ),
    (
        "api.tokens",
        "[]",
        "[{ name = \"a\", token = \"long-enough\", role = \"reader\" }]",
        Some("[{ name = \"a\", token = \"long-enough\", role = \"king\" }]"),
    ),
    (
        "gateway.url",
        "\"http://127.0.0.1:9090/v1/send\"",
        "https://sms.example/send",
        Some("x"),
    ),
    ("gateway.token", "\"\"", "secret", None),
    ("gateway.concurrency", "256", "1", Some("0")),
    ("gateway.rate_limit", "0", "100", Some("-1")),
    ("gateway.connect_timeout_ms", "2000", "1", Some("0")),
    ("gateway.timeout_ms", "10000", "1", Some("30000")),
    ("gateway.idle_timeout_ms", "30000", "0", Some("3600001")),
    (
        "gateway.unsure_statuses",
        "[408, 502, 504, 520, 521, 522, 523, 524, 598, 599]",
        "[]",
        Some("[99]"),
    ),
    ("gateway.idempotent", "false", "true", Some("yes")),
    ("gateway.idempotent_hours", "24", "1", Some("0")),
    ("postman.enabled", "true", "false", Some("1")),
    ("postman.name", "\"\"", "postman-7", Some("a b")),
    ("postman.journal_dir", "\"\"", "elsewhere", None),
    (
        "postman.peers",
        "[]",
        "[\"127.0.0.1:7080\"]",
        Some("127.0.0.1:7080"),
    ),
    ("lease.size", "1000", "1", Some("1001")),
    ("lease.ttl_ms", "30000", "60000", Some("12000")),
    ("retry.initial_ms", "1000", "1", Some("0")),
    ("retry.max_ms", "300000", "1000", Some("999")),
    ("retention.finished_days", "90.0", "0.25", Some("-0.1")),
    ("moderation.enabled", "true", "false", Some("off")),
    ("metrics.open", "false", "true", Some("1")),
];
const WORDS_FILE: &str = "moderation.words_file";
const CLUSTER: [&str; 6] = [
    "listen",
    "secret",
    "postman_secret",
    "name",
    "expect",
    "tls",
];

fn example() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml.example"))
}

fn text() -> String {
    std::fs::read_to_string(example()).expect("it is there")
}

/// Checks the example under an environment.
fn check(environment: &[(&str, &str)]) -> Ended {
    let mut command = notty();
    command.args(["check-config", "--config"]).arg(example());
    Ended::of(command.envs(environment.iter().copied()))
}

/// The environment variable of a key.
fn variable(key: &str) -> String {
    format!("NOTTY_{}", key.to_uppercase().replace('.', "__"))
}

/// The keys of a table with their paths.
fn paths(table: &Table, path: &str) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => all.extend(paths(inner, &format!("{path}{key}."))),
            other => all.push((format!("{path}{key}"), other.clone())),
        }
    }
    all
}

#[test]
fn the_example_is_right() {
    let ended = check(&[]);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
}

#[test]
fn the_example_has_every_key_with_its_default_and_a_line_on_it() {
    let table: Table = toml::from_str(&text()).expect("it is TOML");
    let mut found = paths(&table, "");
    found.retain(|(key, value)| key != WORDS_FILE || value.as_str() != Some(""));
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    let default = |text: &str| -> Value {
        let line: Table = toml::from_str(&format!("value = {text}")).expect("a TOML value");
        line["value"].clone()
    };
    let mut wanted: Vec<_> = KEYS
        .iter()
        .map(|(key, value, ..)| ((*key).to_owned(), default(value)))
        .collect();
    wanted.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert_eq!(found, wanted);
    assert_eq!(table["moderation"]["words_file"].as_str(), Some(""));
}

#[test]
fn the_example_shows_a_cluster_and_its_nodes_when_the_signs_are_taken_away() {
    let all = text();
    let (_, cluster) = all.split_once("# [cluster]").expect("the cluster");
    let lines = cluster
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line));
    let shown = format!("[cluster]{}", lines.collect::<Vec<_>>().join("\n"));
    let table: Table = toml::from_str(&shown).expect("it is TOML");
    let cluster = table["cluster"].as_table().expect("a table");
    for key in CLUSTER {
        assert!(cluster.contains_key(key), "{key} is not shown");
    }
    for key in ["name", "peer", "api"] {
        assert!(
            cluster["nodes"][0].get(key).is_some(),
            "{key} of a node is not shown"
        );
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("cluster.toml");
    std::fs::write(&path, shown).expect("written");
    let ended = Ended::of(notty().args(["check-config", "--config"]).arg(path));
    assert!(!ended.stderr.contains("unknown key"), "{ended:?}");
}

#[test]
fn the_section_of_backups_is_shown_and_its_keys_are_checked() {
    let all = text();
    let (_, shown) = all.split_once("# [backup]\n").expect("the backups");
    let lines = shown.lines().map_while(|line| line.strip_prefix("# "));
    let shown = lines.collect::<Vec<_>>().join("\n");
    let table: Table = toml::from_str(&shown).expect("it is TOML");
    assert_eq!(table["every"].as_str(), Some("24h"));
    assert_eq!(table["keep"].as_integer(), Some(7));

    let dir = ("NOTTY_BACKUP__DIR", "backups");
    assert_eq!(check(&[dir]).code, Some(0));
    assert_eq!(check(&[dir, ("NOTTY_BACKUP__EVERY", "1d")]).code, Some(0));
    for (variable, value, key) in [
        ("NOTTY_BACKUP__EVERY", "24", "24"),
        ("NOTTY_BACKUP__EVERY", "0s", "backup.every"),
        ("NOTTY_BACKUP__EVERY", "1 month", "1 month"),
        ("NOTTY_BACKUP__KEEP", "0", "backup.keep"),
        ("NOTTY_BACKUP__KEEP", "-1", "NOTTY_BACKUP__KEEP"),
        ("NOTTY_BACKUP__DIR", "", "backup.dir"),
    ] {
        let ended = check(&[dir, (variable, value)]);
        let line = ended.one_line(2);
        assert!(line.contains(key), "{variable}={value}: {line}");
    }
    // Without a directory there would be no backups, and nobody would know.
    let ended = check(&[("NOTTY_BACKUP__KEEP", "3")]);
    assert!(ended.one_line(2).contains("backup.dir"), "{ended:?}");
}

#[test]
fn the_gateways_at_providers_are_shown_and_each_key_is_overridden_by_the_name() {
    let all = text();
    let (_, shown) = all.split_once("# [[gateways]]\n").expect("the gateways");
    let lines = shown.lines().map_while(|line| line.strip_prefix("# "));
    let shown = lines.collect::<Vec<_>>().join("\n");
    let table: Table = toml::from_str(&shown).expect("it is TOML");
    let shown_keys: Vec<&str> = table.keys().map(String::as_str).collect();

    let values = [
        ("concurrency", "10", "14", Some("0")),
        ("connect_timeout_ms", "2000", "1", Some("0")),
        ("limits", "[]", "[{ per = \"1s\", max = 5 }]", Some("5")),
        ("name", "\"smsc\"", "", None),
        ("profile", "\"smsc.ru\"", "smsc.ru", Some("smsc.rus")),
        ("profile_file", "\"\"", "", Some("nowhere.toml")),
        ("secrets", "{ apikey = \"…\" }", "", None),
        ("sender", "\"MYSHOP\"", "OTHER", None),
        ("timeout_ms", "10000", "1", Some("30000")),
        ("url", "\"\"", "https://sms.example/send", Some("x")),
    ];
    assert_eq!(shown_keys, values.map(|(key, ..)| key));

    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("config.toml");
    std::fs::write(&path, format!("[[gateways]]\n{shown}\n")).expect("written");
    let check = |key: &str, value: &str| {
        let mut command = notty();
        let variable = format!("NOTTY_GATEWAYS__SMSC__{}", key.to_uppercase());
        command.args(["check-config", "--config"]).arg(&path);
        Ended::of(command.env(variable, value))
    };
    assert_eq!(check("secrets__apikey", "k").code, Some(0));
    for (key, default, right, wrong) in values {
        let line: Table = toml::from_str(&format!("value = {default}")).expect("a TOML value");
        assert_eq!(table[key], line["value"], "{key}");
        // A secret has its own variable, and the name is a part of each.
        if ["secrets", "name"].contains(&key) {
            continue;
        }
        let ended = check(key, right);
        assert_eq!(ended.code, Some(0), "{key}={right}: {ended:?}");
        if let Some(wrong) = wrong {
            let ended = check(key, wrong);
            assert_eq!(ended.code, Some(2), "{key}={wrong}: {ended:?}");
            assert!(ended.stderr.contains(key), "{key}={wrong}: {ended:?}");
        }
    }
}

#[test]
fn each_key_is_overridden_by_its_environment_variable() {
    for (key, _, right, wrong) in KEYS {
        let variable = variable(key);
        let ended = check(&[(&variable, right)]);
        assert_eq!(ended.code, Some(0), "{variable}={right}: {ended:?}");
        let Some(wrong) = wrong else { continue };
        let ended = check(&[(&variable, wrong)]);
        let line = ended.one_line(2);
        let named =
            line.contains(&variable) || line.contains(key.rsplit('.').next().unwrap_or(key));
        assert!(named, "{variable}={wrong}: {line}");
    }
    let ended = check(&[(&variable("api.tokens"), "hush-hush")]);
    let line = ended.one_line(2);
    assert!(
        line.contains("NOTTY_API__TOKENS") && !line.contains("hush"),
        "{line}"
    );
    let ended = check(&[(&variable(WORDS_FILE), "nowhere.txt")]);
    assert!(ended.one_line(2).contains("nowhere.txt"), "{ended:?}");
}

#[test]
fn the_environment_goes_before_the_file() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("config.toml");
    std::fs::write(&path, "[lease]\nsize = 0\n").expect("written");
    let check = |environment: &[(&str, &str)]| {
        let mut command = notty();
        command.args(["check-config", "--config"]).arg(&path);
        Ended::of(command.envs(environment.iter().copied()))
    };
    assert!(check(&[]).one_line(2).contains("lease.size"));
    assert_eq!(check(&[("NOTTY_LEASE__SIZE", "5")]).code, Some(0));
    assert!(
        check(&[("NOTTY_LEASE__SIZE", "2000")])
            .one_line(2)
            .contains("2000")
    );
}

#[test]
fn a_variable_that_is_no_key_is_named_and_one_without_two_underscores_is_none() {
    for name in [
        "NOTTY_LEASE__LENGTH",
        "NOTTY_LEASES__SIZE",
        "NOTTY_LEASE__SIZE__MAX",
        "NOTTY_CLUSTER__NODES__NAME",
        "NOTTY___SIZE",
    ] {
        let ended = check(&[(name, "1")]);
        assert!(ended.one_line(2).contains(name), "{name}: {ended:?}");
    }
    for name in [
        "NOTTY_TOKEN",
        "NOTTY_LEASE",
        "NOTTY_LEASE_SIZE",
        "OTHER_LEASE__SIZE",
    ] {
        assert_eq!(check(&[(name, "many")]).code, Some(0), "{name}");
    }
}
