//! The values of placeholders for one message.

use std::borrow::Cow;

use super::{
    encode::{id_31, utf16_hex},
    placeholder::Placeholder,
    template::{Template, TemplatePiece},
};
use crate::{gateway::Envelope, segments::segments};

/// The value of a placeholder that follows from the message alone; `None` for any other one.
pub(super) fn of_message<'m>(
    placeholder: &Placeholder,
    envelope: &Envelope<'m>,
) -> Option<Cow<'m, str>> {
    let Envelope {
        id, phone, text, ..
    } = *envelope;
    let owned = match placeholder {
        Placeholder::Id | Placeholder::IdText => id.to_string(),
        Placeholder::Id31 => id_31(id.as_u64()).to_string(),
        Placeholder::Phone => phone.to_string(),
        Placeholder::PhoneDigits | Placeholder::PhoneNumber => phone.digits().to_string(),
        Placeholder::Text => return Some(Cow::Borrowed(text)),
        Placeholder::TextUtf16Hex => utf16_hex(text),
        Placeholder::Segments => segments(text).segments.to_string(),

        Placeholder::Encoding
        | Placeholder::Sender
        | Placeholder::ValidMinutes
        | Placeholder::ReceiptUrl
        | Placeholder::Secret(_) => return None,
    };
    Some(Cow::Owned(owned))
}

/// A template with the values of a message, in no encoding.
pub(super) fn plain(template: &Template, envelope: &Envelope<'_>) -> String {
    let mut filled = String::new();
    for piece in &template.0 {
        match piece {
            TemplatePiece::Fixed(text) => filled.push_str(text),
            TemplatePiece::Filled(placeholder) => {
                let value = of_message(placeholder, envelope);
                filled.push_str(&value.unwrap_or_default());
            }
        }
    }
    filled
}
