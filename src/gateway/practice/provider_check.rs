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
        self.check_kinds(behaviour)?;
        let mut names = behaviour.names();
        match names.find(|name| self.named(name).is_none()) {
            Some(unknown) => Err(self.lacks(&format!("`{unknown}`"))),
            None => Ok(()),
        }
    }

    fn check_kinds(&self, behaviour: &Behaviour) -> Result<(), String> {
        let mut wanted = behaviour.kinds().into_iter();
        match wanted.find(|kind| self.of_kind(*kind, 0).is_none()) {
            Some(kind) => Err(self.lacks(&format!("that is `{}`", kind.name()))),
            None => Ok(()),
        }
    }

    fn lacks(&self, what: &str) -> String {
        let names: Vec<&str> = self.names().collect();
        let (profile, names) = (self.name(), names.join(", "));
        format!("the profile `{profile}` has no answer {what}; it has {names}")
    }

    /// Rejects a profile without the answers that any practice needs.
    pub(super) fn check_answers(&self) -> Result<(), ConfigError> {
        let has_secrets = !self.profile.secrets().is_empty();
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
        let known = self.profile.secrets();
        let mut given = self.secrets.keys();
        let unknown = given.find(|name| !known.contains(name.as_str()));
        let Some(unknown) = unknown else {
            return Ok(());
        };
        let known: Vec<&str> = known.into_iter().collect();
        let known = known.join(", ");
        let fault = format!("it has no secret `{unknown}`; it has {known}");
        Err(ConfigError::at(self.name(), fault))
    }
}
