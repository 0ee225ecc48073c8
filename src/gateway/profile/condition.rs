//! The condition of an answer rule: the status, values in a JSON answer, and the words of any answer.

use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value as Json;
use toml::{Table, Value};

use super::{keys::KeyReader, pointer::AnswerPointer, spot::Spot, statuses::StatusSet};
use crate::gateway::Envelope;

/// Bytes that a regular expression may take when it is compiled.
const REGEX_BYTES: usize = 256 * 1024;
/// The largest number up to which every whole number has a float of its own.
const EXACT: u64 = 1 << 53;
/// The bytes that some programs write before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

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
    /// Any value but `null`.
    Present,
    /// None, or `null`, in an answer that is JSON.
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
    pub(super) fn parse(value: &Value, spot: &Spot<'_>) -> Option<Self> {
        let found = tables(value);
        let tables = spot.expect(found, value, "a table or a list of tables")?;
        let mut whole = Self {
            statuses: StatusSet::all(),
            values: Vec::new(),
            bodies: Vec::new(),
        };

        // All of them must fit, so that each narrows the whole.
        for (n, table) in tables.iter().enumerate() {
            let entry = value.is_array().then(|| spot.entry(n));
            whole.add(table, entry.unwrap_or_else(|| spot.clone()));
        }
        Some(whole)
    }

    fn add(&mut self, table: &Table, spot: Spot<'_>) {
        if table.is_empty() {
            spot.fault("it is empty; name a `status`, a place (`at`) or a `body`");
        }

        let mut keys = KeyReader::new(table, spot);
        if let Some(statuses) = statuses(&mut keys) {
            self.statuses = self.statuses.both(&statuses);
        }
        self.values.extend(value_test(&mut keys));
        self.bodies.extend(body(&mut keys));
        keys.finish();
    }

    /// True if an answer fits. A body that is no JSON fits no test of a value.
    pub(super) fn fits(&self, status: u16, body: &AnswerBody<'_>, envelope: &Envelope<'_>) -> bool {
        self.statuses.contains(status)
            && self.bodies.iter().all(|regex| regex.is_match(body.bytes))
            && self.values.iter().all(|test| test.fits(body, envelope))
    }

    /// True if the body is looked at by a regular expression that is written so.
    pub(super) fn has_body(&self, regex: &str) -> bool {
        self.bodies.iter().any(|body| body.as_str() == regex)
    }

    /// True if an answer that fits shows something, and does not merely lack something.
    pub(super) fn is_positive(&self) -> bool {
        // An expression that fits an empty body fits any other one too.
        let mut signs = self.bodies.iter().map(|regex| !regex.is_match(b""));
        signs.any(|is_sign| is_sign) || self.values.iter().any(ValueTest::is_positive)
    }
}

impl ValueTest {
    fn fits(&self, body: &AnswerBody<'_>, envelope: &Envelope<'_>) -> bool {
        let answer = body.json.as_ref();
        answer.is_some_and(|answer| self.wanted.is(self.at.find(answer, envelope)))
    }

    fn is_positive(&self) -> bool {
        self.wanted != WantedValue::Absent
    }
}

impl WantedValue {
    fn is(&self, found: Option<&Json>) -> bool {
        match self {
            Self::Present => found.is_some(),
            Self::Absent => found.is_none(),
            Self::OneOf(values) => found.is_some_and(|found| is_one_of(found, values)),
        }
    }
}

fn is_one_of(found: &Json, values: &[PlainValue]) -> bool {
    values.iter().any(|value| value.is(found))
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
    if let Some(whole) = found.as_i64() {
        return whole == number;
    }

    // A larger number is not exact as a float, and would be equal to its neighbours.
    number.unsigned_abs() <= EXACT && found.as_f64() == Some(number as f64)
}

/// The body of an answer, read as JSON if it is that.
#[derive(Clone, Debug)]
pub(super) struct AnswerBody<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) json: Option<Json>,
}

impl<'a> AnswerBody<'a> {
    /// Reads a body that came whole.
    pub(super) fn read(body: &'a [u8]) -> Self {
        let bytes = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        let json = serde_json::from_slice(bytes).ok();
        Self { bytes, json }
    }
}

fn tables(value: &Value) -> Option<Vec<&Table>> {
    let tables: Option<Vec<&Table>> = match value {
        Value::Table(table) => Some(vec![table]),
        Value::Array(list) => list.iter().map(Value::as_table).collect(),
        _ => None,
    };
    tables.filter(|tables| !tables.is_empty())
}

fn statuses(keys: &mut KeyReader<'_>) -> Option<StatusSet> {
    let value = keys.value("status")?;
    StatusSet::parse(value, &keys.spot("status"))
}

fn value_test(keys: &mut KeyReader<'_>) -> Option<ValueTest> {
    let spot = keys.spot("at");
    let at = keys.text("at");
    let wanted = wanted(keys);
    match (at, &wanted) {
        (None, Some(_)) => spot.fault("it is missing; it names the place of the value"),
        (Some(_), None) => {
            spot.fault("one of `equals`, `in` and `exists` must say which value fits");
        }
        // Both, or neither: the condition says nothing of values.
        _ => {}
    }

    let at = spot.keep(AnswerPointer::parse(at?))?;
    wanted.map(|wanted| ValueTest { at, wanted })
}

/// The wanted value. More than one way of naming it is a fault.
fn wanted(keys: &mut KeyReader<'_>) -> Option<WantedValue> {
    let given = [equals(keys), one_of(keys), exists(keys)];
    let mut given = given.into_iter().flatten();
    let first = given.next();
    if given.next().is_some() {
        let spot = keys.spot("at");
        spot.fault("more than one of `equals`, `in` and `exists` is there");
    }
    first
}

fn equals(keys: &mut KeyReader<'_>) -> Option<WantedValue> {
    let value = keys.value("equals")?;
    let plain = PlainValue::parse(value).map(|plain| WantedValue::OneOf(vec![plain]));
    let spot = keys.spot("equals");
    spot.expect(plain, value, "a text, a whole number or a truth value")
}

fn one_of(keys: &mut KeyReader<'_>) -> Option<WantedValue> {
    let value = keys.value("in")?;
    let values = plain_values(value).map(WantedValue::OneOf);
    let spot = keys.spot("in");
    spot.expect(values, value, "a list of texts or whole numbers")
}

/// The values of a list that has at least one.
fn plain_values(value: &Value) -> Option<Vec<PlainValue>> {
    let list = value.as_array().filter(|list| !list.is_empty())?;
    list.iter().map(PlainValue::parse).collect()
}

fn exists(keys: &mut KeyReader<'_>) -> Option<WantedValue> {
    let exists = keys.flag("exists")?;
    Some(if exists {
        WantedValue::Present
    } else {
        WantedValue::Absent
    })
}

fn body(keys: &mut KeyReader<'_>) -> Option<Regex> {
    let text = keys.text("body")?;
    let compiled = RegexBuilder::new(text).size_limit(REGEX_BYTES).build();
    let found = compiled.map_err(|error| {
        let reason = reason(&error);
        format!("`{text}` is no regular expression: {reason}")
    });
    keys.spot("body").keep(found)
}

/// The reason alone: the library shows the place too, on several lines.
fn reason(error: &regex::Error) -> String {
    let error = error.to_string();
    let last = error.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}
