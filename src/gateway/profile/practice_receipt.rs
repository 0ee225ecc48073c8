//! Calls with receipts as a provider makes them, for the practice gateway to make.

use http::{HeaderMap, HeaderValue, Method, header::CONTENT_TYPE};
use notty_storage::model::{MessageId, ReceiptState};

use super::{
    body::{BodyForm, FieldForm},
    practice_answer::AnsweredMessage,
    reading::FoundMessage,
    receipts::{CallSignature, ReceiptCall, ReceiptForm, ReceiptSecrets},
};

/// One call, with placeholders in it. Its address comes from elsewhere.
#[derive(Clone, Debug)]
pub struct PracticeReceipt {
    pub(super) state: ReceiptState,
    pub(super) method: Method,
    pub(super) query: Vec<FieldForm>,
    pub(super) body: BodyForm,
}

/// A call as it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledReceipt {
    /// The method of the call.
    pub method: Method,
    /// Fields that are added to the query of the address, encoded; empty if there are none.
    pub query: String,
    /// The headers, of which one may be a signature.
    pub headers: HeaderMap,
    /// The body, empty if there is none.
    pub body: String,
}

impl PracticeReceipt {
    /// The fate of the message that it reports.
    pub fn state(&self) -> ReceiptState {
        self.state
    }

    /// The call about a message. `number` stands for the id where none travels, as in the answer.
    pub fn filled(&self, message: &FoundMessage, number: MessageId) -> FilledReceipt {
        self.fill(AnsweredMessage::of(message, number))
    }

    /// The call about a message of which nothing is in it.
    pub fn filled_for_nobody(&self) -> FilledReceipt {
        self.fill(AnsweredMessage::nobody())
    }

    pub(super) fn fill(&self, message: AnsweredMessage<'_>) -> FilledReceipt {
        let (content_type, body) = filled_body(&self.body, message);
        let content_type = content_type.map(HeaderValue::from_static);
        FilledReceipt {
            method: self.method.clone(),
            query: encoded(&self.query, message),
            headers: content_type
                .map(|value| (CONTENT_TYPE, value))
                .into_iter()
                .collect(),
            body,
        }
    }
}

impl FilledReceipt {
    /// The same call with the provider's signature, if its receipts have one. `None` if the secret for that
    /// is not among these.
    pub fn signed(mut self, form: &ReceiptForm, secrets: &ReceiptSecrets) -> Option<Self> {
        if !form.is_signed() {
            return Some(self);
        }

        let call = ReceiptCall {
            query: &self.query,
            headers: &self.headers,
            body: self.body.as_bytes(),
        };

        // Over the call as it is, so this comes last.
        match form.signature(&call, secrets)? {
            CallSignature::Field(name, value) => self.add_field(&name, &value),
            CallSignature::Header(name, value) => {
                self.headers.insert(name, value.parse().ok()?);
            }
        }
        Some(self)
    }

    /// Adds a field to the form, or else to the query.
    fn add_field(&mut self, name: &str, value: &str) {
        let fields = if self.body.is_empty() {
            &mut self.query
        } else {
            &mut self.body
        };
        let taken = std::mem::take(fields);
        *fields = form_urlencoded::Serializer::new(taken)
            .append_pair(name, value)
            .finish();
    }
}

/// A body with its type.
fn filled_body(body: &BodyForm, message: AnsweredMessage<'_>) -> (Option<&'static str>, String) {
    match body {
        BodyForm::Empty => (None, String::new()),
        BodyForm::Json(form) => (Some("application/json"), message.json(form).to_string()),
        BodyForm::Form(fields) => (
            Some("application/x-www-form-urlencoded"),
            encoded(fields, message),
        ),
    }
}

fn encoded(fields: &[FieldForm], message: AnsweredMessage<'_>) -> String {
    let filled = fields
        .iter()
        .map(|(name, value)| (name, message.text(value)));
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(filled)
        .finish()
}
