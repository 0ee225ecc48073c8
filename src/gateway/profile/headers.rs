//! The headers of an account's requests. What is the same in all of them is checked once.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};

use super::{
    account::GatewayAccount, body::BodyForm, encode::FillPlace, line::Line, login::LoginForm,
    placeholder::Placeholder, request::RequestForm, template::Template,
};
use crate::config::ConfigError;

/// The headers of all requests of an account.
pub(super) struct HeaderLines {
    fixed: HeaderMap,
    filled: Vec<(HeaderName, Line)>,
}

impl HeaderLines {
    /// Makes the headers ready. A secret that no header can carry is a fault, and is not shown.
    pub(super) fn new(
        form: &RequestForm,
        account: &GatewayAccount,
        base: &str,
    ) -> Result<Self, ConfigError> {
        let mut headers = Self {
            fixed: HeaderMap::from_iter([(HOST, host(base))]),
            filled: Vec::new(),
        };
        let content_type = content_type(&form.body);
        headers
            .fixed
            .extend(content_type.map(|kind| (CONTENT_TYPE, kind)));

        for (name, template) in &form.headers {
            headers.add(name, template, account)?;
        }
        if let Some(login) = &form.login {
            let value = header_value(&AUTHORIZATION, &login_text(login, account), account)?;
            headers.fixed.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }

    fn add(
        &mut self,
        name: &HeaderName,
        template: &Template,
        account: &GatewayAccount,
    ) -> Result<(), ConfigError> {
        let mut line = Line::default();
        line.push_template(template, FillPlace::Header, account);
        let fixed: String = line.fixed().collect();
        let value = header_value(name, &fixed, account)?;

        if template.placeholders().all(Placeholder::is_fixed) {
            self.fixed.insert(name, value);
        } else {
            self.filled.push((name.clone(), line));
        }
        Ok(())
    }

    /// The headers of one message.
    pub(super) fn write(
        &self,
        fill: impl Copy + Fn(&Placeholder, FillPlace, &mut String),
    ) -> HeaderMap {
        let mut headers = self.fixed.clone();
        for (name, line) in &self.filled {
            let value = HeaderValue::from_str(&line.write(fill));
            headers.insert(name, value.expect("its parts were checked"));
        }
        headers
    }
}

/// A value that does not show where headers are printed: any of them may hold a secret.
fn header_value(
    name: &HeaderName,
    text: &str,
    account: &GatewayAccount,
) -> Result<HeaderValue, ConfigError> {
    // The library takes other bytes too, which providers read in different ways.
    let fitting = text.is_ascii().then(|| HeaderValue::from_str(text).ok());
    let value = fitting.flatten();
    let mut value = value.ok_or_else(|| ConfigError::at(&account.section, unfit(name)))?;
    value.set_sensitive(true);
    Ok(value)
}

fn unfit(name: &HeaderName) -> String {
    format!(
        "a secret or the sender has a character beyond ASCII in it, and the header `{name}` cannot carry \
         that"
    )
}

fn host(base: &str) -> HeaderValue {
    let host = base.split_once("://").map_or(base, |(_, host)| host);
    HeaderValue::from_str(host).expect("a checked host is ASCII")
}

fn content_type(body: &BodyForm) -> Option<HeaderValue> {
    let kind = match body {
        BodyForm::Json(_) => "application/json",
        BodyForm::Form(_) => "application/x-www-form-urlencoded",
        BodyForm::Empty => return None,
    };
    Some(HeaderValue::from_static(kind))
}

fn login_text(login: &LoginForm, account: &GatewayAccount) -> String {
    match login {
        LoginForm::Bearer(template) => format!("Bearer {}", fixed_text(template, account)),
        LoginForm::Basic(template) => {
            let user_and_password = fixed_text(template, account);
            format!("Basic {}", BASE64_STANDARD.encode(user_and_password))
        }
    }
}

/// A template in which all is known.
fn fixed_text(template: &Template, account: &GatewayAccount) -> String {
    let mut line = Line::default();
    line.push_template(template, FillPlace::Header, account);
    line.fixed().collect()
}
