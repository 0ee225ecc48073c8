//! The request of a profile: reads `[request]` and checks it.

use http::{HeaderName, Method, header::AUTHORIZATION};
use toml::Table;

use super::{
    body::{BodyForm, FieldForm, JsonForm, fields, names},
    encode::is_printable,
    encoding::EncodingWords,
    keys::KeyReader,
    login::{LoginForm, login},
    placeholder::Placeholder,
    spot::Spot,
    template::{Template, TemplatePiece},
};
use crate::address::HttpUrl;

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
            encodings: EncodingWords::read(&mut keys),
        };
        keys.finish();

        // All keys first: a method that is wrong must not hide the faults of the rest.
        method.and(url)?;
        form.check(spot);
        Some(form)
    }

    /// Checks what no key shows by itself.
    fn check(&self, spot: &Spot<'_>) {
        self.check_method(spot);
        self.check_login(spot);
        self.check_headers(spot);
        self.check_receipts(spot);
        self.check_lasting(spot);
        self.check_message(spot);
    }

    /// Every text in it, those of receipts too.
    fn templates(&self) -> Vec<&Template> {
        let fields = self.headers.iter().map(|(_, value)| value);
        let mut found: Vec<&Template> = vec![&self.url];
        found.extend(fields);
        found.extend(self.login.iter().map(LoginForm::template));
        found.extend(self.query.iter().map(|(_, value)| value));
        found.extend(self.body.templates());
        found.extend(self.receipts.templates());
        found
    }

    /// Every placeholder in it.
    pub(super) fn placeholders(&self) -> Vec<&Placeholder> {
        let templates = self.templates().into_iter();
        templates.flat_map(Template::placeholders).collect()
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

    /// Rejects a header that stands there twice, in other letters.
    fn check_headers(&self, spot: &Spot<'_>) {
        for (n, (name, _)) in self.headers.iter().enumerate() {
            if self.headers[..n].iter().any(|(earlier, _)| earlier == name) {
                let spot = spot.key("headers");
                spot.fault(format!("the header `{name}` is there twice"));
            }
        }
    }

    /// Rejects what receipts would add a second time.
    fn check_receipts(&self, spot: &Spot<'_>) {
        let present = match &self.body {
            BodyForm::Empty => names(&self.query),
            body => body.names(),
        };
        for name in self.receipts.names() {
            if present.contains(&name) {
                let spot = spot.key("receipts").key(name);
                spot.fault("the request has it already, and would have it twice");
            }
        }
    }

    /// Rejects a place that cannot be left out, but whose value an account may not have.
    fn check_lasting(&self, spot: &Spot<'_>) {
        let lasting = |found: &&Placeholder| found.is_optional() && !self.has(found);
        if let Some(found) = self.url.placeholders().find(lasting) {
            let fault =
                format!("an account may have no `{found}`, and an address is never left out");
            spot.key("url").fault(fault);
        }

        let login = self.login.iter().map(LoginForm::template);
        if let Some(found) = login.flat_map(Template::placeholders).find(lasting) {
            let fault = format!("an account may have no `{found}`; add `needs = [\"sender\"]`");
            spot.fault(fault);
        }
    }

    /// Rejects a field that has the message in it and would be left out with something else.
    fn check_message(&self, spot: &Spot<'_>) {
        let templates = self.templates().into_iter();
        let mut lost = templates.filter(|template| template.placeholders().any(is_message));
        let optional = |found: &&Placeholder| found.is_optional() && !self.has(found);
        if let Some(found) = lost.find_map(|template| template.placeholders().find(optional)) {
            spot.fault(format!(
                "the phone or the text stands in one value with `{found}`, and would be left out with it \
                 where an account has none"
            ));
        }
    }

    /// True if each account has a value for a placeholder that is optional elsewhere.
    fn has(&self, placeholder: &Placeholder) -> bool {
        *placeholder == Placeholder::Sender && self.needs_sender
    }
}

/// True for what no request may lack.
fn is_message(placeholder: &Placeholder) -> bool {
    placeholder.is_phone() || placeholder.is_text()
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
    let template = spot.keep(address(url))?;
    spot.keep(check_host(url))?;
    spot.keep(check_url(url, &template))?;
    spot.keep(check_path(&template))?;
    Some(template)
}

/// Rejects a text in the path: a text of dots alone would be a step of the path itself.
fn check_path(url: &Template) -> Result<(), String> {
    let found = url.placeholders().find(|found| found.is_text());
    found.map_or(Ok(()), |found| {
        let place = "the path; put it into `query`, `form` or `json`";
        Err(format!("`{found}` cannot stand in {place}"))
    })
}

fn check_host(url: &str) -> Result<(), String> {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = after_scheme.split('/').next().unwrap_or_default();
    if host.contains('{') {
        let fault = "has a placeholder in its host; a gateway has one address";
        return Err(without_secrets(url, fault));
    }
    Ok(())
}

/// Takes an address apart. A fault shows a part of it only where none can be a secret.
fn address(url: &str) -> Result<Template, String> {
    let may_show = !url.contains(['?', '@']);
    Template::parse(url).map_err(|fault| {
        if may_show {
            fault
        } else {
            "it has an unknown placeholder, or a brace by itself, which is written twice".to_owned()
        }
    })
}

/// Checks an address with a value that fits everywhere in the place of each placeholder.
fn check_url(url: &str, template: &Template) -> Result<(), String> {
    let sample: String = template.0.iter().map(sample).collect();
    let parsed = HttpUrl::parse(&sample);
    let fault = parsed.map_err(|fault| {
        // Here nothing is added to the path.
        fault.replace("but a path is added to it", "which belongs into `query`")
    });
    fault
        .map(drop)
        .map_err(|fault| without_secrets(url, &fault))
}

/// A fault of a URL. One that may have a password or a key in it is not shown.
fn without_secrets(url: &str, fault: &str) -> String {
    if url.contains('@') {
        "it is no URL; a user name or password has no place in it".to_owned()
    } else if url.contains('?') {
        format!("the URL {fault}")
    } else {
        format!("`{url}` {fault}")
    }
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
    let headers = fields.filter_map(|(name, value)| header(&name, value, &spot.key(&name)));
    headers.collect()
}

fn header(name: &str, value: Template, spot: &Spot<'_>) -> Option<(HeaderName, Template)> {
    let name = spot.keep(header_name(name))?;
    spot.keep(check_header(&value))?;
    Some((name, value))
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
    if is_printable(&text) {
        return Ok(());
    }
    Err(format!("`{text}` has characters that no header can have"))
}

/// Reads a table of fields; none if the key is absent.
pub(super) fn table_of_fields(keys: &mut KeyReader<'_>, key: &'static str) -> Vec<FieldForm> {
    let spot = keys.spot(key);
    let table = keys.table(key);
    table.map_or_else(Vec::new, |table| fields(table, &spot))
}

/// Reads `json` or `form`.
pub(super) fn body(keys: &mut KeyReader<'_>) -> BodyForm {
    let json = keys.table("json");
    let form = keys.table("form");
    if json.is_some() && form.is_some() {
        let spot = keys.spot("form");
        spot.fault("`json` is there too; a body is one of them, so take one out");
    }

    let json = json.map(|json| json_body(json, &keys.spot("json")));
    let form = form.map(|form| form_body(form, &keys.spot("form")));
    json.or(form).unwrap_or_default()
}

/// A body of JSON.
pub(super) fn json_body(table: &Table, spot: &Spot<'_>) -> BodyForm {
    BodyForm::Json(JsonForm::object(table, spot))
}

/// A body of fields, as a browser sends them.
pub(super) fn form_body(table: &Table, spot: &Spot<'_>) -> BodyForm {
    BodyForm::Form(fields(table, spot))
}

/// Reads what receipts add: members of a JSON body, or else fields of the form or of the query.
fn receipts(keys: &mut KeyReader<'_>, body: &BodyForm) -> BodyForm {
    let spot = keys.spot("receipts");
    let Some(table) = keys.table("receipts") else {
        return BodyForm::Empty;
    };
    match body {
        BodyForm::Json(_) => json_body(table, &spot),
        BodyForm::Form(_) | BodyForm::Empty => form_body(table, &spot),
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
