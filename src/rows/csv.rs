//! CSV: the first record names the columns.
//!
//! The separator is recognised from that record alone. The cells of it and of all others come from
//! [`CellReader`].

use super::{
    ImportRow, ROW_BYTES, RowError,
    cells::{CELLS, CellReader},
    header_help,
    records::{Grammar, Place, TakenBytes, Then},
    value_of,
};
use crate::{formula, named_values::NamedValues};

/// Separators of cells; spreadsheets of many countries write semicolons.
const SEPARATORS: [u8; 2] = [b',', b';'];

/// The grammar of CSV.
pub(super) struct CsvRecords {
    /// Names of the columns that a file can have.
    known: Vec<&'static str>,
    /// The columns of the file; `None` before its header.
    columns: Option<Vec<&'static str>>,
    cells: CellReader,
}

impl CsvRecords {
    /// For files with columns of these names.
    pub(super) fn new(known: &[&'static str]) -> Self {
        Self {
            known: known.to_vec(),
            columns: None,
            cells: CellReader::new(SEPARATORS[0]),
        }
    }

    /// Number of known columns in the header, if cells are separated by this; `None` if the header does
    /// not end in the beginning of the file.
    fn known_columns(&self, mut beginning: &[u8], separator: u8) -> Option<usize> {
        let mut reader = CellReader::new(separator);
        loop {
            let taken = reader.read(beginning);
            if taken.then != Then::End {
                return None;
            }

            let cells = reader.cells().unwrap_or_default();
            if !are_blank(&cells) {
                let columns = cells.iter().map(|cell| column_name(cell));
                return Some(columns.filter(|column| self.is_known(column)).count());
            }
            reader.clear();
            beginning = &beginning[taken.bytes..];
        }
    }

    fn is_known(&self, column: &str) -> bool {
        self.known.contains(&column)
    }

    /// The columns that a header names. Rejects unknown ones: their cells would be ignored.
    fn header(&self, line: u64, cells: &[&str]) -> Result<Vec<&'static str>, RowError> {
        let wrong = |detail: String| RowError::row(line, "invalid_header", detail);
        let mut columns: Vec<&'static str> = Vec::new();
        for cell in cells {
            let name = column_name(cell);
            let Some(column) = self.known.iter().find(|known| **known == name) else {
                let known = self.known.join(", ");
                return Err(wrong(header_help::unknown(&name, &known)));
            };
            if columns.contains(column) {
                return Err(wrong(format!("the column `{column}` appears twice")));
            }
            columns.push(column);
        }

        if !columns.contains(&"phone") {
            return Err(wrong("the column `phone` is missing".to_owned()));
        }
        Ok(columns)
    }

    /// The cells of the record that has ended.
    fn record(&self, line: u64) -> Result<Vec<&str>, RowError> {
        if self.cells.count() > CELLS {
            let detail = format!("a row has at most {}", self.bounds());
            return Err(RowError::row(line, "row_too_long", detail));
        }
        self.cells.cells().ok_or_else(|| {
            let detail = "the row is not UTF-8; save the file as UTF-8";
            RowError::row(line, "invalid_utf8", detail)
        })
    }

    /// The values of the record that has ended; none if it is empty or the header, which is taken.
    fn read_record(&mut self, place: Place) -> Result<Option<NamedValues>, RowError> {
        let cells = self.record(place.line)?;
        if are_blank(&cells) {
            return Ok(None);
        }

        if let Some(columns) = &self.columns {
            return values(place, columns, &cells).map(Some);
        }
        self.columns = Some(self.header(place.line, &cells)?);
        Ok(None)
    }
}

impl Grammar for CsvRecords {
    fn begin(&mut self, beginning: &[u8], is_all: bool) -> bool {
        // A header without a line end is complete too, if nothing follows.
        let mut header = beginning.to_vec();
        header.extend(is_all.then_some(b'\n'));
        let known = SEPARATORS.map(|separator| self.known_columns(&header, separator));
        if !is_all && known.contains(&None) {
            return false;
        }

        // Of separators that are equally right, the first one counts.
        let by_columns = SEPARATORS.into_iter().zip(known).rev();
        let best = by_columns.max_by_key(|(_, columns)| columns.unwrap_or(0));
        if let Some((separator, _)) = best {
            self.cells = CellReader::new(separator);
        }
        true
    }

    fn read(&mut self, bytes: &[u8]) -> TakenBytes {
        self.cells.read(bytes)
    }

    fn discard(&mut self) {
        self.cells.clear();
    }

    fn row(&mut self, place: Place) -> Result<Option<ImportRow>, RowError> {
        let values = self.read_record(place);
        self.cells.clear();
        Ok(values?.map(|values| place.row(values)))
    }

    fn needs_header(&self) -> bool {
        self.columns.is_none()
    }

    fn bounds(&self) -> String {
        format!("{ROW_BYTES} bytes and {CELLS} cells")
    }
}

fn are_blank(cells: &[&str]) -> bool {
    cells.iter().all(|cell| cell.trim_start().is_empty())
}

fn column_name(cell: &str) -> String {
    cell.trim().to_lowercase()
}

/// The values of a row's cells.
fn values(place: Place, columns: &[&'static str], cells: &[&str]) -> Result<NamedValues, RowError> {
    if cells.len() != columns.len() {
        let found = cells.len();
        let wanted = columns.len();
        let detail = format!("the row has {found} cells, but the header has {wanted}");
        return Err(RowError::row(place.line, "wrong_cell_count", detail));
    }

    let named = columns.iter().zip(cells);
    let values = named.map(|(column, cell)| {
        // An export marks cells that a spreadsheet would take for formulas.
        let text = formula::unescape((*cell).to_owned());
        (*column, value_of(text))
    });
    Ok(values.collect())
}
