//! The signature in the address of a receipt.
//!
//! Whoever knows the address of a message got it with the request for the message, so the signature
//! proves that a receipt comes from the gateway. It is bound to the gateway and the message, and made with
//! the secret of the cluster, which is the same on all nodes and in backups.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use notty_storage::model::{MessageId, ReceiptSecret};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Bytes of the hash that are kept: far more than anybody can try.
const BYTES: usize = 16;

/// The signature of a message's address at a gateway: 22 characters, safe in URLs.
pub fn sign(secret: &ReceiptSecret, gateway: &str, id: MessageId) -> String {
    URL_SAFE_NO_PAD.encode(digest(secret, gateway, id))
}

/// True if a signature is that of a message's address. Takes as long whatever is wrong with it.
pub fn check(secret: &ReceiptSecret, gateway: &str, id: MessageId, given: &str) -> bool {
    let expected = sign(secret, gateway, id);
    bool::from(expected.as_bytes().ct_eq(given.as_bytes()))
}

/// The address to which a gateway reports of one message, below the address of the cluster.
pub fn address(public_url: &str, secret: &ReceiptSecret, gateway: &str, id: MessageId) -> String {
    let base = public_url.trim_end_matches('/');
    let signature = sign(secret, gateway, id);
    format!("{base}/receipts/{gateway}/{id}?k={signature}")
}

fn digest(secret: &ReceiptSecret, gateway: &str, id: MessageId) -> [u8; BYTES] {
    let mac = Hmac::<Sha256>::new_from_slice(secret.bytes());
    let mut mac = mac.expect("HMAC takes keys of any length");
    mac.update(gateway.as_bytes());
    // No name of a gateway has a slash, so no two pairs are the same text.
    mac.update(b"/");
    mac.update(id.to_string().as_bytes());

    let whole = mac.finalize().into_bytes();
    let mut kept = [0; BYTES];
    kept.copy_from_slice(&whole[..BYTES]);
    kept
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
        assert_eq!(signature.len(), 22);

        let opens = |secret, gateway, id, given: &str| check(secret, gateway, id, given);
        assert!(opens(&secret, "smsc", id(4_294_967_296), &signature));
        assert!(!opens(&secret, "smsc", id(4_294_967_297), &signature));
        assert!(!opens(&secret, "mts", id(4_294_967_296), &signature));
        assert!(!opens(&other, "smsc", id(4_294_967_296), &signature));
        assert!(!opens(&secret, "smsc", id(4_294_967_296), &signature[..21]));
        assert!(!opens(&secret, "smsc", id(4_294_967_296), ""));
    }

    #[test]
    fn a_signature_stays_what_it_is() {
        // Gateways hold addresses for days: another version must know them.
        let secret = ReceiptSecret::new([7; 32]);
        let made = address(
            "https://sms.example/",
            &secret,
            "default",
            id(4_294_967_296),
        );
        assert_eq!(
            made,
            "https://sms.example/receipts/default/4294967296?k=5VhsFjVIzUpXKtRllNa1rg"
        );
    }
}
