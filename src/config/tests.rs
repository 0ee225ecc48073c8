//! Tests of the configuration: defaults, the file, the environment, and every check.

mod gateways;
mod places;
mod wrong_values;

use std::{ffi::OsString, path::PathBuf};

use super::{environment::overrides, *};

fn settings(text: &str, environment: &[(&str, &str)]) -> Settings {
    let environment = environment.iter();
    let environment: Vec<_> = environment
        .map(|(k, v)| (OsString::from(k), OsString::from(v)))
        .collect();
    Settings::from_parts("config.toml", text, &overrides(&environment))
}

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let checked = settings(text, environment).checked(Config::check);
    checked.map_err(|error| error.0)
}

/// The only fault of a file, without the place of its key.
#[track_caller]
fn fault(text: &str) -> String {
    let fault = load(text, &[]).expect_err(text);
    assert_eq!(fault.lines().count(), 1, "{fault}");
    let (place, rest) = fault.split_once(": ").expect("a key");
    let has_place = place.starts_with("config.toml:") || place.starts_with("NOTTY_");
    if has_place { rest.to_owned() } else { fault }
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(load("", &[]), Ok(Config::default()));
}

#[test]
fn the_example_is_the_defaults() {
    let example = include_str!("../../config.toml.example");
    assert_eq!(load(example, &[]), Ok(Config::default()));
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let error = load("[gateway]\nurl = \"http://x/y\"\nspeed = 9\n", &[]).expect_err("refused");
    assert!(
        error.starts_with("config.toml:3: gateway.speed: unknown key"),
        "{error}"
    );
}

#[test]
fn a_bad_value_is_named_by_its_path() {
    for (text, wanted) in [
        (
            "[lease]\nsize = 0",
            "lease.size: 0 is not between 1 and 1000",
        ),
        (
            "[api]\nlisten = \"0.0.0.0:1\"",
            "api.listen: 0.0.0.0:1 can be reached from other machines",
        ),
        (
            "[api]\nlisten = \"here\"",
            "api.listen: `here` is not an IP address",
        ),
        (
            "[node]\ntimezone = \"Mars/Base\"",
            "node.timezone: `Mars/Base` is not an IANA",
        ),
        ("[lease]\nttl_ms = 5000", "lease.ttl_ms: 5000 is too short"),
        (
            "[retention]\nfinished_days = -1.0",
            "retention.finished_days: -1",
        ),
        (
            "[gateway]\nconcurrency = \"x\"",
            "gateway.concurrency: `\"x\"` is not a whole number",
        ),
    ] {
        let error = fault(text);
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[test]
fn peers_and_clients_have_their_own_ports() {
    let node = "secret = \"sixteen letters.\"\nexpect = 1\nname = \"a\"\n";
    let list = "[[cluster.nodes]]\nname = \"a\"\npeer = \"h:1\"\napi = \"http://h\"\n";
    for (listen, fits) in [
        ("127.0.0.1:8080", false),
        ("0.0.0.0:8080", false),
        ("127.0.0.2:8080", true),
    ] {
        let text = format!("[cluster]\nlisten = \"{listen}\"\n{node}{list}");
        let text = format!("[api]\nlisten = \"127.0.0.1:8080\"\n{text}");
        match load(&text, &[]) {
            Ok(_) => assert!(fits, "{listen}"),
            Err(error) => {
                assert!(!fits && error.contains(": cluster.listen: "), "{error}");
            }
        }
    }
}

#[test]
fn a_secret_is_long_or_there_are_certificates() {
    let node = "expect = 1\nname = \"a\"\nlisten = \"127.0.0.1:1\"\n";
    let list = "[[cluster.nodes]]\nname = \"a\"\npeer = \"h:1\"\napi = \"http://h\"\n";
    let tls = "tls = { cert = \"c\", key = \"k\", ca = \"a\" }\n";
    let long = "secret = \"sixteen letters.\"\n";
    let text = |more: &str| format!("[cluster]\n{node}{more}{list}");
    let cluster = |more: &str| load(&text(more), &[]);
    for (more, wanted) in [
        ("", "cluster.secret: it is required"),
        (
            "secret = \"fifteen letters\"\n",
            "cluster.secret: it has 15 characters",
        ),
        (
            &format!("secret = \"short\"\n{tls}"),
            "cluster.secret: it has 5 characters",
        ),
        (
            "secret = \"replace-me-by-openssl-rand-hex-24\"\n",
            "cluster.secret: it begins with `replace-me`",
        ),
        (
            &format!("{long}postman_secret = \"replace-me-by-another\"\n"),
            "cluster.postman_secret: it begins with `replace-me`",
        ),
        (
            &format!("{long}postman_secret = \"short\"\n"),
            "cluster.postman_secret: it has 5 characters",
        ),
        (
            &format!("{long}postman_secret = \"sixteen letters.\"\n"),
            "cluster.postman_secret: it is the same as cluster.secret",
        ),
        (
            &format!("postman_secret = \"another sixteen.\"\n{tls}"),
            "cluster.secret: it is required with cluster.postman_secret",
        ),
    ] {
        let error = fault(&text(more));
        assert!(error.starts_with(wanted), "{error}");
        assert!(
            error.contains("openssl rand -hex 32"),
            "the way out: {error}"
        );
    }
    assert!(cluster(&format!("{long}postman_secret = \"another sixteen.\"\n")).is_ok());
    assert!(cluster("secret = \"sixteen letters.\"\n").is_ok());
    assert!(cluster(tls).is_ok());
}

#[test]
fn a_postman_by_itself_needs_a_name_peers_and_the_secret() {
    let whole = "[postman]\nname = \"p\"\npeers = [\"h:1\"]\n[cluster]\n\
                 secret = \"sixteen letters.\"\n";
    assert!(
        load(whole, &[]).is_ok(),
        "a file for a postman alone is right"
    );
    let node = "[[cluster.nodes]]\nname = \"p\"\npeer = \"h:1\"\napi = \"http://h\"\n";
    for (from, to, wanted) in [
        (
            "name = \"p\"\n",
            "",
            "postman.name: `notty postman` needs a name",
        ),
        (
            "peers = [\"h:1\"]",
            "",
            "postman.peers: `notty postman` needs peer addresses",
        ),
        ("h:1", "h", "postman.peers[0]: `h` has no port"),
        (
            "[cluster]\nsecret = \"sixteen letters.\"\n",
            "",
            "cluster.secret: set cluster.postman_secret",
        ),
        (
            "sixteen letters.",
            "",
            "cluster.secret: set this or cluster.postman_secret",
        ),
        (
            "sixteen letters.",
            "fifteen letters",
            "cluster.secret: it has 15 characters",
        ),
        (
            "letters.\"\n",
            &format!("letters.\"\n{node}"),
            "postman.name: `p` is the name of a node",
        ),
    ] {
        let text = whole.replace(from, to);
        let error = settings(&text, &[]).checked(Config::check_postman);
        let error = error.expect_err(wanted).0;
        assert!(error.contains(wanted), "{error}");
    }
    let own = whole.replace("secret", "postman_secret");
    assert!(load(&own, &[]).is_ok(), "the secret of postmen is enough");
    let error = settings(whole, &[]).checked(Config::check_node);
    let error = error.expect_err("no node").0;
    assert!(error.contains(": cluster.listen: "), "{error}");
}

#[test]
fn a_cluster_without_a_number_of_nodes_is_told_that_it_is_required() {
    let node = "secret = \"sixteen letters.\"\nname = \"a\"\nlisten = \"127.0.0.1:1\"\n";
    let list = "[[cluster.nodes]]\nname = \"a\"\npeer = \"127.0.0.1:1\"\napi = \"http://h\"\n";
    let error = fault(&format!("[cluster]\n{node}{list}"));
    assert!(error.contains("cluster.expect: it is required"), "{error}");
    let error = fault(&format!("[cluster]\n{node}expect = 2\n{list}"));
    assert!(error.contains("2 is not between 1 and 1"), "{error}");
}

#[test]
fn whole_days_are_a_number_too() {
    let config = load("[retention]\nfinished_days = 1", &[]).expect("valid");
    assert_eq!(config.retention.finished_ms(), 86_400_000);
}

#[test]
fn the_environment_overrides_the_file() {
    let environment = [
        ("NOTTY_GATEWAY__TOKEN", "t"),
        ("NOTTY_GATEWAY__CONCURRENCY", "7"),
        ("NOTTY_GATEWAY__UNSURE_STATUSES", "[502]"),
        ("NOTTY_TOKEN", "not configuration"),
    ];
    let config = load("[gateway]\nconcurrency = 5", &environment).expect("valid");
    assert_eq!(config.gateway.concurrency, 7);
    assert_eq!(config.gateway.token.expose(), "t");
    assert_eq!(config.gateway.unsure_statuses, [502]);
}

#[test]
fn the_environment_may_name_the_certificates() {
    let environment = [
        ("NOTTY_POSTMAN__PEERS", "[\"h:1\"]"),
        ("NOTTY_POSTMAN__NAME", "p"),
        ("NOTTY_CLUSTER__TLS__CERT", "c.pem"),
        ("NOTTY_CLUSTER__TLS__KEY", "k.pem"),
        ("NOTTY_CLUSTER__TLS__CA", "a.pem"),
    ];
    let config = load("", &environment).expect("valid");
    let tls = config
        .cluster
        .and_then(|cluster| cluster.tls)
        .expect("certificates");
    assert_eq!(tls.key, PathBuf::from("k.pem"));
    let error = load("", &environment[..3]).expect_err("refused");
    assert!(error.contains("cluster.tls.key: it is missing"), "{error}");
}

#[test]
fn an_unknown_or_bad_variable_is_named() {
    let error = load("", &[("NOTTY_GATEWAY__SPEED", "1")]).expect_err("refused");
    assert!(error.contains("NOTTY_GATEWAY__SPEED"), "{error}");
    let error = load("", &[("NOTTY_LEASE__SIZE", "many")]).expect_err("refused");
    assert!(error.contains("`many` is not a whole number"), "{error}");
}

#[test]
fn secrets_are_not_shown() {
    let config = load("[gateway]\ntoken = \"hush-hush\"", &[]).expect("valid");
    assert!(!format!("{config:?}").contains("hush"));
}
