//! The practice answers of every built-in profile: each means what it says, and no kind of answer that the
//! rules know is without one.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use notty_storage::model::MessageId;

use super::{
    super::{
        AnswerKind, AnswerMeaning, AnswerOccasion, FilledAnswer, FoundMessage, GatewayAccount,
        MessageRequest, Profile, WholeAnswer, built_in, rule::RuleMeaning,
    },
    envelope, with_rules,
};
use crate::{config::Secret, gateway::Envelope};

/// An account that has everything.
pub(super) fn full_account(profile: &Profile) -> GatewayAccount {
    let secret = |name: &str| (name.to_owned(), Secret::from(format!("my-{name}").as_str()));
    let secrets: BTreeMap<_, _> = profile.secrets().into_iter().map(secret).collect();
    GatewayAccount {
        sender: Some("MYSHOP".to_owned()),
        secrets,
        has_receipts: true,
        has_validity: true,
        ..GatewayAccount::default()
    }
}

/// The message that the reader of a profile finds in the profile's own request.
pub(super) fn found(profile: &Profile, account: &GatewayAccount, text: &str) -> FoundMessage {
    let message = MessageRequest {
        envelope: Envelope {
            receipt_url: "https://notty.example/receipts/g/30064771084?k=Zm9v",
            ..envelope(text)
        },
        valid_minutes: 90,
    };
    let request = profile.bind(account).expect("an account").request(&message);
    let found = profile.reader().read(&request);
    found.unwrap_or_else(|misfit| panic!("{misfit}: {request:?}"))
}

fn kind(profile: &Profile, answer: &FilledAnswer, text: &str) -> AnswerKind {
    let headers = answer.headers.iter().map(|line| header(line));
    let headers: HeaderMap = headers.collect();
    let whole = WholeAnswer {
        status: answer.status,
        headers: &headers,
        body: answer.body.as_bytes(),
    };
    AnswerKind::of(&profile.judge(whole, &envelope(text)).meaning)
}

fn header(line: &str) -> (HeaderName, HeaderValue) {
    let (name, value) = line.split_once(": ").expect("a header");
    (
        name.parse().expect("a name"),
        value.parse().expect("a value"),
    )
}

#[test]
fn every_answer_of_every_built_in_profile_means_what_it_says_for_a_message() {
    let text = "Скидка 20% & \"бонус\" €5";
    for name in built_in::names() {
        let profile = built_in::find(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let message = found(&profile, &full_account(&profile), text);
        let number = MessageId::from_u64((1 << 32) + 77).expect("an id");
        for answer in profile.practice() {
            let filled = answer.filled(&message, number);
            let meant = kind(&profile, &filled, text);
            assert_eq!(meant, answer.kind(), "{name}: {}", answer.name());
        }
    }
}

fn kind_of(rule: &RuleMeaning) -> AnswerKind {
    match rule {
        RuleMeaning::Taken { .. } => AnswerKind::Taken,
        RuleMeaning::Refused { .. } => AnswerKind::Refused,
        RuleMeaning::Later { .. } => AnswerKind::Later,
        RuleMeaning::Halt { scope } => AnswerKind::of(&AnswerMeaning::Halt { scope: *scope }),
        RuleMeaning::Unsure => AnswerKind::Unsure,
    }
}

#[test]
fn every_kind_of_answer_that_a_built_in_profile_knows_can_be_practised() {
    for name in built_in::names() {
        let profile = built_in::find(name).expect("a profile");
        let has = |kind| {
            profile
                .practice()
                .iter()
                .any(|answer| answer.kind() == kind)
        };
        for rule in &profile.rules {
            let kind = kind_of(&rule.meaning);
            assert!(has(kind), "{name}: no answer for {kind:?}");
        }
        assert!(has(AnswerKind::Unsure), "{name}");
        for occasion in [AnswerOccasion::Secret, AnswerOccasion::Request] {
            let is_there = profile
                .practice()
                .iter()
                .any(|answer| answer.occasion() == Some(occasion));
            assert!(is_there, "{name}: {occasion:?}");
        }
    }
}

#[test]
fn an_answer_that_the_rules_understand_otherwise_is_a_fault_of_the_profile() {
    let rules = "[[answer]]\nif = { at = \"/id\", exists = true }\nis = \"taken\"\n\
                 [[practice]]\nname = \"taken\"\nis = \"taken\"\nstatus = 200\njson = { ids = 1 }\n\
                 [[practice]]\nname = \"taken\"\nis = \"unsure\"\nstatus = 500\nbody = \"{secret.key}\"\n";
    let text = format!("{}{rules}", super::REQUEST);
    let faults = Profile::parse(&text).expect_err("faults").to_string();
    for part in [
        "practice[0]: `taken`: no rule fits it, so that it is `unsure`, and `is` says `taken`",
        "practice[1]: `{secret.key}` cannot stand in an answer",
        "practice[1].name: `taken` is there twice",
    ] {
        assert!(faults.contains(part), "{part}\n{faults}");
    }
}

#[test]
fn an_answer_speaks_of_the_message_in_the_writing_of_its_request() {
    let practice = "[[answer]]\nif = { at = \"/id\", exists = true }\nis = \"taken\"\n\
                    [[practice]]\nname = \"taken\"\nis = \"taken\"\nstatus = 200\n\
                    headers = { X-Id = 7 }\n\
                    json = { id = \"{id}\", \"{phone.digits}\" = \"{phone}: {text}\" }\n";
    let profile = with_rules(practice);
    let request = "[request]\nmethod = \"POST\"\nurl = \"https://sms.example/\"\n\
                   json = { to = \"{phone}\", text = \"{text}\" }\n";
    let sender = Profile::parse(&format!("{request}{practice}")).expect("a profile");
    let message = found(&sender, &GatewayAccount::default(), "a\"b");
    let number = MessageId::from_u64((1 << 32) + 77).expect("an id");
    assert_eq!(
        profile.practice()[0].filled(&message, number),
        FilledAnswer {
            status: 200,
            headers: vec![
                "x-id: 7".to_owned(),
                "content-type: application/json".to_owned()
            ],
            body: r#"{"79161112233":"+79161112233: a\"b","id":4294967373}"#.to_owned(),
        }
    );
}
