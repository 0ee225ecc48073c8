//! A profile's request, read backwards: finds the message in what came, or tells what does not fit.
//!
//! The practice gateway uses it. It follows the profile's own form, so that it accepts what the profile
//! makes and nothing else: a field that is missing, unknown or different is a misfit, as at a strict
//! provider.
//!
//! [`head`] reads the head of a request. [`pattern`] finds the values of one text, [`fields`] those of a query
//! or form, [`json`] those of a JSON body; [`plain`] checks each, [`found`] gathers them, and [`masked`] shows
//! a request without its secrets.

mod fields;
mod found;
mod head;
mod json;
mod masked;
mod pattern;
mod plain;

use bytes::Bytes;
use http::Request;

use self::{
    fields::FieldPatterns, found::RequestFindings, head::HeadPattern, json::JsonPattern,
    masked::MaskedPlaces, pattern::TextPattern,
};
use super::{
    body::BodyForm, bound::split_base, encoding::EncodingWords, placeholder::Placeholder,
    request::RequestForm, template::Template,
};
use crate::segments::segments;

pub use self::found::FoundMessage;

/// Reads the requests that a profile makes.
pub struct RequestReader {
    head: HeadPattern,
    query: FieldPatterns,
    body: BodyPattern,
    encodings: EncodingWords,
    masked: MaskedPlaces,
}

/// The body as it must be.
enum BodyPattern {
    Empty,
    Json(JsonPattern),
    Form(FieldPatterns),
}

/// Tells which values some accounts do not have, and do not send.
#[derive(Clone, Copy)]
struct Optional {
    needs_sender: bool,
}

impl Optional {
    /// True if a text may be left out, because an account may have no value for it.
    fn is(self, template: &Template) -> bool {
        let mut placeholders = template.placeholders();
        placeholders.any(|placeholder| self.may_lack(placeholder))
    }

    fn may_lack(self, placeholder: &Placeholder) -> bool {
        let is_needed = self.needs_sender && *placeholder == Placeholder::Sender;
        placeholder.is_optional() && !is_needed
    }
}

impl RequestReader {
    /// A reader of a profile's requests.
    pub(super) fn new(form: &RequestForm) -> Self {
        let needs_sender = form.needs_sender;
        let optional = Optional { needs_sender };
        let (_, path) = split_base(&form.url);
        let path = TextPattern::of_path(&path);

        // The address is that of this machine: only its path says something.
        let mut reader = Self {
            head: HeadPattern::new(form, path.clone(), optional),
            query: FieldPatterns::new(&form.query, optional),
            body: BodyPattern::new(&form.body, optional),
            encodings: form.encodings.clone(),
            masked: MaskedPlaces::of(form, path),
        };
        reader.add_receipts(&form.receipts, optional);
        reader
    }

    /// Adds what receipts may add to the body, or to the query where there is none.
    fn add_receipts(&mut self, receipts: &BodyForm, optional: Optional) {
        match (receipts, &mut self.body) {
            (BodyForm::Json(added), BodyPattern::Json(json)) => json.add_optional(added, optional),
            (BodyForm::Form(added), BodyPattern::Form(fields)) => fields.add_optional(added),
            (BodyForm::Form(added), _) => self.query.add_optional(added),
            _ => {}
        }
    }

    /// The path of the request as the profile has it, with its placeholders.
    pub fn path(&self) -> &str {
        self.head.path()
    }

    /// True if method and path are those of a message, whatever the rest is.
    pub fn is_addressed(&self, request: &Request<Bytes>) -> bool {
        self.head.is_addressed(request)
    }

    /// Finds the message in a request. The error has everything that does not fit, and no secret.
    pub fn read(&self, request: &Request<Bytes>) -> Result<FoundMessage, String> {
        let mut findings = RequestFindings::default();
        self.head.read(request, &mut findings);
        self.check_content_type(request, &mut findings);

        let query = request.uri().query().unwrap_or_default();
        self.query
            .read("the query", query.as_bytes(), &mut findings);
        self.body.read(request.body(), &mut findings);
        self.check_encoding(&mut findings);
        findings.finish()
    }

    /// The request as text, with its secrets.
    pub fn shown(&self, request: &Request<Bytes>) -> String {
        masked::unmasked(request)
    }

    /// The request as text, with dots in the place of each secret.
    pub fn masked(&self, request: &Request<Bytes>) -> String {
        self.masked.shown(request)
    }

    fn check_content_type(&self, request: &Request<Bytes>, findings: &mut RequestFindings) {
        if let Some(wanted) = self.body.content_type() {
            head::check_content_type(request, wanted, findings);
        }
    }

    /// A text that is sent in the wrong encoding arrives as other characters.
    fn check_encoding(&self, findings: &mut RequestFindings) {
        let given = findings.value(&Placeholder::Encoding);
        let wanted = self
            .wanted_encoding(findings)
            .filter(|wanted| given != Some(wanted));
        if let (Some(given), Some(wanted)) = (given, wanted) {
            let misfit = format!("the encoding is `{given}`, but the text needs `{wanted}`");
            findings.misfit(misfit);
        }
    }

    fn wanted_encoding(&self, findings: &RequestFindings) -> Option<&str> {
        let text = findings.value(&Placeholder::Text)?;
        let word = self.encodings.word(segments(text).encoding);
        Some(&word.text)
    }
}

impl BodyPattern {
    fn new(body: &BodyForm, optional: Optional) -> Self {
        match body {
            BodyForm::Empty => Self::Empty,
            BodyForm::Json(json) => Self::Json(JsonPattern::new(json, optional)),
            BodyForm::Form(fields) => Self::Form(FieldPatterns::new(fields, optional)),
        }
    }

    fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::Empty => None,
            Self::Json(_) => Some("application/json"),
            Self::Form(_) => Some("application/x-www-form-urlencoded"),
        }
    }

    fn read(&self, body: &[u8], findings: &mut RequestFindings) {
        match self {
            Self::Empty if body.is_empty() => {}
            Self::Empty => findings.misfit("there is a body, and must be none".to_owned()),
            Self::Form(fields) => fields.read("the form", body, findings),
            Self::Json(pattern) => read_json(pattern, body, findings),
        }
    }
}

fn read_json(pattern: &JsonPattern, body: &[u8], findings: &mut RequestFindings) {
    match serde_json::from_slice(body) {
        Ok(value) => pattern.read("", &value, findings),
        Err(error) => findings.misfit(format!("the body is no JSON: {error}")),
    }
}
