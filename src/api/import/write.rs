//! Writing the rows of an import: one command, its outcome, and the rows that must be written again.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use notty_raft::{Applied, ProposeError};
use notty_storage::{
    Command, Rejection,
    command::{CustomerRow, CustomersWritten},
    model::{CustomerId, MailingNumber, Phone},
};

use super::batch::NumberedRows;
use crate::api::{Api, ApiError};

/// Time for one command.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// Outcome of a proposal. `NoRoom` returns the rows: the queue was full, and nothing was proposed.
pub(super) enum RowsProposed {
    /// The command was executed.
    Written(WrittenBatch),
    /// The command failed, or its outcome is unknown.
    Failed(ApiError),
    /// There was no room for the command.
    NoRoom(NumberedRows),
}

/// Outcome of a command that was executed.
pub(super) struct WrittenBatch {
    /// The rows, for those that must be written again.
    pub(super) rows: NumberedRows,
    pub(super) created: u32,
    pub(super) updated: u32,
    /// Rows that were not written, in order.
    pub(super) rejected: Vec<(u32, Rejection)>,
    /// Mailings that are being sent and that some of the customers now match, with their number.
    pub(super) live: Vec<(MailingNumber, u32)>,
    /// Position of the command in the log.
    pub(super) index: u64,
}

/// A customer as rows know it: by its id, or by its phone where a row has no id.
#[derive(PartialEq, Eq, Hash)]
enum RowIdentity<'a> {
    Id(&'a CustomerId),
    Phone(Phone),
}

impl<'a> RowIdentity<'a> {
    fn of(row: &'a CustomerRow) -> Self {
        if row.by_phone {
            Self::Phone(row.phone)
        } else {
            Self::Id(&row.id)
        }
    }
}

impl NumberedRows {
    /// Proposes the rows as one command, with the first poll of this future. The command stands in the
    /// log before all that are proposed later, unless there is no room for it.
    pub(super) async fn propose(self, api: Api) -> RowsProposed {
        // Writing the same rows again is harmless, so a repeat needs no key.
        let command = Command::new(self.put.clone());
        let proposed = tokio::time::timeout(WRITE_TIME, api.node.propose(command)).await;

        // A command that is late may still be executed.
        self.outcome(proposed.unwrap_or(Err(ProposeError::Unknown)))
    }

    fn outcome(self, proposed: Result<Applied<CustomersWritten>, ProposeError>) -> RowsProposed {
        let applied = match proposed {
            Ok(applied) => applied,
            Err(ProposeError::Overloaded) => return RowsProposed::NoRoom(self),
            Err(ProposeError::Rejected {
                rejection: Rejection::CustomerBusy,
                index,
            }) => return RowsProposed::Written(self.all_busy(index)),
            Err(error) => return RowsProposed::Failed(error.into()),
        };

        let CustomersWritten {
            created,
            updated,
            rejected,
            live,
        } = applied.reply;
        RowsProposed::Written(WrittenBatch {
            rows: self,
            created,
            updated,
            rejected,
            live,
            index: applied.index,
        })
    }

    /// One row that must wait holds up all of its command: none was written.
    fn all_busy(self, index: u64) -> WrittenBatch {
        let rows = 0..self.put.rows.len() as u32;
        let rejected = rows.map(|row| (row, Rejection::CustomerBusy)).collect();
        WrittenBatch {
            rows: self,
            created: 0,
            updated: 0,
            rejected,
            live: Vec::new(),
            index,
        }
    }
}

impl WrittenBatch {
    /// Rows whose customer was deleted and still has messages to be cancelled. They can be written once
    /// that has ended.
    pub(super) fn busy(&self) -> impl Iterator<Item = usize> {
        let busy = self
            .rejected
            .iter()
            .filter(|(_, rejection)| *rejection == Rejection::CustomerBusy);
        busy.map(|(row, _)| *row as usize)
    }

    /// Drops the busy rows from the rejected ones, because they are written again.
    pub(super) fn forget_busy(&mut self) {
        self.rejected
            .retain(|(_, rejection)| *rejection != Rejection::CustomerBusy);
    }

    /// The busy rows whose customers are not among later ones, in order. Adds the customers that this
    /// command has written or will write.
    fn to_repeat<'a>(&'a self, later: &mut HashSet<RowIdentity<'a>>) -> Vec<usize> {
        let rejected: HashMap<u32, &Rejection> = self
            .rejected
            .iter()
            .map(|(row, rejection)| (*row, rejection))
            .collect();

        // From the last row to the first: of two rows of one customer the later one counts.
        let mut repeat = Vec::new();
        for (row, customer) in self.rows.put.rows.iter().enumerate().rev() {
            match rejected.get(&(row as u32)) {
                Some(Rejection::CustomerBusy) => {
                    if later.insert(RowIdentity::of(customer)) {
                        repeat.push(row);
                    }
                }
                // A row that is wrong in itself replaces nothing.
                Some(_) => {}
                // Written: an earlier row of this customer must not come after it.
                None => {
                    later.insert(RowIdentity::of(customer));
                }
            }
        }

        repeat.reverse();
        repeat
    }
}

/// The busy rows of commands that were written in this order, without those that a later row of the
/// same customer has replaced or will replace: an older row must not be written over a newer one.
pub(super) fn to_repeat(written: &[WrittenBatch]) -> Vec<Vec<usize>> {
    let mut later: HashSet<RowIdentity<'_>> = HashSet::new();
    let from_the_last = written.iter().rev();
    let mut repeats: Vec<_> = from_the_last
        .map(|batch| batch.to_repeat(&mut later))
        .collect();
    repeats.reverse();
    repeats
}

#[cfg(test)]
mod tests;
