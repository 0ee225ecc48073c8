//! Batches of rows: as many checked customers as fit in one command, with the lines they came from.

use hashbrown::HashMap;
use notty_storage::{
    Origin,
    command::{CustomerRow, KeptFields, PutCustomers, PutMode},
    limits,
    model::fold,
};

use super::checked::CheckedRow;

/// The largest command, in bytes: it must fit in an entry.
const COMMAND_BYTES: usize = limits::ENTRY_BYTES / 2;
/// Estimated bytes of a row in a command, beside its texts.
const ROW_EXTRA_BYTES: usize = 24;
/// Estimated bytes of a word in a command, beside its text and its folded form.
const WORD_EXTRA_BYTES: usize = 8;

/// Rows that are gathered for one command.
#[derive(Default)]
pub(super) struct ImportBatch {
    rows: Vec<CustomerRow>,
    lines: Vec<u64>,
    tags: WordList,
    operators: WordList,
    zones: WordList,
    /// Estimated size of the command so far.
    bytes: usize,
}

/// Distinct words in the order in which they came. Rows refer to them by number.
#[derive(Default)]
struct WordList {
    numbers: HashMap<String, u16>,
    words: Vec<String>,
}

impl WordList {
    /// The number of a word, which is added if it is new.
    fn number(&mut self, word: String, bytes: &mut usize) -> u16 {
        if let Some(number) = self.numbers.get(&word) {
            return *number;
        }

        let number = self.words.len() as u16;
        *bytes += word.len() * 2 + WORD_EXTRA_BYTES;
        self.words.push(word.clone());
        self.numbers.insert(word, number);
        number
    }

    /// The words with their folded forms, by which filters match them.
    fn folded(self) -> Vec<(String, String)> {
        self.words.into_iter().map(with_folded).collect()
    }
}

fn with_folded(word: String) -> (String, String) {
    let folded = fold(&word);
    (word, folded)
}

impl ImportBatch {
    /// Adds a row that was checked.
    pub(super) fn push(&mut self, row: CheckedRow) {
        let customer = row.customer;
        self.bytes += customer.id.as_str().len() + customer.name.len() + ROW_EXTRA_BYTES;

        // Many rows share their words: the command has each of them once.
        let bytes = &mut self.bytes;
        let zone = customer.zone;
        self.rows.push(CustomerRow {
            id: customer.id,
            by_phone: customer.has_new_id,
            name: customer.name,
            phone: customer.phone,
            tag: self.tags.number(customer.tag, bytes),
            operator: self.operators.number(customer.operator, bytes),
            zone: zone.map(|zone| self.zones.number(zone, bytes)),
            kept: row.kept,
        });

        self.lines.push(row.line);
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= limits::CUSTOMER_ROWS || self.bytes >= COMMAND_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Ends the batch and makes a command of it, which repeats are recognised by.
    pub(super) fn into_rows(mut self, origin: Origin) -> NumberedRows {
        let lines = std::mem::take(&mut self.lines);
        NumberedRows {
            put: self.into_put(),
            lines,
            first_lines: None,
            origin,
        }
    }

    fn into_put(self) -> PutCustomers {
        PutCustomers {
            mode: PutMode::Upsert,
            tags: self.tags.folded(),
            operators: self.operators.folded(),
            zones: self.zones.words,
            rows: self.rows,
        }
    }
}

/// The rows of one command, with the line of each.
pub(super) struct NumberedRows {
    pub(super) put: PutCustomers,
    pub(super) lines: Vec<u64>,
    /// Lines of the rows that the command had when it was first proposed, if it has fewer by now.
    pub(super) first_lines: Option<Vec<u64>>,
    /// Makes a repeat of the command recognisable.
    pub(super) origin: Origin,
}

/// A row to write again, by its place in its command, and the fields that it leaves alone now.
pub(super) type RepeatedRow = (usize, KeptFields);

impl NumberedRows {
    /// All rows as if they were to be written again, with the fields that they leave alone now.
    pub(super) fn all(&self) -> Vec<RepeatedRow> {
        let kept = self.put.rows.iter().map(|row| row.kept);
        kept.enumerate().collect()
    }

    /// Some of these rows, of which none was written, with all words, so that their numbers stay right.
    pub(super) fn only(&self, rows: &[RepeatedRow]) -> Self {
        // Taken apart, because a clone of the whole would copy the rows that are left out too.
        let PutCustomers {
            mode,
            tags,
            operators,
            zones,
            rows: all,
        } = &self.put;

        let again = rows.iter().map(|(row, kept)| CustomerRow {
            kept: *kept,
            ..all[*row].clone()
        });
        let put = PutCustomers {
            mode: *mode,
            tags: tags.clone(),
            operators: operators.clone(),
            zones: zones.clone(),
            rows: again.collect(),
        };

        let lines = rows.iter().map(|(row, _)| self.lines[*row]).collect();
        let first_lines = self.first_lines.as_ref().unwrap_or(&self.lines);
        Self {
            put,
            lines,
            first_lines: Some(first_lines.clone()),
            origin: self.origin,
        }
    }

    /// One of these rows as a command of its own. It has no number, since a number is that of one command.
    pub(super) fn alone(&self, row: RepeatedRow) -> Self {
        Self {
            first_lines: None,
            origin: Origin::Itself,
            ..self.only(&[row])
        }
    }

    /// Number of rows that the command had first, and that later rows have replaced.
    pub(super) fn replaced(&self) -> usize {
        let first = self.first_lines.as_ref().map_or(self.lines.len(), Vec::len);
        first - self.lines.len()
    }

    /// The same command, whose rows leave more fields alone.
    pub(super) fn keeping(mut self, rows: &[RepeatedRow]) -> Self {
        for (row, kept) in rows {
            self.put.rows[*row].kept = *kept;
        }
        self
    }

    /// The line of the last row; 0 if there is none.
    pub(super) fn last_line(&self) -> u64 {
        self.lines.last().copied().unwrap_or(0)
    }
}
