//! Decides whether a request is the receipt of a gateway that knows the message's address.
//!
//! Nothing here knows HTTP. What is refused is counted by its reason.

use std::sync::OnceLock;

use notty_storage::{
    command::ReceiptRefusal,
    model::{MessageId, ReceiptNote, ReceiptSecret},
};

use super::{
    caller::{CallFault, ReceiptCaller},
    form::ReceiptRequest,
    gatherer::{ReceiptFault, ReceiptGatherer},
    receipt_key,
};
use crate::{gateway::profile::receipts::ReceiptReply, metrics::ReceiptMetrics};

/// The place where a node takes receipts.
pub struct Reception {
    /// All gateways that send receipts.
    gateways: Vec<ReceiptCaller>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptDenial {
    /// No gateway has the name.
    UnknownGateway,
    /// The signature is not that of this message's address.
    WrongSignature,
    /// The request names no state of this message.
    Unreadable(CallFault),
    /// Its content cannot be true.
    Untrue(ReceiptRefusal),
}

impl ReceiptDenial {
    /// The name in metrics.
    fn name(&self) -> &'static str {
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
    /// This node cannot check it yet: it may be taken if it comes again.
    Unready(Unready),
}

/// The reason for which a node cannot check a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// The cluster has no secret yet, or this node does not know it yet.
    NoSecret,
    /// The signature is right, and the configuration of this node lacks the gateway.
    NoSuchGateway,
}

impl Reception {
    /// Takes receipts of some gateways.
    pub fn new(
        gateways: Vec<ReceiptCaller>,
        gatherer: ReceiptGatherer,
        metrics: ReceiptMetrics,
    ) -> Self {
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

    /// The message of an address that has the form of one. Nothing is read for what has another form.
    ///
    /// # Errors
    /// No cluster makes such an address.
    pub fn message_of(&self, address: ReceiptAddress<'_>) -> Result<MessageId, NotTaken> {
        let id = address.id.parse().ok().and_then(MessageId::from_u64);
        let id = id.filter(|_| receipt_key::is_well_formed(address.signature));
        id.ok_or_else(|| self.refuse(self.denial_of(address)))
    }

    /// Checks the signature in the address of a message.
    ///
    /// # Errors
    /// The gateway is unknown, or the signature is another one's; or this node cannot tell yet.
    pub fn admit(
        &self,
        secret: Option<&ReceiptSecret>,
        id: MessageId,
        address: ReceiptAddress<'_>,
    ) -> Result<(), NotTaken> {
        let is_known = self.knows(address.gateway);
        let Some(secret) = secret else {
            // The entry that brought it may not have come here yet.
            let unready = || self.put_off(NotTaken::Unready(Unready::NoSecret));
            return Err(if is_known {
                unready()
            } else {
                self.refuse(ReceiptDenial::UnknownGateway)
            });
        };

        let is_signed = receipt_key::check(secret, address.gateway, id, address.signature);
        if is_signed && is_known {
            return Ok(());
        }
        // A node of this cluster signed it: one whose configuration has the gateway.
        Err(if is_signed {
            self.put_off(NotTaken::Unready(Unready::NoSuchGateway))
        } else {
            self.refuse(self.denial_of(address))
        })
    }

    fn knows(&self, gateway: &str) -> bool {
        self.caller(gateway).is_some()
    }

    fn caller(&self, gateway: &str) -> Option<&ReceiptCaller> {
        self.gateways.iter().find(|caller| caller.name == gateway)
    }

    fn denial_of(&self, address: ReceiptAddress<'_>) -> ReceiptDenial {
        if self.knows(address.gateway) {
            ReceiptDenial::WrongSignature
        } else {
            ReceiptDenial::UnknownGateway
        }
    }

    /// The receipts that a request to the address of a message names; none if it speaks of other things.
    ///
    /// # Errors
    /// The request cannot be read, or names another message.
    pub fn read(
        &self,
        gateway: &str,
        id: MessageId,
        request: ReceiptRequest<'_>,
    ) -> Result<Vec<ReceiptNote>, NotTaken> {
        let caller = self.caller(gateway);
        let caller = caller.ok_or_else(|| self.refuse(ReceiptDenial::UnknownGateway))?;
        let read = caller.read(id, request);
        read.map_err(|fault| self.refuse(ReceiptDenial::Unreadable(fault)))
    }

    /// The answer that a gateway takes for "noted"; `None`: an empty one.
    pub fn reply(&self, gateway: &str) -> Option<&ReceiptReply> {
        self.caller(gateway)?.reply()
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
            later => self.put_off(NotTaken::Later(later)),
        })?;
        self.metrics.taken();
        Ok(index)
    }

    fn put_off(&self, why: NotTaken) -> NotTaken {
        self.metrics.put_off();
        why
    }

    fn refuse(&self, refusal: ReceiptDenial) -> NotTaken {
        self.metrics.refused(refusal.name());
        NotTaken::Refused(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receipts::caller::CallLanguage;

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
            ReceiptDenial::Unreadable(CallFault::OtherMessage),
        ];
        let all = others.into_iter().chain(untrue.map(ReceiptDenial::Untrue));
        assert!(all.map(|denial| denial.name()).eq(ReceiptMetrics::REASONS));
    }

    fn reception() -> Reception {
        let (gatherer, _gathered) = ReceiptGatherer::new();
        let caller = ReceiptCaller {
            name: "default".to_owned(),
            language: CallLanguage::Own,
        };
        Reception::new(vec![caller], gatherer, ReceiptMetrics::default())
    }

    fn address<'a>(gateway: &'a str, id: &'a str, signature: &'a str) -> ReceiptAddress<'a> {
        ReceiptAddress {
            gateway,
            id,
            signature,
        }
    }

    #[test]
    fn what_is_no_address_is_refused_before_a_secret_is_known() {
        let reception = reception();
        let signature = "1.5VhsFjVIzUpXKtRllNa1rg";
        let refused = |denial| Err(NotTaken::Refused(denial));
        for (gateway, id, k, denial) in [
            ("default", "4294967296", "", ReceiptDenial::WrongSignature),
            ("default", "1", signature, ReceiptDenial::WrongSignature),
            ("default", "x", signature, ReceiptDenial::WrongSignature),
            ("other", "4294967296", "k", ReceiptDenial::UnknownGateway),
        ] {
            let found = reception.message_of(address(gateway, id, k));
            assert_eq!(found, refused(denial), "{gateway} {id} {k}");
        }

        let known = address("default", "4294967296", signature);
        let id = reception.message_of(known).expect("a message");
        let unready = Err(NotTaken::Unready(Unready::NoSecret));
        assert_eq!(reception.admit(None, id, known), unready);
        let other = address("other", "4294967296", signature);
        let unknown = Err(NotTaken::Refused(ReceiptDenial::UnknownGateway));
        assert_eq!(reception.admit(None, id, other), unknown);
    }

    #[test]
    fn a_gateway_that_another_node_knows_may_come_again() {
        let (reception, secret) = (reception(), ReceiptSecret::new([3; 32]));
        let id = MessageId::from_u64(1 << 32).expect("an id");
        let admit = |gateway, signed_for| {
            let signature = receipt_key::sign(&secret, signed_for, id);
            reception.admit(
                Some(&secret),
                id,
                address(gateway, "4294967296", &signature),
            )
        };
        let unready = Err(NotTaken::Unready(Unready::NoSuchGateway));
        let refused = |denial| Err(NotTaken::Refused(denial));
        assert_eq!(admit("default", "default"), Ok(()));
        assert_eq!(admit("new", "new"), unready);
        assert_eq!(
            admit("new", "default"),
            refused(ReceiptDenial::UnknownGateway)
        );
        assert_eq!(
            admit("default", "new"),
            refused(ReceiptDenial::WrongSignature)
        );
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
