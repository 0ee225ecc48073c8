//! Receipts: statements of a gateway about a message, and the secret that proves them.

use serde::{Deserialize, Serialize};

use super::{Delivery, ErrorCode, MessageId};

/// The state of a message that a receipt names. Whatever it is, the gateway has taken the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReceiptState {
    /// On its way: nothing is known of its end.
    Progress,
    /// At the phone.
    Delivered,
    /// Given up by the gateway or the operator.
    Undelivered,
}

impl ReceiptState {
    /// The delivery that it stands for; none while the message is on its way.
    pub const fn delivery(self) -> Option<Delivery> {
        match self {
            ReceiptState::Progress => None,
            ReceiptState::Delivered => Some(Delivery::Delivered),
            ReceiptState::Undelivered => Some(Delivery::Undelivered),
        }
    }
}

/// One receipt: a statement of a gateway about a message, which was proven to be the gateway's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptNote {
    /// The message that it is about.
    pub message: MessageId,
    /// The state of the message.
    pub state: ReceiptState,
    /// The gateway's code of the error, where it was not delivered.
    pub error: ErrorCode,
}

/// The secret by which receipts prove that they answer a request of this cluster.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReceiptSecret([u8; 32]);

impl ReceiptSecret {
    /// Random bytes as the secret.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for computing with them alone: they are shown nowhere.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for ReceiptSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReceiptSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?}", ReceiptSecret::new([7; 32]));
        assert_eq!(shown, "ReceiptSecret(…)");
    }
}
