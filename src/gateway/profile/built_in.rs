//! The profiles that come with the service. Their files are data, to be read by people too.

use super::Profile;
use crate::config::ConfigError;

/// All built-in profiles, by name.
const ALL: [(&str, &str); 13] = [
    ("notty", include_str!("built_in/notty.toml")),
    ("kannel", include_str!("built_in/kannel.toml")),
    ("jasmin", include_str!("built_in/jasmin.toml")),
    ("smsc.ru", include_str!("built_in/smsc.ru.toml")),
    ("sms.ru", include_str!("built_in/sms.ru.toml")),
    ("smsaero", include_str!("built_in/smsaero.toml")),
    (
        "mts-marketolog",
        include_str!("built_in/mts-marketolog.toml"),
    ),
    ("mts-exolve", include_str!("built_in/mts-exolve.toml")),
    ("twilio", include_str!("built_in/twilio.toml")),
    ("vonage", include_str!("built_in/vonage.toml")),
    ("infobip", include_str!("built_in/infobip.toml")),
    ("plivo", include_str!("built_in/plivo.toml")),
    ("messagebird", include_str!("built_in/messagebird.toml")),
];

/// The names of all built-in profiles.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

/// The file of a profile.
pub fn text(name: &str) -> Option<&'static str> {
    let found = ALL.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text)
}

/// A profile by its name. The error of an unknown name has all that there are.
pub fn find(name: &str) -> Result<Profile, ConfigError> {
    match text(name) {
        Some(text) => Profile::parse(text),
        None => Err(unknown(name)),
    }
}

/// The fault of a name that no profile has.
pub fn unknown(name: &str) -> ConfigError {
    let names: Vec<&str> = names().collect();
    let names = names.join(", ");
    ConfigError(format!(
        "there is no built-in profile `{name}`; there are {names}"
    ))
}
