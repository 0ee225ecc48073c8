//! The part of a gateway that its configuration adds to a profile: the account's secrets, its sender, and another address.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    placeholder::Placeholder,
    request::{RequestForm, url_template},
    spot::{ProfileFaults, Spot},
    template::Template,
};
use crate::config::{ConfigError, Secret};

/// An account at a provider.
#[derive(Clone, Debug, Default)]
pub struct GatewayAccount {
    /// Path of its section in the configuration, for faults.
    pub section: String,
    /// The whole address of the request, if it is not the profile's.
    pub url: Option<String>,
    /// The name that messages come from; some providers have a default.
    pub sender: Option<String>,
    /// The secrets by their names in the profile.
    pub secrets: BTreeMap<String, Secret>,
    /// True if the end of the mailing is known for each message.
    pub has_validity: bool,
    /// True if receipts are asked for.
    pub has_receipts: bool,
}

impl GatewayAccount {
    /// True if this account has no value for a placeholder, so that fields with it are left out.
    pub(super) fn lacks(&self, placeholder: &Placeholder) -> bool {
        match placeholder {
            Placeholder::Sender => self.sender.is_none(),
            Placeholder::ValidMinutes => !self.has_validity,
            Placeholder::ReceiptUrl => !self.has_receipts,
            _ => false,
        }
    }

    /// The account's value for a placeholder that is the same in all requests.
    pub(super) fn value(&self, placeholder: &Placeholder) -> Option<&str> {
        match placeholder {
            Placeholder::Sender => self.sender.as_deref(),
            Placeholder::Secret(name) => self.secrets.get(name).map(Secret::expose),
            _ => None,
        }
    }

    /// Checks that it has what a request needs, and nothing that the request does not know. Returns the
    /// address of the request.
    pub(super) fn check(&self, request: &RequestForm) -> Result<Template, ConfigError> {
        let faults = ProfileFaults::default();
        let spot = faults.at(&self.section);
        self.check_missing(&request.secrets(), &spot.key("secrets"));
        self.check_unknown(&request.secrets(), &spot.key("secrets"));
        if request.needs_sender {
            self.check_sender(&spot.key("sender"));
        }

        let url = self.url(request, &spot.key("url"));
        faults.finish()?;
        Ok(url.unwrap_or_default())
    }

    fn check_missing(&self, wanted: &BTreeSet<&str>, spot: &Spot<'_>) {
        let given = |name: &str| self.secrets.get(name).is_some_and(|s| !s.is_empty());
        for name in wanted.iter().filter(|name| !given(name)) {
            let spot = spot.key(name);
            spot.fault("it is missing, and the profile needs it");
        }
    }

    fn check_unknown(&self, wanted: &BTreeSet<&str>, spot: &Spot<'_>) {
        let unknown = |name: &&String| !wanted.contains(name.as_str());
        for name in self.secrets.keys().filter(unknown) {
            let known = listed(wanted);
            spot.key(name)
                .fault(format!("the profile has no such secret; it has {known}"));
        }
    }

    fn check_sender(&self, spot: &Spot<'_>) {
        if self.sender.as_deref().is_none_or(str::is_empty) {
            spot.fault(
                "the profile needs it: the name or number that messages come from, as the provider knows it",
            );
        }
    }

    /// The address of this account, or else the profile's.
    fn url(&self, request: &RequestForm, spot: &Spot<'_>) -> Option<Template> {
        match &self.url {
            Some(url) => url_template(url, spot),
            None => Some(request.url.clone()),
        }
    }
}

fn listed(names: &BTreeSet<&str>) -> String {
    let names: Vec<&str> = names.iter().copied().collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}
