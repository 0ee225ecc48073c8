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
    pub(super) fn check(
        &self,
        request: &RequestForm,
        secrets: &BTreeSet<&str>,
    ) -> Result<Template, ConfigError> {
        let faults = ProfileFaults::default();
        let spot = faults.at(&self.section);
        let url = self.url(request, &spot.key("url"));

        // The address may name secrets that nothing else in the profile does.
        let placeholders = url.iter().flat_map(Template::placeholders);
        let mut wanted = secrets.clone();
        wanted.extend(placeholders.filter_map(Placeholder::secret));
        self.check_secrets(&wanted, &spot.key("secrets"));

        self.check_users(request, &spot.key("secrets"));
        self.check_sender(request, &spot.key("sender"));
        faults.finish()?;
        Ok(url.unwrap_or_default())
    }

    fn check_secrets(&self, wanted: &BTreeSet<&str>, spot: &Spot<'_>) {
        for name in wanted {
            self.check_secret(name, &spot.key(name));
        }
        let unknown = |name: &&String| !wanted.contains(name.as_str());
        for name in self.secrets.keys().filter(unknown) {
            let fault = format!("the profile has no such secret; it has {}", listed(wanted));
            spot.key(name).fault(fault);
        }
    }

    fn check_secret(&self, name: &str, spot: &Spot<'_>) {
        match self.secrets.get(name) {
            Some(secret) => check_value(secret.expose(), spot),
            None => spot.fault("it is missing, and the profile needs it"),
        }
    }

    /// Rejects a colon in the name of a user: the rest of the name would become the password.
    fn check_users(&self, request: &RequestForm, spot: &Spot<'_>) {
        let users = request.user_secrets().into_iter();
        for name in users.filter(|name| self.has_colon(name)) {
            let spot = spot.key(name);
            spot.fault("it has a colon, which no name of a user can have");
        }
    }

    fn has_colon(&self, secret: &str) -> bool {
        let found = self.secrets.get(secret);
        found.is_some_and(|secret| secret.expose().contains(':'))
    }

    fn check_sender(&self, request: &RequestForm, spot: &Spot<'_>) {
        match &self.sender {
            Some(sender) => check_value(sender, spot),
            None if request.needs_sender => spot.fault(
                "it is missing, and the profile needs it: the name or number that messages come from, as \
                 the provider knows it",
            ),
            None => {}
        }
    }

    /// The address of this account, or else the profile's.
    fn url(&self, request: &RequestForm, spot: &Spot<'_>) -> Option<Template> {
        match &self.url {
            Some(url) => self.own_url(url, spot),
            None => Some(request.url.clone()),
        }
    }

    /// Reads an address of this account. A placeholder without a value would leave a gap in it.
    fn own_url(&self, url: &str, spot: &Spot<'_>) -> Option<Template> {
        let template = url_template(url, spot)?;
        let missing = template.placeholders().find(|found| self.lacks(found));
        let checked = missing.map_or(Ok(()), |missing| {
            Err(format!(
                "there is no value for `{missing}`, which stands in it"
            ))
        });
        spot.keep(checked)?;
        Some(template)
    }
}

/// Rejects an empty value and control characters. The value itself is not shown: it may be a secret.
fn check_value(value: &str, spot: &Spot<'_>) {
    if value.is_empty() {
        spot.fault("it is empty; leave it out if there is none");
    }
    if value.contains(char::is_control) {
        spot.fault(
            "it has a line end or another control character in it; a file's last line end perhaps",
        );
    }
    if !value.is_empty() && value.trim_matches('.').is_empty() {
        spot.fault("it has nothing but dots, which mean another path in a URL");
    }
}

fn listed(names: &BTreeSet<&str>) -> String {
    let names: Vec<&str> = names.iter().copied().collect();
    match names.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}
