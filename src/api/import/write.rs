//! Writing the rows of an import: one command, its outcome, and the rows that must be written again.

use std::{collections::HashMap, time::Duration};

use notty_raft::{Applied, ProposeError};
use notty_storage::{
    Command, Rejection,
    command::{CustomerRow, CustomersWritten, KeptFields},
    model::{CustomerId, MailingNumber, Phone},
};

use super::batch::{NumberedRows, RepeatedRow};
use crate::api::{Api, ApiError};

/// Time for one command. If it is not enough, the command is proposed again.
pub(super) const WRITE_TIME: Duration = Duration::from_secs(10);

/// Outcome of a proposal. `NoRoom` returns the rows: the queue was full, and nothing was proposed.
pub(super) enum RowsProposed {
    /// The command was executed.
    Written(WrittenBatch),
    /// No leader executed the command, or nobody knows whether one did: it may be proposed again.
    Lost(LostBatch),
    /// The command failed for good.
    Failed(ApiError),
    /// There was no room for the command.
    NoRoom(NumberedRows),
}

/// A command whose outcome did not arrive.
pub(super) struct LostBatch {
    pub(super) rows: NumberedRows,
    pub(super) error: ApiError,
}

/// A command that is no longer in flight.
pub(super) enum EndedBatch {
    Written(WrittenBatch),
    Lost(LostBatch),
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
    pub(super) async fn propose(self, api: Api, within: Duration) -> RowsProposed {
        let command = Command::new(self.put.clone()).by(self.origin);
        self.outcome(api.propose(command, within).await)
    }

    fn outcome(self, proposed: Result<Applied<CustomersWritten>, ProposeError>) -> RowsProposed {
        let applied = match proposed {
            Ok(applied) => applied,
            Err(ProposeError::Overloaded) => return RowsProposed::NoRoom(self),
            Err(ProposeError::Rejected {
                rejection: Rejection::CustomerBusy,
                index,
            }) => return RowsProposed::Written(self.all_busy(index)),

            // Perhaps executed, perhaps not: its number makes it safe to propose it again.
            Err(error @ (ProposeError::NoLeader | ProposeError::Unknown)) => {
                return RowsProposed::Lost(self.lost(error));
            }
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

    /// These rows, whose outcome did not arrive for this reason.
    pub(super) fn lost(self, error: ProposeError) -> LostBatch {
        LostBatch {
            rows: self,
            error: error.into(),
        }
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
        let busy = self.rejected.iter().filter(|row| is_busy(row));
        busy.map(|(row, _)| *row as usize)
    }

    /// Drops the busy rows from the rejected ones, because they are written again.
    pub(super) fn forget_busy(&mut self) {
        self.rejected.retain(|row| !is_busy(row));
    }

    /// The end of each row, in order.
    fn ends(&self) -> Vec<RowEnd> {
        let mut ends = vec![RowEnd::Written; self.rows.put.rows.len()];
        for (row, rejection) in &self.rejected {
            ends[*row as usize] = match rejection {
                Rejection::CustomerBusy => RowEnd::Open,
                _ => RowEnd::Rejected,
            };
        }
        ends
    }
}

fn is_busy((_, rejection): &(u32, Rejection)) -> bool {
    *rejection == Rejection::CustomerBusy
}

/// The end of a row in a command that is no longer in flight.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RowEnd {
    Written,
    /// It must be written again: its customer was busy, or its command was lost.
    Open,
    /// It is wrong in itself, and replaces nothing.
    Rejected,
}

impl LostBatch {
    /// The same command, whose rows leave more fields alone.
    pub(super) fn keeping(self, rows: &[RepeatedRow]) -> Self {
        Self {
            rows: self.rows.keeping(rows),
            ..self
        }
    }

    /// The end of each row: none is known.
    fn ends(&self) -> Vec<RowEnd> {
        vec![RowEnd::Open; self.rows.lines.len()]
    }
}

impl EndedBatch {
    /// The line of its last row.
    pub(super) fn last_line(&self) -> u64 {
        self.rows().last_line()
    }

    fn rows(&self) -> &NumberedRows {
        match self {
            Self::Written(written) => &written.rows,
            Self::Lost(lost) => &lost.rows,
        }
    }

    fn ends(&self) -> Vec<RowEnd> {
        match self {
            Self::Written(written) => written.ends(),
            Self::Lost(lost) => lost.ends(),
        }
    }

    /// The rows that must be written again, in order, without the fields that later rows write.
    /// Notes the fields that this command has written or will write.
    fn to_repeat<'a>(&'a self, later: &mut WrittenFields<'a>) -> Vec<RepeatedRow> {
        let rows = self.rows().put.rows.iter().zip(self.ends()).enumerate();

        // From the last row to the first: of two rows of one customer the later one counts.
        let mut repeat = Vec::new();
        for (index, (row, end)) in rows.rev() {
            if end == RowEnd::Rejected {
                continue;
            }

            let written = later.entry(RowIdentity::of(row)).or_default();
            let kept = row.kept.and(*written);
            // A lost command is repeated as a whole: its reply counts rows by their places.
            let is_lost = matches!(self, Self::Lost(_));
            if end == RowEnd::Open && (is_lost || kept != KeptFields::ALL) {
                repeat.push((index, kept));
            }
            *written = written.and(row.kept.written());
        }

        repeat.reverse();
        repeat
    }
}

/// Fields of customers that later rows write.
type WrittenFields<'a> = HashMap<RowIdentity<'a>, KeptFields>;

/// The rows of commands that must be written again; the commands are in the order of the file. An older
/// row must not be written over a newer one, so it leaves alone the fields that a later row of its customer
/// has written or will write.
pub(super) fn to_repeat(ended: &[EndedBatch]) -> Vec<Vec<RepeatedRow>> {
    let mut later = WrittenFields::new();
    let from_the_last = ended.iter().rev();
    let mut repeats: Vec<_> = from_the_last
        .map(|batch| batch.to_repeat(&mut later))
        .collect();
    repeats.reverse();
    repeats
}

#[cfg(test)]
mod tests;
