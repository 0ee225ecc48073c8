//! What comes in: JSON bodies and query parameters, checked field by field, so that a request is
//! told all of its faults at once.

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
    error::{ApiError, Fault, Wrong},
};

/// Bytes of a JSON body, at most.
pub(super) const BODY_BYTES: usize = 64 * 1024;
/// Bytes of a refused body that are read all the same, at most, and for how long: a client that
/// still sends when the connection closes would never see why.
const DRAIN: (usize, Duration) = (16 * 1024 * 1024, Duration::from_secs(2));
/// How long a JSON body may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Items of a page, unless asked otherwise, and at most.
const PAGE: (usize, usize) = (100, 1_000);

/// The fields of a JSON object or the columns of a row, taken out one by one.
pub(super) struct Fields {
    values: Map<String, Value>,
    faults: Vec<Fault>,
}

impl Fields {
    pub(super) fn new(values: Map<String, Value>) -> Self {
        Self {
            values,
            faults: Vec::new(),
        }
    }

    /// Notes a fault.
    pub(super) fn fault(&mut self, field: &str, code: Code, detail: impl Into<String>) {
        self.faults.push(Fault::new(field, code, detail));
    }

    /// A value, none if it is absent or null.
    pub(super) fn take(&mut self, field: &str) -> Option<Value> {
        self.values.remove(field).filter(|value| !value.is_null())
    }

    /// A text, none if it is absent.
    pub(super) fn optional_text(&mut self, field: &str) -> Option<String> {
        match self.take(field)? {
            Value::String(text) => Some(text),
            _ => {
                self.fault(field, Code::WrongType, "a string is needed");
                None
            }
        }
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, field: &str) -> Option<String> {
        let had = self.values.get(field).is_some_and(|value| !value.is_null());
        let text = self.optional_text(field);
        if !had {
            self.fault(field, Code::Missing, "this field is needed");
        }
        text
    }

    /// A truth, none if it is absent.
    pub(super) fn optional_bool(&mut self, field: &str) -> Option<bool> {
        match self.take(field)? {
            Value::Bool(truth) => Some(truth),
            _ => {
                self.fault(field, Code::WrongType, "true or false is needed");
                None
            }
        }
    }

    /// Parses a text, noting the fault.
    pub(super) fn parse<T, E: Into<Wrong>>(
        &mut self,
        field: &str,
        text: Option<String>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(&text?) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.faults.push(Fault::of(field, wrong.into()));
                None
            }
        }
    }

    /// Leaves a read-only field out of account.
    pub(super) fn ignore(&mut self, field: &str) {
        self.values.remove(field);
    }

    /// All faults; what was not asked for is unknown.
    pub(super) fn faults(mut self) -> Vec<Fault> {
        for field in self.values.keys() {
            self.faults.push(Fault::new(
                field,
                Code::UnknownField,
                "there is no such field",
            ));
        }
        self.faults
    }

    /// The value built of the fields, or all faults.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, ApiError> {
        let faults = self.faults();
        match value {
            Some(value) if faults.is_empty() => Ok(value),
            _ => Err(ApiError::invalid(faults)),
        }
    }
}

/// A JSON object as the body, within its limits, and the bytes it came in.
pub(super) struct JsonBody {
    pub(super) fields: Fields,
    pub(super) bytes: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let headers = request.headers().clone();
        let bytes = read_body(request).await?;
        if bytes.is_empty() && !headers.contains_key(header::CONTENT_TYPE) {
            return Err(ApiError::invalid(vec![Fault::new(
                "",
                Code::EmptyBody,
                "a JSON body is needed",
            )]));
        }
        require_json(&headers)?;
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
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(JsonBody {
                fields: Fields::new(Map::new()),
                bytes,
            }));
        }
        require_json(&headers)?;
        let fields = parse_object(&bytes)?;
        Ok(Self(JsonBody { fields, bytes }))
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

/// A number as it is written everywhere: digits alone, no zero before others.
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

pub(super) fn parse_object(bytes: &[u8]) -> Result<Fields, ApiError> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(values)) => Ok(Fields::new(values)),
        Ok(_) => Err(ApiError::invalid(vec![Fault::new(
            "",
            Code::InvalidJson,
            "an object is needed",
        )])),
        Err(error) => Err(ApiError::invalid(vec![Fault::new(
            "",
            Code::InvalidJson,
            error.to_string(),
        )])),
    }
}

async fn read_body(request: Request) -> Result<Bytes, ApiError> {
    let too_large = || {
        let detail = format!("a body of this route has at most {BODY_BYTES} bytes");
        ApiError::new(Code::BodyTooLarge, detail)
    };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let mut body = request.into_body();
    if length.is_some_and(|length| length > BODY_BYTES) {
        drain(body).await;
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    let reading = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| ApiError::new(Code::BrokenBody, "the body broke off"))?;
            if let Ok(data) = frame.into_data() {
                if bytes.len() + data.len() > BODY_BYTES {
                    return Err(too_large());
                }
                bytes.extend_from_slice(&data);
            }
        }
        Ok(())
    };
    match tokio::time::timeout(BODY_TIME, reading).await {
        Ok(Ok(())) => Ok(bytes.freeze()),
        Ok(Err(error)) => {
            drain(body).await;
            Err(error)
        }
        Err(_) => {
            let detail = "the body did not come in time";
            Err(ApiError::new(Code::BodyTimeout, detail))
        }
    }
}

/// Reads on, within bounds, what nobody wants to know, so that the client hears the answer.
pub(super) async fn drain(mut body: Body) {
    let (bytes, time) = DRAIN;
    let mut left = bytes;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // However it ended: the answer is sent now.
    let _ = tokio::time::timeout(time, reading).await;
}

/// The id in a path; one that is not UTF-8 cannot be there.
pub(super) struct PathId(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if let Ok(Path(id)) = Path::from_request_parts(parts, state).await {
            return Ok(Self(id));
        }
        // The last word of a route can be an id too: /customers/import.
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

/// Query parameters, taken out one by one; none may be left over.
pub(super) struct Params {
    pairs: Vec<(String, String)>,
    faults: Vec<Fault>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            // Taken by the router itself.
            .filter(|(name, _)| name != "consistency")
            .collect();
        // What stands in for bytes that are no UTF-8.
        let broken = pairs
            .iter()
            .find(|(name, value)| (name.clone() + value).contains('\u{fffd}'));
        if let Some((name, _)) = broken {
            let fault = Fault::new(name, Code::InvalidUtf8, "the parameter is not UTF-8");
            return Err(ApiError::invalid(vec![fault]));
        }
        Ok(Self {
            pairs,
            faults: Vec::new(),
        })
    }
}

impl Params {
    /// A parameter, none if it is absent.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(other, _)| other == name)?;
        let (_, value) = self.pairs.remove(at);
        Some(value)
    }

    /// A parameter that must parse.
    pub(super) fn parse<T, E: Into<Wrong>>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(&self.take(name)?) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.faults.push(Fault::of(name, wrong.into()));
                None
            }
        }
    }

    /// How many items a page has.
    pub(super) fn limit(&mut self) -> usize {
        let limit = self.parse("limit", |text| {
            let limit = number(text).map(|n| n as usize);
            let limit = limit.filter(|limit| (1..=PAGE.1).contains(limit));
            limit.ok_or_else(|| {
                Wrong::new(
                    Code::InvalidLimit,
                    format!("a number from 1 to {} is needed", PAGE.1),
                )
            })
        });
        limit.unwrap_or(PAGE.0)
    }

    /// Where a page begins: what `next` of the page before said.
    pub(super) fn after(&mut self) -> Option<u64> {
        self.parse("after", |text| {
            let detail = "the `next` of the page before is needed";
            number(text).ok_or_else(|| Wrong::new(Code::InvalidAfter, detail))
        })
    }

    /// All faults, if there are any; what was not asked for is unknown.
    pub(super) fn finish(mut self) -> Result<(), ApiError> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            let detail = "there is no such parameter, or it is given twice";
            self.faults
                .push(Fault::new(&name, Code::UnknownParameter, detail));
        }
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid(self.faults))
        }
    }
}
