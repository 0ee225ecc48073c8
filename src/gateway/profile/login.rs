//! The login of a request: `basic` or `bearer` in a profile, `Authorization` in the request.

use super::{
    body::template, keys::KeyReader, placeholder::Placeholder, spot::Spot, template::Template,
};

/// The `Authorization` of a request.
#[derive(Clone, Debug)]
pub(super) enum LoginForm {
    /// A user and a password, with a colon between them.
    Basic(Template),
    /// A token after the word `Bearer`.
    Bearer(Template),
}

impl LoginForm {
    /// The text of the profile.
    pub(super) fn template(&self) -> &Template {
        match self {
            Self::Basic(template) | Self::Bearer(template) => template,
        }
    }

    /// The placeholders in the name of a user, which ends at the first colon.
    pub(super) fn user(&self) -> Vec<&Placeholder> {
        match self {
            Self::Basic(template) => template.before(':'),
            Self::Bearer(_) => Vec::new(),
        }
    }
}

/// Reads `basic` or `bearer`, of which a request has one at most.
pub(super) fn login(keys: &mut KeyReader<'_>) -> Option<LoginForm> {
    let basic = basic(keys).map(LoginForm::Basic);
    let bearer = login_template(keys, "bearer").map(LoginForm::Bearer);
    if basic.is_some() && bearer.is_some() {
        let spot = keys.spot("bearer");
        spot.fault("`basic` is there too; a request has one of them");
    }
    basic.or(bearer)
}

fn basic(keys: &mut KeyReader<'_>) -> Option<Template> {
    let template = login_template(keys, "basic")?;
    let has_colon = template.has(':');
    let found = has_colon.then_some(template);
    let fault =
        "it has no colon, which ends the name of the user, like `{secret.user}:{secret.password}`";
    keys.spot("basic").keep(found.ok_or(fault.to_owned()))
}

fn login_template(keys: &mut KeyReader<'_>, key: &'static str) -> Option<Template> {
    let spot = keys.spot(key);
    let template = template(keys.text(key)?, &spot)?;
    check_fixed(&template, &spot)?;
    Some(template)
}

fn check_fixed(template: &Template, spot: &Spot<'_>) -> Option<()> {
    let other = template.placeholders().find(|found| !found.is_fixed());
    spot.keep(other.map_or(Ok(()), |other| {
        let fault = "differs from message to message; only secrets may stand here";
        Err(format!("`{other}` {fault}"))
    }))
}
