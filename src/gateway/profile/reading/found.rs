//! What was found in a request: the values of the message, and what does not fit.

use std::collections::BTreeMap;

use notty_storage::model::Phone;

use super::{
    super::placeholder::Placeholder,
    pattern::{FoundValue, TextPattern},
};

/// Characters of a value that a misfit shows.
const SHOWN_CHARS: usize = 40;

/// The values of a message as its request has them.
#[derive(Clone, Debug)]
pub struct FoundMessage {
    values: BTreeMap<Placeholder, String>,
    phone: Phone,
}

impl FoundMessage {
    /// Our id of 63 bits, if it travels.
    pub fn id(&self) -> Option<u64> {
        self.values.get(&Placeholder::Id)?.parse().ok()
    }

    /// Our number of 31 bits, if that travels. Two messages can have the same.
    pub fn id_31(&self) -> Option<&str> {
        self.values.get(&Placeholder::Id31).map(String::as_str)
    }

    /// The customer's phone.
    pub fn phone(&self) -> Phone {
        self.phone
    }

    /// The message's text.
    pub fn text(&self) -> &str {
        self.values
            .get(&Placeholder::Text)
            .map_or("", String::as_str)
    }

    /// The URL for its receipts, if it has one.
    pub fn receipt_url(&self) -> Option<&str> {
        self.values
            .get(&Placeholder::ReceiptUrl)
            .map(String::as_str)
    }

    /// The secrets by name.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .iter()
            .filter_map(|(placeholder, value)| Some((placeholder.secret()?, value.as_str())))
    }

    /// The value of a placeholder, in the writing of the request.
    pub(in super::super) fn value(&self, placeholder: &Placeholder) -> Option<&str> {
        self.values.get(placeholder).map(String::as_str)
    }
}

/// A request that is being read.
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
            self.misfit(format!("{place} is missing"));
            return;
        };
        match pattern.values(text) {
            Some(values) => self.take(place, values),
            // Whatever stands there may be a secret.
            None if pattern.has_secret() => {
                self.misfit(format!("{place} is not `{}`", pattern.form()));
            }
            None => {
                let (shown, form) = (shown(text), pattern.form());
                self.misfit(format!("{place} is `{shown}`, and not `{form}`"));
            }
        }
    }

    /// Takes in values of one place.
    pub(super) fn take(&mut self, place: &str, values: Vec<FoundValue>) {
        for (placeholder, value) in values {
            match plain(&placeholder, &value) {
                Ok((placeholder, value)) => self.keep(place, placeholder, value),
                Err(fault) => self.misfit(format!("{place}: {fault}")),
            }
        }
    }

    /// Keeps a value. What a request has twice must be the same twice.
    fn keep(&mut self, place: &str, placeholder: Placeholder, value: String) {
        match self.values.get(&placeholder) {
            Some(known) if *known != value => {
                let differs = format!("{place}: {placeholder} differs from another place");
                self.misfits.push(differs);
            }
            _ => {
                self.values.insert(placeholder, value);
            }
        }
    }

    /// The message, or everything that does not fit.
    pub(super) fn finish(mut self) -> Result<FoundMessage, String> {
        let digits = self.value(&Placeholder::PhoneDigits);
        let phone = digits.and_then(|digits| phone_of(digits).ok());
        if phone.is_none() && self.misfits.is_empty() {
            self.misfit("no phone is in it".to_owned());
        }

        let misfits = self.misfits.join("; ");
        let values = self.values;
        phone
            .filter(|_| misfits.is_empty())
            .map(|phone| FoundMessage { values, phone })
            .ok_or(misfits)
    }
}

/// The plain form of a value: a phone is its digits whatever the writing, and a text is a text. The error
/// tells what is wrong with it.
fn plain(placeholder: &Placeholder, value: &str) -> Result<FoundValue, String> {
    let checked = match placeholder {
        Placeholder::Id | Placeholder::IdText => (Placeholder::Id, id(value)?),
        Placeholder::Id31 => (Placeholder::Id31, id_31(value)?),
        Placeholder::Phone => (Placeholder::PhoneDigits, phone_with_plus(value)?),
        Placeholder::PhoneDigits | Placeholder::PhoneNumber => {
            phone_of(value)?;
            (Placeholder::PhoneDigits, value.to_owned())
        }
        Placeholder::TextUtf16Hex => (Placeholder::Text, utf16(value)?),
        Placeholder::Segments | Placeholder::ValidMinutes => {
            (placeholder.clone(), whole_number(value)?)
        }
        Placeholder::ReceiptUrl => (Placeholder::ReceiptUrl, url(value)?),
        Placeholder::Secret(_) | Placeholder::Sender => (placeholder.clone(), some(value)?),
        Placeholder::Text | Placeholder::Encoding => (placeholder.clone(), value.to_owned()),
    };
    Ok(checked)
}

fn id(value: &str) -> Result<String, String> {
    let id = value.parse::<i64>().ok().filter(|id| *id > 0);
    let id = id.ok_or_else(|| format!("`{}` is no id of a message", shown(value)))?;
    Ok(id.to_string())
}

fn id_31(value: &str) -> Result<String, String> {
    let number = value.parse::<i32>().ok().filter(|number| *number > 0);
    let number = number.ok_or_else(|| format!("`{}` is no number of 31 bits", shown(value)))?;
    Ok(number.to_string())
}

fn phone_with_plus(value: &str) -> Result<String, String> {
    let digits = value.strip_prefix('+');
    let digits = digits.ok_or_else(|| format!("`{}` has no plus", shown(value)))?;
    phone_of(digits)?;
    Ok(digits.to_owned())
}

/// The phone of digits without a plus.
fn phone_of(digits: &str) -> Result<Phone, String> {
    let is_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let phone = is_digits.then(|| Phone::parse(&format!("+{digits}")).ok());
    let phone = phone.flatten();
    phone.ok_or_else(|| format!("`{}` is no phone number of digits alone", shown(digits)))
}

fn utf16(value: &str) -> Result<String, String> {
    let fault = || "it is no UTF-16 in hexadecimal digits".to_owned();
    let digits = value.as_bytes().chunks(4).map(|unit| {
        let unit = std::str::from_utf8(unit).ok().filter(|_| unit.len() == 4)?;
        u16::from_str_radix(unit, 16).ok()
    });
    let units: Option<Vec<u16>> = digits.collect();
    String::from_utf16(&units.ok_or_else(fault)?).map_err(|_| fault())
}

fn whole_number(value: &str) -> Result<String, String> {
    let number = value.parse::<u32>();
    let number = number.map_err(|_| format!("`{}` is no whole number", shown(value)))?;
    Ok(number.to_string())
}

fn url(value: &str) -> Result<String, String> {
    let is_url = value.starts_with("http://") || value.starts_with("https://");
    let url = is_url.then(|| value.to_owned());
    url.ok_or_else(|| format!("`{}` is no URL", shown(value)))
}

fn some(value: &str) -> Result<String, String> {
    let some = (!value.is_empty()).then(|| value.to_owned());
    some.ok_or_else(|| "it is empty".to_owned())
}

/// The beginning of a value.
fn shown(value: &str) -> String {
    let mut shown: String = value.chars().take(SHOWN_CHARS).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    shown
}
