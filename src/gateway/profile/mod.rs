//! Gateway profiles: what a provider speaks, as data.
//!
//! A profile is a TOML file. It has the request of a message, with placeholders from a closed list, and
//! the meaning of each answer by rules of which the first that fits decides. What no rule names is
//! unsure: the list of certainties is a whitelist, because a message that is sent again by mistake is
//! worse than one whose fate is open. This module opens no connections and reads no files.
//!
//! - Reading: [`keys`] reads tables, [`spot`] gathers faults, [`lines`] finds the lines of keys.
//! - The request as it is written: [`placeholder`], [`template`], [`body`], [`login`], [`encoding`],
//!   [`mod@request`].
//! - The request ready for one account: [`account`], [`present`], [`line`], [`headers`], [`bound`], with
//!   the values of [`fill`] in the encodings of [`encode`].
//! - The answer: [`condition`], [`statuses`], [`mod@pointer`] and [`rule`]. [`reach`] finds rules that no
//!   answer reaches, [`judge`] applies the rules.
//! - Afterwards: [`receipts`] reads a provider's reports, [`receipt_link`] checks that the request asks
//!   for them.
//! - Practice: [`practice_keys`] reads the answers of the practice gateway, [`practice_answer`] fills
//!   them, [`reading`] finds the message in a request. [`practice_receipt_keys`] and [`practice_receipt`] do
//!   the same for its receipts.
//! - [`built_in`] has the profiles that come with the service.

mod account;
mod body;
mod bound;
pub mod built_in;
mod condition;
mod encode;
mod encoding;
mod fill;
mod headers;
mod judge;
mod keys;
mod line;
mod lines;
mod login;
mod placeholder;
mod pointer;
mod practice_answer;
mod practice_keys;
mod practice_receipt;
mod practice_receipt_keys;
mod present;
mod reach;
mod reading;
mod receipt_link;
pub mod receipts;
mod request;
mod rule;
mod spot;
mod statuses;
mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use toml::Table;

use self::{
    keys::KeyReader,
    lines::{ProfileLines, line_of},
    login::LoginForm,
    placeholder::Placeholder,
    practice_receipt_keys::ReceiptAgreement,
    receipt_link::ReceiptLink,
    receipts::ReceiptForm,
    request::RequestForm,
    rule::AnswerRule,
    spot::{ProfileFaults, Spot, one_line},
};
use super::Envelope;
use crate::config::ConfigError;

pub use super::outcome::{HaltScope, LaterScope};
pub use account::GatewayAccount;
pub use bound::{BoundRequest, MessageRequest};
pub use judge::{AnswerJudgement, AnswerMeaning, WholeAnswer};
pub use practice_answer::{AnswerKind, AnswerOccasion, FilledAnswer, PracticeAnswer};
pub use practice_receipt::{FilledReceipt, PracticeReceipt};
pub use reading::{FoundMessage, RequestReader};

/// Requests in flight that a profile may allow, at most.
const CONCURRENCY: i64 = 10_000;

/// The longest time that a message may be valid for, in minutes: a year.
const VALID_MINUTES: i64 = 365 * 24 * 60;
/// The same where a profile has no other: SMS centres refuse more than some days, and some only after the
/// provider took the message.
const USUAL_VALID_MINUTES: u32 = 2 * 24 * 60;

/// The language of a provider.
#[derive(Clone, Debug)]
pub struct Profile {
    request: RequestForm,
    rules: Vec<AnswerRule>,
    limits: ProfileLimits,
    receipts: Option<ReceiptForm>,
    practice: Vec<PracticeAnswer>,
    practice_receipts: Vec<PracticeReceipt>,
}

/// The limits of a provider, as far as its profile has them.
#[derive(Clone, Copy, Debug, Default)]
struct ProfileLimits {
    concurrency: Option<usize>,
    valid_minutes: Option<u32>,
}

impl Profile {
    /// Reads a profile and checks it. The error has every fault, each with its key.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let table: Table = text.parse().map_err(|error| no_toml(&error, text))?;
        let lines = ProfileLines::read(text);
        let faults = ProfileFaults::of_lines(&lines);
        let profile = Self::of_table(&table, &faults.at(""));
        faults.finish()?;
        profile.ok_or_else(|| ConfigError::at("request", "it is missing"))
    }

    fn of_table(table: &Table, spot: &Spot<'_>) -> Option<Self> {
        let mut keys = KeyReader::new(table, spot.clone());
        check_sources(&mut keys);
        let request = request(&mut keys);
        let rules = rule::rules(keys.value("answer"), &spot.key("answer"));
        let limits = limits(&mut keys);
        let receipts = receipts(&mut keys);
        let practice =
            practice_keys::answers(keys.value("practice"), &rules, &spot.key("practice"));
        let agreement = ReceiptAgreement {
            form: receipts.as_ref(),
            has_section: table.contains_key("receipts"),
            rules: &rules,
            answers: &practice,
        };
        let practice_receipts = practice_receipt_keys::receipts(
            keys.value("practice_receipt"),
            &agreement,
            &spot.key("practice_receipt"),
        );

        // All keys that there are have been read: any other one is a fault.
        keys.finish();

        check_taken(&rules, &spot.key("answer"));
        check_reach(&rules, &spot.key("answer"));
        let profile = Self {
            request: request?,
            rules,
            limits,
            receipts,
            practice,
            practice_receipts,
        };

        let receipts = ReceiptLink {
            form: profile.receipts(),
            has_section: table.contains_key("receipts"),
        };
        receipts.check(&profile.request, &profile.rules, &spot.key("receipts"));
        Some(profile)
    }

    /// Requests in flight that the provider allows for one account, if it says so.
    pub fn concurrency(&self) -> Option<usize> {
        self.limits.concurrency
    }

    /// The longest validity that a message is sent with, in minutes.
    pub fn valid_minutes(&self) -> u32 {
        self.limits.valid_minutes.unwrap_or(USUAL_VALID_MINUTES)
    }

    /// The names of the secrets that an account needs.
    pub fn secrets(&self) -> BTreeSet<&str> {
        let signing = self.receipts.as_ref().and_then(ReceiptForm::secret);
        let mut secrets = self.request.secrets();
        secrets.extend(signing);
        secrets
    }

    /// The names of the secrets that each request has in it.
    pub fn request_secrets(&self) -> BTreeSet<&str> {
        self.request.secrets()
    }

    /// The form of the provider's receipts, if it has any.
    pub fn receipts(&self) -> Option<&ReceiptForm> {
        self.receipts.as_ref()
    }

    /// True if each request can name a URL for the receipts of its message. Otherwise receipts, if there
    /// are any, come to one URL for the whole account.
    pub fn asks_receipts(&self) -> bool {
        self.request.asks_receipts()
    }

    /// Makes the request ready for an account. The error names each key of the account with a fault.
    pub fn bind(&self, account: &GatewayAccount) -> Result<BoundRequest, ConfigError> {
        BoundRequest::new(&self.request, account, &self.secrets())
    }

    /// The answers that the practice gateway gives, in the order of the profile.
    pub fn practice(&self) -> &[PracticeAnswer] {
        &self.practice
    }

    /// The calls with receipts that the practice gateway makes, in the order of the profile.
    pub fn practice_receipts(&self) -> &[PracticeReceipt] {
        &self.practice_receipts
    }

    /// Makes a reader of the requests that this profile makes.
    pub fn reader(&self) -> RequestReader {
        RequestReader::new(&self.request)
    }

    /// The meaning of an answer to a message.
    pub fn judge(&self, answer: WholeAnswer<'_>, envelope: &Envelope<'_>) -> AnswerJudgement<'_> {
        judge::judge(&self.rules, answer, envelope)
    }
}

impl RequestForm {
    fn secrets(&self) -> BTreeSet<&str> {
        let placeholders = self.placeholders().into_iter();
        placeholders.filter_map(Placeholder::secret).collect()
    }

    fn user_secrets(&self) -> Vec<&str> {
        let users = self.login.iter().flat_map(LoginForm::user);
        users.filter_map(Placeholder::secret).collect()
    }
}

/// The fault of a text that is no TOML, with its line.
fn no_toml(error: &toml::de::Error, text: &str) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start);
    let line = line_of(text, start);
    ConfigError::at(&format!("line {line}"), one_line(error.message()))
}

/// Reads where the profile comes from, and what in it could not be verified. People read that.
fn check_sources(keys: &mut KeyReader<'_>) {
    keys.text("summary");
    keys.texts("documentation");
    keys.text("looked_up");
    keys.texts("unverified");
}

fn request(keys: &mut KeyReader<'_>) -> Option<RequestForm> {
    let spot = keys.spot("request");
    let table = keys.table("request")?;
    RequestForm::parse(table, &spot)
}

fn limits(keys: &mut KeyReader<'_>) -> ProfileLimits {
    let spot = keys.spot("limits");
    let Some(table) = keys.table("limits") else {
        return ProfileLimits::default();
    };
    let mut limits = KeyReader::new(table, spot);
    let concurrency = limits.number("concurrency", 1..=CONCURRENCY);
    let valid_minutes = limits.number("valid_minutes", 1..=VALID_MINUTES);
    limits.finish();

    ProfileLimits {
        concurrency: concurrency.and_then(|number| usize::try_from(number).ok()),
        valid_minutes: valid_minutes.and_then(|number| u32::try_from(number).ok()),
    }
}

fn receipts(keys: &mut KeyReader<'_>) -> Option<ReceiptForm> {
    let spot = keys.spot("receipts");
    ReceiptForm::parse(keys.table("receipts")?, &spot)
}

/// Rejects rules by which no message would ever be taken.
fn check_taken(rules: &[AnswerRule], spot: &Spot<'_>) {
    if !rules.iter().any(AnswerRule::takes) {
        spot.fault("no rule is `taken`, so that every message would end as unconfirmed");
    }
}

/// Rejects rules that no answer reaches.
fn check_reach(rules: &[AnswerRule], spot: &Spot<'_>) {
    for (n, rule) in rules.iter().enumerate() {
        if let Some(fault) = reach::unreachable(rule, &rules[..n]) {
            // Not by its number among those that could be read.
            spot.entry(rule.number).fault(fault);
        }
    }
}
