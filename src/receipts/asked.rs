//! The wish for receipts, as it goes with a lease: enough for a postman to make the address of each message.

use notty_storage::model::{MessageId, ReceiptSecret};
use serde::{Deserialize, Serialize};

use super::receipt_key;

/// All that the addresses of receipts are made of, but for gateway and message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedReceipts {
    /// Address at which gateways reach the cluster.
    pub public_url: String,
    /// The secret of the cluster.
    pub secret: ReceiptSecret,
}

impl AskedReceipts {
    /// The address to which a gateway is to report of one message.
    pub fn url(&self, gateway: &str, id: MessageId) -> String {
        receipt_key::address(&self.public_url, &self.secret, gateway, id)
    }
}
