//! Signatures of calls, for providers that sign with a secret of the account.
//!
//! A message's own URL has a key already, which only the provider knows. A signature is the proof of calls
//! for the whole account.

use std::{collections::BTreeMap, fmt::Write as _};

use hmac::{Hmac, Mac};
use http::HeaderName;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    call::CallParts,
    item::{ItemList, texts},
    receipt::ReceiptCallFault,
};
use crate::config::Secret;

/// The secrets of an account, by their names in the profile.
pub type ReceiptSecrets = BTreeMap<String, Secret>;

/// A signature: the way it is made, and the secret.
#[derive(Clone, Debug)]
pub(super) struct SignatureForm {
    pub(super) kind: SignatureKind,
    pub(super) secret: String,
}

/// The way in which a signature is made.
#[derive(Clone, Debug)]
pub(super) enum SignatureKind {
    /// A field has the hexadecimal SHA-256 of the secret and, after it, the texts of the list by their numbers.
    TextsSha256 { field: String },
    /// A header has the hexadecimal HMAC-SHA256 of the body.
    BodyHmacSha256 { header: HeaderName },
}

/// A signature with its place in the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallSignature {
    /// A field of the form or of the query.
    Field(String, String),
    /// A header of the call.
    Header(HeaderName, String),
}

impl SignatureForm {
    /// The name of the secret.
    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// Checks the signature of a call.
    pub(super) fn check(
        &self,
        parts: &CallParts<'_>,
        list: &ItemList,
        secrets: &ReceiptSecrets,
    ) -> Result<(), ReceiptCallFault> {
        let right = self.right(parts, list, secrets);
        let given = self.given(parts);
        let fits = right
            .zip(given)
            .is_some_and(|(right, given)| is_same(&right, &given));
        fits.then_some(()).ok_or_else(|| self.fault())
    }

    /// Makes the signature of a call; `None` without the secret, or without texts to sign.
    pub(super) fn made(
        &self,
        parts: &CallParts<'_>,
        list: &ItemList,
        secrets: &ReceiptSecrets,
    ) -> Option<CallSignature> {
        let right = self.right(parts, list, secrets)?;
        Some(match &self.kind {
            SignatureKind::TextsSha256 { field } => CallSignature::Field(field.clone(), right),
            SignatureKind::BodyHmacSha256 { header } => {
                CallSignature::Header(header.clone(), right)
            }
        })
    }

    fn fault(&self) -> ReceiptCallFault {
        ReceiptCallFault::NotSigned(self.secret.clone())
    }

    /// The signature that the call has.
    fn given(&self, parts: &CallParts<'_>) -> Option<String> {
        let given = match &self.kind {
            SignatureKind::TextsSha256 { field } => parts.field(field)?,
            SignatureKind::BodyHmacSha256 { header } => parts.headers.get(header)?.to_str().ok()?,
        };
        Some(given.to_owned())
    }

    /// The signature that the call should have.
    fn right(
        &self,
        parts: &CallParts<'_>,
        list: &ItemList,
        secrets: &ReceiptSecrets,
    ) -> Option<String> {
        // Anybody can sign with an empty secret.
        let known = secrets.get(&self.secret).map(Secret::expose);
        let secret = known.filter(|secret| !secret.is_empty())?;
        match &self.kind {
            SignatureKind::TextsSha256 { .. } => of_texts(secret, parts, list),
            SignatureKind::BodyHmacSha256 { .. } => of_body(secret, parts.body),
        }
    }
}

fn of_texts(secret: &str, parts: &CallParts<'_>, list: &ItemList) -> Option<String> {
    let ItemList::Lines(name) = list else {
        return None;
    };

    let mut hash = Sha256::new_with_prefix(secret);
    for text in texts(parts, name).ok()? {
        hash.update(text);
    }
    Some(hex(&hash.finalize()))
}

fn of_body(secret: &str, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(body);
    Some(hex(&mac.finalize().into_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(hex, "{byte:02x}").expect("writing to memory cannot fail");
    }
    hex
}

/// Compares in a time that does not depend on where they differ.
fn is_same(right: &str, given: &str) -> bool {
    let given = given.trim().to_ascii_lowercase();
    right.as_bytes().ct_eq(given.as_bytes()).into()
}
