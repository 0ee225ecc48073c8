//! Checks of a provider to practise with: that it has the answers that it will need, and those that are
//! asked for.

use super::{Behaviour, provider::PracticeProvider};
use crate::{
    config::ConfigError,
    gateway::profile::{AnswerKind, AnswerOccasion},
};

impl PracticeProvider {
    /// Rejects a behaviour that this provider has no answers for.
    pub(super) fn check(&self, behaviour: &Behaviour) -> Result<(), String> {
        behaviour
            .kinds()
            .into_iter()
            .try_for_each(|kind| self.check_kind(kind))?;
        self.check_receipts(behaviour)?;
        behaviour.names().try_for_each(|name| self.check_name(name))
    }

    fn check_kind(&self, kind: AnswerKind) -> Result<(), String> {
        let found = self.of_kind(kind, 0);
        let lacks = || self.lacks(&format!("that is `{}`", kind.name()));
        found.map(drop).ok_or_else(lacks)
    }

    fn check_name(&self, name: &str) -> Result<(), String> {
        let found = self.named(name);
        let lacks = || self.lacks(&format!("`{name}`"));
        found.map(drop).ok_or_else(lacks)
    }

    fn lacks(&self, what: &str) -> String {
        let names: Vec<&str> = self.names().collect();
        let (profile, names) = (self.name(), names.join(", "));
        format!("the profile `{profile}` has no answer {what}; it has {names}")
    }

    /// Rejects a profile without the answers that any practice needs.
    pub(super) fn check_answers(&self) -> Result<(), ConfigError> {
        let has_secrets = !self.profile.request_secrets().is_empty();
        if self.of_kind(AnswerKind::Taken, 0).is_none() {
            return self.needs("is `taken`");
        }
        if self.for_occasion(AnswerOccasion::Request).is_none() {
            return self.needs("has `to = \"wrong request\"`");
        }
        if has_secrets && self.for_occasion(AnswerOccasion::Secret).is_none() {
            return self.needs("has `to = \"wrong secret\"`");
        }
        Ok(())
    }

    fn needs(&self, what: &str) -> Result<(), ConfigError> {
        let fault = format!("no [[practice]] of the profile {what}");
        Err(ConfigError::at(self.name(), fault))
    }

    /// Rejects secrets that the profile does not have.
    pub(super) fn check_secrets(&self) -> Result<(), ConfigError> {
        let mut given = self.secrets.keys();
        given.try_for_each(|name| self.check_secret(name))
    }

    fn check_secret(&self, name: &str) -> Result<(), ConfigError> {
        let known = self.profile.secrets();
        let is_known = known.contains(name).then_some(());
        is_known.ok_or_else(|| {
            let known: Vec<&str> = known.into_iter().collect();
            let known = known.join(", ");
            let fault = format!("it has no secret `{name}`; it has {known}");
            ConfigError::at(self.name(), fault)
        })
    }
}
