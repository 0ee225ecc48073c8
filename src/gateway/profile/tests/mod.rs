//! Tests of profiles: each built-in one by its script, and the format by its faults and values.

mod accounts;
mod answers;
mod documented;
mod faults;
mod judging;
mod places;
mod practising;
mod practising_receipts;
mod reading;
mod receipt_faults;
mod receipts;
mod rendering;
mod script;
mod scripts;

use notty_storage::{
    Timestamp,
    model::{MessageId, Phone},
};

use super::Profile;
use crate::gateway::Envelope;

/// A message whose text needs escapes in every place.
fn envelope(text: &str) -> Envelope<'_> {
    Envelope {
        id: MessageId::from_u64((7 << 32) + 12).expect("an id"),
        phone: Phone::parse("+79161112233").expect("a phone number"),
        text,
        ends_at: Timestamp::default(),
        receipt_url: "",
    }
}

/// A profile with a request of some lines, and one rule that takes messages.
fn with_request(request: &str) -> Profile {
    let receipts = if request.contains("{receipt_url}") {
        RECEIPTS
    } else {
        ""
    };
    let text = format!("{request}\n{TAKEN}\n{receipts}");
    Profile::parse(&text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// A profile with a plain request and some rules.
fn with_rules(rules: &str) -> Profile {
    let text = format!("{REQUEST}\n{rules}");
    Profile::parse(&text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

const REQUEST: &str = "[request]\nmethod = \"POST\"\nurl = \"https://sms.example/send\"\n";
const RECEIPTS: &str = "[receipts]\nby = \"url\"\nstate = \"s\"\ndelivered = [1]\n";
const TAKEN: &str = "[[answer]]\nif = { at = \"/id\", exists = true }\nis = \"taken\"\n";
