//! Places in a JSON answer, written as RFC 6901 has them, with placeholders for what differs from
//! message to message.

use std::borrow::Cow;

use serde_json::Value;

use super::{placeholder::Placeholder, template::Template};
use crate::gateway::Envelope;

/// A place in a JSON answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AnswerPointer {
    text: String,
    template: Template,
}

impl AnswerPointer {
    /// Reads a pointer: empty for the whole answer, or steps that begin with `/`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if !text.is_empty() && !text.starts_with('/') {
            return Err(format!(
                "`{text}` is no JSON pointer, which begins with `/`, like `/messages/0/id`"
            ));
        }
        if !escapes_are_right(text) {
            return Err(format!(
                "`{text}` has a `~` by itself; write `~0` for it, and `~1` for a slash in a name"
            ));
        }

        let template = Template::parse(text)?;
        if let Some(other) = template.placeholders().find(|found| !may_stand(found)) {
            return Err(format!(
                "`{other}` cannot stand in a pointer; the id and the phone can"
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            template,
        })
    }

    /// The value at this place, if the answer has one. The envelope is that of the answered message.
    pub(super) fn find<'a>(&self, answer: &'a Value, envelope: &Envelope<'_>) -> Option<&'a Value> {
        answer.pointer(&self.filled(envelope))
    }

    fn filled(&self, envelope: &Envelope<'_>) -> Cow<'_, str> {
        if self.template.placeholders().next().is_none() {
            return Cow::Borrowed(&self.text);
        }
        Cow::Owned(super::fill::plain(&self.template, envelope))
    }

    /// True if the other place is this one, or lies within it.
    pub(super) fn holds(&self, other: &Self) -> bool {
        let below = other.text.strip_prefix(&self.text);
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    }

    /// The pointer as it is written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

fn escapes_are_right(text: &str) -> bool {
    let mut after = text.split('~').skip(1);
    after.all(|part| part.starts_with(['0', '1']))
}

/// True for what has neither `/` nor `~` in it, whatever the message.
fn may_stand(placeholder: &Placeholder) -> bool {
    matches!(
        placeholder,
        Placeholder::Id
            | Placeholder::IdText
            | Placeholder::Id31
            | Placeholder::Phone
            | Placeholder::PhoneDigits
            | Placeholder::PhoneNumber
    )
}
