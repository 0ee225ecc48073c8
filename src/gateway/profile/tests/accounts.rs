//! Values of an account that no request can have are refused by their keys, and never shown.

use super::{
    super::{GatewayAccount, Profile},
    REQUEST, with_request,
};
use crate::config::Secret;

fn account(secrets: &[(&str, &str)], sender: Option<&str>) -> GatewayAccount {
    let secret = |(name, value): &(&str, &str)| ((*name).to_owned(), Secret::from(*value));
    GatewayAccount {
        section: "gateways[0]".to_owned(),
        secrets: secrets.iter().map(secret).collect(),
        sender: sender.map(str::to_owned),
        ..GatewayAccount::default()
    }
}

#[track_caller]
fn assert_refused(profile: &Profile, account: &GatewayAccount, beginning: &str) {
    let Err(error) = profile.bind(account) else {
        panic!("the account is wrong: {beginning}");
    };
    let error = error.to_string();
    assert!(error.starts_with(beginning), "{error}");
}

#[test]
fn a_secret_with_a_line_end_is_refused_wherever_it_stands() {
    let places = [
        "headers = { X-Key = \"{secret.key}\" }",
        "bearer = \"{secret.key}\"",
        "basic = \"me:{secret.key}\"",
        "form = { key = \"{secret.key}\" }",
        "json = { key = \"{secret.key}\" }",
        "query = { key = \"{secret.key}\" }",
    ];
    for place in places {
        let profile = with_request(&format!("{REQUEST}{place}"));
        for key in ["abc\n", "abc\r\nX-Other: 1", "a\0bc"] {
            let account = account(&[("key", key)], None);
            assert_refused(
                &profile,
                &account,
                "gateways[0].secrets.key: it has a line end",
            );
        }
    }
}

#[test]
fn an_empty_secret_or_sender_is_refused() {
    let request = "form = { key = \"{secret.key}\", from = \"{sender}\" }";
    let profile = with_request(&format!("{REQUEST}{request}"));
    let no_secret = account(&[("key", "")], None);
    assert_refused(&profile, &no_secret, "gateways[0].secrets.key: it is empty");
    let no_sender = account(&[("key", "a")], Some(""));
    assert_refused(&profile, &no_sender, "gateways[0].sender: it is empty");
    let two_lines = account(&[("key", "a")], Some("SHOP\nX-Other: 1"));
    assert_refused(
        &profile,
        &two_lines,
        "gateways[0].sender: it has a line end",
    );
}

#[test]
fn a_secret_of_dots_cannot_become_another_path() {
    let request = "[request]\nmethod = \"POST\"\nurl = \"https://sms.example/{secret.sid}/send\"\n";
    let profile = with_request(request);
    let account = account(&[("sid", "..")], None);
    assert_refused(
        &profile,
        &account,
        "gateways[0].secrets.sid: it has nothing but dots",
    );
}

#[test]
fn the_name_of_a_user_has_no_colon() {
    let profile = with_request(&format!(
        "{REQUEST}basic = \"{{secret.user}}:{{secret.password}}\""
    ));
    let wrong = account(&[("user", "me:you"), ("password", "a:b")], None);
    assert_refused(&profile, &wrong, "gateways[0].secrets.user: it has a colon");
    let right = account(&[("user", "me"), ("password", "a:b")], None);
    assert!(profile.bind(&right).is_ok());
}

#[test]
fn a_sender_beyond_ascii_cannot_stand_in_a_header() {
    let request = format!("{REQUEST}headers = {{ X-From = \"{{sender}}\" }}");
    let account = account(&[], Some("Магазин"));
    assert_refused(
        &with_request(&request),
        &account,
        "gateways[0]: a secret or the sender",
    );
}

#[test]
fn an_address_that_may_grow_too_long_is_refused() {
    let query = "query = { a = \"{text}\", b = \"{text}\", c = \"{text}\", d = \"{text}\" }";
    let profile = with_request(&format!("{REQUEST}{query}"));
    assert_refused(
        &profile,
        &account(&[], None),
        "gateways[0]: the path and the query",
    );
}
