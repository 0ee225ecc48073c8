//! A profile's request, read backwards: finds the message in what came, or tells what does not fit.
//!
//! The practice gateway uses it. It follows the profile's own form, so that it accepts what the profile
//! makes and nothing else: a field that is missing, unknown or different is a misfit, as at a strict
//! provider.
//!
//! [`pattern`] finds the values of one text, [`fields`] those of a query or form, [`json`] those of a JSON
//! body; [`found`] gathers them, and [`masked`] shows a request without its secrets.

mod fields;
mod found;
mod json;
mod masked;
mod pattern;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderName, Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE},
};

use self::{
    fields::FieldPatterns, found::RequestFindings, json::JsonPattern, masked::MaskedPlaces,
    pattern::TextPattern,
};
use super::{
    body::BodyForm, bound::split_base, encoding::EncodingWords, login::LoginForm,
    placeholder::Placeholder, request::RequestForm, template::Template,
};
use crate::segments::segments;

pub use self::found::FoundMessage;

/// Reads the requests that a profile makes.
pub struct RequestReader {
    method: Method,
    path: TextPattern,
    /// The path as the profile has it, with its placeholders.
    path_form: String,
    headers: Vec<(HeaderName, TextPattern, bool)>,
    login: Option<LoginPattern>,
    query: FieldPatterns,
    body: BodyPattern,
    encodings: EncodingWords,
    masked: MaskedPlaces,
}

/// The words before the login in `Authorization`, and the login.
enum LoginPattern {
    Basic(TextPattern),
    Bearer(TextPattern),
}

/// The body as it must be.
enum BodyPattern {
    Empty,
    Json(JsonPattern),
    Form(FieldPatterns),
}

/// Fields that some accounts do not send.
#[derive(Clone, Copy)]
struct Optional {
    needs_sender: bool,
}

impl Optional {
    /// True if a text may be left out, because an account may have no value for it.
    fn is(self, template: &Template) -> bool {
        template
            .placeholders()
            .any(|placeholder| self.may_lack(placeholder))
    }

    fn may_lack(self, placeholder: &Placeholder) -> bool {
        let is_needed = self.needs_sender && *placeholder == Placeholder::Sender;
        placeholder.is_optional() && !is_needed
    }
}

impl RequestReader {
    /// A reader of a profile's requests.
    pub(super) fn new(form: &RequestForm) -> Self {
        let optional = Optional {
            needs_sender: form.needs_sender,
        };
        let (_, path) = split_base(&form.url);
        let (query, body) = patterns(form, optional);

        Self {
            method: form.method.clone(),
            path: TextPattern::of_path(&path),
            path_form: path.to_string(),
            headers: headers(form, optional),
            login: form.login.as_ref().map(LoginPattern::new),
            query,
            body,
            encodings: form.encodings.clone(),
            masked: MaskedPlaces::of(form),
        }
    }

    /// The path of the request as the profile has it, with its placeholders.
    pub fn path(&self) -> &str {
        &self.path_form
    }

    /// True if method and path are those of a message, whatever the rest is.
    pub fn is_addressed(&self, request: &Request<Bytes>) -> bool {
        *request.method() == self.method && self.path.fits(request.uri().path())
    }

    /// Finds the message in a request. The error has everything that does not fit, and no secret.
    pub fn read(&self, request: &Request<Bytes>) -> Result<FoundMessage, String> {
        let mut findings = RequestFindings::default();
        self.read_address(request, &mut findings);
        self.read_headers(request, &mut findings);
        self.read_body(request, &mut findings);
        self.check_encoding(&mut findings);
        findings.finish()
    }

    /// The request as text, with dots in the place of each secret.
    pub fn masked(&self, request: &Request<Bytes>) -> String {
        masked::shown(request, &self.masked, &self.path)
    }

    fn read_address(&self, request: &Request<Bytes>, findings: &mut RequestFindings) {
        if *request.method() != self.method {
            let (is, wanted) = (request.method(), &self.method);
            findings.misfit(format!("the method is {is}, and not {wanted}"));
        }

        let path = request.uri().path();
        match self.path.encoded_values(path) {
            Some(values) => findings.take("the path", values),
            None => findings.misfit(format!("the path `{path}` is not `{}`", self.path_form)),
        }
        let query = request.uri().query().unwrap_or_default();
        self.query.read("the query", query.as_bytes(), findings);
    }

    fn read_headers(&self, request: &Request<Bytes>, findings: &mut RequestFindings) {
        for (name, pattern, is_optional) in &self.headers {
            let given = header(request, name);
            if given.is_some() || !is_optional {
                findings.take_text(&format!("the header {name}"), pattern, given.as_deref());
            }
        }
        if let Some(login) = &self.login {
            let given = header(request, &AUTHORIZATION);
            login.read(given.as_deref().unwrap_or_default(), findings);
        }
        self.check_content_type(request, findings);
    }

    fn check_content_type(&self, request: &Request<Bytes>, findings: &mut RequestFindings) {
        let wanted = match self.body {
            BodyPattern::Empty => return,
            BodyPattern::Json(_) => "application/json",
            BodyPattern::Form(_) => "application/x-www-form-urlencoded",
        };
        let given = header(request, &CONTENT_TYPE).unwrap_or_default();
        let kind = given.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case(wanted) {
            findings.misfit(format!("the content-type is `{given}`, and not {wanted}"));
        }
    }

    fn read_body(&self, request: &Request<Bytes>, findings: &mut RequestFindings) {
        let body = request.body();
        match &self.body {
            BodyPattern::Empty if body.is_empty() => {}
            BodyPattern::Empty => findings.misfit("there is a body, and must be none".to_owned()),
            BodyPattern::Form(fields) => fields.read("the form", body, findings),
            BodyPattern::Json(pattern) => match serde_json::from_slice(body) {
                Ok(value) => pattern.read("", &value, findings),
                Err(error) => findings.misfit(format!("the body is no JSON: {error}")),
            },
        }
    }

    /// A text that is sent in the wrong encoding arrives as other characters.
    fn check_encoding(&self, findings: &mut RequestFindings) {
        let (Some(given), Some(text)) = (
            findings.value(&Placeholder::Encoding),
            findings.value(&Placeholder::Text),
        ) else {
            return;
        };
        let wanted = &self.encodings.word(segments(text).encoding).text;
        if given != wanted {
            let fault = format!("the encoding is `{given}`, but the text needs `{wanted}`");
            findings.misfit(fault);
        }
    }
}

impl LoginPattern {
    fn new(login: &LoginForm) -> Self {
        match login {
            LoginForm::Basic(template) => Self::Basic(TextPattern::new(template)),
            LoginForm::Bearer(template) => Self::Bearer(TextPattern::new(template)),
        }
    }

    fn read(&self, given: &str, findings: &mut RequestFindings) {
        let place = "the header authorization";
        match self {
            Self::Bearer(pattern) => {
                findings.take_text(place, pattern, given.strip_prefix("Bearer "));
            }
            Self::Basic(pattern) => findings.take_text(place, pattern, basic(given).as_deref()),
        }
    }
}

/// User and password of a header; `None` if it has none that can be read.
fn basic(given: &str) -> Option<String> {
    let encoded = given.strip_prefix("Basic ")?;
    let decoded = BASE64_STANDARD.decode(encoded).ok()?;
    String::from_utf8(decoded).ok()
}

fn header(request: &Request<Bytes>, name: &HeaderName) -> Option<String> {
    let value = request.headers().get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn headers(form: &RequestForm, optional: Optional) -> Vec<(HeaderName, TextPattern, bool)> {
    let headers = form.headers.iter().map(|(name, template)| {
        let pattern = TextPattern::new(template);
        (name.clone(), pattern, optional.is(template))
    });
    headers.collect()
}

/// The query and the body, with what receipts may add to one of them.
fn patterns(form: &RequestForm, optional: Optional) -> (FieldPatterns, BodyPattern) {
    let mut query = FieldPatterns::new(&form.query, optional);
    let mut body = match &form.body {
        BodyForm::Empty => BodyPattern::Empty,
        BodyForm::Json(json) => BodyPattern::Json(JsonPattern::new(json, optional)),
        BodyForm::Form(fields) => BodyPattern::Form(FieldPatterns::new(fields, optional)),
    };

    match (&form.receipts, &mut body) {
        (BodyForm::Json(added), BodyPattern::Json(json)) => json.add_optional(added, optional),
        (BodyForm::Form(added), BodyPattern::Form(fields)) => fields.add_optional(added),
        (BodyForm::Form(added), _) => query.add_optional(added),
        _ => {}
    }
    (query, body)
}
