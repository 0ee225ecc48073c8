//! Rows of an import out of a stream of bytes: CSV with a header, or one JSON object a line.
//!
//! One reader of records serves all formats ([`RecordReader`]): it knows the encoding mark, line ends,
//! line numbers, the size of a record and the end of the file, so that a leniency of one format is one
//! of all. A format only knows where a record ends, and its values. A row has values by column; the
//! API checks what they mean.

mod cells;
mod csv;
mod header_help;
mod lines;
mod ndjson;
mod records;

#[cfg(test)]
mod tests;

use serde_json::Value;

use self::{csv::CsvRecords, ndjson::JsonRecords, records::RecordReader};
use crate::named_values::NamedValues;

/// The largest record, in bytes, without its line end.
const ROW_BYTES: usize = 16 * 1024;

/// One row of an import, by column.
#[derive(Debug, PartialEq)]
pub struct ImportRow {
    /// The line that it begins on, counted from 1.
    pub line: u64,
    /// The line that it ends on: a later one if a quoted cell holds line ends.
    pub last_line: u64,
    /// Its values. An empty one is null; a column that the row does not have is absent.
    pub values: NamedValues,
}

/// A reason for which there is no row.
#[derive(Debug, PartialEq, Eq)]
pub enum RowError {
    /// This row is wrong; the next one may be right.
    Row {
        /// The line that the row begins on.
        line: u64,
        /// Stable name of the fault.
        code: &'static str,
        /// The fault in words.
        detail: String,
    },
    /// No row of the file can be read.
    Fatal {
        /// The line of the fault.
        line: u64,
        /// Stable name of the fault.
        code: &'static str,
        /// The fault in words.
        detail: String,
    },
}

impl RowError {
    fn row(line: u64, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::Row { line, code, detail }
    }

    /// The error of a row that ends on this line.
    fn over_lines(self, last_line: u64) -> Self {
        match self {
            Self::Row { line, code, detail } => {
                Self::row(line, code, over_lines(line, last_line, detail))
            }
            fatal => fatal,
        }
    }
}

/// Completes the detail of a wrong row by the lines of it, if it has more than one: most people forgot a
/// quote then.
pub fn over_lines(line: u64, last_line: u64, detail: String) -> String {
    if line == last_line {
        return detail;
    }
    format!(
        "{detail}; the row goes on to line {last_line}, because a quoted cell holds line ends: is a quote \
         missing?"
    )
}

/// A reader of rows, which is fed with pieces of a file of any size, cut at any byte.
pub trait Rows: Send {
    /// Takes the next piece, and appends the rows that it completes.
    fn feed(&mut self, bytes: &[u8], rows: &mut Vec<Result<ImportRow, RowError>>);
    /// Appends the last row, after the end of the file.
    fn end(&mut self, rows: &mut Vec<Result<ImportRow, RowError>>);
}

/// The format of a file of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// A header that names the columns, then one record for each row (RFC 4180).
    Csv,
    /// One JSON object on each line.
    Ndjson,
}

impl RowFormat {
    /// The format with this content type, given in lower case and without parameters.
    pub fn of_content_type(kind: &str) -> Option<Self> {
        let all = [Self::Csv, Self::Ndjson];
        all.into_iter().find(|format| format.content_type() == kind)
    }

    /// The content type of files in this format.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// A reader of this format. A CSV file can have the `known` columns; a wrong key of a JSON object
    /// is left to the checks of its values.
    pub fn reader(self, known: &[&'static str]) -> Box<dyn Rows> {
        match self {
            Self::Csv => Box::new(RecordReader::new(CsvRecords::new(known))),
            Self::Ndjson => Box::new(RecordReader::new(JsonRecords::default())),
        }
    }
}

/// A value as a row has it: a text without any visible character is no value, in every format.
fn value_of(text: String) -> Value {
    // `trim` would walk in from the end too.
    if text.trim_start().is_empty() {
        Value::Null
    } else {
        Value::String(text)
    }
}
