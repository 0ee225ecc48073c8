//! Checks that a profile's receipts and its request belong together: a provider can name a message only by
//! something that it got.

use super::{
    placeholder::Placeholder,
    receipts::{ReceiptForm, SubjectForm},
    request::RequestForm,
    rule::AnswerRule,
    spot::Spot,
};

/// The receipts of a profile, as far as they could be read.
pub(super) struct ReceiptLink<'p> {
    pub(super) form: Option<&'p ReceiptForm>,
    /// True if the profile has the section, even one with faults.
    pub(super) has_section: bool,
}

impl ReceiptLink<'_> {
    /// Rejects receipts that cannot name a message, and a request for receipts that nobody could read.
    pub(super) fn check(&self, request: &RequestForm, rules: &[AnswerRule], spot: &Spot<'_>) {
        if request.asks_receipts() && !self.has_section {
            spot.fault("it is missing, and the request has `{receipt_url}`");
        }

        let lost = self
            .form
            .and_then(|form| lost(form.subject(), request, rules));
        if let Some(fault) = lost {
            spot.key("by").fault(fault);
        }
    }
}

/// The reason why the provider cannot know the name of a message.
fn lost(
    subject: &SubjectForm,
    request: &RequestForm,
    rules: &[AnswerRule],
) -> Option<&'static str> {
    let needed: &[Placeholder] = match subject {
        SubjectForm::Url => &[Placeholder::ReceiptUrl],
        SubjectForm::OwnId(_) => &[Placeholder::Id, Placeholder::IdText],
        SubjectForm::OwnId31(_) => &[Placeholder::Id31],
        SubjectForm::ProviderId(_) => return lost_provider_id(request, rules),
    };
    (!request.has_any(needed)).then(|| missing(subject))
}

fn missing(subject: &SubjectForm) -> &'static str {
    match subject {
        SubjectForm::Url => "the request has no `{receipt_url}`",
        SubjectForm::OwnId31(_) => "the request has no `{id.31}`",
        _ => "the request has neither `{id}` nor `{id.text}`",
    }
}

fn lost_provider_id(request: &RequestForm, rules: &[AnswerRule]) -> Option<&'static str> {
    if request.asks_receipts() {
        return Some("`{receipt_url}` names the message already; write `url`");
    }
    let is_named = rules.iter().any(AnswerRule::names_id);
    (!is_named).then_some("no rule that is `taken` has a `provider_id`")
}

impl RequestForm {
    /// True if each message has a URL for its receipts.
    pub(super) fn asks_receipts(&self) -> bool {
        self.has_any(&[Placeholder::ReceiptUrl])
    }

    fn has_any(&self, wanted: &[Placeholder]) -> bool {
        let mut placeholders = self.placeholders().into_iter();
        placeholders.any(|placeholder| wanted.contains(placeholder))
    }
}
