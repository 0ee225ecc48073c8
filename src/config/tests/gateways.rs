//! `[[gateways]]`: names, variables, and what is refused.

use super::*;

const SMSC: &str = "[[gateways]]\nname = \"smsc.main-1\"\nprofile = \"smsc.ru\"\n\
                    secrets = { apikey = \"hush-hush\" }\n";

#[test]
fn an_entry_has_all_keys_and_the_rest_by_default() {
    let text = format!("{SMSC}sender = \"SHOP\"\nlimits = [{{ per = \"1s\", max = 50 }}]\n");
    let config = load(&text, &[]).expect("right");
    let gateway = &config.gateways[0];
    assert_eq!(gateway.sender, "SHOP");
    assert_eq!(gateway.secrets["apikey"].expose(), "hush-hush");

    let terms = config.gateway_terms();
    assert_eq!((terms.concurrency, terms.rate_limit), (10, 50));
    assert_eq!(terms.idempotent_hours, None);
    // Not `retry.max_ms`: a profile knows how long its provider must be left alone.
    assert_eq!(terms.wish_ms, 3_600_000);
}

#[test]
fn variables_name_a_gateway_by_its_name_with_underscores() {
    let environment = [
        ("NOTTY_GATEWAYS__SMSC_MAIN_1__SECRETS__APIKEY", "other"),
        ("NOTTY_GATEWAYS__SMSC_MAIN_1__CONCURRENCY", "3"),
        (
            "NOTTY_GATEWAYS__SMSC_MAIN_1__LIMITS",
            "[{ per = \"1s\", max = 7 }]",
        ),
    ];
    let config = load(SMSC, &environment).expect("right");
    let gateway = &config.gateways[0];
    assert_eq!(gateway.name, "smsc.main-1");
    assert_eq!(gateway.secrets["apikey"].expose(), "other");
    assert_eq!(config.gateway_terms().concurrency, 3);
    assert_eq!(config.gateway_terms().rate_limit, 7);
}

#[test]
fn variables_alone_make_a_gateway() {
    let environment = [
        ("NOTTY_GATEWAYS__SMSC__PROFILE", "smsc.ru"),
        ("NOTTY_GATEWAYS__SMSC__SECRETS__APIKEY", "k"),
    ];
    let config = load("", &environment).expect("right");
    assert_eq!(config.gateways.len(), 1);
    assert_eq!(config.gateways[0].name, "smsc");
}

#[test]
fn a_variable_with_another_name_is_a_misspelling() {
    let error = load(SMSC, &[("NOTTY_GATEWAYS__SMCS__SENDER", "x")]).expect_err("refused");
    assert_eq!(
        error,
        "NOTTY_GATEWAYS__SMCS__SENDER: there is no gateway `smcs`; there is smsc.main-1"
    );
    let variable = "NOTTY_GATEWAYS__SMSC_MAIN_1__SENDR";
    let error = load(SMSC, &[(variable, "x")]).expect_err("refused");
    let meant = "did you mean NOTTY_GATEWAYS__SMSC_MAIN_1__SENDER?";
    assert!(error.contains(meant), "{error}");
}

#[test]
fn what_is_not_possible_is_refused_with_its_reason() {
    let two = format!("{SMSC}{SMSC}");
    for (text, wanted) in [
        (
            format!("{SMSC}[gateway]\nconcurrency = 5\n"),
            "config.toml:5: gateway: there is [[gateways]] too; keep one of them",
        ),
        (
            two,
            "config.toml:5: gateways[1]: one gateway is possible so far",
        ),
        (
            format!("{SMSC}[[routes]]\noperator = \"x\"\n"),
            "config.toml:5: routes: routes are not possible yet",
        ),
        (
            format!("{SMSC}limits = [{{ per = \"1d\", max = 5 }}]\n"),
            "config.toml:5: gateways[0].limits[0].per: `1d` cannot be kept yet",
        ),
        (
            format!("{SMSC}limits = [{{ per = \"1s\", max = 0 }}]\n"),
            "config.toml:5: gateways[0].limits[0].max: 0 is not between 1",
        ),
        (
            "[[gateways]]\nname = \"a__b\"\nprofile = \"twilio\"\n".to_owned(),
            "config.toml:2: gateways[0].name: `a__b` is no name of a gateway",
        ),
        (
            "[[gateways]]\nname = \"a\"\n".to_owned(),
            "config.toml:1: gateways[0].profile: it is missing",
        ),
        (
            format!("{SMSC}profile_file = \"acme.toml\"\n"),
            "config.toml:3: gateways[0].profile: `profile_file` is set too",
        ),
        (
            format!("{SMSC}url = \"https://u:hush@x.example/{{y}}\"\n"),
            "config.toml:5: gateways[0].url: it has a user name or password in it",
        ),
        (
            format!("{SMSC}speed = 1\n"),
            "config.toml:5: gateways[0].speed: unknown key",
        ),
        (
            format!("{SMSC}timeout_ms = 29000\n"),
            "lease.ttl_ms: 30000 is too short: it must be at least gateways[0].connect_timeout_ms",
        ),
    ] {
        let error = load(&text, &[]).expect_err(&text);
        assert!(error.starts_with(wanted), "{text}\n{error}");
        assert!(!error.contains("hush"), "{error}");
    }
}

#[test]
fn two_kinds_of_gateways_are_named_by_their_places_wherever_they_come_from() {
    let error = load(SMSC, &[("NOTTY_GATEWAY__TOKEN", "")]).expect_err("refused");
    assert!(
        error.starts_with("NOTTY_GATEWAY__TOKEN: gateway: "),
        "{error}"
    );
    assert!(
        error.ends_with("[[gateways]] comes from config.toml:1"),
        "{error}"
    );

    let variable = "NOTTY_GATEWAYS__A__PROFILE";
    let own = "[gateway]\nurl = \"http://x/y\"\n";
    let error = load(own, &[(variable, "twilio")]).expect_err("refused");
    assert!(error.starts_with("config.toml:1: gateway: "), "{error}");
    assert!(error.ends_with(variable), "{error}");
}

#[test]
fn a_variable_of_a_gateway_is_read_by_its_name_in_any_writing() {
    let environment = [
        ("NOTTY_GATEWAYS__smsc-1__PROFILE", "smsc.ru"),
        ("NOTTY_GATEWAYS__smsc-1__SENDER", "SHOP"),
        ("NOTTY_GATEWAYS__SMSC_1__SECRETS__APIKEY", "k"),
    ];
    let config = load("", &environment).expect("right");
    assert_eq!(config.gateways[0].sender, "SHOP");

    for (key, wanted) in [
        ("SECRETS", "like NOTTY_GATEWAYS__SMSC_MAIN_1__SECRETS__KEY"),
        ("NAME", "the name of a gateway is a part of its variables"),
    ] {
        let variable = format!("NOTTY_GATEWAYS__SMSC_MAIN_1__{key}");
        let error = load(SMSC, &[(&variable, "{ apikey = \"hush\" }")]).expect_err("refused");
        assert!(error.contains(wanted) && !error.contains("hush"), "{error}");
    }
}

#[test]
fn a_section_in_the_wrong_form_does_not_show_what_is_in_it() {
    let secrets = "secrets = { apikey = \"hush\" }";
    let name = "name = \"smsc\"\nprofile = \"smsc.ru\"\n";
    for (text, wanted) in [
        (format!("[gateways]\n{name}{secrets}\n"), "[[gateways]]"),
        (format!("[gateways.smsc]\n{secrets}\n"), "[[gateways]]"),
        (
            format!("gateways = [[{{ {secrets} }}]]\n"),
            "a table with the keys",
        ),
        (
            "gateways = [\"hush\"]\n".to_owned(),
            "a table with the keys",
        ),
        ("gateways = \"hush\"\n".to_owned(), "a list"),
        (
            "[api.tokens]\nops = \"hush\"\n".to_owned(),
            "[[api.tokens]]",
        ),
        (
            "cluster = [{ secret = \"hush\" }]\n".to_owned(),
            "a table with the keys",
        ),
    ] {
        let error = load(&text, &[]).expect_err(&text);
        assert!(!error.contains("hush"), "{error}");
        assert!(
            error.starts_with("config.toml:1: ") && error.contains(wanted),
            "{error}"
        );
    }
}

#[test]
fn a_key_in_a_url_that_is_wrong_is_not_shown() {
    for url in [
        "https://replace-me.example/send?api_key=hush",
        "https://u:hu/sh@sms.example/send",
    ] {
        let error = load(&format!("{SMSC}url = \"{url}\"\n"), &[]).expect_err(url);
        assert!(!error.contains("hush") && !error.contains("hu/"), "{error}");
    }
}

#[test]
fn secrets_show_neither_in_faults_nor_where_a_configuration_is_printed() {
    let config = load(SMSC, &[]).expect("right");
    assert!(!format!("{config:?}").contains("hush"));
    for wrong in ["secrets = \"hush\"", "secrets = { apikey = [\"hush\"] }"] {
        let text = format!("[[gateways]]\nname = \"a\"\nprofile = \"smsc.ru\"\n{wrong}\n");
        let error = load(&text, &[]).expect_err("refused");
        assert!(
            !error.contains("hush") && error.contains("secrets"),
            "{error}"
        );
    }
}
