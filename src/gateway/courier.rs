//! The seam between a postman and a gateway: a message goes over as an envelope, and its outcome comes
//! back.
//!
//! At most once needs a sender that knows whether it wrote. So a message is handed over in two steps.
//! [`Courier::prepare`] does all that may take long, and writes nothing of the message. Then the postman
//! checks once more whether the message may still be sent, notes it in its journal, and calls
//! [`PreparedCourier::send`]. The order is in the types: nothing can be sent that was not prepared.
//!
//! All of it is generic, so that a message costs no allocation and no dynamic call for the seam.

use std::{future::Future, sync::Arc};

use notty_storage::model::{MessageId, Phone};

use super::GatewayOutcome;

/// One message, as it is handed over.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'e> {
    /// The message's id: the gateway gets it with every try.
    pub id: MessageId,
    /// The phone of the customer.
    pub phone: Phone,
    /// The text of the mailing.
    pub text: &'e str,
    /// The URL for receipts of the message; empty where none are asked for.
    pub receipt_url: &'e str,
}

/// One gateway, and one account there.
pub trait Gateway: Send + Sync + 'static {
    /// Carries messages to it, one at a time.
    type Courier: Courier;

    /// A number for this gateway and this account, the same wherever a postman of the cluster is
    /// configured so. Another account is another number, because a message in doubt belongs to one.
    fn identity(&self, cluster: &str) -> u64;

    /// A new courier. A postman has as many as it may have messages under way.
    fn courier(self: &Arc<Self>) -> Self::Courier;
}

/// Carries messages to a gateway, one at a time; several may share a connection.
pub trait Courier: Send + 'static {
    /// The right to hand over one message at once. Whatever it holds, such as a place in a window, is
    /// free again when it is dropped.
    type PreparedCourier<'c>: PreparedCourier
    where
        Self: 'c;

    /// Looks after a connection while there is nothing to send: it notices that the gateway closes it, and
    /// closes one that is too old to be used again. Ends once there is nothing more to look after.
    fn rest(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Waits until a message can be handed over at once; `None` if that is not to be had in time.
    /// Nothing of a message is written.
    fn prepare(&mut self) -> impl Future<Output = Option<Self::PreparedCourier<'_>>> + Send;

    /// The last failure in words for the log, without phones and without the message's text; `None` if
    /// nothing is known of it.
    fn describe_failure(&self, _envelope: &Envelope<'_>) -> Option<String> {
        None
    }
}

/// The right to hand over one message at once.
pub trait PreparedCourier: Send {
    /// Hands the message over, and waits for its outcome within the gateway's time. It is
    /// [`GatewayOutcome::NotSent`] only if no byte of the message was written and none will be.
    fn send(self, envelope: Envelope<'_>) -> impl Future<Output = GatewayOutcome> + Send;
}
