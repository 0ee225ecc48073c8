//! The head of a request, without the query: method, path, headers, login.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderName, Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE},
};

use super::{
    super::{login::LoginForm, request::RequestForm, template::Template},
    Optional,
    found::RequestFindings,
    pattern::TextPattern,
};

/// The head as it must be.
pub(super) struct HeadPattern {
    method: Method,
    path: TextPattern,
    headers: Vec<HeaderPattern>,
    login: Option<LoginPattern>,
}

struct HeaderPattern {
    name: HeaderName,
    value: TextPattern,
    is_optional: bool,
}

/// The login of a request, without the word before it.
enum LoginPattern {
    Basic(TextPattern),
    Bearer(TextPattern),
}

impl HeadPattern {
    /// The head of a profile's requests.
    pub(super) fn new(form: &RequestForm, path: TextPattern, optional: Optional) -> Self {
        let headers = form.headers.iter();
        let headers = headers.map(|header| HeaderPattern::new(header, optional));
        Self {
            method: form.method.clone(),
            path,
            headers: headers.collect(),
            login: form.login.as_ref().map(LoginPattern::new),
        }
    }

    /// The path as the profile has it.
    pub(super) fn path(&self) -> &str {
        self.path.form()
    }

    /// True if method and path are those of a message.
    pub(super) fn is_addressed(&self, request: &Request<Bytes>) -> bool {
        *request.method() == self.method && self.path.fits(request.uri().path())
    }

    /// Reads the head of a request.
    pub(super) fn read(&self, request: &Request<Bytes>, findings: &mut RequestFindings) {
        self.check_method(request.method(), findings);
        self.read_path(request.uri().path(), findings);
        for header in &self.headers {
            header.read(request, findings);
        }
        if let Some(login) = &self.login {
            login.read(&header(request, &AUTHORIZATION), findings);
        }
    }

    fn check_method(&self, method: &Method, findings: &mut RequestFindings) {
        if *method != self.method {
            let wanted = &self.method;
            findings.misfit(format!("the method is {method}, and not {wanted}"));
        }
    }

    fn read_path(&self, path: &str, findings: &mut RequestFindings) {
        let form = self.path.form();
        match self.path.encoded_values(path) {
            Some(values) => findings.take("the path", values),
            None => findings.misfit(format!("the path `{path}` is not `{form}`")),
        }
    }
}

impl HeaderPattern {
    fn new((name, value): &(HeaderName, Template), optional: Optional) -> Self {
        Self {
            name: name.clone(),
            value: TextPattern::new(value),
            is_optional: optional.is(value),
        }
    }

    fn read(&self, request: &Request<Bytes>, findings: &mut RequestFindings) {
        let is_there = request.headers().contains_key(&self.name);
        if is_there || !self.is_optional {
            let place = format!("the header {}", self.name);
            let value = is_there.then(|| header(request, &self.name));
            findings.take_text(&place, &self.value, value.as_deref());
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
            Self::Basic(user) => findings.take_text(place, user, basic(given).as_deref()),
            Self::Bearer(token) => findings.take_text(place, token, given.strip_prefix("Bearer ")),
        }
    }
}

/// Notes a body that says to be something else.
pub(super) fn check_content_type(
    request: &Request<Bytes>,
    wanted: &str,
    findings: &mut RequestFindings,
) {
    let given = header(request, &CONTENT_TYPE);
    let kind = given.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(wanted) {
        findings.misfit(format!("the content-type is `{given}`, and not {wanted}"));
    }
}

/// User and password of a header; `None` if it has none that can be read.
fn basic(given: &str) -> Option<String> {
    let encoded = given.strip_prefix("Basic ")?;
    let decoded = BASE64_STANDARD.decode(encoded).ok()?;
    String::from_utf8(decoded).ok()
}

/// The value of a header; empty if the request does not have it.
fn header(request: &Request<Bytes>, name: &HeaderName) -> String {
    let value = request.headers().get(name);
    let bytes = value.map(|value| value.as_bytes()).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}
