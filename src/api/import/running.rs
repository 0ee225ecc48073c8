//! An import in progress: its commands in flight, the order of their rows, and its counts.
//!
//! Commands are proposed in the order of the file, so that of two rows with one id the later one counts.
//! A change of the leader may lose outcomes. The import then proposes those commands again under
//! their numbers, for a bounded time, before it goes on: the state executes each number once.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream::FuturesOrdered};
use notty_raft::ProposeError;
use notty_storage::{Origin, command::KeptFields};
use tokio::{task::JoinHandle, time::Instant};

use super::{
    ImportBody, ImportError,
    batch::{ImportBatch, NumberedRows, RepeatedRow},
    checked::check_row,
    live::LiveCounts,
    write::{EndedBatch, LostBatch, RowsProposed, WRITE_TIME, WrittenBatch, to_repeat},
};
use crate::{
    api::{Api, ApiError, code::Code, customers::zones::FoundZones},
    rows::{ImportRow, RowError},
};

/// Commands in flight: while one is written, the next ones are read.
const IN_FLIGHT: usize = 4;
/// The most repeats of a command that found no room, or of rows whose customer is busy.
const TRIES: u32 = 50;
/// Pause between two such repeats.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two repeats of a command whose outcome was lost.
const LONG_PAUSE: Duration = Duration::from_secs(1);
/// Time for which such a command is repeated: more than the choice of a leader takes. With [`WRITE_TIME`] it
/// is less than the 30 s after which many clients close a connection that takes nothing more
/// (`TCP_USER_TIMEOUT`): the answer, which says how far the import came, must be there by then.
const REPEATS: Duration = Duration::from_secs(15);

/// Numbers the commands of one import.
struct CommandNumbers {
    import: [u8; 16],
    next: u32,
}

impl CommandNumbers {
    /// Numbers of a new import. Drawn anew for each upload: a file that is sent again is another import.
    fn draw() -> Self {
        Self {
            import: *uuid::Uuid::new_v4().as_bytes(),
            next: 0,
        }
    }

    fn next(&mut self) -> Origin {
        let n = self.next;
        self.next += 1;
        Origin::Import {
            import: self.import,
            n,
        }
    }
}

/// An import in progress.
pub(super) struct Import {
    api: Api,
    body: ImportBody,
    batch: ImportBatch,
    numbers: CommandNumbers,
    in_flight: FuturesOrdered<JoinHandle<RowsProposed>>,
    live: LiveCounts,
    zones: FoundZones,
    /// Position that the answer reflects.
    index: u64,
    /// The line of the last row before which every row is written or rejected; 0 if there is none.
    settled_line: u64,
}

impl Import {
    pub(super) fn new(api: Api) -> Self {
        // Of an import that writes nothing, the answer reflects the state at its start.
        let index = api.position();

        Self {
            api,
            body: ImportBody::default(),
            batch: ImportBatch::default(),
            numbers: CommandNumbers::draw(),
            in_flight: FuturesOrdered::new(),
            live: LiveCounts::default(),
            zones: FoundZones::default(),
            index,
            settled_line: 0,
        }
    }

    fn reject(&mut self, line: u64, code: &str, detail: String) {
        self.body.reject(ImportError {
            line,
            code: code.to_owned(),
            detail,
        });
    }

    /// Takes rows into the batch, and sends the batch whenever it is full.
    pub(super) async fn take_all(
        &mut self,
        rows: impl Iterator<Item = Result<ImportRow, RowError>>,
    ) -> Result<(), ApiError> {
        for row in rows {
            self.take(row)?;
            if self.batch.is_full() {
                let sent = self.send().await;
                sent.map_err(|error| self.explain(error))?;
            }
        }
        Ok(())
    }

    fn take(&mut self, row: Result<ImportRow, RowError>) -> Result<(), ApiError> {
        match row {
            Ok(row) => self.take_row(row),
            Err(RowError::Row { line, code, detail }) => self.reject(line, code, detail),
            Err(RowError::Fatal { line, detail, .. }) => {
                let field = format!("line {line}");
                return Err(ApiError::invalid_field(&field, Code::InvalidHeader, detail));
            }
        }
        Ok(())
    }

    fn take_row(&mut self, row: ImportRow) {
        let line = row.line;
        match check_row(row, &mut self.zones) {
            Ok(checked) => self.batch.push(checked),
            Err((code, detail)) => self.reject(line, &code, detail),
        }
    }

    /// Proposes the batch, and waits first while too many commands are in flight.
    async fn send(&mut self) -> Result<(), ApiError> {
        if self.batch.is_empty() {
            return Ok(());
        }

        // Bounded, because all that is in flight is kept until its outcome has arrived.
        while self.in_flight.len() >= IN_FLIGHT {
            self.collect().await?;
        }

        let origin = self.numbers.next();
        let mut rows = std::mem::take(&mut self.batch).into_rows(origin);
        for _ in 0..TRIES {
            // Polled here and now, and so proposed before any later batch: of two rows with the same
            // id, the later one must count.
            let mut proposing = Box::pin(rows.propose(self.api.clone(), WRITE_TIME));
            let task = match proposing.as_mut().now_or_never() {
                Some(RowsProposed::NoRoom(refused)) => {
                    rows = refused;
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Some(proposed) => tokio::spawn(async { proposed }),
                None => tokio::spawn(proposing),
            };
            self.in_flight.push_back(task);
            return Ok(());
        }
        Err(ProposeError::Overloaded.into())
    }

    /// Waits for the oldest command. If rows of it must be written again, waits for all commands, and
    /// then writes those rows.
    async fn collect(&mut self) -> Result<(), ApiError> {
        let Some(oldest) = self.next_ended().await? else {
            return Ok(());
        };

        // Most often nothing is left to be done about a command.
        let oldest = match oldest {
            EndedBatch::Written(written) if written.busy().next().is_none() => {
                self.settle(written);
                return Ok(());
            }
            other => other,
        };

        // Later commands may have replaced these rows.
        let all = self.all_ended(oldest).await?;
        let repeats = to_repeat(&all);
        for (ended, rows) in all.into_iter().zip(repeats) {
            let last_line = ended.last_line();
            self.complete(ended, &rows).await?;
            self.settled_line = last_line;
        }
        Ok(())
    }

    /// Writes the rows of a command that are not written yet.
    async fn complete(&mut self, ended: EndedBatch, rows: &[RepeatedRow]) -> Result<(), ApiError> {
        let (written, again) = match ended {
            EndedBatch::Written(written) => (written, rows.to_vec()),
            EndedBatch::Lost(lost) => {
                let written = self.insist(lost.keeping(rows)).await?;
                // Busy rows come to light only now that the outcome is there.
                let again = still_busy(&written, rows);
                (written, again)
            }
        };

        match self.count_all_but(written, &again) {
            Some(again) => self.repeat(again).await,
            None => Ok(()),
        }
    }

    /// Proposes a lost command again until its outcome arrives, with nothing else in flight.
    async fn insist(&mut self, lost: LostBatch) -> Result<WrittenBatch, ApiError> {
        let LostBatch {
            mut rows,
            mut error,
        } = lost;
        let until = Instant::now() + REPEATS;
        let mut pause = PAUSE;

        // Always under its first number: if it was executed, the state returns the reply of then.
        while Instant::now() < until {
            tokio::time::sleep(pause).await;
            pause = LONG_PAUSE.min(pause * 2);

            let left = until.saturating_duration_since(Instant::now());
            let proposing = rows.propose(self.api.clone(), left.min(WRITE_TIME));
            match proposing.await {
                RowsProposed::Written(written) => return Ok(written),
                RowsProposed::Failed(error) => return Err(error),
                RowsProposed::NoRoom(refused) => rows = refused,
                RowsProposed::Lost(again) => {
                    rows = again.rows;
                    error = again.error;
                }
            }
        }
        Err(error)
    }

    /// Writes busy rows, with nothing else in flight, until their customers can be written.
    async fn repeat(&mut self, mut rows: NumberedRows) -> Result<(), ApiError> {
        for _ in 0..TRIES {
            if rows.lines.is_empty() {
                break;
            }

            tokio::time::sleep(PAUSE).await;
            let written = self.write(rows).await?;
            match self.count_but_busy(written) {
                Some(busy) => rows = busy,
                None => return Ok(()),
            }
        }

        // Together, one row that is still busy would hold up all others.
        self.write_one_by_one(&rows).await
    }

    /// Has rows written, with nothing else in flight.
    async fn write(&mut self, rows: NumberedRows) -> Result<WrittenBatch, ApiError> {
        let proposed = rows.propose(self.api.clone(), WRITE_TIME).await;
        self.outcome_of(ended(proposed)?).await
    }

    /// The outcome of a command that has ended. If it was lost, the command is proposed again.
    async fn outcome_of(&mut self, ended: EndedBatch) -> Result<WrittenBatch, ApiError> {
        match ended {
            EndedBatch::Written(written) => Ok(written),
            EndedBatch::Lost(lost) => self.insist(lost).await,
        }
    }

    /// Writes each row by itself. Those that are still busy are rejected, and are listed in the answer.
    async fn write_one_by_one(&mut self, rows: &NumberedRows) -> Result<(), ApiError> {
        // The others were replaced by later rows.
        self.body.updated += rows.replaced() as u64;

        for row in rows.all() {
            // Without a number. Nothing else is in flight: a repeat does no harm.
            let written = self.write(rows.alone(row)).await?;
            self.count(written);
        }
        Ok(())
    }

    /// Counts a command, unless its rows are busy: then it returns them.
    fn count_but_busy(&mut self, written: WrittenBatch) -> Option<NumberedRows> {
        let busy = still_busy(&written, &written.rows.all());
        self.count_all_but(written, &busy)
    }

    /// Counts a command, unless its rows are busy: then it returns those that have to be written again. Busy
    /// rows that later ones have replaced are counted with them.
    fn count_all_but(
        &mut self,
        mut written: WrittenBatch,
        repeated: &[RepeatedRow],
    ) -> Option<NumberedRows> {
        let is_busy = written.busy().next().is_some();
        let again = is_busy.then(|| written.rows.only(repeated));
        written.forget_busy();
        self.count(written);
        again
    }

    /// The oldest command in flight once it has ended; `None` if there is none.
    async fn next_ended(&mut self) -> Result<Option<EndedBatch>, ApiError> {
        let Some(finished) = self.in_flight.next().await else {
            return Ok(None);
        };
        let proposed = finished.unwrap_or_else(|_| outcome_of_panic());
        ended(proposed).map(Some)
    }

    /// All commands in flight once they have ended, after an older one.
    async fn all_ended(&mut self, oldest: EndedBatch) -> Result<Vec<EndedBatch>, ApiError> {
        let mut all = vec![oldest];
        while let Some(ended) = self.next_ended().await? {
            all.push(ended);
        }
        Ok(all)
    }

    /// Counts a command of which nothing is left to be done.
    fn settle(&mut self, written: WrittenBatch) {
        self.settled_line = written.rows.last_line();
        self.count(written);
    }

    fn count(&mut self, written: WrittenBatch) {
        let counted = written.counted();
        self.body.created += counted.created;
        self.body.updated += counted.updated;
        self.index = self.index.max(written.index);
        self.live.add(&written.live);
        for (row, rejection) in &written.rejected {
            let line = counted.lines[*row as usize];
            self.reject(line, Code::from(rejection).name(), rejection.to_string());
        }
    }

    /// Adds to an error how far the import came. Written rows stay, so the client may send them again.
    fn explain(&self, error: ApiError) -> ApiError {
        let so_far = match self.settled_line {
            0 => "no row is certainly written".to_owned(),
            line => format!("all rows up to line {line} are written, but for rejected ones"),
        };
        error.and_says(&format!("{so_far}; the file may be sent again"))
    }

    /// Writes the last batch and waits for all commands.
    pub(super) async fn finish(mut self) -> Result<(ImportBody, u64), ApiError> {
        let finished = self.finish_all().await;
        finished.map_err(|error| self.explain(error))?;
        self.body.errors.sort_by_key(|error| error.line);
        self.body.live_mailings = self.api.ask(|reader| self.live.named(reader))?;
        Ok((self.body, self.index))
    }

    async fn finish_all(&mut self) -> Result<(), ApiError> {
        self.send().await?;
        while !self.in_flight.is_empty() {
            self.collect().await?;
        }
        Ok(())
    }
}

/// A panic leaves open what has happened.
fn outcome_of_panic() -> RowsProposed {
    RowsProposed::Failed(ProposeError::Unknown.into())
}

/// The end of a command that was in flight. One that found no room with the leader is proposed again
/// like one that was lost: later ones may have been written before it.
fn ended(proposed: RowsProposed) -> Result<EndedBatch, ApiError> {
    match proposed {
        RowsProposed::Written(written) => Ok(EndedBatch::Written(written)),
        RowsProposed::Lost(lost) => Ok(EndedBatch::Lost(lost)),
        RowsProposed::NoRoom(rows) => Ok(EndedBatch::Lost(rows.lost(ProposeError::Overloaded))),
        RowsProposed::Failed(error) => Err(error),
    }
}

/// Those of some rows that are busy, and not replaced as a whole by later ones.
fn still_busy(written: &WrittenBatch, rows: &[RepeatedRow]) -> Vec<RepeatedRow> {
    let busy: Vec<usize> = written.busy().collect();
    let left = rows
        .iter()
        .filter(|(row, kept)| busy.binary_search(row).is_ok() && *kept != KeptFields::ALL);
    left.copied().collect()
}

#[cfg(test)]
mod tests;
