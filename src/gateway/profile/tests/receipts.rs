//! Runs the script of each built-in profile's receipts. `UPDATE_PROFILES=1` writes the scripts again, for a
//! person to read before they are believed.
//!
//! A section has the method and the query of a call, its headers, an empty line, its body, and at last its
//! meaning after `=> `.

use std::{fmt::Write as _, path::PathBuf};

use notty_storage::model::ReceiptState;

use super::{
    super::{
        Profile, built_in,
        receipts::{DeliveryReceipt, ReceiptCall, ReceiptForm, ReceiptSecrets, ReceiptSubject},
    },
    script::{header, sections},
};
use crate::config::Secret;

fn path(name: &str) -> PathBuf {
    let dir = "src/gateway/profile/tests/receipts";
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(dir)
        .join(format!("{name}.txt"))
}

/// The built-in profiles that have receipts, with their names.
fn with_receipts() -> Vec<(&'static str, Profile)> {
    let all = built_in::names().map(|name| (name, built_in::find(name).expect(name)));
    all.filter(|(_, profile)| profile.receipts().is_some())
        .collect()
}

fn form(profile: &Profile) -> &ReceiptForm {
    profile.receipts().expect("receipts")
}

/// The meaning of a call, in words.
pub(super) fn shown_call(profile: &Profile, written: &str) -> String {
    let (head, body) = written.split_once("\n\n").unwrap_or((written, ""));
    let mut lines = head.lines();
    let first = lines.next().expect("a method and a query");
    let (_, query) = first.split_once('?').expect("a query");
    let headers = lines.map(header).collect();
    let call = ReceiptCall {
        query,
        headers: &headers,
        body: body.as_bytes(),
    };

    let secret = |name: &str| (name.to_owned(), Secret::from(format!("my-{name}").as_str()));
    let secrets: ReceiptSecrets = profile.secrets().into_iter().map(secret).collect();
    let form = form(profile);
    let read = form
        .check_signature(&call, &secrets)
        .and_then(|()| form.read(&call));
    match read {
        Ok(receipts) if receipts.is_empty() => "none".to_owned(),
        Ok(receipts) => receipts
            .iter()
            .map(shown_receipt)
            .collect::<Vec<_>>()
            .join("; "),
        Err(fault) => format!("refused: {fault}"),
    }
}

fn shown_receipt(receipt: &DeliveryReceipt) -> String {
    let state = match receipt.state {
        ReceiptState::Delivered => "delivered",
        ReceiptState::Undelivered => "undelivered",
        ReceiptState::Progress => "progress",
    };
    let code = receipt.error.as_str();
    let error = if code.is_empty() {
        String::new()
    } else {
        format!(", error `{code}`")
    };
    let subject = match &receipt.subject {
        ReceiptSubject::Url => "the message of the URL".to_owned(),
        ReceiptSubject::OwnId(id) => format!("our id {id}"),
        ReceiptSubject::OwnId31(id) => format!("our number {id}"),
        ReceiptSubject::ProviderId(id) => format!("the provider's id `{id}`"),
    };
    format!("{subject}: {state}{error}")
}

fn shown_reply(form: &ReceiptForm) -> String {
    let reply = form.reply();
    let kind = reply.content_type.as_deref().unwrap_or("no type");
    format!("{} {kind} `{}`", reply.status, reply.body)
}

/// The script with the present meanings.
fn written_again(profile: &Profile, script: &str) -> String {
    let head = script.split("\n== ").next().unwrap_or_default();
    let mut written = format!("{head}\n");
    for section in sections(script) {
        writeln!(written, "== {}", section.title).expect("memory");
        let text = match section.title {
            "reply" => format!("{}\n", shown_reply(form(profile))),
            _ => {
                let call = section.text.split("\n=> ").next().unwrap_or_default();
                format!("{call}\n=> {}\n", shown_call(profile, call))
            }
        };
        writeln!(written, "{text}").expect("memory");
    }
    written
}

#[test]
fn every_call_with_receipts_means_what_its_script_says() {
    let update = std::env::var_os("UPDATE_PROFILES").is_some();
    for (name, profile) in with_receipts() {
        let script = std::fs::read_to_string(path(name)).unwrap_or_else(|_| panic!("{name}"));
        let written = written_again(&profile, &script);
        if update {
            std::fs::write(path(name), &written).expect("the script can be written");
        }
        assert!(update || written == script, "{name}:\n{written}");
    }
}

#[test]
fn every_script_has_each_state_and_a_call_that_is_refused() {
    for (name, _) in with_receipts() {
        let script = std::fs::read_to_string(path(name)).expect("a script");
        for part in [": delivered", ": progress", "=> refused: ", "== reply"] {
            assert!(script.contains(part), "{name}: {part}");
        }
    }
}
