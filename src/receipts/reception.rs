//! Decides whether a request is the receipt of a gateway that knows the message's address.
//!
//! Nothing here knows HTTP. What is refused is counted by its reason.

use std::sync::OnceLock;

use notty_storage::{
    command::ReceiptRefusal,
    model::{MessageId, ReceiptNote, ReceiptSecret},
};

use super::{
    form::{FormFault, ReceiptRequest},
    gatherer::{ReceiptFault, ReceiptGatherer},
    receipt_key,
};
use crate::metrics::ReceiptMetrics;

/// The place where a node takes receipts.
pub struct Reception {
    /// The names of all gateways.
    gateways: Vec<String>,
    gatherer: ReceiptGatherer,
    metrics: ReceiptMetrics,
    /// The secret, once it was read: it never changes.
    secret: OnceLock<ReceiptSecret>,
}

/// The address that a request came to.
#[derive(Clone, Copy, Debug)]
pub struct ReceiptAddress<'a> {
    /// The name of the gateway.
    pub gateway: &'a str,
    /// The id of the message, as it was written.
    pub id: &'a str,
    /// The signature of the address.
    pub signature: &'a str,
}

/// The reason for which a receipt was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptDenial {
    /// No gateway has the name.
    UnknownGateway,
    /// The signature is not that of this message's address.
    WrongSignature,
    /// The request names no state of a message.
    Unreadable(FormFault),
    /// Its content cannot be true.
    Untrue(ReceiptRefusal),
}

impl ReceiptDenial {
    /// The name in metrics.
    fn name(self) -> &'static str {
        match self {
            Self::UnknownGateway => "unknown_gateway",
            Self::WrongSignature => "wrong_signature",
            Self::Unreadable(_) => "unreadable",
            Self::Untrue(refusal) => refusal.code(),
        }
    }
}

/// A receipt that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It will never be taken.
    Refused(ReceiptDenial),
    /// It may be taken if it comes again.
    Later(ReceiptFault),
}

impl Reception {
    /// Takes receipts of some gateways.
    pub fn new(gateways: Vec<String>, gatherer: ReceiptGatherer, metrics: ReceiptMetrics) -> Self {
        Self {
            gateways,
            gatherer,
            metrics,
            secret: OnceLock::new(),
        }
    }

    /// The secret; read from the state until there is one.
    pub fn secret<E>(
        &self,
        read: impl FnOnce() -> Result<Option<ReceiptSecret>, E>,
    ) -> Result<Option<ReceiptSecret>, E> {
        if let Some(known) = self.secret.get() {
            return Ok(Some(*known));
        }
        let found = read()?;
        Ok(found.map(|found| *self.secret.get_or_init(|| found)))
    }

    /// The message of an address that checks out.
    ///
    /// # Errors
    /// The gateway is unknown, or the signature is another one's.
    pub fn admit(
        &self,
        secret: &ReceiptSecret,
        address: ReceiptAddress<'_>,
    ) -> Result<MessageId, NotTaken> {
        if !self.gateways.iter().any(|name| name == address.gateway) {
            return Err(self.refuse(ReceiptDenial::UnknownGateway));
        }
        let id = address.id.parse().ok().and_then(MessageId::from_u64);
        let signed =
            |id: &MessageId| receipt_key::check(secret, address.gateway, *id, address.signature);
        id.filter(signed)
            .ok_or_else(|| self.refuse(ReceiptDenial::WrongSignature))
    }

    /// The receipt that a request to the address of a message names.
    ///
    /// # Errors
    /// The request names none.
    pub fn read(
        &self,
        id: MessageId,
        request: ReceiptRequest<'_>,
    ) -> Result<ReceiptNote, NotTaken> {
        let named = request
            .read()
            .map_err(|fault| self.refuse(ReceiptDenial::Unreadable(fault)))?;
        Ok(ReceiptNote {
            message: id,
            state: named.state,
            error: named.error,
        })
    }

    /// Notes a receipt that says only what the state knows: nothing is proposed for it.
    pub fn note_known(&self) {
        self.metrics.taken();
    }

    /// Has a receipt taken. Returns the position from which on every node knows it.
    ///
    /// # Errors
    /// The receipt cannot be true, or the cluster cannot take it now.
    pub async fn take(&self, receipt: ReceiptNote) -> Result<u64, NotTaken> {
        let answered = self.gatherer.take(receipt).await;
        let index = answered.map_err(|fault| match fault {
            ReceiptFault::Refused(why) => self.refuse(ReceiptDenial::Untrue(why)),
            later => NotTaken::Later(later),
        })?;
        self.metrics.taken();
        Ok(index)
    }

    fn refuse(&self, refusal: ReceiptDenial) -> NotTaken {
        self.metrics.refused(refusal.name());
        NotTaken::Refused(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_name_in_the_metrics() {
        let untrue = [
            ReceiptRefusal::Unknown,
            ReceiptRefusal::Purged,
            ReceiptRefusal::NeverSent,
            ReceiptRefusal::NotTaken,
        ];
        let others = [
            ReceiptDenial::UnknownGateway,
            ReceiptDenial::WrongSignature,
            ReceiptDenial::Unreadable(FormFault::NoStatus),
        ];
        let all = others.into_iter().chain(untrue.map(ReceiptDenial::Untrue));
        assert!(all.map(ReceiptDenial::name).eq(ReceiptMetrics::REASONS));
    }

    #[test]
    fn the_secret_is_read_until_there_is_one() {
        let (gatherer, _gathered) = ReceiptGatherer::new();
        let reception = Reception::new(Vec::new(), gatherer, ReceiptMetrics::default());
        let read = |found| reception.secret(|| Ok::<_, ()>(found));
        let secret = ReceiptSecret::new([3; 32]);
        assert_eq!(read(None), Ok(None));
        assert_eq!(read(Some(secret)), Ok(Some(secret)));
        assert_eq!(read(None), Ok(Some(secret)));
    }
}
