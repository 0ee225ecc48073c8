//! Finds answer rules that no answer can reach: because they contradict themselves, or because the rules
//! before them fit all that they fit.
//!
//! A rule is looked at case by case: one case for each choice of its listed values. A case is reached if
//! it has a status that no earlier rule takes away. Regular expressions count as different unless they are
//! written alike, so that a rule is called unreachable only where it is.

use super::{
    condition::{PlainValue, ValueTest, WantedValue},
    pointer::AnswerPointer,
    rule::AnswerRule,
};

/// Cases of a rule that are looked at; a rule with more counts as reached.
const CASES: usize = 10_000;

/// The value of one place in a case.
type KnownPlace<'r> = (&'r AnswerPointer, KnownValue<'r>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum KnownValue<'r> {
    /// Exactly this one value.
    Is(&'r PlainValue),
    /// Some value or other.
    Present,
    /// No value at all.
    Absent,
}

/// The reason why no answer reaches a rule, if none does. `before` are the rules above it.
pub(super) fn unreachable(rule: &AnswerRule, before: &[AnswerRule]) -> Option<String> {
    let cases = cases(&rule.condition.values)?;
    let mut possible = cases.iter().filter(|case| is_possible(case)).peekable();
    if rule.condition.statuses.is_empty() || possible.peek().is_none() {
        return Some("its conditions contradict each other, so that no answer fits".to_owned());
    }

    if possible.all(|case| is_covered(rule, case, before)) {
        return Some("the rules before it fit every answer that it fits; move it up".to_owned());
    }
    None
}

/// Every choice of listed values; `None` if there are too many.
fn cases(values: &[ValueTest]) -> Option<Vec<Vec<KnownPlace<'_>>>> {
    let mut cases = vec![Vec::new()];
    for test in values {
        let choices = choices(test);
        if cases.len() * choices.len() > CASES {
            return None;
        }
        cases = extended(&cases, &choices);
    }
    Some(cases)
}

fn choices(test: &ValueTest) -> Vec<KnownPlace<'_>> {
    let known = |value| (&test.at, value);
    match &test.wanted {
        WantedValue::OneOf(values) => values.iter().map(|v| known(KnownValue::Is(v))).collect(),
        WantedValue::Present => vec![known(KnownValue::Present)],
        WantedValue::Absent => vec![known(KnownValue::Absent)],
    }
}

/// Each case with each choice.
fn extended<'r>(
    cases: &[Vec<KnownPlace<'r>>],
    choices: &[KnownPlace<'r>],
) -> Vec<Vec<KnownPlace<'r>>> {
    let longer = cases
        .iter()
        .map(|case| choices.iter().map(|choice| with(case, *choice)));
    longer.flatten().collect()
}

fn with<'r>(case: &[KnownPlace<'r>], choice: KnownPlace<'r>) -> Vec<KnownPlace<'r>> {
    let mut longer = case.to_vec();
    longer.push(choice);
    longer
}

fn is_possible(case: &[KnownPlace<'_>]) -> bool {
    let pairs = case
        .iter()
        .flat_map(|one| case.iter().map(move |other| (one, other)));
    pairs.clone().all(|(one, other)| !contradict(one, other))
}

/// True if no answer has both.
fn contradict(one: &KnownPlace<'_>, other: &KnownPlace<'_>) -> bool {
    let (place, value) = one;
    let (other_place, other_value) = other;
    match (value, other_value) {
        (KnownValue::Is(value), KnownValue::Is(other)) => place == other_place && value != other,
        // The whole answer is always there; a place within one that is not there is not there either.
        (KnownValue::Absent, KnownValue::Absent) => place.is_whole(),
        (KnownValue::Absent, KnownValue::Is(_) | KnownValue::Present) => place.holds(other_place),
        _ => false,
    }
}

/// True if the rules before take every status away in this case.
fn is_covered(rule: &AnswerRule, case: &[KnownPlace<'_>], before: &[AnswerRule]) -> bool {
    let mut left = rule.condition.statuses.clone();
    for earlier in before
        .iter()
        .filter(|earlier| fits_always(earlier, rule, case))
    {
        left = left.without(&earlier.condition.statuses);
    }
    left.is_empty()
}

/// True if an earlier rule fits each answer of a case, whatever its status.
fn fits_always(earlier: &AnswerRule, rule: &AnswerRule, case: &[KnownPlace<'_>]) -> bool {
    let bodies = &earlier.condition.bodies;
    let values = &earlier.condition.values;
    bodies
        .iter()
        .all(|body| rule.condition.has_body(body.as_str()))
        && values.iter().all(|test| follows(test, case))
}

/// True if what is known in a case is enough for a test.
fn follows(test: &ValueTest, case: &[KnownPlace<'_>]) -> bool {
    case.iter().any(|(place, value)| match &test.wanted {
        WantedValue::OneOf(values) => {
            let is_one = |known: &PlainValue| values.contains(known);
            *place == &test.at && matches!(value, KnownValue::Is(known) if is_one(known))
        }
        // Any look at a value needs an answer that is JSON, and so the whole of it is there.
        WantedValue::Present if test.at.is_whole() => true,
        WantedValue::Present => *value != KnownValue::Absent && test.at.holds(place),
        WantedValue::Absent => *value == KnownValue::Absent && place.holds(&test.at),
    })
}
