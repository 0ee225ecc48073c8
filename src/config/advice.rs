//! Advice on a configuration that is valid: values that work, and that are better changed.
//!
//! A fault stops a start; advice is a line for people. What is wrong is for [`check`](super::check).

use super::{Config, TokenConfig};

/// Characters below which a token can be guessed by trying.
const SAFE_TOKEN: usize = 8;

impl Config {
    /// Returns lines about values that should be changed, without secrets.
    pub fn advice(&self) -> Vec<String> {
        short_tokens(&self.api.tokens).into_iter().collect()
    }
}

/// One line about all short tokens, by the names of their owners.
fn short_tokens(tokens: &[TokenConfig]) -> Option<String> {
    let short = tokens
        .iter()
        .filter(|entry| entry.token.expose().len() < SAFE_TOKEN);
    let names: Vec<_> = short.map(|entry| format!("`{}`", entry.name)).collect();
    if names.is_empty() {
        return None;
    }

    Some(format!(
        "api.tokens: the token of {} has fewer than {SAFE_TOKEN} characters and can be guessed; create a \
         longer one with `openssl rand -hex 32`",
        names.join(" and of ")
    ))
}
