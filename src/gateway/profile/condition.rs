//! The condition of an answer rule: the status, values in a JSON answer, and the words of any other one.

use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value as Json;
use toml::{Table, Value};

use super::{
    keys::{KeyReader, shown},
    pointer::AnswerPointer,
    statuses::StatusSet,
};
use crate::{config::FaultList, gateway::Envelope};

/// Bytes that a regular expression may take when it is compiled.
const REGEX_BYTES: usize = 256 * 1024;

/// All that an answer must be for a rule to fit.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) statuses: StatusSet,
    pub(super) values: Vec<ValueTest>,
    pub(super) bodies: Vec<Regex>,
}

/// A test of the value at one place of a JSON answer.
#[derive(Clone, Debug)]
pub(super) struct ValueTest {
    pub(super) at: AnswerPointer,
    pub(super) wanted: WantedValue,
}

/// The value that a test wants.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum WantedValue {
    /// One of these values.
    OneOf(Vec<PlainValue>),
    /// Any value, `null` too.
    Present,
    /// None, in an answer that is JSON.
    Absent,
}

/// A value without parts. A text is never a number: `"0"` is not 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum PlainValue {
    /// A text, letter by letter.
    Text(String),
    /// A whole number, however it is written.
    Number(i64),
    /// One of the truth values.
    Flag(bool),
}

impl Condition {
    /// Reads `if`: one table, or a list of tables that must all fit.
    pub(super) fn parse(value: &Value, path: &str, faults: &mut FaultList) -> Option<Self> {
        let tables = tables(value, path, faults)?;
        let mut whole = Self {
            statuses: StatusSet::all(),
            values: Vec::new(),
            bodies: Vec::new(),
        };

        let is_list = value.is_array();
        for (n, table) in tables.iter().enumerate() {
            let path = if is_list {
                format!("{path}[{n}]")
            } else {
                path.to_owned()
            };
            whole.add(table, &path, faults);
        }
        Some(whole)
    }

    fn add(&mut self, table: &Table, path: &str, faults: &mut FaultList) {
        let mut keys = KeyReader::new(table, path);
        if let Some(value) = keys.value("status") {
            let statuses = StatusSet::parse(value, &keys.path("status"), faults);
            self.statuses = self.statuses.both(&statuses);
        }
        self.values.extend(value_test(&mut keys, faults));
        self.bodies.extend(body(&mut keys, faults));
        keys.finish(faults);

        if table.is_empty() {
            faults.add(
                path,
                "it is empty; name a `status`, a place (`at`) or a `body`",
            );
        }
    }

    /// True if an answer fits. A body that is no JSON fits no test of a value.
    pub(super) fn fits(&self, status: u16, body: &AnswerBody<'_>, envelope: &Envelope<'_>) -> bool {
        self.statuses.contains(status)
            && self.bodies.iter().all(|regex| regex.is_match(body.bytes))
            && self.values.iter().all(|test| test.fits(body, envelope))
    }

    /// True if an answer that fits shows something, and does not merely lack something.
    pub(super) fn is_positive(&self) -> bool {
        let shows = |test: &ValueTest| test.wanted != WantedValue::Absent;
        !self.bodies.is_empty() || self.values.iter().any(shows)
    }
}

impl ValueTest {
    fn fits(&self, body: &AnswerBody<'_>, envelope: &Envelope<'_>) -> bool {
        let Some(answer) = &body.json else {
            return false;
        };
        let found = self.at.find(answer, envelope);
        match &self.wanted {
            WantedValue::Present => found.is_some(),
            WantedValue::Absent => found.is_none(),
            WantedValue::OneOf(values) => {
                found.is_some_and(|found| values.iter().any(|value| value.is(found)))
            }
        }
    }
}

impl PlainValue {
    fn parse(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Integer(number) => Some(Self::Number(*number)),
            Value::Boolean(flag) => Some(Self::Flag(*flag)),
            _ => None,
        }
    }

    fn is(&self, found: &Json) -> bool {
        match self {
            Self::Text(text) => found.as_str() == Some(text),
            Self::Number(number) => is_number(found, *number),
            Self::Flag(flag) => found.as_bool() == Some(*flag),
        }
    }
}

/// True for a number in any writing, as 7, 7.0 and 70e-1.
fn is_number(found: &Json, number: i64) -> bool {
    match found.as_i64() {
        Some(whole) => whole == number,
        None => found.as_f64() == Some(number as f64),
    }
}

/// The body of an answer, read as JSON if it is that.
#[derive(Clone, Debug)]
pub(super) struct AnswerBody<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) json: Option<Json>,
}

impl<'a> AnswerBody<'a> {
    /// Reads a body that came whole.
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            json: serde_json::from_slice(bytes).ok(),
        }
    }
}

fn tables<'v>(value: &'v Value, path: &str, faults: &mut FaultList) -> Option<Vec<&'v Table>> {
    let tables = match value {
        Value::Table(table) => Some(vec![table]),
        Value::Array(list) => list.iter().map(Value::as_table).collect(),
        _ => None,
    };
    let tables = tables.filter(|tables| !tables.is_empty());
    if tables.is_none() {
        let fault = format!("{} is not a table or a list of tables", shown(value));
        faults.add(path, fault);
    }
    tables
}

fn value_test(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> Option<ValueTest> {
    let path = keys.path("at");
    let at = keys.text("at", faults);
    let wanted = wanted(keys, faults);
    if at.is_none() && wanted.is_some() {
        faults.add(&path, "it is missing; it names the place of the value");
    }
    let at = at?;
    if wanted.is_none() {
        faults.add(
            &path,
            "one of `equals`, `in` and `exists` must say which value fits",
        );
    }

    let parsed = AnswerPointer::parse(at);
    if let Err(fault) = &parsed {
        faults.add(&path, fault);
    }
    Some(ValueTest {
        at: parsed.ok()?,
        wanted: wanted?,
    })
}

/// The wanted value. More than one way of naming it is a fault.
fn wanted(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> Option<WantedValue> {
    let equals = equals(keys, faults);
    let one_of = one_of(keys, faults);
    let exists = keys.flag("exists", faults).map(|exists| {
        if exists {
            WantedValue::Present
        } else {
            WantedValue::Absent
        }
    });

    let mut given = [equals, one_of, exists].into_iter().flatten();
    let first = given.next();
    if given.next().is_some() {
        let fault = "more than one of `equals`, `in` and `exists` is there";
        faults.add(&keys.path("at"), fault);
    }
    first
}

fn equals(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> Option<WantedValue> {
    let value = keys.value("equals")?;
    let plain = PlainValue::parse(value);
    if plain.is_none() {
        let fault = format!(
            "{} is not a text, a whole number or a truth value",
            shown(value)
        );
        faults.add(&keys.path("equals"), fault);
    }
    plain.map(|plain| WantedValue::OneOf(vec![plain]))
}

fn one_of(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> Option<WantedValue> {
    let value = keys.value("in")?;
    let list = value.as_array().filter(|list| !list.is_empty());
    let plain = list.and_then(|list| list.iter().map(PlainValue::parse).collect());
    if plain.is_none() {
        let fault = format!("{} is not a list of texts or whole numbers", shown(value));
        faults.add(&keys.path("in"), fault);
    }
    plain.map(WantedValue::OneOf)
}

fn body(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> Option<Regex> {
    let text = keys.text("body", faults)?;
    let compiled = RegexBuilder::new(text).size_limit(REGEX_BYTES).build();
    match compiled {
        Ok(regex) => Some(regex),
        Err(error) => {
            // The library shows the place on several lines.
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            faults.add(
                &keys.path("body"),
                format!("`{text}` is no regular expression: {reason}"),
            );
            None
        }
    }
}
