//! A request as a person may see it: as it came, with dots in the place of secrets.
//!
//! It must work for requests that fit nothing, too. Hence it goes by names, and not by values.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderName, Request, header::AUTHORIZATION};

use super::{
    super::{
        body::{BodyForm, FieldForm, JsonForm},
        placeholder::Placeholder,
        request::RequestForm,
        template::Template,
    },
    pattern::TextPattern,
};

/// Stands for a secret.
const DOTS: &str = "••••••";

/// The places of a request that have secrets.
#[derive(Default)]
pub(super) struct MaskedPlaces {
    /// Names in the query and in the form.
    fields: BTreeSet<String>,
    headers: Vec<HeaderName>,
    /// Names of members, wherever in the body they are.
    members: BTreeSet<String>,
}

impl MaskedPlaces {
    /// The places that a profile puts secrets into.
    pub(super) fn of(form: &RequestForm) -> Self {
        let mut places = Self::default();
        places.add_fields(&form.query);
        for body in [&form.body, &form.receipts] {
            match body {
                BodyForm::Empty => {}
                BodyForm::Form(fields) => places.add_fields(fields),
                BodyForm::Json(json) => places.add_members("", json),
            }
        }

        let headers = form
            .headers
            .iter()
            .filter(|(_, template)| has_secret(template));
        places.headers.extend(headers.map(|(name, _)| name.clone()));
        places.headers.push(AUTHORIZATION);
        places
    }

    fn add_fields(&mut self, fields: &[FieldForm]) {
        let secret = fields.iter().filter(|(_, template)| has_secret(template));
        self.fields.extend(secret.map(|(name, _)| name.clone()));
    }

    fn add_members(&mut self, name: &str, form: &JsonForm) {
        match form {
            JsonForm::Plain(_) => {}
            JsonForm::Text(template) if has_secret(template) => {
                self.members.insert(name.to_owned());
            }
            JsonForm::Text(_) => {}
            JsonForm::Array(elements) => elements.iter().for_each(|e| self.add_members(name, e)),
            JsonForm::Object(members) => {
                members
                    .iter()
                    .for_each(|(name, form)| self.add_members(name, form));
            }
        }
    }
}

fn has_secret(template: &Template) -> bool {
    let mut placeholders = template.placeholders();
    placeholders.any(|placeholder: &Placeholder| placeholder.secret().is_some())
}

/// A request as text.
pub(super) fn shown(request: &Request<Bytes>, places: &MaskedPlaces, path: &TextPattern) -> String {
    let mut lines = vec![first_line(request, places, path)];
    for (name, value) in request.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        let value = if places.headers.contains(name) {
            masked_header(&value)
        } else {
            value.into_owned()
        };
        lines.push(format!("{name}: {value}"));
    }

    let body = masked_body(request.body(), places);
    if !body.is_empty() {
        lines.push(format!("\n{body}"));
    }
    lines.join("\n")
}

fn first_line(request: &Request<Bytes>, places: &MaskedPlaces, pattern: &TextPattern) -> String {
    let path = request.uri().path();
    let path = pattern
        .masked(path, DOTS)
        .unwrap_or_else(|| path.to_owned());
    let query = request.uri().query();
    let query = query.map(|query| format!("?{}", masked_fields(query, places)));
    format!(
        "{} {path}{} HTTP/1.1",
        request.method(),
        query.unwrap_or_default()
    )
}

/// A header of which the first word stays, if there are more: that is the scheme.
fn masked_header(value: &str) -> String {
    let scheme = value.split_once(' ').map(|(scheme, _)| scheme);
    scheme.map_or_else(|| DOTS.to_owned(), |scheme| format!("{scheme} {DOTS}"))
}

fn masked_fields(fields: &str, places: &MaskedPlaces) -> String {
    let fields = fields.split('&').map(|field| match field.split_once('=') {
        Some((name, _)) if is_secret(name, places) => format!("{name}={DOTS}"),
        _ => field.to_owned(),
    });
    fields.collect::<Vec<_>>().join("&")
}

fn is_secret(encoded: &str, places: &MaskedPlaces) -> bool {
    let decoded = form_urlencoded::parse(encoded.as_bytes()).next();
    decoded.is_some_and(|(name, _)| places.fields.contains(name.as_ref()))
}

fn masked_body(body: &[u8], places: &MaskedPlaces) -> String {
    let Ok(text) = std::str::from_utf8(body) else {
        return format!("({} bytes that are no text)", body.len());
    };
    match serde_json::from_slice(body) {
        Ok(json) => masked_json(text, &json, places),
        // A JSON body that is broken cannot be searched for its secrets.
        Err(_) if !places.members.is_empty() => {
            format!("({} bytes that are no JSON)", body.len())
        }
        Err(_) => masked_fields(text, places),
    }
}

/// The body as it came, without the texts of secret members.
fn masked_json(text: &str, json: &serde_json::Value, places: &MaskedPlaces) -> String {
    let mut secrets = Vec::new();
    gather("", json, places, &mut secrets);
    let mut masked = text.to_owned();
    for secret in secrets {
        masked = masked.replace(&secret, &format!("\"{DOTS}\""));
    }
    masked
}

/// Gathers the secret values below a member, as they are written.
fn gather(name: &str, value: &serde_json::Value, places: &MaskedPlaces, secrets: &mut Vec<String>) {
    match value {
        serde_json::Value::Array(elements) => {
            elements
                .iter()
                .for_each(|e| gather(name, e, places, secrets));
        }
        serde_json::Value::Object(members) => {
            members
                .iter()
                .for_each(|(name, v)| gather(name, v, places, secrets));
        }
        other if places.members.contains(name) => secrets.push(other.to_string()),
        _ => {}
    }
}
