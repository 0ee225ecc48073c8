//! The request of a profile: reads `[request]` and checks it.

use http::{HeaderName, Method, header::AUTHORIZATION};
use toml::{Table, Value};

use super::{
    body::{BodyForm, FieldForm, JsonForm, fields, template},
    keys::{KeyReader, shown},
    placeholder::Placeholder,
    template::{Template, TemplatePiece},
};
use crate::{address::HttpUrl, config::FaultList, segments::Encoding};

/// Headers that the service writes itself.
const OWN_HEADERS: [&str; 4] = ["connection", "content-length", "host", "transfer-encoding"];

/// A request with placeholders in it.
#[derive(Clone, Debug)]
pub(super) struct RequestForm {
    pub(super) method: Method,
    pub(super) url: Template,
    pub(super) headers: Vec<(HeaderName, Template)>,
    pub(super) login: Option<LoginForm>,
    pub(super) query: Vec<FieldForm>,
    pub(super) body: BodyForm,
    /// Members or fields that are added where receipts are asked for.
    pub(super) receipts: BodyForm,
    /// The provider takes no message without a sender's name.
    pub(super) needs_sender: bool,
    pub(super) encodings: EncodingWords,
}

/// The `Authorization` of a request.
#[derive(Clone, Debug)]
pub(super) enum LoginForm {
    /// A user and a password, with a colon between them.
    Basic(Template),
    /// A token after the word `Bearer`.
    Bearer(Template),
}

/// The profile's words for the encodings of a text.
#[derive(Clone, Debug)]
pub(super) struct EncodingWords {
    gsm_7: String,
    ucs_2: String,
}

impl EncodingWords {
    /// The word for an encoding.
    pub(super) fn word(&self, encoding: Encoding) -> &str {
        match encoding {
            Encoding::Gsm7 => &self.gsm_7,
            Encoding::Ucs2 => &self.ucs_2,
        }
    }
}

impl RequestForm {
    /// Reads the table `[request]`. `None` if a part is missing that nothing can stand for.
    pub(super) fn parse(table: &Table, faults: &mut FaultList) -> Option<Self> {
        let mut keys = KeyReader::new(table, "request");
        let method = method(&mut keys, faults);
        let url = keys
            .required_text("url", faults)
            .and_then(|url| url_template(url, "request.url", faults));

        let form = Self {
            method: method.unwrap_or_default(),
            url: url.clone().unwrap_or_default(),
            headers: headers(&mut keys, faults),
            login: login(&mut keys, faults),
            query: table_of_fields(&mut keys, "query", faults),
            body: body(&mut keys, faults),
            receipts: BodyForm::Empty,
            needs_sender: needs_sender(&mut keys, faults),
            encodings: encodings(&mut keys, faults),
        };
        let receipts = receipts(&mut keys, &form, faults);
        keys.finish(faults);

        form.check_method(faults);
        form.check_login(faults);
        url.map(|_| Self { receipts, ..form })
    }

    /// Every placeholder in it.
    pub(super) fn placeholders(&self) -> Vec<&Placeholder> {
        let mut found: Vec<&Placeholder> = self.url.placeholders().collect();
        let headers = self.headers.iter().map(|(_, template)| template);
        let query = self.query.iter().map(|(_, template)| template);
        found.extend(headers.chain(query).flat_map(Template::placeholders));

        if let Some(LoginForm::Basic(template) | LoginForm::Bearer(template)) = &self.login {
            found.extend(template.placeholders());
        }
        gather(&self.body, &mut found);
        gather(&self.receipts, &mut found);
        found
    }

    fn check_method(&self, faults: &mut FaultList) {
        if self.method == Method::GET && self.body != BodyForm::Empty {
            let fault = "`GET` has no body; use `query`, or the method `POST`";
            faults.add("request.method", fault);
        }
    }

    fn check_login(&self, faults: &mut FaultList) {
        let has_own = self.headers.iter().any(|(name, _)| name == AUTHORIZATION);
        if has_own && self.login.is_some() {
            let fault = "`basic` or `bearer` is there too; a request has one of them";
            faults.add("request.headers.Authorization", fault);
        }
    }
}

fn gather<'f>(body: &'f BodyForm, found: &mut Vec<&'f Placeholder>) {
    match body {
        BodyForm::Empty => {}
        BodyForm::Json(form) => form.gather(found),
        BodyForm::Form(fields) => {
            found.extend(fields.iter().flat_map(|(_, value)| value.placeholders()));
        }
    }
}

fn method(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> Option<Method> {
    match keys.required_text("method", faults)? {
        "GET" => Some(Method::GET),
        "POST" => Some(Method::POST),
        "PUT" => Some(Method::PUT),
        other => {
            let fault = format!("`{other}` is not `GET`, `POST` or `PUT`");
            faults.add("request.method", fault);
            None
        }
    }
}

/// Reads the whole address of a request. Its scheme and host are the same for all messages.
pub(super) fn url_template(url: &str, key: &str, faults: &mut FaultList) -> Option<Template> {
    let template = template(url, key, faults)?;
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = after_scheme.split('/').next().unwrap_or_default();
    if host.contains('{') {
        let fault = format!("`{url}` has a placeholder in its host; a gateway has one address");
        faults.add(key, fault);
        return None;
    }

    // Checked with a value that fits everywhere in the place of each placeholder.
    let sample: String = template.0.iter().map(sample).collect();
    if let Err(fault) = HttpUrl::parse(&sample) {
        let fault = fault.replace("but a path is added to it", "which belongs into `query`");
        faults.add(key, format!("`{url}` {fault}"));
        return None;
    }
    Some(template)
}

fn sample(piece: &TemplatePiece) -> &str {
    match piece {
        TemplatePiece::Fixed(text) => text,
        TemplatePiece::Filled(_) => "0",
    }
}

fn headers(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> Vec<(HeaderName, Template)> {
    let mut headers = Vec::new();
    for (name, value) in table_of_fields(keys, "headers", faults) {
        let path = format!("request.headers.{name}");
        match header_name(&name).and_then(|name| check_header(&value).map(|()| name)) {
            Ok(name) => headers.push((name, value)),
            Err(fault) => faults.add(&path, fault),
        }
    }
    headers
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    let parsed = name.parse::<HeaderName>();
    let parsed = parsed.map_err(|_| format!("`{name}` is not a name of a header"))?;
    if OWN_HEADERS.contains(&parsed.as_str()) {
        return Err(format!("`{name}` is set for every request anyway"));
    }
    Ok(parsed)
}

fn check_header(value: &Template) -> Result<(), String> {
    let misplaced = value
        .placeholders()
        .find(|placeholder| !placeholder.fits_header());
    if let Some(placeholder) = misplaced {
        return Err(format!("`{placeholder}` cannot stand in a header"));
    }

    let fixed = value.0.iter().map(sample);
    let fits = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if fixed.clone().all(fits) {
        return Ok(());
    }
    let text: String = fixed.collect();
    Err(format!("`{text}` has characters that no header can have"))
}

fn login(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> Option<LoginForm> {
    let basic = login_template(keys, "basic", faults);
    let bearer = login_template(keys, "bearer", faults);
    if let Some(basic) = basic {
        if bearer.is_some() {
            faults.add(
                "request.bearer",
                "`basic` is there too; a request has one of them",
            );
        }
        return Some(LoginForm::Basic(basic));
    }
    bearer.map(LoginForm::Bearer)
}

fn login_template(
    keys: &mut KeyReader<'_>,
    key: &'static str,
    faults: &mut FaultList,
) -> Option<Template> {
    let path = keys.path(key);
    let template = template(keys.text(key, faults)?, &path, faults)?;
    if let Some(other) = template.placeholders().find(|found| !found.is_fixed()) {
        let fault =
            format!("`{other}` differs from message to message; only secrets may stand here");
        faults.add(&path, fault);
        return None;
    }
    Some(template)
}

fn table_of_fields(
    keys: &mut KeyReader<'_>,
    key: &'static str,
    faults: &mut FaultList,
) -> Vec<FieldForm> {
    let path = keys.path(key);
    let table = keys.table(key, faults);
    table.map_or_else(Vec::new, |table| fields(table, &path, faults))
}

fn body(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> BodyForm {
    let json = keys.table("json", faults);
    let form = keys.table("form", faults);
    match (json, form) {
        (Some(_), Some(_)) => {
            faults.add("request.form", "`json` is there too; a body is one of them");
            BodyForm::Empty
        }
        (Some(json), None) => BodyForm::Json(JsonForm::object(json, "request.json", faults)),
        (None, Some(form)) => BodyForm::Form(fields(form, "request.form", faults)),
        (None, None) => BodyForm::Empty,
    }
}

/// Reads what receipts add: members of a JSON body, or else fields of the form or of the query.
fn receipts(keys: &mut KeyReader<'_>, form: &RequestForm, faults: &mut FaultList) -> BodyForm {
    let path = "request.receipts";
    let Some(table) = keys.table("receipts", faults) else {
        return BodyForm::Empty;
    };
    match form.body {
        BodyForm::Json(_) => BodyForm::Json(JsonForm::object(table, path, faults)),
        BodyForm::Form(_) | BodyForm::Empty => BodyForm::Form(fields(table, path, faults)),
    }
}

fn needs_sender(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> bool {
    let needs = keys.texts("needs", faults);
    for other in needs.iter().filter(|name| **name != "sender") {
        let fault = format!("`{other}` is not `sender`, the one thing that may be needed");
        faults.add("request.needs", fault);
    }
    needs.contains(&"sender")
}

fn encodings(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> EncodingWords {
    let path = keys.path("encoding");
    let table = keys.table("encoding", faults).cloned().unwrap_or_default();
    let mut words = KeyReader::new(&table, &path);
    let encodings = EncodingWords {
        gsm_7: encoding_word(&mut words, "gsm7", faults),
        ucs_2: encoding_word(&mut words, "ucs2", faults),
    };
    words.finish(faults);
    encodings
}

/// The word for an encoding; its own name, unless the profile has another.
fn encoding_word(words: &mut KeyReader<'_>, key: &'static str, faults: &mut FaultList) -> String {
    let path = words.path(key);
    match words.value(key) {
        None => key.to_owned(),
        Some(Value::String(word)) => word.clone(),
        Some(Value::Integer(number)) => number.to_string(),
        Some(other) => {
            faults.add(&path, format!("{} is not a text or a number", shown(other)));
            key.to_owned()
        }
    }
}
