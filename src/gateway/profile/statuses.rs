//! Sets of HTTP statuses: single ones, and whole classes such as `4xx`.

use std::{collections::BTreeSet, ops::Range};

use toml::Value;

use super::spot::Spot;

/// The statuses that an answer may have.
const STATUSES: Range<u16> = 100..1_000;
/// The first digits of all classes, in their order.
const CLASSES: [&str; 9] = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// Some of the statuses of answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StatusSet(BTreeSet<u16>);

impl StatusSet {
    /// All statuses that there are.
    pub(super) fn all() -> Self {
        Self(STATUSES.collect())
    }

    /// Reads one status, or a list of statuses. `None` if one of them is wrong.
    pub(super) fn parse(value: &Value, spot: &Spot<'_>) -> Option<Self> {
        let list = match value {
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        if list.is_empty() {
            spot.fault("the list is empty, so that no answer fits");
            return None;
        }

        // All of them are read, so that each wrong one is named.
        let ranges: Vec<_> = list.iter().map(|value| read(value, spot)).collect();
        let ranges: Option<Vec<_>> = ranges.into_iter().collect();
        Some(Self(ranges?.into_iter().flatten().collect()))
    }

    /// True if a status is in the set.
    pub(super) fn contains(&self, status: u16) -> bool {
        self.0.contains(&status)
    }

    /// The statuses that are in both sets.
    pub(super) fn both(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).copied().collect())
    }

    /// The statuses that are not in the other set.
    pub(super) fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).copied().collect())
    }

    /// True if no status is in the set.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn read(value: &Value, spot: &Spot<'_>) -> Option<Range<u16>> {
    let wanted = "an HTTP status, which is a number from 100 to 999, or a class like \"4xx\"";
    spot.expect(range(value), value, wanted)
}

/// The statuses that a value stands for.
fn range(value: &Value) -> Option<Range<u16>> {
    match value {
        Value::Integer(number) => one(*number),
        Value::String(class) => whole_class(class),
        _ => None,
    }
}

fn one(number: i64) -> Option<Range<u16>> {
    let status = u16::try_from(number).ok()?;
    let is_status = STATUSES.contains(&status);
    is_status.then(|| status..status + 1)
}

fn whole_class(class: &str) -> Option<Range<u16>> {
    let digit = class.strip_suffix("xx")?;
    let place = CLASSES.iter().position(|class| *class == digit)?;
    let start = STATUSES.step_by(100).nth(place)?;
    Some(start..start + 100)
}
