//! Batches of rows: as many checked customers as fit in one command, with the lines they came from.

use std::collections::HashMap;

use notty_storage::{
    command::{CustomerRow, PutCustomers, PutMode},
    limits,
    model::fold,
};

use crate::api::customers::check::CheckedCustomer;

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
        let words = self.words.into_iter();
        let with_folded = words.map(|word| {
            let folded = fold(&word);
            (word, folded)
        });
        with_folded.collect()
    }
}

impl ImportBatch {
    /// Adds the customer of a line.
    pub(super) fn push(&mut self, line: u64, customer: CheckedCustomer) {
        self.bytes += customer.id.as_str().len() + customer.name.len() + ROW_EXTRA_BYTES;
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
        });
        self.lines.push(line);
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= limits::CUSTOMER_ROWS || self.bytes >= COMMAND_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Ends the batch and makes a command of it.
    pub(super) fn into_rows(self) -> NumberedRows {
        let put = PutCustomers {
            mode: PutMode::Upsert,
            tags: self.tags.folded(),
            operators: self.operators.folded(),
            zones: self.zones.words,
            rows: self.rows,
        };
        NumberedRows {
            put,
            lines: self.lines,
        }
    }
}

/// The rows of one command, with the line of each.
pub(super) struct NumberedRows {
    pub(super) put: PutCustomers,
    pub(super) lines: Vec<u64>,
}

impl NumberedRows {
    /// Some of these rows, with all words, so that their numbers stay right.
    pub(super) fn only(&self, rows: &[usize]) -> Self {
        // Taken apart, because a clone of the whole would copy the rows that are left out too.
        let PutCustomers {
            mode,
            tags,
            operators,
            zones,
            rows: all,
        } = &self.put;

        let put = PutCustomers {
            mode: *mode,
            tags: tags.clone(),
            operators: operators.clone(),
            zones: zones.clone(),
            rows: rows.iter().map(|row| all[*row].clone()).collect(),
        };

        let lines = rows.iter().map(|row| self.lines[*row]).collect();
        Self { put, lines }
    }
}
