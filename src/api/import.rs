//! The import of customers: a stream of rows becomes commands, each with as many rows as fit.
//!
//! Rows that are wrong are left out, and reported with their lines. Rows that were written when an upload
//! breaks off stay, and the file may be sent again.
//!
//! [`checked`] checks rows, [`batch`] gathers them, [`write`] proposes them and finds the rows that must
//! be written again, [`running`] keeps their order,
//! [`counted`] reads the counts of replies. [`live`] counts whom mailings come to reach.

mod batch;
mod checked;
mod counted;
mod live;
mod running;
mod write;

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
};
use http_body_util::BodyExt;
use serde::Serialize;
use utoipa::ToSchema;

use self::{checked::check_row, live::LiveMailing, running::Import};
use super::{
    Api, ApiError, ApiResult,
    code::Code,
    customers::zones::FoundZones,
    endpoint::{Effect, Endpoint, endpoint},
    input::{Params, content_type, drain},
    reply,
};
use crate::{
    config::Role,
    rows::{ImportRow, RowFormat, Rows},
};

/// The most rejected rows that an answer lists.
const ERRORS: usize = 1_000;
/// The longest pause of an upload.
const IDLE: Duration = Duration::from_secs(30);
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
    /// Mailings that are active until their end and that new or changed customers of this import now match.
    /// These customers get their texts. At most 100 mailings are checked, the oldest ones first.
    live_mailings: Vec<LiveMailing>,
    /// Reasons, for the first 1,000 of these rows.
    errors: Vec<ImportError>,
}

impl ImportBody {
    /// Counts a row that is left out, and lists the reason while there is room.
    fn reject(&mut self, error: ImportError) {
        self.rejected += 1;
        if self.errors.len() < ERRORS {
            self.errors.push(error);
        }
    }
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
    /// `empty_text`, `invalid_phone`, `invalid_timezone`. And `customer_busy`: a customer with this id was
    /// just deleted, and its messages are still being cancelled; `ambiguous_phone`: the row has no
    /// id, and several customers have its phone.
    #[schema(example = "invalid_phone")]
    code: String,
    /// All faults of the row in words.
    #[schema(example = "phone: a phone number is `+` and 10 to 15 digits, like +79161112233")]
    detail: String,
}

/// Checks a row as the import does, and writes nothing. The error has the code of its first fault, and
/// all faults in words.
pub fn check_import_row(row: ImportRow) -> Result<(), (String, String)> {
    check_row(row, &mut FoundZones::default()).map(drop)
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
            "whether the last rows were written is not known; the detail names the last line that is written",
            "whether it was executed is not known; all rows up to line 4001 are written, but for rejected \
             ones; the file may be sent again",
        );
    vec![with_words]
}

/// Import customers
///
/// The body is a stream of `text/csv` with a header row, or of `application/x-ndjson`: one customer a
/// row, fields by name in any order. Quoted cells may hold line ends, and rows of empty cells are skipped.
/// A customer whose id exists is updated: a column that is not in the file (a key that is not in the
/// object) leaves its field as it is, an empty cell (`""`, null) clears it. A row without an id belongs to
/// the customer who has its phone; if nobody has it, a new one is created. Invalid rows are left out, and
/// reported with their lines. If the cluster's leader changes, the import continues; if it finds no
/// leader, the error names the last line that is written.
#[utoipa::path(post, path = "/customers/import", tag = "customers", operation_id = "importCustomers",
    request_body(content((String = "text/csv", example = "id,phone\ncustomer-1,+79161112233\n"),
        (String = "application/x-ndjson", example = "{\"id\":\"customer-1\",\"phone\":\"+79161112233\"}\n"))),
    responses((status = 200, body = ImportBody)))]
async fn import(State(api): State<Api>, params: Params, request: Request) -> ApiResult {
    params.finish()?;

    let Some(rows) = reader_for(request.headers()) else {
        // The client would not see the answer on a connection that is reset.
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
