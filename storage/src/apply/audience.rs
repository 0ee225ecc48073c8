//! The customers that a mailing is for, by its filters. This is asked when the mailing is expanded, when a
//! customer changes, and by previews. Messages that somebody has already play no part here.

use crate::{
    model::{MailingSpec, Matcher, Phone},
    records::{CustomerColumns, WordKind},
    source::Source,
};

/// Those whom a mailing's filters match. Each distinct tag and operator is compared once, however many
/// customers have it.
pub(crate) struct Audience {
    tag: Matcher,
    operator: Matcher,
    phone: Matcher,
    tags: Vec<Option<bool>>,
    operators: Vec<Option<bool>>,
}

impl Audience {
    pub(crate) fn new(spec: &MailingSpec) -> Self {
        Self {
            tag: Matcher::new(&spec.tag_filter),
            operator: Matcher::new(&spec.operator_filter),
            phone: Matcher::new(&spec.phone_filter),
            tags: Vec::new(),
            operators: Vec::new(),
        }
    }

    /// True if the customer at an index of a block exists and matches.
    pub(crate) fn contains<S: Source>(
        &mut self,
        source: &S,
        columns: &CustomerColumns,
        index: usize,
    ) -> bool {
        columns.is_present(index)
            && self.matches(
                source,
                (columns.tags[index], columns.operators[index]),
                columns.phones[index],
            )
    }

    /// True if somebody with some words, by their numbers, and a phone matches.
    pub(crate) fn matches<S: Source>(
        &mut self,
        source: &S,
        (tag, operator): (u32, u32),
        phone: u64,
    ) -> bool {
        self.tag_matches(source, tag)
            && self.operator_matches(source, operator)
            && self.phone_matches(phone)
    }

    /// The cost of comparing so far, see [`Matcher::steps`].
    pub(crate) fn steps(&self) -> u64 {
        self.tag.steps() + self.operator.steps() + self.phone.steps()
    }

    fn tag_matches<S: Source>(&mut self, source: &S, number: u32) -> bool {
        let filter = &mut self.tag;
        filter.is_any()
            || remembered(&mut self.tags, number, || {
                let word = source.word(WordKind::Tag, number);
                word.is_some_and(|word| filter.matches(&word.folded))
            })
    }

    fn operator_matches<S: Source>(&mut self, source: &S, number: u32) -> bool {
        let filter = &mut self.operator;
        filter.is_any()
            || remembered(&mut self.operators, number, || {
                let word = source.word(WordKind::Operator, number);
                word.is_some_and(|word| filter.matches(&word.folded))
            })
    }

    fn phone_matches(&mut self, digits: u64) -> bool {
        self.phone.is_any() || self.phone.matches(&phone_text(digits))
    }
}

/// An answer about a word, by its number: asked once, then remembered.
pub(crate) fn remembered(
    memory: &mut Vec<Option<bool>>,
    number: u32,
    ask: impl FnOnce() -> bool,
) -> bool {
    let index = number as usize;
    if memory.len() <= index {
        memory.resize(index + 1, None);
    }
    *memory[index].get_or_insert_with(ask)
}

/// A customer's phone as a filter sees it.
fn phone_text(digits: u64) -> String {
    Phone::from_digits(digits).to_string()
}
