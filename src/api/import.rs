//! The import of customers: a stream of rows becomes commands, each with as many rows as fit.
//!
//! Some commands are in flight at a time. They are proposed in the order of the file, so that of two
//! rows of one customer the later one counts. Rows that are wrong are left out, and reported with their
//! lines. Rows that were written when an upload breaks off stay, and the file may be sent again.
//!
//! [`batch`] gathers rows, [`write`] proposes them and finds the rows that must be written again. [`live`]
//! counts whom mailings come to reach.

mod batch;
mod live;
mod write;

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
};
use futures_util::{FutureExt, StreamExt, stream::FuturesOrdered};
use http_body_util::BodyExt;
use notty_raft::ProposeError;
use serde::Serialize;
use tokio::task::JoinHandle;
use utoipa::ToSchema;

use self::{
    batch::{ImportBatch, NumberedRows},
    live::{LiveCounts, LiveMailing},
    write::{RowsProposed, WrittenBatch, to_repeat},
};
use super::{
    Api, ApiError, ApiResult,
    code::Code,
    customers::check::{CheckedCustomer, IdFrom, check},
    endpoint::{Effect, Endpoint, endpoint},
    error::FieldFault,
    input::{Fields, Params, content_type, drain},
    reply,
};
use crate::{
    config::Role,
    rows::{ImportRow, RowError, RowFormat, Rows, over_lines},
};

/// The most rejected rows that an answer lists.
const ERRORS: usize = 1_000;
/// Commands in flight: while one is written, the next ones are read.
const IN_FLIGHT: usize = 4;
/// The longest pause of an upload.
const IDLE: Duration = Duration::from_secs(30);
/// The most repeats of a command that found no room, or of rows whose customer is busy.
const TRIES: u32 = 50;
/// Pause between two such repeats.
const PAUSE: Duration = Duration::from_millis(50);
/// The columns that a file can have.
pub const IMPORT_COLUMNS: [&str; 6] = ["id", "name", "phone", "operator", "tag", "timezone"];

/// Result of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ImportBody {
    /// Number of new customers.
    #[schema(example = 1960)]
    created: u64,
    /// Number of customers that existed and were updated.
    #[schema(example = 0)]
    updated: u64,
    /// Number of rows that were left out.
    #[schema(example = 40)]
    rejected: u64,
    /// Mailings that are active until their end and that new or changed customers of this import now match:
    /// these are about to get their texts. The first 100 such mailings are looked at.
    live_mailings: Vec<LiveMailing>,
    /// Reasons, for the first 1,000 of these rows.
    errors: Vec<ImportError>,
}

/// The reason for which a row was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ImportError {
    /// The line that the row begins on, counted from 1.
    #[schema(example = 17)]
    line: u64,
    /// Stable name of the first fault. Of the row: `row_too_long`; `wrong_cell_count`,
    /// `unclosed_quote` and `invalid_utf8` (CSV); `invalid_json` (NDJSON). Of its fields:
    /// `missing`, `wrong_type`, `unknown_field`, `invalid_id`, `too_long`, `control_character`,
    /// `invalid_phone`, `invalid_timezone`. And `customer_busy`: a customer with this id was
    /// just deleted, and its messages are still being cancelled; `ambiguous_phone`: the row has no
    /// id, and several customers have its phone.
    #[schema(example = "invalid_phone")]
    code: String,
    /// All faults of the row in words.
    #[schema(example = "phone: a phone number is `+` and 10 to 15 digits, like +79161112233")]
    detail: String,
}

/// A fault of a row: the code of the first one, and all of them in words.
type RowFault = (String, String);

/// Checks a row, and returns its customer.
fn check_row(row: ImportRow) -> Result<CheckedCustomer, RowFault> {
    let mut fields = Fields::new(row.values);
    let checked = check(&mut fields, &IdFrom::Body);
    let faults = fields.faults();
    match (checked, faults.first()) {
        (Some(customer), None) => Ok(customer),
        (_, first) => {
            let code = first.map_or("invalid", |fault| fault.code.name());
            let detail = over_lines(row.line, row.last_line, in_words(&faults));
            Err((code.to_owned(), detail))
        }
    }
}

fn in_words(faults: &[FieldFault]) -> String {
    let texts = faults
        .iter()
        .map(|fault| format!("{}: {}", fault.field, fault.detail));
    texts.collect::<Vec<_>>().join("; ")
}

/// Checks a row as the import does, and writes nothing. The error has the code of its first fault, and
/// all faults in words.
pub fn check_import_row(row: ImportRow) -> Result<(), (String, String)> {
    check_row(row).map(drop)
}

/// An import in progress.
struct Import {
    api: Api,
    body: ImportBody,
    batch: ImportBatch,
    in_flight: FuturesOrdered<JoinHandle<RowsProposed>>,
    live: LiveCounts,
    /// Position that the answer reflects.
    index: u64,
}

impl Import {
    fn new(api: Api) -> Self {
        let index = api.position();
        Self {
            api,
            body: ImportBody::default(),
            batch: ImportBatch::default(),
            in_flight: FuturesOrdered::new(),
            live: LiveCounts::default(),
            index,
        }
    }

    fn reject(&mut self, line: u64, code: &str, detail: String) {
        self.body.rejected += 1;
        if self.body.errors.len() < ERRORS {
            self.body.errors.push(ImportError {
                line,
                code: code.to_owned(),
                detail,
            });
        }
    }

    /// Takes rows into the batch, and sends the batch whenever it is full.
    async fn take_all(
        &mut self,
        rows: impl Iterator<Item = Result<ImportRow, RowError>>,
    ) -> Result<(), ApiError> {
        for row in rows {
            self.take(row)?;
            if self.batch.is_full() {
                self.send().await?;
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
        match check_row(row) {
            Ok(customer) => self.batch.push(line, customer),
            Err((code, detail)) => self.reject(line, &code, detail),
        }
    }

    /// Proposes the batch, and waits first while too many commands are in flight.
    async fn send(&mut self) -> Result<(), ApiError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        while self.in_flight.len() >= IN_FLIGHT {
            self.collect().await?;
        }

        let mut rows = std::mem::take(&mut self.batch).into_rows();
        for _ in 0..TRIES {
            // Polled here and now, and so proposed before any later batch: of two rows of the same
            // customer, the later one must count.
            let mut proposing = Box::pin(rows.propose(self.api.clone()));
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
        let Some(oldest) = self.next_written().await? else {
            return Ok(());
        };
        if oldest.busy().next().is_none() {
            self.count(oldest);
            return Ok(());
        }

        // Later commands may have replaced these rows.
        let all = self.all_written(oldest).await?;
        let repeats = to_repeat(&all);
        for (written, rows) in all.into_iter().zip(repeats) {
            let again = self.count_all_but(written, &rows);
            self.repeat(again).await?;
        }
        Ok(())
    }

    /// Writes busy rows, with nothing else in flight, until their customers can be written.
    async fn repeat(&mut self, mut rows: NumberedRows) -> Result<(), ApiError> {
        for _ in 0..TRIES {
            if rows.lines.is_empty() {
                return Ok(());
            }

            tokio::time::sleep(PAUSE).await;
            rows = match rows.propose(self.api.clone()).await {
                RowsProposed::Written(written) => self.count_but_busy(written),
                RowsProposed::Failed(error) => return Err(error),
                RowsProposed::NoRoom(refused) => refused,
            };
        }

        // Together, one row that is still busy would hold up all others.
        self.write_one_by_one(&rows).await
    }

    /// Writes each row by itself. Those that are still busy are rejected, and are listed in the answer.
    async fn write_one_by_one(&mut self, rows: &NumberedRows) -> Result<(), ApiError> {
        for row in 0..rows.lines.len() {
            let proposed = rows.only(&[row]).propose(self.api.clone()).await;
            let written = written(proposed)?;
            self.count(written);
        }
        Ok(())
    }

    /// Counts the rows of a command that are not busy, and returns the busy ones.
    fn count_but_busy(&mut self, written: WrittenBatch) -> NumberedRows {
        let busy: Vec<_> = written.busy().collect();
        self.count_all_but(written, &busy)
    }

    /// Counts a command without the busy rows that have to be written again, and returns those. A busy
    /// row that a later one has replaced counts as if it had been written before that.
    fn count_all_but(&mut self, mut written: WrittenBatch, repeated: &[usize]) -> NumberedRows {
        let replaced = written.busy().count() - repeated.len();
        written.updated += replaced as u32;
        written.forget_busy();

        let again = written.rows.only(repeated);
        self.count(written);
        again
    }

    /// The outcome of the oldest command in flight; `None` if there is none.
    async fn next_written(&mut self) -> Result<Option<WrittenBatch>, ApiError> {
        let Some(ended) = self.in_flight.next().await else {
            return Ok(None);
        };
        // A panic leaves open what has happened.
        let proposed = ended.unwrap_or_else(|_| RowsProposed::Failed(ProposeError::Unknown.into()));
        written(proposed).map(Some)
    }

    /// The outcomes of all commands in flight, after that of an older one.
    async fn all_written(&mut self, oldest: WrittenBatch) -> Result<Vec<WrittenBatch>, ApiError> {
        let mut all = vec![oldest];
        while let Some(written) = self.next_written().await? {
            all.push(written);
        }
        Ok(all)
    }

    fn count(&mut self, written: WrittenBatch) {
        self.body.created += u64::from(written.created);
        self.body.updated += u64::from(written.updated);
        self.index = self.index.max(written.index);
        self.live.add(&written.live);
        for (row, rejection) in written.rejected {
            let line = written.rows.lines[row as usize];
            self.reject(line, Code::from(&rejection).name(), rejection.to_string());
        }
    }

    /// Writes the last batch and waits for all commands.
    async fn finish(mut self) -> Result<(ImportBody, u64), ApiError> {
        self.send().await?;
        while !self.in_flight.is_empty() {
            self.collect().await?;
        }
        self.body.errors.sort_by_key(|error| error.line);
        self.body.live_mailings = self.api.ask(|reader| self.live.named(reader))?;
        Ok((self.body, self.index))
    }
}

/// The outcome of a command that must have found room. In flight, a command without room would mean
/// that later ones were written before it.
fn written(proposed: RowsProposed) -> Result<WrittenBatch, ApiError> {
    match proposed {
        RowsProposed::Written(written) => Ok(written),
        RowsProposed::Failed(error) => Err(error),
        RowsProposed::NoRoom(_) => Err(ProposeError::Overloaded.into()),
    }
}

pub(super) fn routes() -> Vec<Endpoint> {
    let route = endpoint!(import, Role::Operator, Effect::Writes).codes(&[
        Code::InvalidHeader,
        Code::BrokenBody,
        Code::BodyTimeout,
        Code::UnsupportedMediaType,
    ]);

    // Of an import that ends early, the client must know what has become of the rows before.
    let with_words = route
        .says(
            Code::UnsupportedMediaType,
            "the body is neither CSV nor NDJSON",
            "an import takes text/csv or application/x-ndjson",
        )
        .says(
            Code::BodyTimeout,
            "the upload pauses for more than 30 seconds; what came before is imported",
            "the upload paused for too long; what came before was imported",
        )
        .says(
            Code::BrokenBody,
            "the upload breaks off; what came before is imported",
            "the upload broke off; 2000 customers were written before",
        )
        .says(
            Code::OutcomeUnknown,
            "whether the last rows were written is not known; the file may be sent again",
            Code::OutcomeUnknown.detail(),
        );
    vec![with_words]
}

/// Import customers
///
/// The body is a stream of `text/csv` with a header row, or of `application/x-ndjson`: one customer a
/// row, fields by name in any order. Quoted cells may hold line ends, and rows of empty cells are skipped.
/// A customer whose id exists is updated. A row without an id belongs to the customer who has its phone; if
/// nobody has it, a new one is created. Rows that are wrong are left out, and reported with their lines.
#[utoipa::path(post, path = "/customers/import", tag = "customers", operation_id = "importCustomers",
    request_body(content((String = "text/csv", example = "id,phone\ncustomer-1,+79161112233\n"),
        (String = "application/x-ndjson", example = "{\"id\":\"customer-1\",\"phone\":\"+79161112233\"}\n"))),
    responses((status = 200, body = ImportBody)))]
async fn import(State(api): State<Api>, params: Params, request: Request) -> ApiResult {
    params.finish()?;

    let Some(rows) = reader_for(request.headers()) else {
        drain(request.into_body()).await;
        let detail = "an import takes text/csv or application/x-ndjson";
        return Err(ApiError::new(Code::UnsupportedMediaType, detail));
    };

    let import = read_all(Import::new(api), rows, request.into_body()).await?;
    let (body, index) = import.finish().await?;
    tracing::info!(
        created = body.created,
        updated = body.updated,
        rejected = body.rejected,
        "customers were imported"
    );
    Ok(reply(StatusCode::OK, index, &body))
}

/// The reader of a body by its content type; `None` if there is none for it.
fn reader_for(headers: &HeaderMap) -> Option<Box<dyn Rows>> {
    let format = RowFormat::of_content_type(&content_type(headers))?;
    Some(format.reader(&IMPORT_COLUMNS))
}

/// Reads a body to its end. What came before a broken upload, or before a pause that is too long, is
/// still written.
async fn read_all(
    mut import: Import,
    mut rows: Box<dyn Rows>,
    mut stream: Body,
) -> Result<Import, ApiError> {
    let mut found = Vec::new();
    loop {
        let frame = match tokio::time::timeout(IDLE, stream.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(broken_off(import).await),
            Err(_) => return Err(paused(import).await),
        };

        let data: Bytes = frame.into_data().unwrap_or_default();
        rows.feed(&data, &mut found);

        if let Err(error) = import.take_all(found.drain(..)).await {
            // The client may still send, and would not see the answer on a connection that is reset.
            drain(stream).await;
            return Err(error);
        }
    }

    // The last row may have no line end.
    rows.end(&mut found);
    import.take_all(found.drain(..)).await?;
    Ok(import)
}

/// The answer after too long a pause: what came before is written first, and an error of that is the
/// answer instead.
async fn paused(import: Import) -> ApiError {
    if let Err(error) = import.finish().await {
        return error;
    }
    let detail = "the upload paused for too long; what came before was imported";
    ApiError::new(Code::BodyTimeout, detail)
}

/// Rows that were acknowledged stay written. Perhaps nobody is there any more to read this answer.
async fn broken_off(import: Import) -> ApiError {
    let finished = import.finish().await;
    let written = finished.map_or(0, |(body, _)| body.created + body.updated);
    let detail = format!("the upload broke off; {written} customers were written before");
    ApiError::new(Code::BrokenBody, detail)
}
