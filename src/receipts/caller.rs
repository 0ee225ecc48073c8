//! The gateways whose calls a node takes: the way in which each names what became of a message, and the answer
//! that it takes for "noted".

use notty_storage::model::{MessageId, ReceiptNote};
use thiserror::Error;

use super::form::{FormFault, ReceiptRequest};
use crate::gateway::profile::receipts::{
    DeliveryReceipt, ReceiptCall, ReceiptCallFault, ReceiptForm, ReceiptReply,
};

/// A gateway that calls the addresses of messages.
#[derive(Clone, Debug)]
pub struct ReceiptCaller {
    /// Its name in the configuration, which is a part of the addresses.
    pub name: String,
    /// The form of its calls.
    pub language: CallLanguage,
}

/// The form of a gateway's calls.
#[derive(Clone, Debug)]
pub enum CallLanguage {
    /// That of notty's own protocol.
    Own,
    /// That of a profile.
    Profile(Box<ReceiptForm>),
}

/// The reason for which a call brings no receipt.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CallFault {
    /// It is not in the form of notty's own protocol.
    #[error(transparent)]
    Own(#[from] FormFault),
    /// It is not in the form of the gateway's profile.
    #[error(transparent)]
    Profile(#[from] ReceiptCallFault),
    /// It names another message than its address does.
    #[error("the receipt is that of another message than the address")]
    OtherMessage,
}

impl ReceiptCaller {
    /// The receipts of a call to the address of a message; none if it speaks of other things.
    ///
    /// # Errors
    /// It cannot be read, or one of its receipts names another message.
    pub fn read(
        &self,
        id: MessageId,
        request: ReceiptRequest<'_>,
    ) -> Result<Vec<ReceiptNote>, CallFault> {
        let form = match &self.language {
            CallLanguage::Own => return Ok(vec![own_note(id, request)?]),
            CallLanguage::Profile(form) => form,
        };

        let receipts = form.read(&ReceiptCall {
            query: request.query,
            headers: request.headers,
            body: request.body,
        })?;
        // The address proves that the gateway speaks of this message, and of no other.
        let is_of_others = |receipt: &DeliveryReceipt| !receipt.subject.may_be(id);
        if receipts.iter().any(is_of_others) {
            return Err(CallFault::OtherMessage);
        }
        Ok(receipts
            .into_iter()
            .map(|receipt| note(id, receipt))
            .collect())
    }

    /// The answer to a call whose receipts are noted; `None`: an empty one.
    pub fn reply(&self) -> Option<&ReceiptReply> {
        match &self.language {
            CallLanguage::Own => None,
            CallLanguage::Profile(form) => Some(form.reply()),
        }
    }
}

fn own_note(id: MessageId, request: ReceiptRequest<'_>) -> Result<ReceiptNote, FormFault> {
    let named = request.read()?;
    Ok(ReceiptNote {
        message: id,
        state: named.state,
        error: named.error,
    })
}

fn note(id: MessageId, receipt: DeliveryReceipt) -> ReceiptNote {
    ReceiptNote {
        message: id,
        state: receipt.state,
        error: receipt.error,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use notty_storage::model::{ErrorCode, ReceiptState};

    use super::*;
    use crate::gateway::profile::built_in;

    fn id() -> MessageId {
        MessageId::from_u64((7 << 32) + 12).expect("an id")
    }

    fn caller(profile: &str) -> ReceiptCaller {
        let profile = built_in::find(profile).expect("a built-in profile");
        ReceiptCaller {
            name: "g".to_owned(),
            language: CallLanguage::Profile(Box::new(
                profile.receipts().expect("receipts").clone(),
            )),
        }
    }

    fn read(profile: &str, query: &str, body: &str) -> Result<Vec<ReceiptNote>, CallFault> {
        let request = ReceiptRequest {
            query,
            headers: &HeaderMap::new(),
            content_type: "",
            content_encoding: "",
            body: body.as_bytes(),
        };
        caller(profile).read(id(), request)
    }

    fn noted(state: ReceiptState, error: &str) -> Result<Vec<ReceiptNote>, CallFault> {
        Ok(vec![ReceiptNote {
            message: id(),
            state,
            error: ErrorCode::beginning_of(error),
        }])
    }

    #[test]
    fn a_call_at_the_address_of_a_message_is_read_by_the_profile() {
        let twilio = read(
            "twilio",
            "k=1.a",
            "MessageStatus=undelivered&ErrorCode=30003",
        );
        assert_eq!(twilio, noted(ReceiptState::Undelivered, "30003"));
        let kannel = read("kannel", "k=1.a&status=1", "");
        assert_eq!(kannel, noted(ReceiptState::Delivered, ""));
        let sent = read("kannel", "k=1.a&status=8", "");
        assert_eq!(sent, noted(ReceiptState::Progress, ""));
        assert!(read("kannel", "k=1.a", "").is_err());
    }

    #[test]
    fn our_id_in_a_call_must_be_that_of_its_address() {
        let body = |id: u64| {
            format!(
                r#"{{"results":[{{"messageId":"{id}","status":{{"name":"DELIVERED_TO_HANDSET"}}}}]}}"#
            )
        };
        let own = read("infobip", "k=1.a", &body((7 << 32) + 12));
        assert_eq!(own, noted(ReceiptState::Delivered, ""));
        let other = read("infobip", "k=1.a", &body((7 << 32) + 13));
        assert_eq!(other, Err(CallFault::OtherMessage));
    }

    #[test]
    fn a_profile_answers_in_its_own_words() {
        let jasmin = caller("jasmin");
        let reply = jasmin.reply().expect("an answer");
        assert_eq!((reply.status, reply.body.as_str()), (200, "ACK/Jasmin"));
    }
}
