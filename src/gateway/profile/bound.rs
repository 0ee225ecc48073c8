//! A profile's request, bound to an account: it makes the request of each message.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};

use super::{
    account::GatewayAccount,
    body::{BodyForm, FieldForm, JsonForm, is_whole},
    encode::{FillPlace, encode},
    fill,
    line::Line,
    placeholder::Placeholder,
    request::{EncodingWords, LoginForm, RequestForm},
    template::{Template, TemplatePiece},
};
use crate::{
    config::{ConfigError, FaultList},
    gateway::Envelope,
    segments::segments,
};

/// A message, with what its request may need besides.
#[derive(Clone, Copy, Debug)]
pub struct MessageRequest<'m> {
    /// The message as it is handed over.
    pub envelope: Envelope<'m>,
    /// Minutes until the message is of no use; counts where the account has validity.
    pub valid_minutes: u32,
    /// The URL for its receipts; counts where the account has receipts.
    pub receipt_url: &'m str,
}

/// Makes the requests of one account. It has secrets in it, so it has no form for a log.
pub struct BoundRequest {
    method: Method,
    base: String,
    target: Line,
    headers: Vec<(HeaderName, Line)>,
    fixed_headers: HeaderMap,
    body: Line,
    encodings: EncodingWords,
}

impl BoundRequest {
    /// Binds a request to an account. An error names each key of the account with a fault.
    pub(super) fn new(form: &RequestForm, account: &GatewayAccount) -> Result<Self, ConfigError> {
        let url = account.check(form)?;
        let form = present(form, account);
        let (base, path) = split_base(&url);

        let mut target = Line::default();
        target.push_template(&path, FillPlace::Url, account);
        if !form.query.is_empty() {
            target.push("?");
            target.push_fields(form.query.iter(), FillPlace::Url, account);
        }

        Ok(Self {
            headers: headers(&form, account)?,
            fixed_headers: fixed_headers(&form, account, &base)?,
            method: form.method,
            base,
            target,
            body: body(&form.body, account),
            encodings: form.encodings,
        })
    }

    /// Scheme, host and port of all requests, as `https://sms.example:8443`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The request of one message. Its address begins with the path.
    pub fn request(&self, message: &MessageRequest<'_>) -> Request<Bytes> {
        let fill = |found: &Placeholder, place: FillPlace, out: &mut String| {
            let value = self.value(found, message);
            encode(out, &value, found.is_number(), place);
        };
        let target = self.target.write(fill);
        let body = self.body.write(fill);

        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri(&target);
        *request.headers_mut() = self.fixed_headers.clone();
        for (name, line) in &self.headers {
            let value = HeaderValue::from_str(&line.write(fill));
            let value = value.expect("its parts were checked");
            request.headers_mut().insert(name, value);
        }
        request
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
        match placeholder {
            Placeholder::Encoding => {
                let encoding = segments(envelope.text).encoding;
                Cow::Borrowed(self.encodings.word(encoding))
            }
            Placeholder::ValidMinutes => Cow::Owned(message.valid_minutes.to_string()),
            _ => Cow::Borrowed(message.receipt_url),
        }
    }
}

fn uri(target: &str) -> Uri {
    target
        .parse()
        .expect("a checked path with encoded values is one")
}

/// The request without the fields for which the account has no value, and with those of receipts if it
/// asks for them.
fn present(form: &RequestForm, account: &GatewayAccount) -> RequestForm {
    let is_absent = |placeholder: &Placeholder| account.lacks(placeholder);
    let keep_fields = |fields: &mut Vec<FieldForm>| {
        fields.retain(|(_, value)| is_whole(value, &is_absent));
    };

    let mut form = form.clone();
    if account.has_receipts {
        add_receipts(&mut form);
    }
    form.headers
        .retain(|(_, value)| is_whole(value, &is_absent));
    keep_fields(&mut form.query);

    form.body = match form.body {
        BodyForm::Json(json) => json
            .without(&is_absent)
            .map_or(BodyForm::Empty, BodyForm::Json),
        BodyForm::Form(mut fields) => {
            keep_fields(&mut fields);
            BodyForm::Form(fields)
        }
        BodyForm::Empty => BodyForm::Empty,
    };
    form
}

fn add_receipts(form: &mut RequestForm) {
    let added = std::mem::take(&mut form.receipts);
    match (&mut form.body, added) {
        (BodyForm::Json(JsonForm::Object(members)), BodyForm::Json(JsonForm::Object(added))) => {
            members.extend(added);
        }
        (BodyForm::Form(fields), BodyForm::Form(added)) => fields.extend(added),
        (_, BodyForm::Form(added)) => form.query.extend(added),
        _ => {}
    }
}

/// Takes scheme, host and port off an address. The path has at least its slash.
fn split_base(url: &Template) -> (String, Template) {
    let mut pieces = url.0.clone();
    let Some(TemplatePiece::Fixed(first)) = pieces.first_mut() else {
        return (String::new(), Template(pieces));
    };

    let scheme = first.find("://").map_or(0, |at| at + 3);
    let host = first[scheme..]
        .find('/')
        .map_or(first.len(), |at| scheme + at);
    let path = first.split_off(host);
    let base = std::mem::replace(first, path);
    if first.is_empty() {
        "/".clone_into(first);
    }
    (base, Template(pieces))
}

/// The headers whose values differ from message to message.
fn headers(
    form: &RequestForm,
    account: &GatewayAccount,
) -> Result<Vec<(HeaderName, Line)>, ConfigError> {
    let mut faults = FaultList::default();
    let mut headers = Vec::new();
    for (name, template) in form.headers.iter().filter(|(_, value)| !is_fixed(value)) {
        let mut line = Line::default();
        line.push_template(template, FillPlace::Header, account);
        if line
            .fixed()
            .any(|text| HeaderValue::from_str(text).is_err())
        {
            faults.add(&account.section, unfit(name));
        }
        headers.push((name.clone(), line));
    }
    faults.finish().map(|()| headers)
}

/// The headers that all requests have alike.
fn fixed_headers(
    form: &RequestForm,
    account: &GatewayAccount,
    base: &str,
) -> Result<HeaderMap, ConfigError> {
    let mut faults = FaultList::default();
    let mut headers = HeaderMap::from_iter([(HOST, host(base))]);
    if let Some(kind) = content_type(&form.body) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }

    for (name, template) in form.headers.iter().filter(|(_, value)| is_fixed(value)) {
        match fixed_value(template, account) {
            Some(value) => drop(headers.insert(name, value)),
            None => faults.add(&account.section, unfit(name)),
        }
    }
    if let Some(login) = &form.login {
        match login_value(login, account) {
            Some(value) => drop(headers.insert(AUTHORIZATION, value)),
            None => faults.add(&account.section, unfit(&AUTHORIZATION)),
        }
    }
    faults.finish().map(|()| headers)
}

fn host(base: &str) -> HeaderValue {
    let host = base.split_once("://").map_or(base, |(_, host)| host);
    HeaderValue::from_str(host).expect("a checked host is ASCII")
}

fn is_fixed(template: &Template) -> bool {
    template.placeholders().all(Placeholder::is_fixed)
}

fn content_type(body: &BodyForm) -> Option<&'static str> {
    match body {
        BodyForm::Json(_) => Some("application/json"),
        BodyForm::Form(_) => Some("application/x-www-form-urlencoded"),
        BodyForm::Empty => None,
    }
}

fn fixed_value(template: &Template, account: &GatewayAccount) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&fixed_text(template, account)).ok()?;
    // Any header may hold a secret.
    value.set_sensitive(true);
    Some(value)
}

fn fixed_text(template: &Template, account: &GatewayAccount) -> String {
    let mut line = Line::default();
    line.push_template(template, FillPlace::Header, account);
    line.fixed().collect()
}

fn login_value(login: &LoginForm, account: &GatewayAccount) -> Option<HeaderValue> {
    let text = match login {
        LoginForm::Basic(template) => {
            let user_and_password = fixed_text(template, account);
            format!("Basic {}", BASE64_STANDARD.encode(user_and_password))
        }
        LoginForm::Bearer(template) => format!("Bearer {}", fixed_text(template, account)),
    };
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn unfit(name: &HeaderName) -> String {
    format!(
        "a secret or the sender has a line end or a character beyond ASCII in it, and the header `{name}` \
         cannot carry that"
    )
}

fn body(body: &BodyForm, account: &GatewayAccount) -> Line {
    let mut line = Line::default();
    match body {
        BodyForm::Empty => {}
        BodyForm::Json(form) => line.push_json(form, account),
        BodyForm::Form(fields) => line.push_fields(fields.iter(), FillPlace::Form, account),
    }
    line
}
