//! Texts of a profile with placeholders in them.

use super::placeholder::Placeholder;

/// A text, taken apart at its placeholders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template(pub(super) Vec<TemplatePiece>);

/// A part of such a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TemplatePiece {
    /// Stands in every request as it is.
    Fixed(String),
    /// Is filled in for each message.
    Filled(Placeholder),
}

impl Template {
    /// Takes a text apart. A brace by itself is written twice.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut template = Self::default();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from_brace) = rest.split_at(at);
            template.push_fixed(before);
            rest = template.take_braces(from_brace, text)?;
        }

        template.push_fixed(rest);
        Ok(template)
    }

    /// Adds what begins with a brace. Returns the rest after it.
    fn take_braces<'t>(&mut self, from_brace: &'t str, text: &str) -> Result<&'t str, String> {
        if let Some((brace, after)) = doubled(from_brace) {
            self.push_fixed(brace);
            return Ok(after);
        }

        let (name, after) = between_braces(from_brace, text)?;
        let placeholder = Placeholder::parse(name)?;
        self.0.push(TemplatePiece::Filled(placeholder));
        Ok(after)
    }

    fn push_fixed(&mut self, added: &str) {
        if added.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(TemplatePiece::Fixed(fixed)) => fixed.push_str(added),
            _ => self.0.push(TemplatePiece::Fixed(added.to_owned())),
        }
    }

    /// The placeholders in it, each as often as it stands there.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.0.iter().filter_map(TemplatePiece::placeholder)
    }

    /// True if a text between the placeholders has a character in it.
    pub(super) fn has(&self, character: char) -> bool {
        self.0.iter().any(|piece| piece.has(character))
    }

    /// The placeholders before a character of the text.
    pub(super) fn before(&self, end: char) -> Vec<&Placeholder> {
        let pieces = self.0.iter();
        let before = pieces.take_while(|piece| !piece.has(end));
        before.filter_map(TemplatePiece::placeholder).collect()
    }

    /// All of it, if it is the same for every message.
    pub(super) fn fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [TemplatePiece::Fixed(text)] => Some(text),
            _ => None,
        }
    }

    /// The placeholder that is all of it, if one is.
    pub(super) fn lone_placeholder(&self) -> Option<&Placeholder> {
        match self.0.as_slice() {
            [TemplatePiece::Filled(placeholder)] => Some(placeholder),
            _ => None,
        }
    }
}

impl TemplatePiece {
    fn placeholder(&self) -> Option<&Placeholder> {
        match self {
            Self::Filled(placeholder) => Some(placeholder),
            Self::Fixed(_) => None,
        }
    }

    fn has(&self, character: char) -> bool {
        matches!(self, Self::Fixed(text) if text.contains(character))
    }
}

/// The brace at the beginning, if it is there twice, and the rest after both.
fn doubled(text: &str) -> Option<(&str, &str)> {
    let brace = text.get(..1)?;
    let rest = text.strip_prefix("{{").or(text.strip_prefix("}}"))?;
    Some((brace, rest))
}

/// The name between a brace at the beginning and the next one, and the rest.
fn between_braces<'t>(from_brace: &'t str, text: &str) -> Result<(&'t str, &'t str), String> {
    let inner = from_brace.strip_prefix('{');
    inner
        .and_then(|inner| inner.split_once('}'))
        .ok_or_else(|| format!("`{text}` has a brace by itself; write it twice if it is meant so"))
}
