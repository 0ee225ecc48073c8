//! The import of customers: a stream of CSV or NDJSON, read row by row and written in commands of
//! many rows. Nothing but the rows in hand is kept in memory.
//!
//! A row that is wrong is left out and told with its line; the others go on. What was written when
//! an upload breaks off stays, and the file may be sent again.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::StatusCode,
};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream::FuturesOrdered};
use http_body_util::BodyExt;
use notty_raft::ProposeError;
use notty_storage::{
    Command, Rejection,
    command::{CustomerRow, CustomersWritten, PutCustomers, PutMode},
    limits,
    model::{CustomerId, fold},
};
use serde::Serialize;
use tokio::task::JoinHandle;
use utoipa::ToSchema;

use super::{
    Api, ApiError, ApiResult,
    code::Code,
    customers::{CheckedCustomer, IdFrom, check},
    endpoint::{Effect, Endpoint, endpoint},
    error::FieldFault,
    input::{Fields, Params, content_type, drain},
    reply,
};
use crate::config::Role;
use crate::rows::{CsvRows, ImportRow, NdjsonRows, RowError, Rows};

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
    /// The stable name of the first fault. Of the row: `row_too_long`; `wrong_cell_count`,
    /// `unclosed_quote` and `invalid_utf8` (CSV); `invalid_json` (NDJSON). Of its fields:
    /// `missing`, `wrong_type`, `unknown_field`, `invalid_id`, `too_long`, `control_character`,
    /// `invalid_phone`, `invalid_timezone`. And `customer_busy`: a customer of this id was just
    /// deleted, and its messages are still being cancelled.
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
        let CheckedCustomer {
            id,
            name,
            phone,
            operator,
            tag,
            zone,
        } = customer;
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

    fn put(self) -> Put {
        let put = PutCustomers {
            mode: PutMode::Upsert,
            tags: self.tags.folded(),
            operators: self.operators.folded(),
            zones: self.zones.words,
            rows: self.rows,
        };
        Put {
            put,
            lines: self.lines,
        }
    }
}

/// A command and the lines of its rows.
struct Put {
    put: PutCustomers,
    lines: Vec<u64>,
}

/// What proposing came to; the command itself where there was no room for it.
type Proposed = Result<Result<Written, ApiError>, Put>;

/// What one command came to.
struct Written {
    /// The command, for rows that must be written again.
    put: Put,
    created: u32,
    updated: u32,
    /// Rows that were not written, in order.
    rejected: Vec<(u32, Rejection)>,
    index: u64,
}

impl Put {
    /// Proposes the command at once, if it is polled at once. It keeps its place in the log before
    /// all that are proposed later, unless there is no room for it; then it is given back.
    async fn propose(self, api: Api) -> Proposed {
        // Writing the same rows again is harmless, so a repeat needs no key.
        let command = Command::new(self.put.clone());
        let proposed = tokio::time::timeout(WRITE_TIME, api.node.propose(command)).await;
        let applied = match proposed.unwrap_or(Err(ProposeError::Unknown)) {
            Err(ProposeError::Overloaded) => return Err(self),
            // One row that must wait holds up all of its command: none was written.
            Err(ProposeError::Rejected {
                rejection: Rejection::CustomerBusy,
                index,
            }) => {
                let rows = 0..self.put.rows.len() as u32;
                let rejected = rows.map(|row| (row, Rejection::CustomerBusy)).collect();
                return Ok(Ok(Written {
                    put: self,
                    created: 0,
                    updated: 0,
                    rejected,
                    index,
                }));
            }
            Err(error) => return Ok(Err(error.into())),
            Ok(applied) => applied,
        };
        let CustomersWritten {
            created,
            updated,
            rejected,
        } = applied.reply;
        Ok(Ok(Written {
            put: self,
            created,
            updated,
            rejected,
            index: applied.index,
        }))
    }

    /// The same with some of its rows alone.
    fn only(&self, rows: &[usize]) -> Self {
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
        Self {
            put,
            lines: rows.iter().map(|row| self.lines[*row]).collect(),
        }
    }
}

impl Written {
    /// Rows whose customer's deletion is being swept: they can be written when that has ended.
    fn busy(&self) -> impl Iterator<Item = usize> {
        let busy = self
            .rejected
            .iter()
            .filter(|(_, why)| *why == Rejection::CustomerBusy);
        busy.map(|(row, _)| *row as usize)
    }
}

/// The busy rows of commands that were written in this order, without those that a later row of the
/// same id has replaced or will replace: an older row must not be written over a newer one.
fn to_repeat(written: &[Written]) -> Vec<Vec<usize>> {
    let mut later: HashSet<&CustomerId> = HashSet::new();
    let mut repeats = Vec::new();
    for written in written.iter().rev() {
        let rejected: HashMap<u32, &Rejection> = written
            .rejected
            .iter()
            .map(|(row, why)| (*row, why))
            .collect();
        let mut repeat = Vec::new();
        for (row, customer) in written.put.put.rows.iter().enumerate().rev() {
            match rejected.get(&(row as u32)) {
                Some(Rejection::CustomerBusy) => {
                    if later.insert(&customer.id) {
                        repeat.push(row);
                    }
                }
                // It says nothing of the customer.
                Some(_) => {}
                None => drop(later.insert(&customer.id)),
            }
        }
        repeat.reverse();
        repeats.push(repeat);
    }
    repeats.reverse();
    repeats
}

/// A row's customer, or the code of its first fault and all faults in words.
fn check_row(row: ImportRow) -> Result<CheckedCustomer, (String, String)> {
    let mut fields = Fields::new(row.values);
    let checked = check(&mut fields, &IdFrom::Body);
    let faults = fields.faults();
    match (checked, faults.first()) {
        (Some(customer), None) => Ok(customer),
        (_, first) => {
            let code = first
                .map_or("invalid", |fault| fault.code.name())
                .to_owned();
            let told = faults
                .iter()
                .map(|fault| format!("{}: {}", fault.field, fault.detail));
            Err((code, told.collect::<Vec<_>>().join("; ")))
        }
    }
}

/// Checks a row as the import does, and writes nothing: the code of its first fault and all faults
/// in words.
pub fn check_import_row(row: ImportRow) -> Result<(), (String, String)> {
    check_row(row).map(drop)
}

/// The import under way.
struct Import {
    api: Api,
    body: ImportBody,
    batch: Batch,
    in_flight: FuturesOrdered<JoinHandle<Proposed>>,
    index: u64,
}

impl Import {
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

    async fn take(&mut self, row: Result<ImportRow, RowError>) -> Result<(), ApiError> {
        match row {
            Err(RowError::Fatal { line, detail, .. }) => {
                let fault = FieldFault::new(&format!("line {line}"), Code::InvalidHeader, detail);
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

    fn take_row(&mut self, row: ImportRow) {
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
        let mut put = std::mem::take(&mut self.batch).put();
        // Proposed here and now, before any later batch: of two rows with the same id, the last
        // one must count.
        for _ in 0..TRIES {
            let mut proposing = Box::pin(put.propose(self.api.clone()));
            let task = match proposing.as_mut().now_or_never() {
                Some(Ok(written)) => tokio::spawn(async { Ok(written) }),
                Some(Err(refused)) => {
                    put = refused;
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                None => tokio::spawn(proposing),
            };
            self.in_flight.push_back(task);
            return Ok(());
        }
        Err(ProposeError::Overloaded.into())
    }

    /// Waits for the oldest command; if rows of it must be repeated, for all, and repeats them.
    async fn collect(&mut self) -> Result<(), ApiError> {
        let Some(written) = self.next_written().await? else {
            return Ok(());
        };
        if written.busy().next().is_none() {
            self.count(written);
            return Ok(());
        }
        let mut all = vec![written];
        while let Some(written) = self.next_written().await? {
            all.push(written);
        }
        let repeats = to_repeat(&all);
        for (mut written, rows) in all.into_iter().zip(repeats) {
            // A row that a later one replaces counts as if it had been written before that.
            let replaced = written.busy().count() - rows.len();
            written.updated += replaced as u32;
            let put = written.put.only(&rows);
            written
                .rejected
                .retain(|(_, why)| *why != Rejection::CustomerBusy);
            self.count(written);
            self.repeat(put).await?;
        }
        Ok(())
    }

    /// Writes rows again, with nothing else on its way, until their customers can be written. In the
    /// end each row by itself, so that only those are left out that still cannot be.
    async fn repeat(&mut self, mut put: Put) -> Result<(), ApiError> {
        for _ in 0..TRIES {
            if put.lines.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
            let mut written = match put.propose(self.api.clone()).await {
                Ok(written) => written?,
                Err(refused) => {
                    put = refused;
                    continue;
                }
            };
            let busy: Vec<_> = written.busy().collect();
            put = written.put.only(&busy);
            written
                .rejected
                .retain(|(_, why)| *why != Rejection::CustomerBusy);
            self.count(written);
        }
        for row in 0..put.lines.len() {
            let proposed = put.only(&[row]).propose(self.api.clone()).await;
            let written = proposed.unwrap_or_else(|_| Err(ProposeError::Overloaded.into()))?;
            self.count(written);
        }
        Ok(())
    }

    /// What the oldest command on its way came to; none if there is none.
    async fn next_written(&mut self) -> Result<Option<Written>, ApiError> {
        let Some(done) = self.in_flight.next().await else {
            return Ok(None);
        };
        match done.unwrap_or_else(|_| Ok(Err(ProposeError::Unknown.into()))) {
            Ok(written) => written.map(Some),
            // Told at once or never; were it told late, later batches may have been written.
            Err(_) => Err(ProposeError::Overloaded.into()),
        }
    }

    fn count(&mut self, written: Written) {
        self.body.created += u64::from(written.created);
        self.body.updated += u64::from(written.updated);
        self.index = self.index.max(written.index);
        for (row, rejection) in written.rejected {
            let line = written.put.lines[row as usize];
            self.reject(line, Code::from(&rejection).name(), rejection.to_string());
        }
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

pub(super) fn routes() -> Vec<Endpoint> {
    let import = endpoint!(import, Role::Operator, Effect::Writes)
        .codes(&[
            Code::InvalidHeader,
            Code::BrokenBody,
            Code::BodyTimeout,
            Code::UnsupportedMediaType,
        ])
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
    vec![import]
}

/// Import customers
///
/// A stream of `text/csv` with a header row, or of `application/x-ndjson`: one customer a row,
/// fields by name in any order. An empty cell is an absent field, an existing id is updated. Rows
/// that are wrong are left out and told with their lines.
#[utoipa::path(post, path = "/customers/import", tag = "customers", operation_id = "importCustomers",
    request_body(content((String = "text/csv", example = "id,phone\ncustomer-1,+79161112233\n"),
        (String = "application/x-ndjson", example = "{\"id\":\"customer-1\",\"phone\":\"+79161112233\"}\n"))),
    responses((status = 200, body = ImportBody)))]
async fn import(State(api): State<Api>, params: Params, request: Request) -> ApiResult {
    params.finish()?;
    let mut rows: Box<dyn Rows> = match content_type(request.headers()).as_str() {
        "text/csv" => Box::new(CsvRows::new(&IMPORT_COLUMNS)),
        "application/x-ndjson" => Box::new(NdjsonRows::default()),
        _ => {
            drain(request.into_body()).await;
            let detail = "an import takes text/csv or application/x-ndjson";
            return Err(ApiError::new(Code::UnsupportedMediaType, detail));
        }
    };
    let index = api.node.applied_index();
    let (body, batch) = (ImportBody::default(), Batch::default());
    let mut import = Import {
        api,
        body,
        batch,
        in_flight: FuturesOrdered::new(),
        index,
    };
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
                return Err(ApiError::new(Code::BodyTimeout, detail));
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
    ApiError::new(Code::BrokenBody, detail)
}

#[cfg(test)]
mod tests {
    use notty_storage::model::Phone;

    use super::*;

    /// A command with rows of these ids, some of which were refused.
    fn written(ids: &[&str], rejected: &[(u32, Rejection)]) -> Written {
        let row = |id: &&str| CustomerRow {
            id: CustomerId::parse(id).expect("valid"),
            name: String::new(),
            phone: Phone::parse("+79161112233").expect("valid"),
            tag: 0,
            operator: 0,
            zone: None,
        };
        let put = PutCustomers {
            mode: PutMode::Upsert,
            tags: Vec::new(),
            operators: Vec::new(),
            zones: Vec::new(),
            rows: ids.iter().map(row).collect(),
        };
        let lines = (2..2 + ids.len() as u64).collect();
        let rejected = rejected.to_vec();
        Written {
            put: Put { put, lines },
            created: 0,
            updated: 0,
            rejected,
            index: 1,
        }
    }

    #[test]
    fn a_row_is_not_repeated_once_a_later_one_of_its_id_was_written() {
        let busy = |row| (row, Rejection::CustomerBusy);
        let first = written(
            &["a", "b", "c", "a", "d"],
            &[busy(0), busy(1), busy(2), busy(3)],
        );
        let second = written(&["b", "e", "f"], &[busy(2)]);
        let third = written(&["f", "c"], &[busy(0), (1, Rejection::CustomerExists)]);
        // b was written later, f comes again later; the later c was refused for itself.
        let repeats = to_repeat(&[first, second, third]);
        assert_eq!(repeats, [vec![2, 3], vec![], vec![0]]);
    }
}
