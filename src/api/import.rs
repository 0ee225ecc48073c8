//! The import of customers: a stream of CSV or NDJSON, read row by row and written in commands of
//! many rows. Nothing but the rows in hand is kept in memory.
//!
//! A row that is wrong is left out and told with its line; the others go on. What was written when
//! an upload breaks off stays, and the file may be sent again.

use std::{collections::HashMap, time::Duration};

use axum::{
    extract::{Request, State},
    http::StatusCode,
};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream::FuturesOrdered};
use http_body_util::BodyExt;
use notty_raft::ProposeError;
use notty_storage::{
    Action, Command, Rejection, Reply,
    command::{CustomerRow, PutCustomers, PutMode},
    limits,
    model::fold,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Answer, Api, ApiError, Problem,
    customers::{CheckedCustomer, IdFrom, check},
    error::Fault,
    input::{Fields, Params, content_type, drain},
    reply,
};
use crate::rows::{CsvRows, NdjsonRows, Row, RowError, Rows};

/// Errors told, at most.
const ERRORS: usize = 1_000;
/// Bytes of one command, at most: it must fit in an entry.
const COMMAND_BYTES: usize = limits::ENTRY_BYTES / 2;
/// Commands on their way at once: while one is written, the next ones are read.
const IN_FLIGHT: usize = 4;
/// How long an upload may pause.
const IDLE: Duration = Duration::from_secs(30);
/// How long a command may take.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// How often a command is repeated that found no room, or a customer whose deletion is swept.
const TRIES: u32 = 50;
/// Between two such repeats.
const PAUSE: Duration = Duration::from_millis(50);
/// The columns that an import takes.
pub const IMPORT_COLUMNS: [&str; 6] = ["id", "name", "phone", "operator", "tag", "timezone"];

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ImportBody {
    /// New customers.
    #[schema(example = 1960)]
    created: u64,
    /// Customers that existed and were updated.
    #[schema(example = 0)]
    updated: u64,
    /// Rows left out.
    #[schema(example = 40)]
    rejected: u64,
    /// Why, for the first 1,000 of them.
    errors: Vec<ImportError>,
}

/// Why a row was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ImportError {
    /// The line that the row begins on, counted from 1.
    #[schema(example = 17)]
    line: u64,
    /// The stable name of the first fault.
    #[schema(example = "invalid_phone")]
    code: String,
    /// All faults of the row.
    #[schema(example = "phone: a phone number is `+` and 10 to 15 digits, like +79161112233")]
    detail: String,
}

/// Rows that go into one command.
#[derive(Default)]
struct Batch {
    rows: Vec<CustomerRow>,
    lines: Vec<u64>,
    tags: Words,
    operators: Words,
    zones: Words,
    bytes: usize,
}

/// Distinct words in the order of their coming.
#[derive(Default)]
struct Words {
    numbers: HashMap<String, u16>,
    words: Vec<String>,
}

impl Words {
    fn number(&mut self, word: String, bytes: &mut usize) -> u16 {
        if let Some(number) = self.numbers.get(&word) {
            return *number;
        }
        let number = self.words.len() as u16;
        *bytes += word.len() * 2 + 8;
        self.words.push(word.clone());
        self.numbers.insert(word, number);
        number
    }

    fn folded(self) -> Vec<(String, String)> {
        let fold = |word: String| {
            let folded = fold(&word);
            (word, folded)
        };
        self.words.into_iter().map(fold).collect()
    }
}

impl Batch {
    fn push(&mut self, line: u64, customer: CheckedCustomer) {
        let CheckedCustomer { id, name, phone, operator, tag, zone } = customer;
        self.bytes += id.as_str().len() + name.len() + 24;
        let row = CustomerRow {
            id,
            name,
            phone,
            tag: self.tags.number(tag, &mut self.bytes),
            operator: self.operators.number(operator, &mut self.bytes),
            zone: zone.map(|zone| self.zones.number(zone, &mut self.bytes)),
        };
        self.rows.push(row);
        self.lines.push(line);
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= limits::CUSTOMER_ROWS || self.bytes >= COMMAND_BYTES
    }

    fn put(self) -> (PutCustomers, Vec<u64>) {
        let put = PutCustomers {
            mode: PutMode::Upsert,
            tags: self.tags.folded(),
            operators: self.operators.folded(),
            zones: self.zones.words,
            rows: self.rows,
        };
        (put, self.lines)
    }
}

/// What one command came to.
struct Written {
    created: u32,
    updated: u32,
    rejected: Vec<(u64, Rejection)>,
    index: u64,
}

/// Writes a command's rows; rows that must wait for a deletion's sweep are tried again.
async fn write(api: Api, put: PutCustomers, mut lines: Vec<u64>) -> Result<Written, ApiError> {
    let mut written = Written { created: 0, updated: 0, rejected: Vec::new(), index: 0 };
    let mut put = put;
    for attempt in 1.. {
        let command = Command::new(Action::PutCustomers(put.clone()));
        let proposed = tokio::time::timeout(WRITE_TIME, api.node.propose(command)).await;
        let applied = match proposed.unwrap_or(Err(ProposeError::Unknown)) {
            // Writing the same rows again is harmless, so a repeat needs no key.
            Err(ProposeError::Overloaded) if attempt < TRIES => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            other => other?,
        };
        written.index = applied.index;
        let Reply::Customers { created, updated, rejected } = applied.reply else {
            break;
        };
        written.created += created;
        written.updated += updated;
        let mut busy = Vec::new();
        for (row, rejection) in rejected {
            let row = row as usize;
            match rejection {
                Rejection::CustomerBusy if attempt < TRIES => busy.push(row),
                rejection => written.rejected.push((lines[row], rejection)),
            }
        }
        if busy.is_empty() {
            break;
        }
        put.rows = busy.iter().map(|row| put.rows[*row].clone()).collect();
        lines = busy.iter().map(|row| lines[*row]).collect();
        tokio::time::sleep(PAUSE).await;
    }
    Ok(written)
}

/// A row's customer, or the code of its first fault and all faults in words.
fn check_row(row: Row) -> Result<CheckedCustomer, (String, String)> {
    let mut fields = Fields::new(row.values);
    let checked = check(&mut fields, &IdFrom::Body);
    let faults = fields.faults();
    match (checked, faults.first()) {
        (Some(customer), None) => Ok(customer),
        (_, first) => {
            let code = first.map_or("invalid", |fault| fault.code.as_str()).to_owned();
            let told = faults.iter().map(|fault| format!("{}: {}", fault.field, fault.detail));
            Err((code, told.collect::<Vec<_>>().join("; ")))
        }
    }
}

/// Checks a row as the import does, and writes nothing: the code of its first fault and all faults
/// in words.
pub fn check_import_row(row: Row) -> Result<(), (String, String)> {
    check_row(row).map(drop)
}

/// The import under way.
struct Import {
    api: Api,
    body: ImportBody,
    batch: Batch,
    in_flight: FuturesOrdered<tokio::task::JoinHandle<Result<Written, ApiError>>>,
    index: u64,
}

impl Import {
    fn reject(&mut self, line: u64, code: &str, detail: String) {
        self.body.rejected += 1;
        if self.body.errors.len() < ERRORS {
            self.body.errors.push(ImportError { line, code: code.to_owned(), detail });
        }
    }

    async fn take(&mut self, row: Result<Row, RowError>) -> Result<(), ApiError> {
        match row {
            Err(RowError::Fatal { line, code, detail }) => {
                let fault = Fault::new(&format!("line {line}"), code, detail);
                return Err(ApiError::invalid(vec![fault]));
            }
            Err(RowError::Row { line, code, detail }) => self.reject(line, code, detail),
            Ok(row) => self.take_row(row),
        }
        if self.batch.is_full() {
            self.send().await?;
        }
        Ok(())
    }

    fn take_row(&mut self, row: Row) {
        let line = row.line;
        match check_row(row) {
            Ok(customer) => self.batch.push(line, customer),
            Err((code, detail)) => self.reject(line, &code, detail),
        }
    }

    /// Sends the batch on its way; waits while too many are.
    async fn send(&mut self) -> Result<(), ApiError> {
        if self.batch.rows.is_empty() {
            return Ok(());
        }
        while self.in_flight.len() >= IN_FLIGHT {
            self.collect().await?;
        }
        let (put, lines) = std::mem::take(&mut self.batch).put();
        let mut writing = Box::pin(write(self.api.clone(), put, lines));
        // Proposed here and now: of two rows with the same id, the last one must count.
        let task = match writing.as_mut().now_or_never() {
            Some(written) => tokio::spawn(async { written }),
            None => tokio::spawn(writing),
        };
        self.in_flight.push_back(task);
        Ok(())
    }

    async fn collect(&mut self) -> Result<(), ApiError> {
        let Some(done) = self.in_flight.next().await else {
            return Ok(());
        };
        let written = done.unwrap_or_else(|_| Err(ProposeError::Unknown.into()))?;
        self.body.created += u64::from(written.created);
        self.body.updated += u64::from(written.updated);
        self.index = self.index.max(written.index);
        for (line, rejection) in written.rejected {
            self.reject(line, rejection.code(), rejection.to_string());
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<(ImportBody, u64), ApiError> {
        self.send().await?;
        while !self.in_flight.is_empty() {
            self.collect().await?;
        }
        self.body.errors.sort_by_key(|error| error.line);
        Ok((self.body, self.index))
    }
}

/// Import customers
///
/// A stream of `text/csv` with a header row, or of `application/x-ndjson`: one customer a row,
/// fields by name in any order. An empty cell is an absent field, an existing id is updated. Rows
/// that are wrong are left out and told with their lines.
#[utoipa::path(post, path = "/customers/import", tag = "customers",
    request_body(content((String = "text/csv", example = "id,phone\ncustomer-1,+79161112233\n"),
        (String = "application/x-ndjson", example = "{\"id\":\"customer-1\",\"phone\":\"+79161112233\"}\n"))),
    responses(
        (status = 200, body = ImportBody),
        (status = 400, body = Problem, description = "The header is wrong, or the upload broke off", content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 408, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
        (status = 504, body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn import(State(api): State<Api>, params: Params, request: Request) -> Answer {
    params.finish()?;
    let mut rows: Box<dyn Rows> = match content_type(request.headers()).as_str() {
        "text/csv" => Box::new(CsvRows::new(&IMPORT_COLUMNS)),
        "application/x-ndjson" => Box::new(NdjsonRows::default()),
        _ => {
            drain(request.into_body()).await;
            let detail = "an import takes text/csv or application/x-ndjson";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(ApiError::new(status, "unsupported_media_type", detail));
        }
    };
    let index = api.node.applied_index();
    let (body, batch) = (ImportBody::default(), Batch::default());
    let mut import = Import { api, body, batch, in_flight: FuturesOrdered::new(), index };
    let mut stream = request.into_body();
    let mut found = Vec::new();
    loop {
        let frame = match tokio::time::timeout(IDLE, stream.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(broken_off(import).await),
            Err(_) => {
                import.finish().await?;
                let detail = "the upload paused for too long; what came before was imported";
                return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail));
            }
        };
        let data: Bytes = frame.into_data().unwrap_or_default();
        rows.feed(&data, &mut found);
        for row in found.drain(..) {
            if let Err(error) = import.take(row).await {
                drain(stream).await;
                return Err(error);
            }
        }
    }
    rows.end(&mut found);
    for row in found.drain(..) {
        import.take(row).await?;
    }
    let (body, index) = import.finish().await?;
    tracing::info!(
        created = body.created,
        updated = body.updated,
        rejected = body.rejected,
        "customers were imported"
    );
    Ok(reply(StatusCode::OK, index, &body))
}

/// What was acknowledged stays; nobody may be there to read this.
async fn broken_off(import: Import) -> ApiError {
    let done = import.finish().await;
    let written = done.map_or(0, |(body, _)| body.created + body.updated);
    let detail = format!("the upload broke off; {written} customers were written before");
    ApiError::new(StatusCode::BAD_REQUEST, "broken_body", detail)
}
