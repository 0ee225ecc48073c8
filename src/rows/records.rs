//! Records out of pieces of a file: everything that is the same in each format.
//!
//! That is the encoding mark, empty lines between records, line numbers, the largest size of a record,
//! and the last record, which may have no line end. [`Grammar`] is the rest: where a record ends, and
//! its values.

use super::{
    ImportRow, ROW_BYTES, RowError, Rows,
    lines::{LineCount, leading_line_ends},
};
use crate::named_values::NamedValues;

/// Bytes with which some programs mark a file as UTF-8.
const ENCODING_MARK: &[u8] = b"\xef\xbb\xbf";

/// The records of one format.
pub(super) trait Grammar: Send {
    /// Looks at the beginning of the file. Returns `false` while it needs to see more of it; it may
    /// not once `is_all` says that no more will be shown.
    fn begin(&mut self, beginning: &[u8], is_all: bool) -> bool;

    /// Reads on in a record, up to the end of it. A record never begins with a line end.
    fn read(&mut self, bytes: &[u8]) -> TakenBytes;

    /// Drops what was read of the record, which goes on all the same.
    fn discard(&mut self);

    /// The row of a record that has ended; `None` if it has none, as a header or an empty record.
    fn row(&mut self, place: Place) -> Result<Option<ImportRow>, RowError>;

    /// True if the record that comes next, or that is being read, is a header.
    fn needs_header(&self) -> bool;

    /// The largest size of a record, in words.
    fn bounds(&self) -> String;
}

/// Bytes that a grammar took from a piece of the file.
pub(super) struct TakenBytes {
    /// The number of these bytes.
    pub(super) bytes: usize,
    pub(super) then: Then,
}

/// The state of a record behind the bytes that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// All bytes were taken, and the record goes on.
    More,
    /// The record goes on, but is larger than any record may be.
    Full,
    /// The last of the bytes is the line end of the record.
    End,
}

/// Lines of a record, counted from 1.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) last_line: u64,
}

impl Place {
    /// The row of a record at this place.
    pub(super) fn row(self, values: NamedValues) -> ImportRow {
        ImportRow {
            line: self.line,
            last_line: self.last_line,
            values,
        }
    }
}

/// A record that is being read.
struct OpenRecord {
    line: u64,
    /// Bytes of it so far, its line end too.
    bytes: usize,
    is_too_long: bool,
}

/// A reader of records in one format.
pub(super) struct RecordReader<G> {
    grammar: G,
    lines: LineCount,
    /// The beginning of the file, until the grammar has seen enough of it.
    beginning: Option<Vec<u8>>,
    /// The record that has begun and not ended.
    open: Option<OpenRecord>,
    /// True once the header was wrong: no row can be read then.
    has_failed: bool,
}

type FoundRows = Vec<Result<ImportRow, RowError>>;

impl<G: Grammar> RecordReader<G> {
    pub(super) fn new(grammar: G) -> Self {
        Self {
            grammar,
            lines: LineCount::new(),
            beginning: Some(Vec::new()),
            open: None,
            has_failed: false,
        }
    }

    /// Gathers the beginning of the file. Returns it, without its mark, once the grammar has seen
    /// enough.
    fn begin(&mut self, bytes: &[u8], is_end: bool) -> Option<Vec<u8>> {
        let beginning = self.beginning.as_mut()?;
        beginning.extend_from_slice(bytes);

        let is_all = is_end || beginning.len() >= ROW_BYTES;
        if beginning.len() < ENCODING_MARK.len() && !is_all {
            return None;
        }
        let text = beginning.strip_prefix(ENCODING_MARK).unwrap_or(beginning);
        if !self.grammar.begin(text, is_all) && !is_all {
            return None;
        }

        let unmarked = text.to_vec();
        self.beginning = None;
        Some(unmarked)
    }

    fn read(&mut self, mut bytes: &[u8], rows: &mut FoundRows) {
        while !self.has_failed
            && let Some(mut open) = self.enter_record(&mut bytes)
        {
            let taken = self.read_record(&mut open, bytes);
            let (record, rest) = bytes.split_at(taken.bytes);
            bytes = rest;

            if taken.then == Then::End {
                let (text, line_end) = record.split_at(record.len() - 1);
                self.lines.pass(text);
                self.close(open, rows);
                self.lines.pass(line_end);
            } else {
                self.lines.pass(record);
                self.open = Some(open);
            }
        }
    }

    /// The record that the next bytes belong to, behind line ends that belong to none; `None` if no
    /// more bytes are there.
    fn enter_record(&mut self, bytes: &mut &[u8]) -> Option<OpenRecord> {
        let entered = self.open.take();
        if entered.is_none() {
            let (skipped, rest) = bytes.split_at(leading_line_ends(bytes));
            self.lines.pass(skipped);
            *bytes = rest;
        }

        if bytes.is_empty() {
            self.open = entered;
            return None;
        }
        let line = self.lines.line();
        Some(entered.unwrap_or(OpenRecord {
            line,
            bytes: 0,
            is_too_long: false,
        }))
    }

    /// Reads on in a record. Of one that is too long nothing is kept, but it is read to its end: a
    /// line inside of it must not become a row.
    fn read_record(&mut self, open: &mut OpenRecord, bytes: &[u8]) -> TakenBytes {
        // One byte more than a record can have is its line end, or shows that it is too long.
        let room = if open.is_too_long {
            bytes.len()
        } else {
            ROW_BYTES + 1 - open.bytes
        };
        let taken = self.grammar.read(&bytes[..room.min(bytes.len())]);
        open.bytes += taken.bytes;

        let goes_on = open.bytes > ROW_BYTES && taken.then == Then::More;
        open.is_too_long |= goes_on || taken.then == Then::Full;
        if open.is_too_long {
            self.grammar.discard();
        }
        taken
    }

    /// Makes a row of a record that has ended on the present line.
    fn close(&mut self, open: OpenRecord, rows: &mut FoundRows) {
        let place = Place {
            line: open.line,
            last_line: self.lines.line(),
        };

        let row = if open.is_too_long {
            let detail = format!("a row has at most {}", self.grammar.bounds());
            Err(RowError::row(open.line, "row_too_long", detail))
        } else {
            self.grammar.row(place)
        };
        match row {
            Ok(None) => {}
            Ok(Some(row)) => rows.push(Ok(row)),
            Err(error) => self.refuse(error.over_lines(place.last_line), rows),
        }
    }

    /// Reports a record that is wrong. Without a header nothing that follows can be read.
    fn refuse(&mut self, error: RowError, rows: &mut FoundRows) {
        self.has_failed = self.grammar.needs_header();
        rows.push(Err(if self.has_failed {
            of_header(error)
        } else {
            error
        }));
    }

    /// Ends the last record, which has no line end in the file.
    fn end_record(&mut self, mut open: OpenRecord, rows: &mut FoundRows) {
        let line = open.line;
        let mut taken = self.read_record(&mut open, b"\n");
        if taken.then == Then::Full {
            taken = self.read_record(&mut open, b"\n");
        }
        if taken.then == Then::End {
            return self.close(open, rows);
        }

        // A line end is part of a record only between quotes.
        let last = self.lines.line();
        let detail = format!(
            "a quote that opens in the row of line {line} is not closed before the file ends on line {last}, so \
             all of these lines are one cell; close the quote, or write it twice if it is part of the \
             text, and import the file again"
        );
        self.refuse(RowError::row(line, "unclosed_quote", detail), rows);
    }
}

impl<G: Grammar> Rows for RecordReader<G> {
    fn feed(&mut self, bytes: &[u8], rows: &mut FoundRows) {
        if self.beginning.is_none() {
            self.read(bytes, rows);
        } else if let Some(beginning) = self.begin(bytes, false) {
            self.read(&beginning, rows);
        }
    }

    fn end(&mut self, rows: &mut FoundRows) {
        if let Some(beginning) = self.begin(&[], true) {
            self.read(&beginning, rows);
        }
        if let Some(open) = self.open.take() {
            self.end_record(open, rows);
        }

        if self.grammar.needs_header() && !self.has_failed {
            let detail = "the file is empty; its first row names the columns";
            self.refuse(RowError::row(1, "invalid_header", detail), rows);
        }
    }
}

/// The error of a record that is the header: no row can be read.
fn of_header(error: RowError) -> RowError {
    let RowError::Row { line, code, detail } = error else {
        return error;
    };
    let in_words = match code {
        "invalid_header" => detail,
        _ => format!("the header cannot be read: {detail}"),
    };
    RowError::Fatal {
        line,
        code: "invalid_header",
        detail: in_words,
    }
}
