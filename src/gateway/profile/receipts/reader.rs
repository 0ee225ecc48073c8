//! The form of a provider's receipts, and the reading of its calls.

use notty_storage::model::{ErrorCode, ReceiptState};

use super::{
    call::{CallParts, ReceiptCall},
    item::{ItemField, ItemList, ItemTest, ReceiptItem},
    receipt::{DeliveryReceipt, RECEIPTS, ReceiptCallFault, ReceiptReply},
    signature::{CallSignature, ReceiptSecrets, SignatureForm},
    subject::SubjectForm,
};

/// The form of a provider's receipts.
#[derive(Clone, Debug)]
pub struct ReceiptForm {
    pub(super) list: ItemList,
    pub(super) only: Option<ItemTest>,
    pub(super) subject: SubjectForm,
    pub(super) state: ItemField,
    pub(super) delivered: Vec<String>,
    pub(super) undelivered: Vec<String>,
    pub(super) error: Option<ItemField>,
    pub(super) signature: Option<SignatureForm>,
    pub(super) reply: ReceiptReply,
}

impl ReceiptForm {
    /// The receipts of a call, in their order; none if the call speaks of other things. A receipt that
    /// cannot be read is left out where others can.
    pub fn read(&self, call: &ReceiptCall<'_>) -> Result<Vec<DeliveryReceipt>, ReceiptCallFault> {
        let parts = CallParts::read(call);
        let items = self.list.items(&parts)?;
        if items.len() > RECEIPTS {
            return Err(ReceiptCallFault::TooMany);
        }

        let wanted = items.iter().filter(|item| self.is_wanted(item));
        let read: Vec<_> = wanted.map(|item| self.receipt(item)).collect();
        if read.iter().any(Result::is_ok) {
            // A provider repeats a whole call, and the rest of it would never come through.
            return Ok(read.into_iter().flatten().collect());
        }
        read.into_iter().collect()
    }

    /// Checks the provider's signature, if the profile has one. The key of the URL is another proof, and
    /// is checked elsewhere.
    pub fn check_signature(
        &self,
        call: &ReceiptCall<'_>,
        secrets: &ReceiptSecrets,
    ) -> Result<(), ReceiptCallFault> {
        match &self.signature {
            Some(form) => form.check(&CallParts::read(call), &self.list, secrets),
            None => Ok(()),
        }
    }

    /// The signature that the provider gives a call; `None` if it signs none, or without the secret.
    pub fn signature(
        &self,
        call: &ReceiptCall<'_>,
        secrets: &ReceiptSecrets,
    ) -> Option<CallSignature> {
        let signature = self.signature.as_ref()?;
        signature.made(&CallParts::read(call), &self.list, secrets)
    }

    /// True if a call names its messages itself, so that one URL can take all calls of an account.
    pub fn names_messages(&self) -> bool {
        self.subject != SubjectForm::Url
    }

    /// True if calls carry a signature of the provider.
    pub fn is_signed(&self) -> bool {
        self.signature.is_some()
    }

    /// The answer to a call whose receipts are noted.
    pub fn reply(&self) -> &ReceiptReply {
        &self.reply
    }

    /// The name of the secret that signs calls.
    pub fn secret(&self) -> Option<&str> {
        self.signature.as_ref().map(SignatureForm::secret)
    }

    /// The way in which receipts name their messages.
    pub(in crate::gateway::profile) fn subject(&self) -> &SubjectForm {
        &self.subject
    }

    fn is_wanted(&self, item: &ReceiptItem<'_>) -> bool {
        self.only.as_ref().is_none_or(|test| test.fits(item))
    }

    fn receipt(&self, item: &ReceiptItem<'_>) -> Result<DeliveryReceipt, ReceiptCallFault> {
        let word = item.required(&self.state)?;
        let state = self.state(&word);
        Ok(DeliveryReceipt {
            subject: self.subject.read(item)?,
            state,
            error: self.error(item, state),
        })
    }

    fn state(&self, word: &str) -> ReceiptState {
        if is_in(&self.delivered, word) {
            ReceiptState::Delivered
        } else if is_in(&self.undelivered, word) {
            ReceiptState::Undelivered
        } else {
            ReceiptState::Progress
        }
    }

    /// The code of the error, without what no log should have.
    fn error(&self, item: &ReceiptItem<'_>, state: ReceiptState) -> ErrorCode {
        let place = self.error.as_ref();
        let wanted = place.filter(|_| state == ReceiptState::Undelivered);
        let code = wanted.and_then(|place| item.value(place));
        ErrorCode::beginning_of(&code.unwrap_or_default())
    }
}

/// True if a list has a word, or its beginning with a star after it.
fn is_in(list: &[String], word: &str) -> bool {
    list.iter().any(|known| match known.strip_suffix('*') {
        Some(beginning) => word.starts_with(beginning),
        None => known == word,
    })
}
