//! Runs the script of each built-in profile. `UPDATE_PROFILES=1` writes the scripts again, for a person to
//! read before they are believed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::PathBuf,
};

use super::{
    super::{BoundRequest, GatewayAccount, MessageRequest, Profile, built_in},
    envelope,
    script::{ScriptAnswer, sections, shown_judgement, shown_request},
};
use crate::{config::Secret, gateway::Envelope};

const TEXT: &str = "Скидка 20% & \"бонус\" €5";
const RECEIPTS: &str = "https://notty.example/receipts/g/30064771084?k=Zm9v";

fn path(name: &str) -> PathBuf {
    let dir = "src/gateway/profile/tests/scripts";
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(dir)
        .join(format!("{name}.txt"))
}

fn account(profile: &Profile, is_full: bool) -> GatewayAccount {
    let secret = |name: &str| (name.to_owned(), Secret::from(format!("my-{name}").as_str()));
    let secrets: BTreeMap<_, _> = profile.secrets().into_iter().map(secret).collect();
    let sender = (is_full || profile.request.needs_sender).then(|| "MYSHOP".to_owned());
    GatewayAccount {
        sender,
        secrets,
        has_receipts: is_full,
        has_validity: is_full,
        ..GatewayAccount::default()
    }
}

fn bound(profile: &Profile, is_full: bool) -> BoundRequest {
    let account = account(profile, is_full);
    profile.bind(&account).expect("an account that fits")
}

fn request(profile: &Profile, is_full: bool, text: &str) -> String {
    let message = MessageRequest {
        envelope: Envelope {
            receipt_url: RECEIPTS,
            ..envelope(text)
        },
        valid_minutes: 90,
    };
    let bound = bound(profile, is_full);
    format!(
        "{}\n{}",
        bound.base(),
        shown_request(&bound.request(&message))
    )
}

/// The script with the present requests and meanings, and the rules that its answers reach.
fn written_again(profile: &Profile, script: &str) -> (String, BTreeSet<String>) {
    let head = script.split("\n== ").next().unwrap_or_default();
    let mut written = format!("{head}\n");
    let mut reached = BTreeSet::new();

    for section in sections(script) {
        writeln!(written, "== {}", section.title).expect("memory");
        let text = match section.title {
            "request, with no more than is needed" => request(profile, false, "Hello"),
            "request, with sender, validity and receipts" => request(profile, true, TEXT),
            _ => {
                let answer = ScriptAnswer::parse(section.text);
                let judgement = profile.judge(answer.whole(), &envelope(TEXT));
                reached.extend(judgement.rule.map(str::to_owned));
                format!("{}\n=> {}\n", answer.written, shown_judgement(&judgement))
            }
        };
        writeln!(written, "{text}").expect("memory");
    }
    (written, reached)
}

#[test]
fn every_built_in_profile_does_what_its_script_says() {
    let update = std::env::var_os("UPDATE_PROFILES").is_some();
    let mut faults = Vec::new();
    for name in built_in::names() {
        let profile = built_in::find(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let script = std::fs::read_to_string(path(name)).unwrap_or_else(|_| panic!("{name}"));
        let (written, _) = written_again(&profile, &script);
        if update {
            std::fs::write(path(name), &written).expect("the script can be written");
        } else if written != script {
            faults.push(format!("{name}:\n{}", difference(&script, &written)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_rule_of_a_built_in_profile_is_reached_by_its_script() {
    for name in built_in::names() {
        let profile = built_in::find(name).expect("a profile");
        let script = std::fs::read_to_string(path(name)).expect("a script");
        let (_, reached) = written_again(&profile, &script);
        for rule in &profile.rules {
            assert!(reached.contains(&rule.path), "{name}: {}", rule.path);
        }
    }
}

/// The first line that differs, as it was and as it is.
fn difference(was: &str, is: &str) -> String {
    let mut pairs = was.lines().zip(is.lines());
    let differing = pairs.find(|(was, is)| was != is);
    let (was, is) = differing.unwrap_or(("(its end)", "(its end)"));
    format!("the script has: {was}\nbut it is:      {is}")
}

#[test]
fn every_built_in_profile_names_its_documentation_and_the_day() {
    for name in built_in::names() {
        let text = built_in::text(name).expect("a profile");
        for key in ["summary = ", "documentation = [", "looked_up = \"20"] {
            assert!(text.contains(key), "{name}: {key}");
        }
    }
}
