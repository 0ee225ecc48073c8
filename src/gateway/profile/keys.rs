//! Reads the keys of a profile's tables, one by one.
//!
//! Types with `serde` would stop at the first fault. Here a value that is wrong is left out, and the
//! reading goes on; a key that nobody asked for is unknown.

use std::ops::RangeInclusive;

use toml::{Table, Value};

use super::spot::Spot;

/// Similarity of two names, from 0 to 1, above which one may be meant by the other.
const SIMILAR: f64 = 0.6;

/// A table that is being read.
pub(super) struct KeyReader<'t> {
    table: &'t Table,
    spot: Spot<'t>,
    asked: Vec<&'static str>,
}

impl<'t> KeyReader<'t> {
    /// A table, and its place in the profile.
    pub(super) fn new(table: &'t Table, spot: Spot<'t>) -> Self {
        Self {
            table,
            spot,
            asked: Vec::new(),
        }
    }

    /// The place of a key of this table.
    pub(super) fn spot(&self, key: &str) -> Spot<'t> {
        self.spot.key(key)
    }

    /// A value of any type.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'t Value> {
        self.asked.push(key);
        self.table.get(key)
    }

    /// A text in quotes.
    pub(super) fn text(&mut self, key: &'static str) -> Option<&'t str> {
        let value = self.value(key)?;
        let spot = self.spot(key);
        spot.expect(value.as_str(), value, "a text in quotes")
    }

    /// A text that a profile cannot be without.
    pub(super) fn required_text(&mut self, key: &'static str) -> Option<&'t str> {
        if !self.table.contains_key(key) {
            self.spot(key).fault("it is missing");
        }
        self.text(key)
    }

    /// A table within this one.
    pub(super) fn table(&mut self, key: &'static str) -> Option<&'t Table> {
        let value = self.value(key)?;
        self.spot(key).expect(value.as_table(), value, "a table")
    }

    /// One of `true` and `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        let spot = self.spot(key);
        spot.expect(value.as_bool(), value, "`true` or `false`")
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.value(key)?;
        let number = value.as_integer().filter(|number| range.contains(number));
        let (least, most) = range.into_inner();
        let wanted = format!("a whole number from {least} to {most}");
        self.spot(key).expect(number, value, &wanted)
    }

    /// A list of texts; empty if the key is absent.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<&'t str> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let spot = self.spot(key);
        let texts = spot.expect(
            texts_of(value),
            value,
            "a list of texts, like [\"a\", \"b\"]",
        );
        texts.unwrap_or_default()
    }

    /// Ends the reading: a key that was not asked for is unknown.
    pub(super) fn finish(self) {
        let asked = |key: &str| self.asked.contains(&key);
        for key in self.table.keys().filter(|key| !asked(key)) {
            let way_out = way_out(key, &self.asked);
            self.spot(key).fault(format!("unknown key; {way_out}"));
        }
    }
}

/// The texts of a list that has nothing else in it.
fn texts_of(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

/// The name that a wrong one is most likely meant to be, or else all names.
pub(super) fn way_out(wrong: &str, known: &[&str]) -> String {
    match most_similar(wrong, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("there are {}", known.join(", ")),
    }
}

fn most_similar<'n>(wrong: &str, known: &[&'n str]) -> Option<&'n str> {
    let similarity = |name: &str| strsim::normalized_damerau_levenshtein(name, wrong);
    let compared = |one: &&&str, other: &&&str| similarity(one).total_cmp(&similarity(other));
    let best = known.iter().max_by(compared)?;
    (similarity(best) >= SIMILAR).then_some(*best)
}
