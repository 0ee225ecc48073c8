//! The wish for receipts, as it goes with a lease: enough for a postman to make the address of each of its
//! messages, and of no other. The secret stays on the nodes.

use notty_storage::model::{MessageId, ReceiptSecret};
use serde::{Deserialize, Serialize};

use super::receipt_key::{KEY_NUMBER, ReceiptSignature, ReceiptSigner};

/// The part of the addresses for receipts that all messages of a lease share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptBase {
    /// The address, up to the id of the message.
    url: String,
    /// The number of the secret that signed them.
    key: u32,
}

impl ReceiptBase {
    /// The address to which the gateway is to report of one message.
    pub fn url(&self, id: MessageId, signature: &ReceiptSignature) -> String {
        let Self { url, key } = self;
        format!("{url}/{id}?k={}", signature.text(*key))
    }
}

/// The wish for receipts of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedReceipts {
    /// The address at which gateways reach the cluster.
    pub public_url: String,
    /// The name of the gateway in the configuration.
    pub gateway: String,
}

/// The addresses for receipts of a lease's messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedReceipts {
    /// The part that all share.
    pub base: ReceiptBase,
    /// The signatures of messages, in the order in which the lease has those.
    pub signatures: Vec<ReceiptSignature>,
}

impl AskedReceipts {
    /// Signs the addresses of messages at a gateway, below the address of the cluster.
    pub fn sign(
        public_url: &str,
        secret: &ReceiptSecret,
        gateway: &str,
        messages: impl Iterator<Item = MessageId>,
    ) -> Self {
        let signer = ReceiptSigner::new(secret);
        let public_url = public_url.trim_end_matches('/');
        Self {
            base: ReceiptBase {
                url: format!("{public_url}/receipts/{gateway}"),
                key: KEY_NUMBER,
            },
            signatures: messages.map(|id| signer.sign(gateway, id)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use notty_storage::codec;

    use super::*;

    fn id(number: u64) -> MessageId {
        MessageId::from_u64((1 << 32) + number).expect("an id")
    }

    #[test]
    fn an_address_stays_what_it_is() {
        // Gateways hold addresses for days: another version must know them.
        let secret = ReceiptSecret::new([7; 32]);
        let ids = [id(0)].into_iter();
        let asked = AskedReceipts::sign("https://sms.example/", &secret, "default", ids);
        let made = asked.base.url(id(0), &asked.signatures[0]);
        assert_eq!(
            made,
            "https://sms.example/receipts/default/4294967296?k=1.5VhsFjVIzUpXKtRllNa1rg"
        );
    }

    #[test]
    fn a_postman_gets_sixteen_bytes_a_message_and_not_the_secret() {
        let secret = ReceiptSecret::new(*b"the secret of the whole cluster.");
        let bytes_for = |count| {
            let asked = AskedReceipts::sign("https://a.b", &secret, "default", (1..=count).map(id));
            codec::encode(&asked)
        };
        let bytes = bytes_for(600);
        assert_eq!(bytes.len() - bytes_for(500).len(), 1_600);

        let shows_a_part = secret
            .bytes()
            .windows(8)
            .any(|part| bytes.windows(8).any(|found| found == part));
        assert!(!shows_a_part);
    }
}
