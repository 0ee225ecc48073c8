//! A request as a person may see it: as it came, with dots in the place of secrets.
//!
//! It must work for requests that fit nothing, too. Hence it goes by names, and not by values.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header::AUTHORIZATION};
use serde_json::Value;

use super::{
    super::{
        body::{BodyForm, FieldForm, JsonForm},
        request::RequestForm,
        template::Template,
    },
    pattern::TextPattern,
};

/// Stands for a secret.
const DOTS: &str = "••••••";

/// A request as text, with its secrets.
pub(super) fn unmasked(request: &Request<Bytes>) -> String {
    let mut text = format!("{} {} HTTP/1.1", request.method(), request.uri());
    for (name, value) in request.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        text.push_str(&format!("\n{name}: {value}"));
    }

    if !request.body().is_empty() {
        let body = String::from_utf8_lossy(request.body());
        text.push_str(&format!("\n\n{body}"));
    }
    text
}

/// The places of a request that have secrets.
pub(super) struct MaskedPlaces {
    path: TextPattern,
    /// Names in the query and in the form.
    fields: BTreeSet<String>,
    headers: Vec<HeaderName>,
    /// Names of members, wherever in the body they are.
    members: BTreeSet<String>,
}

impl MaskedPlaces {
    /// The places that a profile puts secrets into. `path` is that of its requests.
    pub(super) fn of(form: &RequestForm, path: TextPattern) -> Self {
        let mut places = Self::of_head(form, path);
        places.add_fields(&form.query);
        places.add_body(&form.body);
        places.add_body(&form.receipts);
        places
    }

    fn of_head(form: &RequestForm, path: TextPattern) -> Self {
        Self {
            path,
            fields: BTreeSet::new(),
            headers: secret_headers(form),
            members: BTreeSet::new(),
        }
    }

    fn add_body(&mut self, body: &BodyForm) {
        match body {
            BodyForm::Empty => {}
            BodyForm::Form(fields) => self.add_fields(fields),
            BodyForm::Json(json) => self.add_members("", json),
        }
    }

    fn add_fields(&mut self, fields: &[FieldForm]) {
        self.fields.extend(secret_names(fields));
    }

    fn add_members(&mut self, name: &str, form: &JsonForm) {
        match form {
            JsonForm::Plain(_) => {}
            JsonForm::Text(template) => self.add_member(name, template),
            JsonForm::Array(elements) => elements.iter().for_each(|e| self.add_members(name, e)),
            JsonForm::Object(members) => {
                members
                    .iter()
                    .for_each(|(name, e)| self.add_members(name, e));
            }
        }
    }

    fn add_member(&mut self, name: &str, template: &Template) {
        if has_secret(template) {
            self.members.insert(name.to_owned());
        }
    }

    /// A request as text.
    pub(super) fn shown(&self, request: &Request<Bytes>) -> String {
        let mut lines = vec![self.first_line(request)];
        lines.extend(request.headers().iter().map(|header| self.header(header)));

        let body = self.body(request.body());
        if !body.is_empty() {
            lines.push(format!("\n{body}"));
        }
        lines.join("\n")
    }

    fn first_line(&self, request: &Request<Bytes>) -> String {
        let path = self.path.masked(request.uri().path(), DOTS);
        let query = self.query(request.uri().query());
        format!("{} {path}{query} HTTP/1.1", request.method())
    }

    fn query(&self, query: Option<&str>) -> String {
        let query = query.map(|query| format!("?{}", self.fields(query)));
        query.unwrap_or_default()
    }

    fn header(&self, (name, value): (&HeaderName, &HeaderValue)) -> String {
        let value = String::from_utf8_lossy(value.as_bytes());
        if self.headers.contains(name) {
            return format!("{name}: {}", masked_header(&value));
        }
        format!("{name}: {value}")
    }

    fn fields(&self, fields: &str) -> String {
        let fields = fields.split('&').map(|field| self.field(field));
        fields.collect::<Vec<_>>().join("&")
    }

    fn field(&self, field: &str) -> String {
        let name = field.split('=').next().unwrap_or_default();
        if self.is_secret(name) {
            return format!("{name}={DOTS}");
        }
        field.to_owned()
    }

    fn is_secret(&self, encoded: &str) -> bool {
        let decoded = form_urlencoded::parse(encoded.as_bytes()).next();
        decoded.is_some_and(|(name, _)| self.fields.contains(name.as_ref()))
    }

    fn body(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        match serde_json::from_slice(body) {
            Ok(json) => self.json(&text, &json),
            // A JSON body that is broken cannot be searched for its secrets.
            Err(_) if !self.members.is_empty() => {
                format!("({} bytes that are no JSON)", body.len())
            }
            Err(_) => self.fields(&text),
        }
    }

    /// The body as it came, without the values of secret members.
    fn json(&self, text: &str, json: &Value) -> String {
        let mut secrets = Vec::new();
        self.gather("", json, &mut secrets);
        let dots = format!("\"{DOTS}\"");
        secrets
            .iter()
            .fold(text.to_owned(), |text, secret| text.replace(secret, &dots))
    }

    /// Gathers the secret values below a member, as they are written.
    fn gather(&self, name: &str, value: &Value, secrets: &mut Vec<String>) {
        match value {
            Value::Array(elements) => elements.iter().for_each(|e| self.gather(name, e, secrets)),
            Value::Object(members) => {
                members
                    .iter()
                    .for_each(|(name, e)| self.gather(name, e, secrets));
            }
            other if self.members.contains(name) => secrets.push(other.to_string()),
            _ => {}
        }
    }
}

fn secret_headers(form: &RequestForm) -> Vec<HeaderName> {
    let names = secret_names(&form.headers);
    names.chain([AUTHORIZATION]).collect()
}

/// The names of those that have a secret in their value.
fn secret_names<N: Clone>(named: &[(N, Template)]) -> impl Iterator<Item = N> {
    let secret = named.iter().filter(|(_, value)| has_secret(value));
    secret.map(|(name, _)| name.clone())
}

fn has_secret(template: &Template) -> bool {
    let mut placeholders = template.placeholders();
    placeholders.any(|placeholder| placeholder.secret().is_some())
}

/// A header of which the first word stays, if there are more: that is the scheme.
fn masked_header(value: &str) -> String {
    let scheme = value.split_once(' ').map(|(scheme, _)| scheme);
    scheme.map_or_else(|| DOTS.to_owned(), |scheme| format!("{scheme} {DOTS}"))
}
