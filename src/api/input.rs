//! Request input: JSON bodies and query parameters, checked field by field, so that one answer lists
//! all faults of a request.
//!
//! The shapes of bodies are declared with their routes; this file only knows how a field is taken
//! out, and what is wrong if it is missing, unknown or of another type.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, MatchedPath, Path, Request},
    http::{HeaderMap, header, request::Parts},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde_json::{Map, Value};

use super::{
    code::Code,
    error::{ApiError, FieldFault, InvalidValue},
};

/// The largest JSON body, in bytes.
pub(super) const BODY_BYTES: usize = 64 * 1024;
/// Time for a JSON body to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Bytes of a refused body that are still read, at most. If the connection closed while the client
/// still sends, the client would be reset and never see the answer.
const DRAIN_BYTES: usize = 16 * 1024 * 1024;
/// Time for reading a refused body.
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// Items of a page, unless the request asks for another number.
const PAGE_ITEMS: usize = 100;
/// The most items that a page can have.
const MAX_PAGE_ITEMS: usize = 1_000;

/// The fields of a JSON object or the columns of a row, taken out one by one.
pub(super) struct Fields {
    values: Map<String, Value>,
    faults: Vec<FieldFault>,
}

impl Fields {
    pub(super) fn new(values: Map<String, Value>) -> Self {
        Self {
            values,
            faults: Vec::new(),
        }
    }

    /// Notes a fault of a field.
    pub(super) fn fault(&mut self, field: &str, code: Code, detail: impl Into<String>) {
        self.faults.push(FieldFault::new(field, code, detail));
    }

    /// True if a field is there, and not null.
    pub(super) fn has(&self, field: &str) -> bool {
        self.values.get(field).is_some_and(|value| !value.is_null())
    }

    /// Takes a value; `None` if it is absent or null.
    pub(super) fn take(&mut self, field: &str) -> Option<Value> {
        self.values.remove(field).filter(|value| !value.is_null())
    }

    /// Takes a text; `None` if it is absent, and also, with a fault, if it is of another type.
    pub(super) fn optional_text(&mut self, field: &str) -> Option<String> {
        match self.take(field)? {
            Value::String(text) => Some(text),
            _ => {
                self.fault(field, Code::WrongType, "a string is needed");
                None
            }
        }
    }

    /// Takes a text that must be there.
    pub(super) fn text(&mut self, field: &str) -> Option<String> {
        let is_present = self.values.get(field).is_some_and(|value| !value.is_null());
        let text = self.optional_text(field);
        // A value of another type has its fault already.
        if !is_present {
            self.fault(field, Code::Missing, "this field is needed");
        }
        text
    }

    /// Takes a boolean; `None` if it is absent, and also, with a fault, if it is of another type.
    pub(super) fn optional_bool(&mut self, field: &str) -> Option<bool> {
        match self.take(field)? {
            Value::Bool(value) => Some(value),
            _ => {
                self.fault(field, Code::WrongType, "true or false is needed");
                None
            }
        }
    }

    /// Parses the text of a field and notes the fault if that fails. `None` stays `None`: a missing
    /// field was noted where it was taken.
    pub(super) fn parse<T, E: Into<InvalidValue>>(
        &mut self,
        field: &str,
        text: Option<String>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(&text?) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.faults.push(FieldFault::of(field, wrong.into()));
                None
            }
        }
    }

    /// Takes a text that must be there, and parses it.
    pub(super) fn parse_needed<T, E: Into<InvalidValue>>(
        &mut self,
        field: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(field);
        self.parse(field, text, parse)
    }

    /// Takes a text, or a default if it is absent, and parses it.
    pub(super) fn parse_or<T, E: Into<InvalidValue>>(
        &mut self,
        field: &str,
        default: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.optional_text(field);
        let text_or_default = text.unwrap_or_else(|| default.to_owned());
        self.parse(field, Some(text_or_default), parse)
    }

    /// Drops a read-only field: a client may send back what it has read.
    pub(super) fn ignore(&mut self, field: &str) {
        self.values.remove(field);
    }

    /// All faults. Fields that were not taken are unknown, which is a fault too.
    pub(super) fn faults(mut self) -> Vec<FieldFault> {
        for field in self.values.keys() {
            self.faults.push(FieldFault::new(
                field,
                Code::UnknownField,
                "there is no such field",
            ));
        }
        self.faults
    }

    /// The value that was built of the fields; all faults if there are any.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, ApiError> {
        let faults = self.faults();
        match value {
            Some(value) if faults.is_empty() => Ok(value),
            _ => Err(ApiError::invalid(faults)),
        }
    }
}

/// A JSON object as the body of a request.
pub(super) struct JsonBody {
    pub(super) fields: Fields,
    /// The body as it was sent, which an `Idempotency-Key` is bound to.
    pub(super) bytes: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let headers = request.headers().clone();
        let bytes = read_body(request).await?;
        if bytes.is_empty() && !headers.contains_key(header::CONTENT_TYPE) {
            return Err(body_fault(Code::EmptyBody, "a JSON body is needed"));
        }
        Self::parse(&headers, bytes)
    }
}

impl JsonBody {
    fn parse(headers: &HeaderMap, bytes: Bytes) -> Result<Self, ApiError> {
        require_json(headers)?;
        let fields = parse_object(&bytes)?;
        Ok(Self { fields, bytes })
    }
}

/// A JSON object as the body, or no body at all.
pub(super) struct OptionalJsonBody(pub(super) JsonBody);

impl<S: Send + Sync> FromRequest<S> for OptionalJsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let headers = request.headers().clone();
        let bytes = read_body(request).await?;

        // Before the content type is looked at: a client that sends no body need not name a type.
        if bytes.iter().all(u8::is_ascii_whitespace) {
            let fields = Fields::new(Map::new());
            return Ok(Self(JsonBody { fields, bytes }));
        }
        JsonBody::parse(&headers, bytes).map(Self)
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = content_type(headers);
    if kind == "application/json" {
        return Ok(());
    }
    let detail = "this route takes application/json";
    Err(ApiError::new(Code::UnsupportedMediaType, detail))
}

/// Parses a number in its only form: digits, no sign, no leading zero. So that one id has one path.
pub(super) fn number(text: &str) -> Option<u64> {
    text.parse()
        .ok()
        .filter(|number: &u64| number.to_string() == text)
}

/// The content type without its parameters, in lower case.
pub(super) fn content_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = value
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// Parses a body that must be one JSON object.
pub(super) fn parse_object(bytes: &[u8]) -> Result<Fields, ApiError> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(values)) => Ok(Fields::new(values)),
        Ok(_) => Err(body_fault(Code::InvalidJson, "an object is needed")),
        Err(error) => Err(body_fault(Code::InvalidJson, error.to_string())),
    }
}

/// A fault of the body as a whole.
fn body_fault(code: Code, detail: impl Into<String>) -> ApiError {
    ApiError::invalid_field("", code, detail)
}

async fn read_body(request: Request) -> Result<Bytes, ApiError> {
    let declared = content_length(request.headers());
    let mut body = request.into_body();

    // Refused by its declared length, before any of it is read.
    if declared.is_some_and(|length| length > BODY_BYTES) {
        drain(body).await;
        return Err(body_too_large());
    }

    match tokio::time::timeout(BODY_TIME, collect(&mut body)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            drain(body).await;
            Err(error)
        }

        // Not drained: a client that is so slow would hold its connection for longer still.
        Err(_) => {
            let detail = "the body did not come in time";
            Err(ApiError::new(Code::BodyTimeout, detail))
        }
    }
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    let value = headers.get(header::CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

fn body_too_large() -> ApiError {
    let detail = format!("a body of this route has at most {BODY_BYTES} bytes");
    ApiError::new(Code::BodyTooLarge, detail)
}

/// Reads a body to its end. A body without a declared length is bounded here.
async fn collect(body: &mut Body) -> Result<Bytes, ApiError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::new(Code::BrokenBody, "the body broke off"))?;
        // Trailers are no data.
        let Ok(data) = frame.into_data() else {
            continue;
        };

        if bytes.len() + data.len() > BODY_BYTES {
            return Err(body_too_large());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// Reads and drops the rest of a body that is refused, within bounds, so that the client sees the
/// answer.
pub(super) async fn drain(mut body: Body) {
    let mut left = DRAIN_BYTES;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // The answer is sent now, even if the client still sends.
    let _ = tokio::time::timeout(DRAIN_TIME, reading).await;
}

/// The id in a path. One that is not UTF-8 is answered with 404, because no id looks like that.
pub(super) struct PathId(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if let Ok(Path(id)) = Path::from_request_parts(parts, state).await {
            return Ok(Self(id));
        }

        // The last word of a route can be an id too: GET /customers/import reads that customer.
        let route = parts
            .extensions
            .get::<MatchedPath>()
            .map_or("", MatchedPath::as_str);
        match route.rsplit_once('/') {
            Some((_, word)) if !route.contains('{') => Ok(Self(word.to_owned())),
            _ => Err(ApiError::not_found("thing")),
        }
    }
}

/// Query parameters, taken out one by one. Those that are left over are faults.
pub(super) struct Params {
    pairs: Vec<(String, String)>,
    faults: Vec<FieldFault>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            // The guard has checked this one already.
            .filter(|(name, _)| name != "consistency")
            .collect();

        let broken = pairs
            .iter()
            .find(|(name, value)| is_broken(name) || is_broken(value));
        if let Some((name, _)) = broken {
            let detail = "the parameter is not UTF-8";
            return Err(ApiError::invalid_field(name, Code::InvalidUtf8, detail));
        }

        Ok(Self {
            pairs,
            faults: Vec::new(),
        })
    }
}

impl Params {
    /// Takes a parameter; `None` if it is absent.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(other, _)| other == name)?;
        let (_, value) = self.pairs.remove(at);
        Some(value)
    }

    /// Takes a parameter and parses it. Notes the fault if that fails.
    pub(super) fn parse<T, E: Into<InvalidValue>>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(&self.take(name)?) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.faults.push(FieldFault::of(name, wrong.into()));
                None
            }
        }
    }

    /// Takes the number of items that a page can have.
    pub(super) fn limit(&mut self) -> usize {
        self.parse("limit", parse_limit).unwrap_or(PAGE_ITEMS)
    }

    /// Takes the position where a page begins: `next` of the page before.
    pub(super) fn after(&mut self) -> Option<u64> {
        self.parse("after", |text| {
            let detail = "the `next` of the page before is needed";
            number(text).ok_or_else(|| InvalidValue::new(Code::InvalidAfter, detail))
        })
    }

    /// Rejects the request if it has faults. Parameters that were not taken are unknown, which is a
    /// fault too.
    pub(super) fn finish(mut self) -> Result<(), ApiError> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            let detail = "there is no such parameter, or it is given twice";
            self.faults
                .push(FieldFault::new(&name, Code::UnknownParameter, detail));
        }
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid(self.faults))
        }
    }
}

/// True if a decoded text was not UTF-8: the parser puts this character in the place of other bytes.
fn is_broken(text: &str) -> bool {
    text.contains('\u{fffd}')
}

fn parse_limit(text: &str) -> Result<usize, InvalidValue> {
    let given = number(text).map(|limit| limit as usize);
    let allowed = given.filter(|limit| (1..=MAX_PAGE_ITEMS).contains(limit));
    allowed.ok_or_else(|| {
        let detail = format!("a number from 1 to {MAX_PAGE_ITEMS} is needed");
        InvalidValue::new(Code::InvalidLimit, detail)
    })
}
