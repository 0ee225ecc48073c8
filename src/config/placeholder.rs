//! Texts of the examples that stand in the place of a value of one's own.
//!
//! Everybody can read them, so that a secret with one is none, and a URL with one leads nowhere. The
//! files in `deploy/` have no others.

use super::{ConfigError, Secret, values::PLACEHOLDER};

/// True if a text is from an example.
fn is_placeholder(text: &str) -> bool {
    let beginning = text.trim().get(..PLACEHOLDER.len());
    beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(PLACEHOLDER))
}

/// Rejects a secret that is from an example. The fault never shows the secret.
pub(super) fn check_secret(key: &str, secret: &Secret) -> Result<(), ConfigError> {
    if is_placeholder(secret.expose()) {
        let fault = format!(
            "it begins with `{PLACEHOLDER}`, so it is from an example that everybody can read; put your \
             own there"
        );
        return Err(ConfigError::at(key, fault));
    }
    Ok(())
}

/// Rejects a URL whose host is from an example.
pub(super) fn check_url(key: &str, url: &str) -> Result<(), ConfigError> {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    if is_placeholder(host) {
        let fault = format!(
            "its host begins with `{PLACEHOLDER}`, so it is from an example; put your own there"
        );
        return Err(ConfigError::at(key, fault));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_an_example_is_known_by_its_beginning() {
        for text in ["replace-me", "replace-me-too", " Replace-Me by your own"] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in ["", "replace", "my-replace-me", "ключ-замените"] {
            assert!(!is_placeholder(text), "{text}");
        }
        assert!(check_url("k", "https://replace-me.example/v1").is_err());
        assert!(check_url("k", "https://sms.example/replace-me").is_ok());
    }
}
