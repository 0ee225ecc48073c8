//! Texts of a profile with placeholders in them.

use std::fmt;

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
        let mut pieces = Vec::new();
        let mut fixed = String::new();
        let mut rest = text;

        while let Some(at) = rest.find(['{', '}']) {
            let (before, from_brace) = rest.split_at(at);
            fixed.push_str(before);
            if let Some((brace, after)) = doubled(from_brace) {
                fixed.push(brace);
                rest = after;
                continue;
            }

            let (name, after) = between_braces(from_brace, text)?;
            push_fixed(&mut pieces, &mut fixed);
            pieces.push(TemplatePiece::Filled(Placeholder::parse(name)?));
            rest = after;
        }

        fixed.push_str(rest);
        push_fixed(&mut pieces, &mut fixed);
        Ok(Self(pieces))
    }

    /// The placeholders in it, each as often as it stands there.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.0.iter().filter_map(|piece| match piece {
            TemplatePiece::Filled(placeholder) => Some(placeholder),
            TemplatePiece::Fixed(_) => None,
        })
    }

    /// The placeholder that is all of it, if one is.
    pub(super) fn lone_placeholder(&self) -> Option<&Placeholder> {
        match self.0.as_slice() {
            [TemplatePiece::Filled(placeholder)] => Some(placeholder),
            _ => None,
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            TemplatePiece::Fixed(text) => f.write_str(text),
            TemplatePiece::Filled(placeholder) => write!(f, "{placeholder}"),
        })
    }
}

/// The brace at the beginning, if it is there twice, and the rest after both.
fn doubled(text: &str) -> Option<(char, &str)> {
    let open = text.strip_prefix("{{").map(|rest| ('{', rest));
    open.or_else(|| text.strip_prefix("}}").map(|rest| ('}', rest)))
}

/// The name between a brace at the beginning and the next one, and the rest.
fn between_braces<'t>(from_brace: &'t str, text: &str) -> Result<(&'t str, &'t str), String> {
    let inner = from_brace.strip_prefix('{');
    inner
        .and_then(|inner| inner.split_once('}'))
        .ok_or_else(|| format!("`{text}` has a brace by itself; write it twice if it is meant so"))
}

fn push_fixed(pieces: &mut Vec<TemplatePiece>, fixed: &mut String) {
    if !fixed.is_empty() {
        pieces.push(TemplatePiece::Fixed(std::mem::take(fixed)));
    }
}
