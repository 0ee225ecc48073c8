//! The checks of `[api]`: the address, and the tokens.

use super::{
    ApiConfig, ConfigError, FaultList, Secret, TokenConfig,
    values::{PLACEHOLDER, check_header_text, check_listen_address},
};

/// Checks the section as a node needs it.
pub(super) fn check(api: &ApiConfig) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    faults.take(check_listen(api));
    for n in 0..api.tokens.len() {
        faults.take(check_token(&api.tokens, n));
    }
    faults.finish()
}

fn check_listen(api: &ApiConfig) -> Result<(), ConfigError> {
    let listen = &api.listen;
    let address = check_listen_address("api.listen", listen, "127.0.0.1:8080")?;

    // Without tokens only the Host of a request is checked, which any program can set as it likes.
    if api.tokens.is_empty() && !address.ip().is_loopback() {
        let fault = format!(
            "{listen} can be reached from other machines, but the API has no token; set \
             api.tokens, or listen on 127.0.0.1"
        );
        return Err(ConfigError::at("api.listen", fault));
    }
    Ok(())
}

/// Checks an entry. The faults name the entry, and never the token: they end up in logs.
fn check_token(tokens: &[TokenConfig], n: usize) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    let entry = &tokens[n];
    let key = format!("api.tokens[{n}].name");
    let earlier = &tokens[..n];
    if entry.name.trim().is_empty() {
        faults.add(&key, "it is empty, but names the owner in logs");
    } else if earlier.iter().any(|other| other.name == entry.name) {
        let fault = format!(
            "an earlier entry has the name `{}`; logs could not tell them apart",
            entry.name
        );
        faults.add(&key, fault);
    }

    let key = format!("api.tokens[{n}].token");
    faults.take(check_token_text(&key, &entry.token));
    // A token is all that shows the caller's name and role.
    if earlier.iter().any(|other| other.token == entry.token) {
        faults.add(
            &key,
            "an earlier entry has the same token; each needs its own",
        );
    }
    faults.finish()
}

fn check_token_text(key: &str, token: &Secret) -> Result<(), ConfigError> {
    let text = token.expose();
    if text.is_empty() {
        let fault = "it is empty, so anybody would have it; create one with `openssl rand -hex 32`";
        return Err(ConfigError::at(key, fault));
    }
    if text.starts_with(PLACEHOLDER) {
        let fault = format!(
            "it begins with `{PLACEHOLDER}`, so it is from an example that everybody can read; create \
             one with `openssl rand -hex 32`"
        );
        return Err(ConfigError::at(key, fault));
    }
    check_header_text(key, token)
}
