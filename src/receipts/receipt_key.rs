//! The signature in the address of a receipt.
//!
//! Whoever knows the address of a message got it with the request for the message, so the signature
//! proves that a receipt comes from the gateway. It is bound to the gateway and the message, and made with
//! the secret of the cluster, which is the same on all nodes and in backups, and never leaves them.
//! A number before it says which secret it was made with, so that a later version can have another one,
//! and still know what gateways hold.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use notty_storage::model::{MessageId, ReceiptSecret};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Bytes of the hash that are kept: far more than anybody can try.
const BYTES: usize = 16;
/// Characters that these bytes are written in.
const CHARACTERS: usize = 22;
/// The number of the secret: so far a cluster has one.
pub const KEY_NUMBER: u32 = 1;

/// The signature of one message's address at one gateway. It is shown to that gateway alone.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReceiptSignature([u8; BYTES]);

impl std::fmt::Debug for ReceiptSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReceiptSignature(…)")
    }
}

impl ReceiptSignature {
    /// The value of `k` in an address, with the number of the secret: safe in URLs.
    pub fn text(&self, key: u32) -> String {
        format!("{key}.{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// The secret, ready to sign the addresses of many messages.
pub struct ReceiptSigner(Hmac<Sha256>);

impl ReceiptSigner {
    /// Signs with a secret.
    pub fn new(secret: &ReceiptSecret) -> Self {
        let mac = Hmac::new_from_slice(secret.bytes());
        Self(mac.expect("HMAC takes keys of any length"))
    }

    /// Signs the address of a message at a gateway.
    pub fn sign(&self, gateway: &str, id: MessageId) -> ReceiptSignature {
        let mut mac = self.0.clone();
        mac.update(gateway.as_bytes());
        // No name of a gateway has a slash, so no two pairs are the same text.
        mac.update(b"/");
        mac.update(id.to_string().as_bytes());

        let whole = mac.finalize().into_bytes();
        let mut kept = [0; BYTES];
        kept.copy_from_slice(&whole[..BYTES]);
        ReceiptSignature(kept)
    }
}

/// The value of `k` in a message's address at a gateway.
pub fn sign(secret: &ReceiptSecret, gateway: &str, id: MessageId) -> String {
    ReceiptSigner::new(secret)
        .sign(gateway, id)
        .text(KEY_NUMBER)
}

/// True if `k` is that of a message's address. Takes as long whatever is wrong with it.
pub fn check(secret: &ReceiptSecret, gateway: &str, id: MessageId, given: &str) -> bool {
    let expected = sign(secret, gateway, id);
    bool::from(expected.as_bytes().ct_eq(given.as_bytes()))
}

/// True if `k` has the form of a signature, whoever made it.
pub fn is_well_formed(given: &str) -> bool {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    given.split_once('.').is_some_and(|(key, signature)| {
        key.parse::<u32>().is_ok()
            && signature.len() == CHARACTERS
            && signature.bytes().all(is_safe)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> MessageId {
        MessageId::from_u64(number).expect("an id")
    }

    #[test]
    fn an_address_opens_one_message_at_one_gateway_of_one_cluster() {
        let (secret, other) = (ReceiptSecret::new([1; 32]), ReceiptSecret::new([2; 32]));
        let signature = sign(&secret, "smsc", id(4_294_967_296));
        assert!(is_well_formed(&signature), "{signature}");

        let opens = |secret, gateway, id, given: &str| check(secret, gateway, id, given);
        assert!(opens(&secret, "smsc", id(4_294_967_296), &signature));
        assert!(!opens(&secret, "smsc", id(4_294_967_297), &signature));
        assert!(!opens(&secret, "mts", id(4_294_967_296), &signature));
        assert!(!opens(&other, "smsc", id(4_294_967_296), &signature));
        assert!(!opens(&secret, "smsc", id(4_294_967_296), &signature[..23]));
        assert!(!opens(&secret, "smsc", id(4_294_967_296), &signature[2..]));
        assert!(!opens(&secret, "smsc", id(4_294_967_296), ""));
    }

    #[test]
    fn a_signature_stays_what_it_is() {
        // Gateways hold addresses for days: another version must know them.
        let secret = ReceiptSecret::new([7; 32]);
        let made = sign(&secret, "default", id(4_294_967_296));
        assert_eq!(made, "1.5VhsFjVIzUpXKtRllNa1rg");
    }

    #[test]
    fn the_number_of_the_secret_is_part_of_the_signature() {
        let secret = ReceiptSecret::new([7; 32]);
        let other = ReceiptSigner::new(&secret)
            .sign("default", id(4_294_967_297))
            .text(2);
        assert!(is_well_formed(&other));
        assert!(!check(&secret, "default", id(4_294_967_297), &other));
    }

    #[test]
    fn what_has_another_form_is_no_signature() {
        for wrong in [
            "",
            "1.",
            "x.5VhsFjVIzUpXKtRllNa1rg",
            "5VhsFjVIzUpXKtRllNa1rg",
            "1.5VhsFjVIzUpXKtRllNa1r+",
        ] {
            assert!(!is_well_formed(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_signature_is_not_shown() {
        let signature =
            ReceiptSigner::new(&ReceiptSecret::new([7; 32])).sign("default", id(4_294_967_297));
        assert_eq!(format!("{signature:?}"), "ReceiptSignature(…)");
    }
}
