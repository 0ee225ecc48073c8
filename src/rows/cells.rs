//! Cells of CSV records (RFC 4180, by `csv-core`), in buffers of their own.
//!
//! A quoted cell may hold line ends and separators, so only the parser knows where a record ends.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::{
    ROW_BYTES,
    records::{TakenBytes, Then},
};

/// The most cells of a record.
pub(super) const CELLS: usize = 64;

/// Reads one record after the other.
pub(super) struct CellReader {
    parser: Reader,
    /// The unquoted cells of the record, one after the other.
    output: Vec<u8>,
    /// Bytes of the output that are in use.
    written: usize,
    /// The end of each cell in the output; one more than a record may have.
    ends: Vec<usize>,
    /// Cells that have ended.
    count: usize,
}

impl CellReader {
    /// Reads cells with a separator between them.
    pub(super) fn new(separator: u8) -> Self {
        let mut builder = ReaderBuilder::new();
        Self {
            parser: builder.delimiter(separator).build(),
            output: vec![0; ROW_BYTES + 1],
            written: 0,
            ends: vec![0; CELLS + 1],
            count: 0,
        }
    }

    /// Reads on in the record, up to its end. The parser skips line ends before a record.
    pub(super) fn read(&mut self, bytes: &[u8]) -> TakenBytes {
        // No bytes would mean the end of the file to the parser.
        if bytes.is_empty() {
            return TakenBytes {
                bytes: 0,
                then: Then::More,
            };
        }

        let output = &mut self.output[self.written..];
        let ends = &mut self.ends[self.count..];
        let (result, taken, written, ended) = self.parser.read_record(bytes, output, ends);
        self.written += written;
        self.count += ended;

        let then = match result {
            ReadRecordResult::Record => Then::End,
            ReadRecordResult::InputEmpty => Then::More,
            _ => Then::Full,
        };
        TakenBytes { bytes: taken, then }
    }

    /// Drops the cells that were read so far, so that those of the next record have room.
    pub(super) fn clear(&mut self) {
        self.written = 0;
        self.count = 0;
    }

    /// Number of cells of the record that has ended.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The cells of the record that has ended; `None` if one of them is not UTF-8.
    pub(super) fn cells(&self) -> Option<Vec<&str>> {
        // One check for all of them: a cell that ends inside of a character has no end in the text.
        let text = std::str::from_utf8(&self.output[..self.written]).ok()?;

        let mut cells = Vec::with_capacity(self.count);
        let mut start = 0;
        for end in &self.ends[..self.count] {
            cells.push(text.get(start..*end)?);
            start = *end;
        }
        Some(cells)
    }
}
