//! Receipts in the place of a provider: their address, their content, and the checks before any is sent.

use std::collections::BTreeMap;

use notty_storage::model::{MessageId, ReceiptState};

use super::{
    Behaviour, ReceiptShares,
    provider::PracticeProvider,
    receipts::{ReceiptRound, RoundMessage},
};
use crate::{
    address::HttpUrl,
    config::{ConfigError, Secret},
    gateway::profile::{FilledReceipt, FoundMessage, PracticeReceipt, receipts::ReceiptForm},
};

impl PracticeProvider {
    /// Sends the receipts of messages without a URL of their own to this one, as a provider does whose
    /// accounts have one URL.
    pub fn with_receipts_to(mut self, url: &str) -> Result<Self, ConfigError> {
        let fault = |what: String| ConfigError(format!("--receipts-to: {what}"));
        // A query is part of some providers' settings, and no part of an address here.
        let address = url.split('?').next().unwrap_or_default();
        HttpUrl::parse(address).map_err(|what| fault(format!("`{address}` {what}")))?;
        self.check_account_wide().map_err(fault)?;
        self.receipts_to = Some(url.to_owned());
        Ok(self)
    }

    fn check_account_wide(&self) -> Result<(), String> {
        let name = self.name();
        let Some(form) = self.profile.receipts() else {
            return Err(format!(
                "the profile `{name}` has no receipts; leave it out"
            ));
        };
        if form.names_messages() {
            return Ok(());
        }
        Err(format!(
            "receipts of the profile `{name}` go to the URL that each request names; leave it out"
        ))
    }

    /// Rejects a behaviour that needs receipts which this profile does not have.
    pub(super) fn check_receipts(&self, behaviour: &Behaviour) -> Result<(), String> {
        let shares = &behaviour.receipts;
        if !shares.is_usual() {
            self.check_state(ReceiptState::Delivered, "delivered")?;
        }
        if shares.undelivered_per_mille > 0 {
            self.check_state(ReceiptState::Undelivered, "undelivered")?;
        }
        Ok(())
    }

    fn check_state(&self, state: ReceiptState, word: &str) -> Result<(), String> {
        let mut receipts = self.profile.practice_receipts().iter();
        if receipts.any(|receipt| receipt.state() == state) {
            return Ok(());
        }
        let name = self.name();
        Err(format!(
            "the profile `{name}` has no [[practice_receipt]] that is `{word}`; leave that option out"
        ))
    }

    /// Rejects receipts that could not be signed.
    pub(super) fn check_signature(&self) -> Result<(), ConfigError> {
        let secret = self.profile.receipts().and_then(ReceiptForm::secret);
        let has_calls = !self.profile.practice_receipts().is_empty();
        let Some(secret) = secret.filter(|_| has_calls) else {
            return Ok(());
        };

        // What a request has is known when the first one comes.
        let travels = self.profile.request_secrets().contains(secret);
        if travels || self.secrets.contains_key(secret) {
            return Ok(());
        }

        let fault = format!(
            "its receipts are signed with the secret `{secret}`, which no request has: add --secret \
             {secret}=VALUE"
        );
        Err(ConfigError::at(self.name(), fault))
    }

    /// The receipts of a message that was taken; `None` if there is no address for them. `number` is its
    /// id in the answer where none travels.
    pub(super) fn round(
        &self,
        message: &FoundMessage,
        key: u64,
        number: MessageId,
        shares: &ReceiptShares,
    ) -> Option<ReceiptRound> {
        let url = message.receipt_url().or(self.receipts_to.as_deref())?;
        let form = self.profile.receipts()?;

        let round = RoundMessage {
            profile: &self.profile,
            number: key,
            url: url.to_owned(),
            shares,
        };

        // A call is signed last: the signature is over all that it says.
        let secrets = self.all_secrets(message);
        let fill = |receipt: &PracticeReceipt| -> Option<FilledReceipt> {
            receipt.filled(message, number).signed(form, &secrets)
        };
        ReceiptRound::of(round, fill)
    }

    /// The secrets of a request, and those that only this gateway was given.
    fn all_secrets(&self, message: &FoundMessage) -> BTreeMap<String, Secret> {
        let found = message.secrets();
        let found = found.map(|(name, value)| (name.to_owned(), Secret::from(value)));
        let mut secrets: BTreeMap<_, _> = found.collect();
        secrets.extend(self.secrets.clone());
        secrets
    }
}
