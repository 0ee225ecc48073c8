//! Tests of the configuration: defaults, the file, the environment, and every check.

use std::path::PathBuf;

use super::*;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let environment = environment
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let config = Config::from_parts("config.toml", text, environment);
    let config = config.map_err(|error| error.0)?;
    config.check().map_err(|error| error.0)?;
    Ok(config)
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
        error.starts_with("config.toml:3: `speed`: unknown field"),
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
            "config.toml:2: `concurrency`: invalid type",
        ),
    ] {
        let error = load(text, &[]).expect_err(text);
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
                assert!(!fits && error.starts_with("cluster.listen: "), "{error}");
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
    let cluster = |more: &str| load(&format!("[cluster]\n{node}{more}{list}"), &[]);
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
        let error = cluster(more).expect_err(more);
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
        ("h:1", "h", "postman.peers[0]: `h` is not a host and port"),
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
        let config = Config::from_parts("config.toml", &text, []).expect("parses");
        let error = config.check_postman().expect_err(wanted).0;
        assert!(error.starts_with(wanted), "{error}");
    }
    let own = whole.replace("secret", "postman_secret");
    assert!(load(&own, &[]).is_ok(), "the secret of postmen is enough");
    let config = Config::from_parts("config.toml", whole, []).expect("parses");
    let error = config.check_node().expect_err("no node").0;
    assert!(error.starts_with("cluster.listen"), "{error}");
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
    assert!(error.contains("missing field `key`"), "{error}");
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
