//! Places in a JSON answer, written as RFC 6901 has them, with placeholders for what differs from
//! message to message.

use std::borrow::Cow;

use serde_json::Value;

use super::{fill, placeholder::Placeholder, template::Template};
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
        check_form(text)?;
        let template = Template::parse(text)?;
        if let Some(other) = template.placeholders().find(|found| !may_stand(found)) {
            let fault = "cannot stand in a pointer; the id and the phone can";
            return Err(format!("`{other}` {fault}"));
        }

        let text = text.to_owned();
        Ok(Self { text, template })
    }

    /// The value at this place, if the answer has one. A `null` is none, unless it is the whole answer.
    /// The envelope is that of the answered message.
    pub(super) fn find<'a>(&self, answer: &'a Value, envelope: &Envelope<'_>) -> Option<&'a Value> {
        let found = answer.pointer(&self.filled(envelope))?;
        let is_value = !found.is_null() || self.is_whole();
        is_value.then_some(found)
    }

    /// The pointer for one message. Its own text may have had braces that were written twice.
    fn filled(&self, envelope: &Envelope<'_>) -> Cow<'_, str> {
        match self.template.fixed() {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(fill::plain(&self.template, envelope)),
        }
    }

    /// True if it stands for the whole answer.
    pub(super) fn is_whole(&self) -> bool {
        self.text.is_empty()
    }

    /// True if the other place is this one, or lies within it.
    pub(super) fn holds(&self, other: &Self) -> bool {
        let below = other.text.strip_prefix(&self.text);
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    }
}

fn check_form(text: &str) -> Result<(), String> {
    let fault = if !text.is_empty() && !text.starts_with('/') {
        "is no JSON pointer, which begins with `/`, like `/messages/0/id`"
    } else if !escapes_are_right(text) {
        "has a `~` by itself; write `~0` for it, and `~1` for a slash in a name"
    } else {
        return Ok(());
    };
    Err(format!("`{text}` {fault}"))
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
