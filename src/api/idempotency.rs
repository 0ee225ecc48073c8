//! The `Idempotency-Key` of a request, and the origin of a command that is made of it.
//!
//! A key is bound to its caller, to the route and to the body: the same key with another request is
//! an error, and two callers may use the same key.

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, request::Parts},
};
use notty_storage::{Command, Origin};
use sha2::{Digest, Sha256};

use super::{ApiError, Code, guard};

/// The longest key, in characters.
const KEY_CHARS: usize = 255;

/// A client's `Idempotency-Key`, before it is bound to a body.
pub(crate) struct IdempotencyKey {
    key: Option<String>,
    /// Method and path of the request.
    route: String,
    /// Name of the caller's token; empty on an API without tokens.
    caller: String,
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let caller = parts
            .extensions
            .get::<guard::CallerName>()
            .map(|caller| caller.0.clone());
        let key = parts.headers.get("idempotency-key");
        let route = format!("{} {}", parts.method, parts.uri.path());

        Ok(Self {
            key: key.map(parse_key).transpose()?,
            route,
            caller: caller.unwrap_or_default(),
        })
    }
}

fn parse_key(value: &HeaderValue) -> Result<String, ApiError> {
    // Only visible ASCII has a text form, so that bytes are characters.
    let text = value.to_str().unwrap_or_default().trim();
    let has_tab = text.contains('\t');
    if text.is_empty() || text.len() > KEY_CHARS || has_tab {
        let detail = format!("an Idempotency-Key has 1 to {KEY_CHARS} visible characters");
        let code = Code::InvalidKey;
        return Err(ApiError::invalid_field("Idempotency-Key", code, detail));
    }
    Ok(text.to_owned())
}

impl IdempotencyKey {
    /// Makes a command with this key as its origin. Only a POST is bound to its key: the other
    /// methods can be repeated as they are.
    pub(super) fn bind<A>(&self, action: A, body: &[u8]) -> Command<A> {
        let command = Command::new(action);
        let Some(key) = self.hash() else {
            return command;
        };

        let caller = digest(&[self.caller.as_bytes()]);
        command.by(Origin::Client {
            key,
            request: digest(&[self.route.as_bytes(), body]),
            caller: u128::from_be_bytes(caller) as u64,
        })
    }

    /// The hash by which the state knows the key; `None` if the request is not bound to one.
    pub(super) fn hash(&self) -> Option<[u8; 16]> {
        let key = self.key_of_post()?;
        Some(digest(&[self.caller.as_bytes(), key.as_bytes()]))
    }

    fn key_of_post(&self) -> Option<&str> {
        let is_post = self.route.starts_with("POST ");
        self.key.as_deref().filter(|_| is_post)
    }
}

/// The first half of a SHA-256 over some parts. The length of each part is hashed too, so that a
/// byte that moves from one part to the next changes the digest.
fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize()[..16]);
    short
}
