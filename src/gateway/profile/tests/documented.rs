//! The profile of docs/gateway-profiles.md does what that page says.

use std::collections::BTreeMap;

use http::HeaderMap;

use super::{
    super::{GatewayAccount, MessageRequest, Profile, WholeAnswer},
    envelope,
    receipts::shown_call,
    script::{shown_judgement, shown_request},
};
use crate::{config::Secret, gateway::practice::PracticeProvider};

const PAGE: &str = include_str!("../../../../docs/gateway-profiles.md");

/// The first block of a language after a heading.
fn block(start: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(start).expect(start);
    let (block, _) = rest.split_once("\n```\n").expect("the end of the block");
    block
}

fn profile() -> Profile {
    let text = block("The whole profile:\n\n```toml\n");
    Profile::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_documented_profile_makes_the_documented_request() {
    let account = GatewayAccount {
        sender: Some("SENDER".to_owned()),
        secrets: [("token".to_owned(), Secret::from("token"))].into(),
        ..GatewayAccount::default()
    };
    let message = MessageRequest {
        envelope: envelope("Hello"),
        valid_minutes: 60,
    };
    let bound = profile().bind(&account).expect("an account that fits");
    let shown = shown_request(&bound.request(&message));
    let documented = block("request of a made-up message:\n\n```\n");
    let documented = documented.replace("4294967296", "30064771084");
    assert_eq!(shown.trim_end(), documented);
}

#[test]
fn the_documented_answers_mean_what_the_page_says() {
    let profile = profile();
    let (_, table) = PAGE
        .split_once("| answer | meaning |\n|---|---|\n")
        .expect("the table");
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [answer, meaning] = cells[..] else {
            panic!("{row}");
        };
        let (status, body) = answer[2..].split_once(' ').expect("a status");
        let judgement = profile.judge(
            WholeAnswer {
                status: status.parse().expect("a number"),
                headers: &HeaderMap::new(),
                body: body.trim_matches('`').as_bytes(),
            },
            &envelope("Hello"),
        );
        let shown = shown_judgement(&judgement);
        assert!(
            shown.starts_with(meaning.trim_end_matches(" |")),
            "{row}: {shown}"
        );
        count += 1;
    }
    assert_eq!(count, 10);
}

#[test]
fn the_documented_receipts_mean_what_the_page_says() {
    let profile = profile();
    let (_, table) = PAGE
        .split_once("| call | meaning |\n|---|---|\n")
        .expect("the table");
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let mut count = 0;
    for row in rows {
        let (body, meaning) = row[2..].split_once(" | ").expect("two cells");
        let written = format!("POST ?k=Zm9v\n\n{}", body.trim_matches('`'));
        let shown = shown_call(&profile, &written);
        assert_eq!(shown, meaning.trim_end_matches(" |"), "{row}");
        count += 1;
    }
    assert_eq!(count, 4);
}

#[test]
fn every_key_and_placeholder_is_documented() {
    for name in [
        "id",
        "id.text",
        "id.31",
        "phone",
        "phone.digits",
        "phone.number",
        "text",
        "text.utf16hex",
        "segments",
        "encoding",
        "sender",
        "valid_minutes",
        "receipt_url",
        "secret.NAME",
    ] {
        assert!(PAGE.contains(&format!("`{{{name}}}`")), "{name}");
    }
    for key in [
        "summary",
        "documentation",
        "looked_up",
        "unverified",
        "method",
        "url",
        "headers",
        "basic",
        "bearer",
        "query",
        "json",
        "form",
        "receipts",
        "needs",
        "encoding",
        "by",
        "id",
        "state",
        "delivered",
        "undelivered",
        "error",
        "items",
        "lines",
        "only",
        "signature",
        "reply",
    ] {
        assert!(PAGE.contains(&format!("| `{key}` |")), "{key}");
    }
}

#[test]
fn the_documented_practice_answers_mean_what_the_documented_rules_say() {
    let rules = block("The whole profile:\n\n```toml\n");
    let answers = block("`notty gateway --profile-file acme.toml`:\n\n```toml\n");
    let receipts = block("by `[receipts]` as it says. These are Acme's:\n\n```toml\n");
    let profile = Profile::parse(&format!("{rules}\n{answers}\n{receipts}"));
    let profile = profile.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(profile.practice().len(), 4);
    assert_eq!(profile.practice_receipts().len(), 3);
    PracticeProvider::new("acme.toml", profile, BTreeMap::new()).expect("ready to practise with");
}
