//! `notty check-config --profile`: checks a gateway profile, and shows the request of a sample message.
//!
//! The sample is made up: nothing is sent. Secrets stand in it by their names.

use std::path::Path;

use bytes::Bytes;
use http::Request;
use notty_storage::{
    Timestamp,
    model::{MessageId, Phone},
};

use super::out;
use crate::{
    config::{ConfigError, Secret},
    gateway::{
        Envelope,
        profile::{GatewayAccount, MessageRequest, Profile},
    },
};

/// The id of the sample: that of the first message of the first mailing.
const ID: u64 = 1 << 32;
/// The phone of the sample.
const PHONE: &str = "+79161112233";

/// Checks a profile's file, and shows what follows from it.
pub(super) fn run(file: &Path) -> anyhow::Result<()> {
    let profile = read(file)?;
    let bound = profile.bind(&sample_account(&profile))?;

    out::line(&format!("{}: right", file.display()));
    out::line(&format!("secrets: {}", secrets(&profile)));
    out::line(&format!(
        "\nThe request of a message, to {}:\n",
        bound.base()
    ));
    out::line(&shown(&bound.request(&sample_message())));
    Ok(())
}

/// Reads a profile from a file. The error has all faults, each with the file's name.
pub(super) fn read(file: &Path) -> Result<Profile, ConfigError> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| ConfigError::at(&name, error.to_string()))?;
    Profile::parse(&text).map_err(|faults| faults.of_file(&name))
}

/// An account whose secrets are their own names.
fn sample_account(profile: &Profile) -> GatewayAccount {
    let names = profile.secrets().into_iter();
    let secrets = names.map(|name| (name.to_owned(), Secret::from(name)));
    GatewayAccount {
        sender: Some("SENDER".to_owned()),
        secrets: secrets.collect(),
        ..GatewayAccount::default()
    }
}

fn sample_message() -> MessageRequest<'static> {
    MessageRequest {
        envelope: Envelope {
            id: MessageId::from_u64(ID).expect("an id"),
            phone: Phone::parse(PHONE).expect("a phone number"),
            text: "Hello",
            ends_at: Timestamp::default(),
            receipt_url: "",
        },
        valid_minutes: 60,
    }
}

fn secrets(profile: &Profile) -> String {
    let names: Vec<&str> = profile.secrets().into_iter().collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}

/// A request as a provider sees it.
fn shown(request: &Request<Bytes>) -> String {
    let mut lines = vec![format!("{} {} HTTP/1.1", request.method(), request.uri())];
    for (name, value) in request.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        lines.push(format!("{name}: {value}"));
    }
    lines.push(String::new());
    lines.push(String::from_utf8_lossy(request.body()).into_owned());
    lines.join("\n").trim_end().to_owned()
}
