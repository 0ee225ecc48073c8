//! Receipts of gateways. The address of each message proves who calls, so no token is needed.
//!
//! The address is checked before the body is read: who does not know one has the node do no work.

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use notty_raft::ProposeError;
use notty_storage::{
    command::ReceiptRefusal,
    model::{MessageId, ReceiptNote},
    query,
};

use super::{
    Api, ApiError, ApiParts, ApiResult,
    code::Code,
    done,
    endpoint::{Access, Effect, Endpoint, endpoint},
    input::{content_type, drain, read_body},
};
use crate::{
    gateway::profile::receipts::ReceiptReply,
    receipts::{
        ReceiptAddress, ReceiptDenial, ReceiptFault,
        caller::CallFault,
        form::ReceiptRequest,
        reception::{NotTaken, Unready},
    },
};

/// The states that a receipt can name.
const RECEIPT_STATES: &[&str] = &["delivered", "sent", "undelivered"];

/// Codes that a receipt can be answered with, whatever brings it.
const CODES: &[Code] = &[
    Code::InvalidReceipt,
    Code::InvalidSignature,
    Code::NotFound,
    Code::ReceiptRefused,
    Code::StorageFault,
    Code::NoLeader,
    Code::Overloaded,
    Code::NotReady,
    Code::Stopping,
    Code::TooManyConnections,
    Code::OutcomeUnknown,
];

pub(super) fn routes() -> Vec<Endpoint> {
    [
        endpoint!(take_receipt, Access::Open, Effect::Receipt),
        endpoint!(take_receipt_of_get, Access::Open, Effect::Receipt),
    ]
    .map(with_codes)
    .into()
}

fn with_codes(endpoint: Endpoint) -> Endpoint {
    let has_body = endpoint.method == Method::POST;
    let of_body: &[Code] = &[Code::BrokenBody, Code::BodyTimeout, Code::BodyTooLarge];

    let unknown = "whether the receipt was taken is not known; to send it again is safe";
    let endpoint = endpoint
        .codes(CODES)
        .codes(if has_body { of_body } else { &[] });
    endpoint
        .says(
            Code::NotFound,
            "no gateway has this name, or the message is not kept any more",
            "the message is not kept any more: nothing is changed",
        )
        .says(Code::OutcomeUnknown, unknown, unknown)
        .words("status", RECEIPT_STATES)
}

/// Take a receipt
///
/// A gateway reports of a message that it took: `status` is `sent`, `delivered` or `undelivered`, and
/// `error` may be the gateway's code of an error; both in the query, in a form, or in a JSON object. The
/// address is made for each message and signed, so no token is needed. `delivered` is never taken back; a
/// repeat changes nothing. Whatever the status, a message that was `unconfirmed` is `done` afterwards. Any
/// node takes receipts. The gateway should send the receipt again after any answer but 2xx, 400, 403, 404 and 409.
#[utoipa::path(post, path = "/receipts/{gateway}/{id}", tag = "receipts",
    operation_id = "takeReceipt", security(()),
    params(
        ("gateway" = String, Path, description = "Name of the gateway", example = "default"),
        ("id" = String, Path, description = "The message's id", example = "4294967296"),
        ("k" = String, Query, description = "The signature of the address"),
        ("status" = Option<String>, Query,
            description = "`sent`, `delivered` or `undelivered`, unless the body names it"),
        ("error" = Option<String>, Query, description = "The gateway's code of the error"),
    ),
    responses((status = 204, description = "Taken; or known already")))]
async fn take_receipt(
    State(api): State<Api>,
    path: Path<(String, String)>,
    request: Request,
) -> ApiResult {
    take(&api, path, request).await
}

/// Take a receipt by GET
///
/// The same as by POST, for gateways that report in the query of the address.
#[utoipa::path(get, path = "/receipts/{gateway}/{id}", tag = "receipts",
    operation_id = "takeReceiptByGet", security(()),
    params(
        ("gateway" = String, Path, description = "Name of the gateway", example = "default"),
        ("id" = String, Path, description = "The message's id", example = "4294967296"),
        ("k" = String, Query, description = "The signature of the address"),
        ("status" = String, Query, description = "`sent`, `delivered` or `undelivered`"),
        ("error" = Option<String>, Query, description = "The gateway's code of the error"),
    ),
    responses((status = 204, description = "Taken; or known already")))]
async fn take_receipt_of_get(
    State(api): State<Api>,
    path: Path<(String, String)>,
    request: Request,
) -> ApiResult {
    take(&api, path, request).await
}

async fn take(
    api: &ApiParts,
    Path((gateway, id)): Path<(String, String)>,
    request: Request,
) -> ApiResult {
    refuse_head(&request)?;
    let query = request.uri().query().unwrap_or_default().to_owned();
    let signature = signature(&query);
    let address = ReceiptAddress {
        gateway: &gateway,
        id: &id,
        signature: &signature,
    };

    let id = match admit(api, address) {
        Ok(id) => id,
        Err(error) => {
            drain(request.into_body()).await;
            return Err(error);
        }
    };
    let receipts = read(api, address, id, request).await?;
    let index = take_all(api, receipts).await?;
    Ok(noted(api.reception.reply(&gateway), index))
}

/// The router takes HEAD for GET. Whoever only tests the address must not settle its message by that.
fn refuse_head(request: &Request) -> Result<(), ApiError> {
    if request.method() != Method::HEAD {
        return Ok(());
    }
    let detail = "a receipt is sent by GET or POST: by HEAD nothing is taken";
    let error = ApiError::new(Code::MethodNotAllowed, detail);
    Err(error.with_header(header::ALLOW, HeaderValue::from_static("GET,POST")))
}

/// Reads the receipts of a call whose address is right.
async fn read(
    api: &ApiParts,
    address: ReceiptAddress<'_>,
    id: MessageId,
    request: Request,
) -> Result<Vec<ReceiptNote>, ApiError> {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let body = read_body(request).await?;
    let call = ReceiptRequest {
        query: uri.query().unwrap_or_default(),
        headers: &headers,
        content_type: &content_type(&headers),
        content_encoding: &content_encoding(&headers),
        body: &body,
    };
    let read = api.reception.read(address.gateway, id, call);
    read.map_err(error_of)
}

/// Has all receipts of a call taken. Returns the position from which on every node knows them.
async fn take_all(api: &ApiParts, receipts: Vec<ReceiptNote>) -> Result<u64, ApiError> {
    let mut index = api.position();
    for receipt in receipts {
        index = take_one(api, receipt).await?;
    }
    Ok(index)
}

/// Has a receipt taken. Returns the position from which on every node knows it.
async fn take_one(api: &ApiParts, receipt: ReceiptNote) -> Result<u64, ApiError> {
    // Gateways repeat themselves: that must not cost an entry of the log each time.
    if api.ask(|reader| query::receipts::is_known(reader, &receipt))? {
        api.reception.note_known();
        return Ok(api.position());
    }
    api.reception.take(receipt).await.map_err(error_of)
}

/// The answer that the gateway takes for "noted": some repeat a receipt until they see their word for it.
fn noted(reply: Option<&ReceiptReply>, index: u64) -> Response {
    let mut response = done(index);
    let Some(reply) = reply else {
        return response;
    };

    let status = StatusCode::from_u16(reply.status);
    *response.status_mut() = status.expect("a profile is checked for a status of success");
    if let Some(kind) = &reply.content_type {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, media_type(kind));
        *response.body_mut() = Body::from(reply.body.clone());
    }
    response
}

fn media_type(kind: &str) -> HeaderValue {
    HeaderValue::from_str(kind).expect("a profile is checked for a type of its answer")
}

/// The encoding of the body, in lower case; empty if there is none.
fn content_encoding(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_ENCODING);
    let named = value.map(|value| String::from_utf8_lossy(value.as_bytes()));
    named.unwrap_or_default().trim().to_ascii_lowercase()
}

fn signature(query: &str) -> String {
    let mut fields = form_urlencoded::parse(query.as_bytes());
    let found = fields.find(|(name, _)| name == "k");
    found.map_or_else(String::new, |(_, value)| value.into_owned())
}

fn admit(api: &ApiParts, address: ReceiptAddress<'_>) -> Result<MessageId, ApiError> {
    let reception = &api.reception;
    let id = reception.message_of(address).map_err(error_of)?;
    let secret = reception.secret(|| api.ask(|reader| query::receipts::secret(reader)))?;
    let admitted = reception.admit(secret.as_ref(), id, address);
    admitted.map(|()| id).map_err(error_of)
}

fn error_of(fault: NotTaken) -> ApiError {
    match fault {
        NotTaken::Refused(refusal) => refused(refusal),
        NotTaken::Later(later) => unavailable(later),
        NotTaken::Unready(why) => ApiError::unavailable(Code::NotReady, unready(why)),
    }
}

fn unready(why: Unready) -> &'static str {
    match why {
        Unready::NoSecret => "this node knows no addresses for receipts yet",
        Unready::NoSuchGateway => {
            "the configuration of this node has no gateway of this name, but another node's has"
        }
    }
}

fn refused(refusal: ReceiptDenial) -> ApiError {
    match refusal {
        ReceiptDenial::Unreadable(fault) => unreadable(&fault),
        ReceiptDenial::UnknownGateway => {
            let detail = "no gateway of the configuration has this name";
            ApiError::new(Code::NotFound, detail)
        }
        ReceiptDenial::WrongSignature => {
            let detail = "`k` is not the signature of this message's address";
            ApiError::new(Code::InvalidSignature, detail)
        }
        ReceiptDenial::Untrue(refusal) => untrue(refusal),
    }
}

fn unreadable(fault: &CallFault) -> ApiError {
    let why = fault.to_string();
    match fault {
        CallFault::Own(_) => ApiError::invalid_field("status", Code::InvalidReceipt, why),
        _ => ApiError::new(Code::InvalidReceipt, why),
    }
}

fn untrue(refusal: ReceiptRefusal) -> ApiError {
    let (code, why) = match refusal {
        ReceiptRefusal::Unknown | ReceiptRefusal::Purged => {
            (Code::NotFound, "the message is not kept any more")
        }
        ReceiptRefusal::NeverSent => (
            Code::ReceiptRefused,
            "the message was never given to a gateway",
        ),
        ReceiptRefusal::NotTaken => (
            Code::ReceiptRefused,
            "it is certain that no gateway took the message",
        ),
    };
    ApiError::new(code, format!("{why}: nothing is changed"))
}

fn unavailable(fault: ReceiptFault) -> ApiError {
    match fault {
        ReceiptFault::NotProposed(ProposeError::Unknown) => ApiError::new(
            Code::OutcomeUnknown,
            "whether the receipt was taken is not known; to send it again is safe",
        ),
        // The state takes every command of receipts, unless the cluster is of several versions.
        ReceiptFault::NotProposed(ProposeError::Rejected { rejection, .. }) => {
            ApiError::unavailable(Code::NotReady, rejection.to_string())
        }
        ReceiptFault::NotProposed(error) => error.into(),
        ReceiptFault::TooMany | ReceiptFault::Refused(_) => {
            ApiError::unavailable(Code::Overloaded, "too many receipts wait already")
        }
    }
}
