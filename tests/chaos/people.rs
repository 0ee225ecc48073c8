//! Customers as the player makes them up: all fields follow from a number and a version, so that the
//! ledger needs to keep no more than the version.

use serde_json::{Value, json};

use super::dice::mix;

/// A customer's version: rises by one with each write, so that each phone names one of them.
pub type Version = u16;

/// The highest version: a phone has room for three digits of it.
pub const VERSIONS: Version = 999;

/// With everything that an `ILIKE` pattern must escape, and letters whose case counts for nothing.
pub const TAGS: [&str; 8] = [
    "clients.moscow.new",
    "clients.moscow.old",
    "Клиенты.Омск",
    "клиенты.тула",
    "staff_a",
    "staffxa",
    "100%",
    "",
];

pub const OPERATORS: [&str; 5] = ["МТС", "Билайн", "МегаФон", "T2", ""];

/// Time zones with their offsets in hours; none of them has summer time.
pub const ZONES: [(&str, i64); 4] = [
    ("", 0),
    ("UTC", 0),
    ("Europe/Moscow", 3),
    ("Asia/Vladivostok", 10),
];

/// One version of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    pub number: u32,
    pub version: Version,
}

impl Person {
    /// Whom a phone belongs to.
    pub fn of_phone(digits: u64) -> Option<Self> {
        let head = digits / 10_000_000_000;
        let rest = digits % 10_000_000_000;
        let version = Version::try_from(rest / 10_000_000).ok()?;
        let number = u32::try_from(rest % 10_000_000).ok()?;
        (head == 7).then_some(Self { number, version })
    }

    /// The number of a customer that the player made.
    pub fn number_of(id: &str) -> Option<u32> {
        id.strip_prefix("c-")?.parse().ok()
    }

    pub fn id(self) -> String {
        format!("c-{}", self.number)
    }

    pub fn phone(self) -> String {
        format!("+7{:03}{:07}", self.version, self.number)
    }

    pub fn tag(self) -> &'static str {
        TAGS[(self.hash() % TAGS.len() as u64) as usize]
    }

    pub fn operator(self) -> &'static str {
        OPERATORS[((self.hash() >> 16) % OPERATORS.len() as u64) as usize]
    }

    pub fn zone(self) -> (&'static str, i64) {
        ZONES[((self.hash() >> 32) % ZONES.len() as u64) as usize]
    }

    pub fn name(self) -> String {
        format!("Имя {}, {}-е", self.number, self.version)
    }

    fn hash(self) -> u64 {
        mix(u64::from(self.number), u64::from(self.version))
    }

    /// As the API takes it and gives it back.
    pub fn body(self) -> Value {
        let mut body = json!({
            "id": self.id(),
            "name": self.name(),
            "phone": self.phone(),
            "operator": self.operator(),
            "tag": self.tag(),
        });
        if !self.zone().0.is_empty() {
            body["timezone"] = json!(self.zone().0);
        }
        body
    }

    /// As a row of NDJSON. It names every field: an import leaves alone what a row does not name.
    pub fn object(self) -> Value {
        let mut object = self.body();
        object["timezone"] = match self.zone().0 {
            "" => Value::Null,
            zone => json!(zone),
        };
        object
    }

    /// As a row of CSV.
    pub fn row(self) -> String {
        let mut row = format!("{},\"{}\",{},", self.id(), self.name(), self.phone());
        row += &format!("{},{},{}\n", self.operator(), self.tag(), self.zone().0);
        row
    }
}

/// Matches as SQL's `ILIKE` does.
pub fn like(pattern: &str, text: &str) -> bool {
    let pattern: Vec<_> = pattern.to_lowercase().chars().collect();
    let text: Vec<_> = text.to_lowercase().chars().collect();
    matches(&pattern, &text)
}

fn matches(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|from| matches(rest, &text[from..])),
        ['_', rest @ ..] => !text.is_empty() && matches(rest, &text[1..]),
        ['\\', escaped, rest @ ..] => text.first() == Some(escaped) && matches(rest, &text[1..]),
        [plain, rest @ ..] => text.first() == Some(plain) && matches(rest, &text[1..]),
    }
}

/// The pattern that matches a word and nothing else, but for the case of its letters.
pub fn escaped(word: &str) -> String {
    word.replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
}
