//! Rows of an import out of a stream of bytes: CSV with a header, or one JSON object a line.
//!
//! Readers are fed piece by piece, so that a file of any size needs the memory of one row. A row has
//! values by column; what they mean is checked by the API.

mod csv;
mod ndjson;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

pub use self::{csv::CsvRows, ndjson::NdjsonRows};

/// The largest row, in bytes.
const ROW_BYTES: usize = 16 * 1024;

/// One row of an import, by column.
#[derive(Debug, PartialEq)]
pub struct ImportRow {
    /// The line that it begins on, counted from 1.
    pub line: u64,
    /// Its values; empty cells are left out.
    pub values: Map<String, Value>,
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

/// A reader of rows, which is fed with pieces of a file.
pub trait Rows: Send {
    /// Takes the next piece, and appends the rows that it completes.
    fn feed(&mut self, bytes: &[u8], rows: &mut Vec<Result<ImportRow, RowError>>);
    /// Appends the last row, after the end of the file.
    fn end(&mut self, rows: &mut Vec<Result<ImportRow, RowError>>);
}
