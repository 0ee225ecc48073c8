//! All faults are found at once, each with its line, its variable or its option.

use super::{super::environment::strays, *};

#[track_caller]
fn faults(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let faults = load(text, environment).expect_err("refused");
    faults.lines().map(str::to_owned).collect()
}

#[test]
fn all_faults_of_a_file_are_shown_with_their_lines() {
    let text = "[gateway]\nurl = \"ftp://x\"\nspeed = 9\nconcurrency = \"many\"\n\n\
                [lease]\nsize = 70000\nttl_ms = 1\n[nodes]\nx = 1\n\
                [api]\nlisten = \"127.0.0.1:0\"\n[[api.tokens]]\nname = \"a\"\ntoken = \"\"\n\
                role = \"king\"\n[postman]\npeers = [\"h:1\", 7]\n";
    let found = faults(text, &[]);
    for wanted in [
        "config.toml:2: gateway.url: `ftp://x` is no URL that starts with http:// or https://",
        "config.toml:3: gateway.speed: unknown key; config.toml.example has all keys",
        "config.toml:4: gateway.concurrency: `\"many\"` is not a whole number",
        "config.toml:7: lease.size: 70000 is not a whole number from 0 to 65535",
        "config.toml:8: lease.ttl_ms: 1 is not between 1000 and",
        "config.toml:9: nodes: unknown key; did you mean `node`?",
        "config.toml:15: api.tokens[0].token: it is empty",
        "config.toml:16: api.tokens[0].role: `\"king\"` is wrong: unknown variant `king`, expected",
        "config.toml:18: postman.peers[1]: `7` is not a text in quotes",
    ] {
        let is_there = found.iter().any(|fault| fault.starts_with(wanted));
        assert!(is_there, "{wanted}: {found:#?}");
    }
    assert_eq!(found.len(), 9, "{found:#?}");
}

#[test]
fn a_file_that_is_no_toml_shows_each_wrong_line_once() {
    let found = faults("[lease\nsize = 5\n[retry]\ninitial_ms = = 3\n", &[]);
    let lines: Vec<_> = found.iter().map(|fault| &fault[..14]).collect();
    assert_eq!(lines, ["config.toml:1:", "config.toml:4:"], "{found:#?}");
}

#[test]
fn a_key_that_is_missing_is_named_at_its_section() {
    let found = faults("\n[[api.tokens]]\nname = \"a\"\n", &[]);
    assert_eq!(
        found,
        [
            "config.toml:2: api.tokens[0].role: it is missing",
            "config.toml:2: api.tokens[0].token: it is missing",
        ]
    );
    let found = faults("[cluster]\ntls = { cert = \"c\" }\n", &[]);
    let missing =
        |key: &str| found.contains(&format!("config.toml:2: cluster.tls.{key}: it is missing"));
    assert!(missing("key") && missing("ca"), "{found:#?}");
}

#[test]
fn a_fault_of_the_environment_names_the_variable() {
    let environment = [
        ("NOTTY_LEASE__SIZE", "0"),
        ("NOTTY_GATEWAY__CONCURRENCY", "many"),
        ("NOTTY_GATEWAY__UNSURE_STATUSES", "[502, 700]"),
        ("NOTTY_POSTMAN__PEERS", "h:1"),
        ("NOTTY_GATEWAY__TOKN", "hush"),
        ("NOTTY_API__TOKENS", "hush-hush"),
    ];
    let found = faults("[lease]\nsize = 5\nttl_ms = 60000\n", &environment);
    assert_eq!(
        found,
        [
            "NOTTY_GATEWAY__CONCURRENCY: gateway.concurrency: `many` is not a whole number",
            "NOTTY_POSTMAN__PEERS: postman.peers: `h:1` is not a list in brackets, written as in the \
             file",
            "NOTTY_GATEWAY__TOKN: there is no key `gateway.tokn`; did you mean NOTTY_GATEWAY__TOKEN?",
            "NOTTY_API__TOKENS: api.tokens: the value is not a list in brackets, written as in the file",
            "NOTTY_GATEWAY__UNSURE_STATUSES: gateway.unsure_statuses[1]: 700 is not an HTTP status, \
             which is a number from 100 to 599",
            "NOTTY_LEASE__SIZE: lease.size: 0 is not between 1 and 1000",
        ]
    );
}

#[test]
fn an_option_goes_before_all_and_is_named() {
    let text = "[api]\nlisten = \"here\"\n";
    let read = |value: &str| {
        let option = NamedValue {
            name: "--listen".to_owned(),
            key: "api.listen".to_owned(),
            value: value.into(),
        };
        Settings::from_parts("config.toml", text, &[option]).checked(Config::check)
    };
    let listen = read("127.0.0.1:1").map(|config| config.api.listen);
    assert_eq!(listen, Ok("127.0.0.1:1".to_owned()));
    let fault = read("there").expect_err("refused").0;
    assert!(
        fault.starts_with("--listen: api.listen: `there` is not"),
        "{fault}"
    );
}

#[test]
fn a_stray_variable_is_warned_of() {
    let of = |names: &[&str]| {
        let environment: Vec<_> = names.iter().map(|name| (name.into(), "x".into())).collect();
        strays(&environment)
    };
    let known = [
        "NOTTY_TOKEN",
        "NOTTY_API",
        "NOTTY_LEASE__SIZE",
        "OTHER",
        "NOTTYX",
    ];
    assert_eq!(of(&known), None);
    let line = of(&["NOTTY_GATEWAY_URL", "NOTTY_X"]).expect("a warning");
    let wanted = "NOTTY_GATEWAY_URL (did you mean NOTTY_GATEWAY__URL?), NOTTY_X";
    assert!(
        line.contains(wanted) && !line.contains("Kubernetes"),
        "{line}"
    );
    let line = of(&["NOTTY_PORT", "NOTTY_SERVICE_HOST"]).expect("a warning");
    assert!(line.contains("enableServiceLinks: false"), "{line}");
}
