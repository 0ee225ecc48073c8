//! NDJSON: one object a line; blank lines are skipped.

use serde_json::{Map, Value};

use super::{
    ImportRow, ROW_BYTES, RowError,
    records::{Grammar, Place, TakenBytes, Then},
    value_of,
};

/// The grammar of NDJSON.
#[derive(Default)]
pub(super) struct JsonRecords {
    /// The line so far.
    text: Vec<u8>,
}

impl Grammar for JsonRecords {
    fn begin(&mut self, _beginning: &[u8], _is_all: bool) -> bool {
        true
    }

    fn read(&mut self, bytes: &[u8]) -> TakenBytes {
        let end = memchr::memchr2(b'\r', b'\n', bytes);
        self.text
            .extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);

        match end {
            Some(at) => TakenBytes {
                bytes: at + 1,
                then: Then::End,
            },
            None => TakenBytes {
                bytes: bytes.len(),
                then: Then::More,
            },
        }
    }

    fn discard(&mut self) {
        self.text.clear();
    }

    fn row(&mut self, place: Place) -> Result<Option<ImportRow>, RowError> {
        let is_blank = self.text.iter().all(u8::is_ascii_whitespace);
        let parsed = (!is_blank).then(|| parse(place.line, &self.text));
        self.text.clear();

        let values = parsed.transpose()?;
        Ok(values.map(|values| place.row(values.into())))
    }

    fn needs_header(&self) -> bool {
        false
    }

    fn bounds(&self) -> String {
        format!("{ROW_BYTES} bytes")
    }
}

fn parse(line: u64, text: &[u8]) -> Result<Map<String, Value>, RowError> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(values)) => Ok(without_empty(values)),
        Ok(_) => {
            let detail = "a line must hold a JSON object";
            Err(RowError::row(line, "invalid_json", detail))
        }
        Err(error) => {
            // For the parser each row is line 1; the error carries the line of the file.
            let detail = error.to_string().replace(" at line 1 column", " at column");
            let detail = format!("the line is not JSON: {detail}");
            Err(RowError::row(line, "invalid_json", detail))
        }
    }
}

/// The values of an object. A text that is empty is no value, as in an empty cell.
fn without_empty(mut values: Map<String, Value>) -> Map<String, Value> {
    for value in values.values_mut() {
        if let Value::String(text) = value {
            *value = value_of(std::mem::take(text));
        }
    }
    values
}
