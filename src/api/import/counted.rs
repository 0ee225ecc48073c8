//! Counts and lines of the reply to a command of an import.
//!
//! A command that was refused for busy rows is proposed again under its number, without the rows that later
//! ones have replaced. Should its first proposal have been delayed on its way, that one may be executed
//! before the repeat, which then gets a reply to more rows than it has. The reply is read as what it is.

use super::write::WrittenBatch;

/// The counts of a reply, and the rows that it speaks of.
pub(super) struct CountedRows<'a> {
    pub(super) created: u64,
    pub(super) updated: u64,
    /// The line of each row of the reply.
    pub(super) lines: &'a [u64],
}

impl WrittenBatch {
    /// The counts of the reply. A row that a later one has replaced counts as if it had been written
    /// before that, and once.
    pub(super) fn counted(&self) -> CountedRows<'_> {
        let first = self.rows.first_lines.as_ref();
        let replied = self.replied();
        let first = first.filter(|first| first.len() == replied);

        // Each form has fewer rows than the one before, so their number tells which one was executed.
        let replaced = if replied == self.rows.lines.len() {
            self.rows.replaced()
        } else {
            0
        };
        CountedRows {
            created: self.created.into(),
            updated: u64::from(self.updated) + replaced as u64,
            lines: first.unwrap_or(&self.rows.lines),
        }
    }

    /// Number of rows that the reply tells of; none after its busy rows were forgotten.
    fn replied(&self) -> usize {
        self.created as usize + self.updated as usize + self.rejected.len()
    }
}

#[cfg(test)]
mod tests;
