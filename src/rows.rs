//! Rows out of a stream of bytes: CSV with a header, or one JSON object a line. Fed piece by
//! piece, so that a file of any size needs the memory of one row.

use serde_json::{Map, Value};

use crate::formula;

/// Bytes of one row, at most.
const ROW_BYTES: usize = 16 * 1024;

/// One row, by column.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// The line it begins on, counted from 1.
    pub line: u64,
    /// What is in it; empty cells are left out.
    pub values: Map<String, Value>,
}

/// Why there is no row.
#[derive(Debug, PartialEq, Eq)]
pub enum RowError {
    /// This row is wrong; the next may be right.
    Row {
        /// The line it begins on.
        line: u64,
        /// The stable name of what is wrong.
        code: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// Nothing can be read.
    Fatal {
        /// The line.
        line: u64,
        /// The stable name of what is wrong.
        code: &'static str,
        /// What is wrong.
        detail: String,
    },
}

impl RowError {
    /// The same of the header.
    fn into_fatal(self) -> Self {
        match self {
            RowError::Row { line, detail, .. } => {
                let detail = format!("the header cannot be read: {detail}");
                RowError::Fatal {
                    line,
                    code: "invalid_header",
                    detail,
                }
            }
            fatal => fatal,
        }
    }
}

/// A reader of rows.
pub trait Rows: Send {
    /// Takes in the next piece; puts out the rows that it completes.
    fn feed(&mut self, bytes: &[u8], rows: &mut Vec<Result<Row, RowError>>);
    /// The stream has ended.
    fn end(&mut self, rows: &mut Vec<Result<Row, RowError>>);
}

/// Rows of CSV (RFC 4180, by `csv-core`): the first one names the columns. A row is a line: no cell
/// of ours may hold a line end, and a quote that was forgotten must not swallow the rows below it.
pub struct CsvRows {
    known: Vec<&'static str>,
    reader: csv_core::Reader,
    columns: Option<Vec<String>>,
    output: Vec<u8>,
    ends: Vec<usize>,
    ended: usize,
    line: u64,
    rest: Vec<u8>,
    failed: bool,
    at_start: Vec<u8>,
    started: bool,
}

impl CsvRows {
    /// For columns that are known by name.
    pub fn new(known: &[&'static str]) -> Self {
        Self {
            known: known.to_vec(),
            reader: csv_core::Reader::new(),
            columns: None,
            output: vec![0; ROW_BYTES],
            ends: vec![0; 64],
            ended: 0,
            line: 1,
            rest: Vec::new(),
            failed: false,
            at_start: Vec::new(),
            started: false,
        }
    }

    /// Takes in the lines that a piece completes, and keeps the beginning of the next.
    fn read(&mut self, mut bytes: &[u8], rows: &mut Vec<Result<Row, RowError>>) {
        while let Some(at) = memchr::memchr2(b'\r', b'\n', bytes) {
            if self.rest.is_empty() {
                self.take_line(&bytes[..at], rows);
            } else {
                self.keep(&bytes[..at]);
                self.take_rest(rows);
            }
            self.line += u64::from(bytes[at] == b'\n');
            bytes = &bytes[at + 1..];
        }
        self.keep(bytes);
    }

    /// Of a line that is too long, no more than shows that it is.
    fn keep(&mut self, bytes: &[u8]) {
        let room = ROW_BYTES + 1 - self.rest.len();
        self.rest.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn take_rest(&mut self, rows: &mut Vec<Result<Row, RowError>>) {
        let mut rest = std::mem::take(&mut self.rest);
        self.take_line(&rest, rows);
        rest.clear();
        self.rest = rest;
    }

    fn take_line(&mut self, bytes: &[u8], rows: &mut Vec<Result<Row, RowError>>) {
        if self.failed || bytes.is_empty() {
            return;
        }
        let line = self.line;
        let row = self.record(line, bytes).and_then(|()| {
            let cells = self.cells(line)?;
            self.row(line, cells)
        });
        match row {
            Ok(None) => {}
            Ok(Some(row)) => rows.push(Ok(row)),
            // Without a header nothing that follows can be read.
            Err(error) if self.columns.is_none() => {
                self.failed = true;
                rows.push(Err(error.into_fatal()));
            }
            Err(error) => rows.push(Err(error)),
        }
    }

    /// Takes a line apart into cells.
    fn record(&mut self, line: u64, bytes: &[u8]) -> Result<(), RowError> {
        use csv_core::ReadRecordResult::{OutputEndsFull, OutputFull};
        let wrong = |code, detail| Err(RowError::Row { line, code, detail });
        let too_long = || format!("a row has at most {ROW_BYTES} bytes and 64 cells");
        if bytes.len() > ROW_BYTES {
            return wrong("row_too_long", too_long());
        }
        if memchr::memchr_iter(b'"', bytes).count() % 2 == 1 {
            let detail = "a quoted cell does not end on this line; a cell cannot hold a line break, and \
                          a quote in it is written twice, with the whole cell in quotes";
            return wrong("unclosed_quote", detail.to_owned());
        }
        self.reader.reset();
        let (output, ends) = (&mut self.output, &mut self.ends);
        let (result, _, written, ended) = self.reader.read_record(bytes, output, ends);
        if matches!(result, OutputFull | OutputEndsFull) {
            return wrong("row_too_long", too_long());
        }
        // Nothing more to read ends the record.
        let (output, ends) = (&mut self.output[written..], &mut self.ends[ended..]);
        let (result, _, _, last) = self.reader.read_record(&[], output, ends);
        if matches!(result, OutputFull | OutputEndsFull) {
            return wrong("row_too_long", too_long());
        }
        self.ended = ended + last;
        Ok(())
    }

    /// The cells of the record that was just read.
    fn cells(&self, line: u64) -> Result<Vec<String>, RowError> {
        let mut start = 0;
        let cells = self.ends[..self.ended].iter().map(|end| {
            let cell = &self.output[start..*end];
            start = *end;
            std::str::from_utf8(cell).map(str::to_owned)
        });
        cells.collect::<Result<_, _>>().map_err(|_| RowError::Row {
            line,
            code: "invalid_utf8",
            detail: "the row is not UTF-8; save the file as UTF-8".to_owned(),
        })
    }

    fn row(&mut self, line: u64, cells: Vec<String>) -> Result<Option<Row>, RowError> {
        let Some(columns) = &self.columns else {
            self.columns = Some(self.header(line, cells)?);
            return Ok(None);
        };
        if cells.len() != columns.len() {
            let (found, wanted) = (cells.len(), columns.len());
            let detail = format!("the row has {found} cells, but the header has {wanted}");
            return Err(RowError::Row {
                line,
                code: "wrong_cell_count",
                detail,
            });
        }
        let filled = columns
            .iter()
            .zip(cells)
            .filter(|(_, cell)| !cell.is_empty());
        let value = |cell: String| Value::String(formula::unescape(cell));
        let values = filled
            .map(|(column, cell)| (column.clone(), value(cell)))
            .collect();
        Ok(Some(Row { line, values }))
    }

    fn header(&self, line: u64, cells: Vec<String>) -> Result<Vec<String>, RowError> {
        let fatal = |detail: String| RowError::Fatal {
            line,
            code: "invalid_header",
            detail,
        };
        let columns: Vec<_> = cells
            .iter()
            .map(|cell| cell.trim().to_lowercase())
            .collect();
        for (n, column) in columns.iter().enumerate() {
            if !self.known.contains(&column.as_str()) {
                let known = self.known.join(", ");
                return Err(fatal(format!(
                    "there is no column `{column}`; the columns are {known}"
                )));
            }
            if columns[..n].contains(column) {
                return Err(fatal(format!("the column `{column}` appears twice")));
            }
        }
        match columns.iter().any(|column| column == "phone") {
            true => Ok(columns),
            false => Err(fatal("the column `phone` is missing".to_owned())),
        }
    }

    /// Looks at the first line: a byte order mark, and cells separated by semicolons.
    fn start(&mut self, bytes: &[u8], at_end: bool) -> Option<Vec<u8>> {
        self.at_start.extend_from_slice(bytes);
        if !at_end && !self.at_start.contains(&b'\n') && self.at_start.len() < ROW_BYTES {
            return None;
        }
        self.started = true;
        let mut first = std::mem::take(&mut self.at_start);
        if first.starts_with(b"\xef\xbb\xbf") {
            first.drain(..3);
        }
        let line = first.split(|b| *b == b'\n').next().unwrap_or_default();
        if line.contains(&b';') && !line.contains(&b',') {
            self.reader = csv_core::ReaderBuilder::new().delimiter(b';').build();
        }
        Some(first)
    }
}

impl Rows for CsvRows {
    fn feed(&mut self, bytes: &[u8], rows: &mut Vec<Result<Row, RowError>>) {
        if bytes.is_empty() {
            return;
        }
        if self.started {
            self.read(bytes, rows);
        } else if let Some(first) = self.start(bytes, false)
            && !first.is_empty()
        {
            self.read(&first, rows);
        }
    }

    fn end(&mut self, rows: &mut Vec<Result<Row, RowError>>) {
        if !self.started
            && let Some(first) = self.start(&[], true)
            && !first.is_empty()
        {
            self.read(&first, rows);
        }
        self.take_rest(rows);
        if self.columns.is_none() && !self.failed {
            let detail = "the file is empty; its first row names the columns".to_owned();
            rows.push(Err(RowError::Fatal {
                line: 1,
                code: "invalid_header",
                detail,
            }));
        }
    }
}

/// Rows of NDJSON: one object a line; blank lines are nothing.
#[derive(Default)]
pub struct NdjsonRows {
    line: u64,
    rest: Vec<u8>,
    too_long: bool,
}

impl NdjsonRows {
    fn take_line(&mut self, line: &[u8], rows: &mut Vec<Result<Row, RowError>>) {
        self.line += 1;
        let number = self.line;
        let wrong = |code, detail: String| {
            Err(RowError::Row {
                line: number,
                code,
                detail,
            })
        };
        if std::mem::take(&mut self.too_long) || line.len() > ROW_BYTES {
            rows.push(wrong(
                "row_too_long",
                format!("a row has at most {ROW_BYTES} bytes"),
            ));
            return;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        rows.push(match serde_json::from_slice(line) {
            Ok(Value::Object(values)) => Ok(Row {
                line: number,
                values,
            }),
            Ok(_) => wrong("invalid_json", "a line must hold a JSON object".to_owned()),
            // The line is said already.
            Err(error) => wrong(
                "invalid_json",
                error.to_string().replace(" at line 1 column", " at column"),
            ),
        });
    }
}

impl Rows for NdjsonRows {
    fn feed(&mut self, bytes: &[u8], rows: &mut Vec<Result<Row, RowError>>) {
        let mut pieces = bytes.split(|b| *b == b'\n');
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            let mut line = std::mem::take(&mut self.rest);
            line.extend_from_slice(piece);
            self.take_line(&line, rows);
        }
        if self.rest.len() + last.len() > ROW_BYTES {
            self.too_long = true;
            self.rest.clear();
        } else {
            self.rest.extend_from_slice(last);
        }
    }

    fn end(&mut self, rows: &mut Vec<Result<Row, RowError>>) {
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() || self.too_long {
            self.take_line(&rest, rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 3] = ["id", "phone", "name"];

    /// Each row as text, read in pieces of every size up to 9 bytes: all must agree.
    fn read(text: &[u8], make: impl Fn() -> Box<dyn Rows>) -> Vec<String> {
        let mut all = Vec::new();
        for size in 1..10 {
            let (mut reader, mut rows) = (make(), Vec::new());
            for piece in text.chunks(size) {
                reader.feed(piece, &mut rows);
            }
            reader.end(&mut rows);
            let told = rows.iter().map(|row| match row {
                Ok(Row { line, values }) => format!("{line} {}", Value::Object(values.clone())),
                Err(RowError::Row { line, code, .. }) => format!("{line} {code}"),
                Err(RowError::Fatal { line, code, .. }) => format!("{line} fatal {code}"),
            });
            all.push(told.collect::<Vec<_>>());
        }
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
        all.remove(0)
    }

    fn csv(text: &str) -> Vec<String> {
        read(text.as_bytes(), || Box::new(CsvRows::new(&COLUMNS)))
    }

    #[test]
    fn cells_go_by_the_header_and_empty_ones_are_absent() {
        assert_eq!(
            csv("phone,id\n+7,a\n,b\n"),
            [r#"2 {"id":"a","phone":"+7"}"#, r#"3 {"id":"b"}"#]
        );
    }

    #[test]
    fn the_mark_of_a_text_that_looks_like_a_formula_is_taken_off() {
        let text = "id,phone,name\na,'+7,'=1+1\nb,+7,''-x\nc,+7,'d'\n";
        let wanted = [
            r#"2 {"id":"a","name":"=1+1","phone":"+7"}"#,
            r#"3 {"id":"b","name":"'-x","phone":"+7"}"#,
            r#"4 {"id":"c","name":"'d'","phone":"+7"}"#,
        ];
        assert_eq!(csv(text), wanted);
    }

    #[test]
    fn quotes_line_ends_and_blank_lines_are_read_as_they_should_be() {
        let text = "id,phone,name\r\na,1,\"x, \"\"y\"\"\"\r\n\r\nb,2,\r\nc,3";
        let wanted = [
            r#"2 {"id":"a","name":"x, \"y\"","phone":"1"}"#,
            r#"4 {"id":"b","phone":"2"}"#,
            "5 wrong_cell_count",
        ];
        assert_eq!(csv(text), wanted);
    }

    #[test]
    fn a_quote_that_is_not_closed_costs_its_own_row_only() {
        let right = r#"4 {"id":"c","name":"x \"y\"","phone":"3"}"#;
        let text = "id,phone,name\na,1,\"x\nb,2,x 5\" y\nc,3,x \"y\"\n";
        assert_eq!(csv(text), ["2 unclosed_quote", "3 unclosed_quote", right]);
        // A cell over two lines: neither half is taken for a customer.
        let text = "name,phone\n\"a\nb\",1\n,2\n";
        assert_eq!(
            csv(text),
            ["2 unclosed_quote", "3 unclosed_quote", r#"4 {"phone":"2"}"#]
        );
        // The last line, and no line end.
        assert_eq!(csv("id,phone\n\"a,1"), ["2 unclosed_quote"]);
    }

    #[test]
    fn a_row_of_too_many_cells_is_left_out_alone() {
        let text = format!("id,phone\n{}\nb,2\n", ",".repeat(99));
        assert_eq!(
            csv(&text),
            ["2 row_too_long", r#"3 {"id":"b","phone":"2"}"#]
        );
    }

    #[test]
    fn a_header_that_is_wrong_ends_the_import() {
        assert_eq!(csv("id,fone\na,1\n"), ["1 fatal invalid_header"]);
        assert_eq!(csv("id,name\na,1\n"), ["1 fatal invalid_header"]);
        assert_eq!(csv("phone,phone\n1,2\n"), ["1 fatal invalid_header"]);
        assert_eq!(csv(""), ["1 fatal invalid_header"]);
    }

    #[test]
    fn a_byte_order_mark_and_semicolons_are_understood() {
        assert_eq!(
            csv("\u{feff}id;phone\na;1\n"),
            [r#"2 {"id":"a","phone":"1"}"#]
        );
    }

    #[test]
    fn a_row_that_is_too_long_or_not_utf8_is_left_out_alone() {
        let long = format!("id,phone\n{},1\nb,2\n", "x".repeat(ROW_BYTES + 9));
        assert_eq!(
            csv(&long),
            ["2 row_too_long", r#"3 {"id":"b","phone":"2"}"#]
        );
        let mut text = b"id,phone\n".to_vec();
        text.extend_from_slice(b"\xff,1\nb,2\n");
        let rows = read(&text, || Box::new(CsvRows::new(&COLUMNS)));
        assert_eq!(rows, ["2 invalid_utf8", r#"3 {"id":"b","phone":"2"}"#]);
    }

    #[test]
    fn ndjson_is_one_object_a_line() {
        let text = "{\"id\":\"a\"}\n\n[1]\n{\"id\"\r\n{\"id\":\"b\"}";
        let rows = read(text.as_bytes(), || Box::new(NdjsonRows::default()));
        let wanted = [
            r#"1 {"id":"a"}"#,
            "3 invalid_json",
            "4 invalid_json",
            r#"5 {"id":"b"}"#,
        ];
        assert_eq!(rows, wanted);
    }
}
