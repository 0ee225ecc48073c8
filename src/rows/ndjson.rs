//! Rows of NDJSON: one object a line; blank lines are skipped.

use serde_json::Value;

use super::{ImportRow, ROW_BYTES, RowError, Rows};

/// A reader of NDJSON.
#[derive(Default)]
pub struct NdjsonRows {
    /// Number of the last line that was complete.
    line: u64,
    /// The beginning of the next line.
    rest: Vec<u8>,
    /// True if the next line is longer than a row may be; its beginning was dropped then.
    is_too_long: bool,
}

impl NdjsonRows {
    fn take_line(&mut self, text: &[u8], rows: &mut Vec<Result<ImportRow, RowError>>) {
        self.line += 1;
        let is_too_long = std::mem::take(&mut self.is_too_long) || text.len() > ROW_BYTES;
        let is_blank = text.iter().all(u8::is_ascii_whitespace);

        if is_too_long {
            let detail = format!("a row has at most {ROW_BYTES} bytes");
            rows.push(Err(self.wrong("row_too_long", detail)));
        } else if !is_blank {
            rows.push(self.parse(text));
        }
    }

    fn parse(&self, text: &[u8]) -> Result<ImportRow, RowError> {
        match serde_json::from_slice(text) {
            Ok(Value::Object(values)) => Ok(ImportRow {
                line: self.line,
                values,
            }),
            Ok(_) => Err(self.wrong("invalid_json", "a line must hold a JSON object".to_owned())),
            Err(error) => {
                // For the parser each row is line 1; the error carries the line of the file.
                let detail = error.to_string().replace(" at line 1 column", " at column");
                Err(self.wrong("invalid_json", detail))
            }
        }
    }

    fn wrong(&self, code: &'static str, detail: String) -> RowError {
        RowError::Row {
            line: self.line,
            code,
            detail,
        }
    }

    /// Keeps the beginning of the next line. If the line is too long, nothing of it is kept.
    fn keep(&mut self, bytes: &[u8]) {
        if self.rest.len() + bytes.len() > ROW_BYTES {
            self.is_too_long = true;
            self.rest.clear();
        } else {
            self.rest.extend_from_slice(bytes);
        }
    }
}

impl Rows for NdjsonRows {
    fn feed(&mut self, bytes: &[u8], rows: &mut Vec<Result<ImportRow, RowError>>) {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            let mut line = std::mem::take(&mut self.rest);
            line.extend_from_slice(piece);
            self.take_line(&line, rows);
        }
        self.keep(last);
    }

    fn end(&mut self, rows: &mut Vec<Result<ImportRow, RowError>>) {
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() || self.is_too_long {
            self.take_line(&rest, rows);
        }
    }
}
