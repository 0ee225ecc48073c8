//! The values of a message that its request has.

use std::collections::BTreeMap;

use notty_storage::model::Phone;

use super::{
    super::placeholder::Placeholder,
    pattern::{FoundValue, TextPattern},
    plain::{plain, shown},
};

/// The values of a message as its request has them.
#[derive(Clone, Debug)]
pub struct FoundMessage {
    values: BTreeMap<Placeholder, String>,
    phone: Phone,
}

impl FoundMessage {
    /// Our id of 63 bits, if it travels.
    pub fn id(&self) -> Option<u64> {
        self.value(&Placeholder::Id)?.parse().ok()
    }

    /// Our number of 31 bits, if that travels. Two messages can have the same.
    pub fn id_31(&self) -> Option<&str> {
        self.value(&Placeholder::Id31)
    }

    /// The phone that the message is for.
    pub fn phone(&self) -> Phone {
        self.phone
    }

    /// The text, without any encoding.
    pub fn text(&self) -> &str {
        self.value(&Placeholder::Text).unwrap_or_default()
    }

    /// The URL for its receipts, if it has one.
    pub fn receipt_url(&self) -> Option<&str> {
        self.value(&Placeholder::ReceiptUrl)
    }

    /// All secrets by their names.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        let values = self.values.iter();
        values.filter_map(|(placeholder, value)| Some((placeholder.secret()?, value.as_str())))
    }

    /// The value of a placeholder, in the writing of the request.
    pub(in super::super) fn value(&self, placeholder: &Placeholder) -> Option<&str> {
        self.values.get(placeholder).map(String::as_str)
    }
}

/// A request that is being read: the values so far, and what does not fit.
#[derive(Default)]
pub(super) struct RequestFindings {
    values: BTreeMap<Placeholder, String>,
    misfits: Vec<String>,
}

impl RequestFindings {
    /// Notes something that does not fit.
    pub(super) fn misfit(&mut self, misfit: String) {
        self.misfits.push(misfit);
    }

    /// The value found for a placeholder so far.
    pub(super) fn value(&self, placeholder: &Placeholder) -> Option<&str> {
        self.values.get(placeholder).map(String::as_str)
    }

    /// Takes in a text; `None` if there is none. `place` names it in misfits.
    pub(super) fn take_text(&mut self, place: &str, pattern: &TextPattern, text: Option<&str>) {
        let Some(text) = text else {
            return self.misfit(format!("{place} is missing"));
        };
        match pattern.values(text) {
            Some(values) => self.take(place, values),
            None => self.misfit(format!("{place} is {}", other_text(pattern, text))),
        }
    }

    /// Takes in values of one place.
    pub(super) fn take(&mut self, place: &str, values: Vec<FoundValue>) {
        for (placeholder, value) in values {
            match plain(&placeholder, &value) {
                Ok(found) => self.keep(place, found),
                Err(fault) => self.misfit(format!("{place}: {fault}")),
            }
        }
    }

    /// Keeps a value. What a request has twice must be the same twice.
    fn keep(&mut self, place: &str, (placeholder, value): FoundValue) {
        let known = self.value(&placeholder);
        if known.is_some_and(|known| known != value) {
            self.misfit(format!("{place}: {placeholder} differs from another place"));
        }
        self.values.insert(placeholder, value);
    }

    /// The message, or everything that does not fit.
    pub(super) fn finish(mut self) -> Result<FoundMessage, String> {
        self.check_phone();
        let phone = self.phone().filter(|_| self.misfits.is_empty());
        let phone = phone.ok_or_else(|| self.misfits.join("; "))?;
        let values = self.values;
        Ok(FoundMessage { values, phone })
    }

    fn check_phone(&mut self) {
        // Where it is wrong, that was noted.
        let is_clear = self.misfits.is_empty();
        if is_clear && self.phone().is_none() {
            self.misfit("no phone is in it".to_owned());
        }
    }

    fn phone(&self) -> Option<Phone> {
        let digits = self.value(&Placeholder::PhoneDigits)?;
        Phone::parse(&format!("+{digits}")).ok()
    }
}

/// A text that is not as the profile has it. It is not shown where it may be a secret.
fn other_text(pattern: &TextPattern, text: &str) -> String {
    let form = pattern.form();
    if pattern.has_secret() {
        return format!("not `{form}`");
    }
    format!("`{}`, and not `{form}`", shown(text))
}
