//! Rows of CSV (RFC 4180, by `csv-core`): the first one names the columns.
//!
//! A row is a line. No cell of a customer may hold a line end, so that a quote that was forgotten does
//! not swallow the rows below it.

use csv_core::ReadRecordResult;
use serde_json::Value;

use super::{ImportRow, ROW_BYTES, RowError, Rows};
use crate::formula;

/// The most cells of a row.
const CELLS: usize = 64;
/// Bytes with which some programs mark a file as UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A reader of CSV.
pub struct CsvRows {
    /// Names of the columns that a file can have.
    known: Vec<&'static str>,
    /// The columns of the file; `None` before its header.
    columns: Option<Vec<String>>,
    splitter: LineSplitter,
    /// Number of the line that is read next.
    line: u64,
    /// The beginning of that line.
    rest: Vec<u8>,
    /// True once the header was wrong: no row can be read then.
    has_failed: bool,
    /// The beginning of the file, until its first line is complete.
    beginning: Vec<u8>,
    /// True once the first line was looked at.
    has_begun: bool,
}

impl CsvRows {
    /// A reader of files with columns of these names.
    pub fn new(known: &[&'static str]) -> Self {
        Self {
            known: known.to_vec(),
            columns: None,
            splitter: LineSplitter::new(b','),
            line: 1,
            rest: Vec::new(),
            has_failed: false,
            beginning: Vec::new(),
            has_begun: false,
        }
    }

    /// Reads the lines that a piece completes, and keeps the beginning of the next.
    fn read(&mut self, mut bytes: &[u8], rows: &mut Vec<Result<ImportRow, RowError>>) {
        while let Some(at) = memchr::memchr2(b'\r', b'\n', bytes) {
            // Most lines lie in one piece, and need no copy.
            if self.rest.is_empty() {
                self.take_line(&bytes[..at], rows);
            } else {
                self.keep(&bytes[..at]);
                self.take_rest(rows);
            }

            // Of CR LF only the second counts; what is between the two is an empty line.
            self.line += u64::from(bytes[at] == b'\n');
            bytes = &bytes[at + 1..];
        }
        self.keep(bytes);
    }

    /// Keeps the beginning of a line. Of a line that is too long, one byte too many is kept, which
    /// shows that it is.
    fn keep(&mut self, bytes: &[u8]) {
        let room = ROW_BYTES + 1 - self.rest.len();
        self.rest.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn take_rest(&mut self, rows: &mut Vec<Result<ImportRow, RowError>>) {
        let mut rest = std::mem::take(&mut self.rest);
        self.take_line(&rest, rows);

        // Given back empty, so that its memory serves the next line too.
        rest.clear();
        self.rest = rest;
    }

    fn take_line(&mut self, text: &[u8], rows: &mut Vec<Result<ImportRow, RowError>>) {
        if self.has_failed || text.is_empty() {
            return;
        }
        match self.parse(text) {
            Ok(None) => {}
            Ok(Some(row)) => rows.push(Ok(row)),
            // Without a header nothing that follows can be read.
            Err(error) if self.columns.is_none() => {
                self.has_failed = true;
                rows.push(Err(of_header(error)));
            }
            Err(error) => rows.push(Err(error)),
        }
    }

    /// Parses a line; `None` if it is the header.
    fn parse(&mut self, text: &[u8]) -> Result<Option<ImportRow>, RowError> {
        self.splitter.split(self.line, text)?;
        let cells = self.splitter.cells(self.line)?;
        match &self.columns {
            Some(columns) => row(self.line, columns, cells).map(Some),
            None => {
                self.columns = Some(self.header(&cells)?);
                Ok(None)
            }
        }
    }

    /// The columns that a header names. Rejects unknown ones: their cells would be ignored.
    fn header(&self, cells: &[String]) -> Result<Vec<String>, RowError> {
        let mut columns: Vec<String> = Vec::new();
        for cell in cells {
            let column = cell.trim().to_lowercase();
            if !self.known.contains(&column.as_str()) {
                let known = self.known.join(", ");
                let detail = format!("there is no column `{column}`; the columns are {known}");
                return Err(wrong_header(self.line, detail));
            }
            if columns.contains(&column) {
                let detail = format!("the column `{column}` appears twice");
                return Err(wrong_header(self.line, detail));
            }
            columns.push(column);
        }

        if columns.iter().any(|column| column == "phone") {
            return Ok(columns);
        }
        let detail = "the column `phone` is missing".to_owned();
        Err(wrong_header(self.line, detail))
    }

    /// Gathers the first line, which shows a byte order mark and the delimiter. Returns all that was
    /// gathered once the line is complete, or once no more of it is needed.
    fn begin(&mut self, bytes: &[u8], is_end: bool) -> Option<Vec<u8>> {
        self.beginning.extend_from_slice(bytes);
        let is_complete = self.beginning.contains(&b'\n') || self.beginning.len() >= ROW_BYTES;
        if !is_end && !is_complete {
            return None;
        }

        self.has_begun = true;
        let mut first = std::mem::take(&mut self.beginning);
        if first.starts_with(BYTE_ORDER_MARK) {
            first.drain(..BYTE_ORDER_MARK.len());
        }
        // Spreadsheets of many countries separate cells by semicolons.
        let line = first.split(|b| *b == b'\n').next().unwrap_or_default();
        if line.contains(&b';') && !line.contains(&b',') {
            self.splitter = LineSplitter::new(b';');
        }
        Some(first)
    }
}

impl Rows for CsvRows {
    fn feed(&mut self, bytes: &[u8], rows: &mut Vec<Result<ImportRow, RowError>>) {
        if bytes.is_empty() {
            return;
        }
        if self.has_begun {
            self.read(bytes, rows);
        } else if let Some(first) = self.begin(bytes, false) {
            self.read(&first, rows);
        }
    }

    fn end(&mut self, rows: &mut Vec<Result<ImportRow, RowError>>) {
        if !self.has_begun
            && let Some(first) = self.begin(&[], true)
        {
            self.read(&first, rows);
        }
        self.take_rest(rows);

        if self.columns.is_none() && !self.has_failed {
            let detail = "the file is empty; its first row names the columns".to_owned();
            rows.push(Err(wrong_header(1, detail)));
        }
    }
}

/// Splits lines into cells, in buffers of its own.
struct LineSplitter {
    reader: csv_core::Reader,
    /// The unquoted cells of the last line, one after the other.
    output: Vec<u8>,
    /// The end of each cell in the output.
    ends: Vec<usize>,
    /// Number of cells of the last line.
    count: usize,
}

impl LineSplitter {
    fn new(delimiter: u8) -> Self {
        let mut builder = csv_core::ReaderBuilder::new();
        Self {
            reader: builder.delimiter(delimiter).build(),
            output: vec![0; ROW_BYTES],
            ends: vec![0; CELLS],
            count: 0,
        }
    }

    /// Splits one line into cells.
    fn split(&mut self, line: u64, text: &[u8]) -> Result<(), RowError> {
        if text.len() > ROW_BYTES {
            return Err(too_long(line));
        }
        // The parser would take all that follows for part of the cell.
        if memchr::memchr_iter(b'"', text).count() % 2 == 1 {
            let detail = "a quoted cell does not end on this line; a cell cannot hold a line break, \
                          and a quote in it is written twice, with the whole cell in quotes";
            return Err(wrong_row(line, "unclosed_quote", detail.to_owned()));
        }

        self.reader.reset();
        let (result, _, written, ended) =
            self.reader
                .read_record(text, &mut self.output, &mut self.ends);
        if is_full(result) {
            return Err(too_long(line));
        }

        // An empty input is the end of the file for the parser, and so ends the last cell.
        let output = &mut self.output[written..];
        let ends = &mut self.ends[ended..];
        let (last_result, _, _, last_ended) = self.reader.read_record(&[], output, ends);
        if is_full(last_result) {
            return Err(too_long(line));
        }
        self.count = ended + last_ended;
        Ok(())
    }

    /// The cells of the line that was just split.
    fn cells(&self, line: u64) -> Result<Vec<String>, RowError> {
        let mut cells = Vec::with_capacity(self.count);
        let mut start = 0;
        for end in &self.ends[..self.count] {
            let cell = std::str::from_utf8(&self.output[start..*end]).map_err(|_| {
                let detail = "the row is not UTF-8; save the file as UTF-8".to_owned();
                wrong_row(line, "invalid_utf8", detail)
            })?;
            cells.push(cell.to_owned());
            start = *end;
        }
        Ok(cells)
    }
}

fn is_full(result: ReadRecordResult) -> bool {
    matches!(
        result,
        ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull
    )
}

/// A row of a line's cells. Empty cells are absent fields.
fn row(line: u64, columns: &[String], cells: Vec<String>) -> Result<ImportRow, RowError> {
    if cells.len() != columns.len() {
        let found = cells.len();
        let wanted = columns.len();
        let detail = format!("the row has {found} cells, but the header has {wanted}");
        return Err(wrong_row(line, "wrong_cell_count", detail));
    }

    let filled = columns
        .iter()
        .zip(cells)
        .filter(|(_, cell)| !cell.is_empty());
    let values = filled.map(|(column, cell)| {
        // An export marks cells that a spreadsheet would take for formulas.
        let text = formula::unescape(cell);
        (column.clone(), Value::String(text))
    });
    Ok(ImportRow {
        line,
        values: values.collect(),
    })
}

fn wrong_row(line: u64, code: &'static str, detail: String) -> RowError {
    RowError::Row { line, code, detail }
}

fn too_long(line: u64) -> RowError {
    let detail = format!("a row has at most {ROW_BYTES} bytes and {CELLS} cells");
    wrong_row(line, "row_too_long", detail)
}

fn wrong_header(line: u64, detail: String) -> RowError {
    RowError::Fatal {
        line,
        code: "invalid_header",
        detail,
    }
}

/// The error of a line, if that line is the header: then no row can be read.
fn of_header(error: RowError) -> RowError {
    match error {
        RowError::Row { line, detail, .. } => {
            wrong_header(line, format!("the header cannot be read: {detail}"))
        }
        fatal => fatal,
    }
}
