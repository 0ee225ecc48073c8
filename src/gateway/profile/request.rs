//! The request of a profile: reads `[request]` and checks it.

use http::{HeaderName, Method, header::AUTHORIZATION};
use toml::Table;

use super::{
    body::{BodyForm, FieldForm, JsonForm, fields, template, word},
    keys::KeyReader,
    placeholder::Placeholder,
    spot::Spot,
    template::{Template, TemplatePiece},
};
use crate::{address::HttpUrl, segments::Encoding};

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
    pub(super) fn parse(table: &Table, spot: &Spot<'_>) -> Option<Self> {
        let mut keys = KeyReader::new(table, spot.clone());
        let method = method(&mut keys);
        let url = url(&mut keys);
        let body = body(&mut keys);
        let form = Self {
            method: method.clone().unwrap_or_default(),
            url: url.clone().unwrap_or_default(),
            headers: headers(&mut keys),
            login: login(&mut keys),
            query: table_of_fields(&mut keys, "query"),
            receipts: receipts(&mut keys, &body),
            body,
            needs_sender: needs_sender(&mut keys),
            encodings: encodings(&mut keys),
        };
        keys.finish();

        // All keys first: a method that is wrong must not hide the faults of the rest.
        method.and(url)?;
        form.check_method(spot);
        form.check_login(spot);
        Some(form)
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

    fn check_method(&self, spot: &Spot<'_>) {
        if self.method == Method::GET && self.body != BodyForm::Empty {
            let spot = spot.key("method");
            spot.fault("`GET` has no body; use `query`, or the method `POST`");
        }
    }

    fn check_login(&self, spot: &Spot<'_>) {
        let has_own = self.headers.iter().any(|(name, _)| name == AUTHORIZATION);
        if has_own && self.login.is_some() {
            let spot = spot.key("headers").key("Authorization");
            spot.fault("`basic` or `bearer` is there too; a request has one of them");
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

fn method(keys: &mut KeyReader<'_>) -> Option<Method> {
    let spot = keys.spot("method");
    match keys.required_text("method")? {
        "GET" => Some(Method::GET),
        "POST" => Some(Method::POST),
        "PUT" => Some(Method::PUT),
        other => spot.keep(Err(format!("`{other}` is not `GET`, `POST` or `PUT`"))),
    }
}

fn url(keys: &mut KeyReader<'_>) -> Option<Template> {
    let url = keys.required_text("url")?;
    url_template(url, &keys.spot("url"))
}

/// Reads the whole address of a request. Its scheme and host are the same for all messages.
pub(super) fn url_template(url: &str, spot: &Spot<'_>) -> Option<Template> {
    let template = template(url, spot)?;
    spot.keep(check_host(url))?;
    spot.keep(check_url(url, &template))?;
    Some(template)
}

fn check_host(url: &str) -> Result<(), String> {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = after_scheme.split('/').next().unwrap_or_default();
    if host.contains('{') {
        let fault = "has a placeholder in its host; a gateway has one address";
        return Err(format!("`{url}` {fault}"));
    }
    Ok(())
}

/// Checks an address with a value that fits everywhere in the place of each placeholder.
fn check_url(url: &str, template: &Template) -> Result<(), String> {
    let sample: String = template.0.iter().map(sample).collect();
    let parsed = HttpUrl::parse(&sample);
    let fault = parsed.map_err(|fault| {
        // Here nothing is added to the path.
        fault.replace("but a path is added to it", "which belongs into `query`")
    });
    fault.map(drop).map_err(|fault| format!("`{url}` {fault}"))
}

fn sample(piece: &TemplatePiece) -> &str {
    match piece {
        TemplatePiece::Fixed(text) => text,
        TemplatePiece::Filled(_) => "0",
    }
}

fn headers(keys: &mut KeyReader<'_>) -> Vec<(HeaderName, Template)> {
    let spot = keys.spot("headers");
    let fields = table_of_fields(keys, "headers").into_iter();
    let headers = fields.filter_map(|(name, value)| {
        let spot = spot.key(&name);
        let name = spot.keep(header_name(&name))?;
        spot.keep(check_header(&value))?;
        Some((name, value))
    });
    headers.collect()
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
    let mut placeholders = value.placeholders();
    if let Some(placeholder) = placeholders.find(|placeholder| !placeholder.fits_header()) {
        return Err(format!("`{placeholder}` cannot stand in a header"));
    }

    let text: String = value.0.iter().map(sample).collect();
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Ok(());
    }
    Err(format!("`{text}` has characters that no header can have"))
}

fn login(keys: &mut KeyReader<'_>) -> Option<LoginForm> {
    let basic = login_template(keys, "basic").map(LoginForm::Basic);
    let bearer = login_template(keys, "bearer").map(LoginForm::Bearer);
    if basic.is_some() && bearer.is_some() {
        let spot = keys.spot("bearer");
        spot.fault("`basic` is there too; a request has one of them");
    }
    basic.or(bearer)
}

fn login_template(keys: &mut KeyReader<'_>, key: &'static str) -> Option<Template> {
    let spot = keys.spot(key);
    let template = template(keys.text(key)?, &spot)?;
    let other = template.placeholders().find(|found| !found.is_fixed());
    if let Some(other) = other {
        let fault = "differs from message to message; only secrets may stand here";
        return spot.keep(Err(format!("`{other}` {fault}")));
    }
    Some(template)
}

fn table_of_fields(keys: &mut KeyReader<'_>, key: &'static str) -> Vec<FieldForm> {
    let spot = keys.spot(key);
    let table = keys.table(key);
    table.map_or_else(Vec::new, |table| fields(table, &spot))
}

fn body(keys: &mut KeyReader<'_>) -> BodyForm {
    let json = keys.table("json");
    let form = keys.table("form");
    if json.is_some() && form.is_some() {
        let spot = keys.spot("form");
        spot.fault("`json` is there too; a body is one of them");
    }

    let json = json.map(|json| BodyForm::Json(JsonForm::object(json, &keys.spot("json"))));
    let form = form.map(|form| BodyForm::Form(fields(form, &keys.spot("form"))));
    json.or(form).unwrap_or_default()
}

/// Reads what receipts add: members of a JSON body, or else fields of the form or of the query.
fn receipts(keys: &mut KeyReader<'_>, body: &BodyForm) -> BodyForm {
    let spot = keys.spot("receipts");
    let Some(table) = keys.table("receipts") else {
        return BodyForm::Empty;
    };
    match body {
        BodyForm::Json(_) => BodyForm::Json(JsonForm::object(table, &spot)),
        BodyForm::Form(_) | BodyForm::Empty => BodyForm::Form(fields(table, &spot)),
    }
}

fn needs_sender(keys: &mut KeyReader<'_>) -> bool {
    let needs = keys.texts("needs");
    for other in needs.iter().filter(|name| **name != "sender") {
        let spot = keys.spot("needs");
        spot.fault(format!(
            "`{other}` is not `sender`, the one thing that may be needed"
        ));
    }
    needs.contains(&"sender")
}

fn encodings(keys: &mut KeyReader<'_>) -> EncodingWords {
    let spot = keys.spot("encoding");
    let table = keys.table("encoding").cloned().unwrap_or_default();
    let mut words = KeyReader::new(&table, spot);
    let encodings = EncodingWords {
        gsm_7: encoding_word(&mut words, "gsm7"),
        ucs_2: encoding_word(&mut words, "ucs2"),
    };
    words.finish();
    encodings
}

/// The word for an encoding; its own name, unless the profile has another.
fn encoding_word(words: &mut KeyReader<'_>, key: &'static str) -> String {
    let given = words.value(key).and_then(|value| {
        let spot = words.spot(key);
        spot.expect(word(value), value, "a text or a number")
    });
    given.unwrap_or_else(|| key.to_owned())
}
