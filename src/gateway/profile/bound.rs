//! A profile's request, bound to an account: it makes the request of each message.

use std::{borrow::Cow, collections::BTreeSet};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};

use super::{
    account::GatewayAccount,
    body::{BodyForm, FieldForm},
    encode::{FillPlace, encode},
    encoding::{EncodingWord, EncodingWords},
    fill,
    headers::HeaderLines,
    line::Line,
    placeholder::Placeholder,
    present::present,
    request::RequestForm,
    template::{Template, TemplatePiece},
};
use crate::{config::ConfigError, gateway::Envelope, segments::segments};

/// Bytes of path and query, at most; the library that sends them takes a few more.
const TARGET_BYTES: usize = 60_000;

/// A message, with what its request may need besides.
#[derive(Clone, Copy, Debug)]
pub struct MessageRequest<'m> {
    /// The message as it is handed over.
    pub envelope: Envelope<'m>,
    /// Minutes until the message is of no use; counts where the account has validity.
    pub valid_minutes: u32,
}

/// Makes the requests of one account. It has secrets in it, so it has no form for a log.
pub struct BoundRequest {
    method: Method,
    base: String,
    target: Line,
    headers: HeaderLines,
    body: Line,
    encodings: EncodingWords,
}

impl BoundRequest {
    /// Binds a request to an account. An error names each key of the account with a fault.
    pub(super) fn new(
        form: &RequestForm,
        account: &GatewayAccount,
        secrets: &BTreeSet<&str>,
    ) -> Result<Self, ConfigError> {
        let url = account.check(form, secrets)?;
        // What this account has no value for is left out once, and not for each message.
        let form = present(form, account);
        let (base, path) = split_base(&url);
        let target = target(&path, &form.query, account);
        check_length(&target, account)?;

        Ok(Self {
            headers: HeaderLines::new(&form, account, &base)?,
            target,
            body: body(&form.body, account),
            method: form.method,
            base,
            encodings: form.encodings,
        })
    }

    /// Scheme, host and port of all requests, as `https://sms.example:8443`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The login as the header `Authorization` has it, without the word before it; it is a secret.
    pub fn login(&self) -> Option<&str> {
        self.headers.login()
    }

    /// The request of one message. Its address begins with the path.
    pub fn request(&self, message: &MessageRequest<'_>) -> Request<Bytes> {
        let fill = |found: &Placeholder, place: FillPlace, out: &mut String| {
            self.fill(found, place, message, out);
        };
        let body = self.body.write(fill);
        let headers: HeaderMap = self.headers.write(fill);

        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri(&self.target.write(fill));
        *request.headers_mut() = headers;
        request
    }

    /// Adds the value of a placeholder, in the encoding of its place.
    fn fill(
        &self,
        found: &Placeholder,
        place: FillPlace,
        message: &MessageRequest<'_>,
        out: &mut String,
    ) {
        let is_number = place == FillPlace::JsonValue && self.is_number(found, message);
        encode(out, &self.value(found, message), is_number, place);
    }

    fn is_number(&self, found: &Placeholder, message: &MessageRequest<'_>) -> bool {
        match found {
            Placeholder::Encoding => self.encoding(message.envelope.text).is_number,
            other => other.is_number(),
        }
    }

    fn value<'m>(
        &'m self,
        placeholder: &Placeholder,
        message: &MessageRequest<'m>,
    ) -> Cow<'m, str> {
        let envelope = &message.envelope;
        if let Some(value) = fill::of_message(placeholder, envelope) {
            return value;
        }

        // The others need more than the message.
        match placeholder {
            Placeholder::Encoding => Cow::Borrowed(&self.encoding(envelope.text).text),
            Placeholder::ValidMinutes => Cow::Owned(message.valid_minutes.to_string()),
            _ => Cow::Borrowed(envelope.receipt_url),
        }
    }

    fn encoding(&self, text: &str) -> &EncodingWord {
        self.encodings.word(segments(text).encoding)
    }
}

/// The path of an address, with the query.
fn target(path: &Template, query: &[FieldForm], account: &GatewayAccount) -> Line {
    let mut target = Line::default();
    target.push_template(path, FillPlace::Url, account);
    if !query.is_empty() {
        target.push("?");
        target.push_fields(query, FillPlace::Url, account);
    }
    target
}

/// Rejects an address that a long text would make longer than any request can have.
fn check_length(target: &Line, account: &GatewayAccount) -> Result<(), ConfigError> {
    if target.longest() <= TARGET_BYTES {
        return Ok(());
    }
    let fault = format!(
        "the path and the query can grow longer than {TARGET_BYTES} bytes; use `form` or `json`"
    );
    Err(ConfigError::at(&account.section, fault))
}

fn uri(target: &str) -> Uri {
    target
        .parse()
        .expect("a checked path with encoded values of bounded length is one")
}

/// Takes scheme, host and port off an address. The path has at least its slash.
pub(super) fn split_base(url: &Template) -> (String, Template) {
    let mut pieces = url.0.clone();
    let Some(TemplatePiece::Fixed(first)) = pieces.first_mut() else {
        return (String::new(), Template(pieces));
    };

    let path = first.split_off(end_of_host(first));
    let base = std::mem::replace(first, path_or_slash(path));
    (base, Template(pieces))
}

fn path_or_slash(path: String) -> String {
    if path.is_empty() {
        "/".to_owned()
    } else {
        path
    }
}

fn end_of_host(url: &str) -> usize {
    let host = url.find("://").map_or(0, |at| at + 3);
    let path = url[host..].find('/');
    path.map_or(url.len(), |at| host + at)
}

fn body(body: &BodyForm, account: &GatewayAccount) -> Line {
    let mut line = Line::default();
    match body {
        BodyForm::Empty => {}
        BodyForm::Json(form) => line.push_json(form, account),
        BodyForm::Form(fields) => line.push_fields(fields, FillPlace::Form, account),
    }
    line
}
