//! Gateway profiles: what a provider speaks, as data.
//!
//! A profile is a TOML file. It has the request of a message, with placeholders from a closed list, and
//! the meaning of each answer by rules of which the first that fits decides. What no rule names is
//! unsure: the list of certainties is a whitelist, because a message that is sent again by mistake is
//! worse than one whose fate is open. Nothing here connects or reads files.
//!
//! [`keys`] reads tables, [`spot`] gathers faults, [`lines`] finds the lines of keys. [`placeholder`], [`template`], [`body`], [`login`],
//! [`encoding`] and [`mod@request`] have the request as it is written; [`account`], [`present`], [`line`], [`headers`] and
//! [`bound`] make it ready for one account, with the values of [`fill`] in the encodings of [`encode`].
//! [`condition`], [`statuses`], [`mod@pointer`] and [`rule`] have the answer rules, [`reach`] finds those that cannot be reached, [`judge`] applies them.
//! [`built_in`] has the profiles that come with the service.

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
mod present;
mod reach;
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
    request::RequestForm,
    rule::AnswerRule,
    spot::{ProfileFaults, Spot, one_line},
};
use super::Envelope;
use crate::config::ConfigError;

pub use account::GatewayAccount;
pub use bound::{BoundRequest, MessageRequest};
pub use judge::{AnswerJudgement, AnswerMeaning, WholeAnswer};
pub use rule::{HaltScope, LaterScope};

/// Requests in flight that a profile may allow, at most.
const CONCURRENCY: i64 = 10_000;

/// The language of a provider.
#[derive(Clone, Debug)]
pub struct Profile {
    request: RequestForm,
    rules: Vec<AnswerRule>,
    concurrency: Option<usize>,
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
        let concurrency = concurrency(&mut keys);
        keys.finish();

        check_taken(&rules, &spot.key("answer"));
        check_reach(&rules, &spot.key("answer"));
        Some(Self {
            request: request?,
            rules,
            concurrency,
        })
    }

    /// Requests in flight that the provider allows for one account, if it says so.
    pub fn concurrency(&self) -> Option<usize> {
        self.concurrency
    }

    /// The names of the secrets that an account needs.
    pub fn secrets(&self) -> BTreeSet<&str> {
        self.request.secrets()
    }

    /// Makes the request ready for an account. The error names each key of the account with a fault.
    pub fn bind(&self, account: &GatewayAccount) -> Result<BoundRequest, ConfigError> {
        BoundRequest::new(&self.request, account)
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

fn concurrency(keys: &mut KeyReader<'_>) -> Option<usize> {
    let spot = keys.spot("limits");
    let mut limits = KeyReader::new(keys.table("limits")?, spot);
    let concurrency = limits.number("concurrency", 1..=CONCURRENCY);
    limits.finish();
    concurrency.and_then(|number| usize::try_from(number).ok())
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
