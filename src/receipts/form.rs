//! The built-in form of receipts, that of notty's own protocol.
//!
//! A gateway names the state as `status` and may name its error as `error`: in the query, in a form, or in
//! a JSON object. What else it names is ignored.

use http::HeaderMap;
use notty_storage::model::{ErrorCode, ReceiptState};
use serde_json::Value;

/// The words for the state of a message.
const STATES: [(&str, ReceiptState); 3] = [
    ("sent", ReceiptState::Progress),
    ("delivered", ReceiptState::Delivered),
    ("undelivered", ReceiptState::Undelivered),
];

/// A receipt as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedReceipt {
    /// The state of the message.
    pub state: ReceiptState,
    /// The gateway's code of the error; empty if it named none.
    pub error: ErrorCode,
}

/// The reason for which a request is no receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormFault {
    /// The body is compressed, or encoded otherwise.
    #[error("the body has a content-encoding: send it without one")]
    Encoded,
    /// The body is no JSON object although it says so.
    #[error("the body is not a JSON object")]
    NoObject,
    /// Nothing names the state.
    #[error("`status` is missing: sent, delivered or undelivered is needed")]
    NoStatus,
    /// The state is none of those that there are.
    #[error("`status` is none of sent, delivered and undelivered")]
    UnknownStatus,
}

/// The parts of a request that can hold a receipt.
#[derive(Clone, Copy, Debug)]
pub struct ReceiptRequest<'a> {
    /// The query of the address, encoded.
    pub query: &'a str,
    /// All headers of the request.
    pub headers: &'a HeaderMap,
    /// The media type of the body, in lower case, without parameters; empty if there is none.
    pub content_type: &'a str,
    /// The encoding of the body; empty if there is none.
    pub content_encoding: &'a str,
    /// The body, empty for a GET.
    pub body: &'a [u8],
}

impl ReceiptRequest<'_> {
    /// Reads the receipt. What the body names counts before what the query names.
    ///
    /// # Errors
    /// The request names no state, or an unknown one.
    pub fn read(&self) -> Result<NamedReceipt, FormFault> {
        let body = self.fields_of_body()?;
        let query = fields_of_form(self.query.as_bytes());
        let find = |name: &str| {
            let mut fields = body.iter().chain(&query);
            fields
                .find(|(of, _)| of == name)
                .map(|(_, value)| value.as_str())
        };

        let status = find("status").ok_or(FormFault::NoStatus)?;
        let known = STATES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(status));
        let (_, state) = *known.ok_or(FormFault::UnknownStatus)?;
        let error = ErrorCode::beginning_of(find("error").unwrap_or_default());
        Ok(NamedReceipt { state, error })
    }

    fn fields_of_body(&self) -> Result<Vec<(String, String)>, FormFault> {
        let mut visible = self.body.iter().filter(|byte| !byte.is_ascii_whitespace());
        let Some(first) = visible.next() else {
            // Some name a type although they send no body.
            return Ok(Vec::new());
        };
        if !matches!(self.content_encoding, "" | "identity") {
            return Err(FormFault::Encoded);
        }

        // Many gateways send JSON as text, or under a type of their own. No form begins so.
        let is_json = self.content_type == "application/json" || *first == b'{';
        if !is_json {
            return Ok(fields_of_form(self.body));
        }
        let object = serde_json::from_slice(self.body);
        let Ok(Value::Object(fields)) = object else {
            return Err(FormFault::NoObject);
        };
        Ok(fields.into_iter().filter_map(text_field).collect())
    }
}

fn fields_of_form(form: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(form).into_owned().collect()
}

/// A field of a JSON object as text: codes of errors may be numbers.
fn text_field((name, value): (String, Value)) -> Option<(String, String)> {
    let text = match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some((name, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, content_type: &str, body: &str) -> Result<NamedReceipt, FormFault> {
        request(&HeaderMap::new(), query, content_type, body).read()
    }

    fn request<'a>(
        headers: &'a HeaderMap,
        query: &'a str,
        content_type: &'a str,
        body: &'a str,
    ) -> ReceiptRequest<'a> {
        ReceiptRequest {
            headers,
            query,
            content_type,
            content_encoding: "",
            body: body.as_bytes(),
        }
    }

    fn named(state: ReceiptState, error: &str) -> Result<NamedReceipt, FormFault> {
        let error = ErrorCode::beginning_of(error);
        Ok(NamedReceipt { state, error })
    }

    #[test]
    fn query_form_and_json_say_the_same() {
        let form = "application/x-www-form-urlencoded";
        let lost = named(ReceiptState::Undelivered, "34");
        assert_eq!(read("k=x&status=undelivered&error=34", "", ""), lost);
        assert_eq!(read("k=x", form, "status=undelivered&error=34"), lost);
        let json = r#"{"status": "undelivered", "error": 34, "more": [1]}"#;
        assert_eq!(read("k=x", "application/json", json), lost);

        let both = read("status=sent", form, "status=Delivered");
        assert_eq!(both, named(ReceiptState::Delivered, ""));
        assert_eq!(
            read("status=sent", "", ""),
            named(ReceiptState::Progress, "")
        );
    }

    #[test]
    fn a_json_object_is_one_whatever_its_type() {
        let json = " {\"status\": \"undelivered\", \"error\": \"34\"}";
        let lost = named(ReceiptState::Undelivered, "34");
        for kind in ["", "text/plain", "text/json", "application/vnd.x+json"] {
            assert_eq!(read("k=x", kind, json), lost, "{kind}");
        }
    }

    #[test]
    fn an_encoded_body_is_refused_by_its_name() {
        let headers = HeaderMap::new();
        let mut request = request(&headers, "status=sent", "application/json", "{}");
        request.content_encoding = "gzip";
        assert_eq!(request.read(), Err(FormFault::Encoded));
        request.content_encoding = "identity";
        assert_eq!(request.read(), named(ReceiptState::Progress, ""));
        request.content_encoding = "gzip";
        request.body = b"";
        assert_eq!(request.read(), named(ReceiptState::Progress, ""));
    }

    #[test]
    fn a_type_without_a_body_says_nothing() {
        let read = read("status=sent", "application/json", " ");
        assert_eq!(read, named(ReceiptState::Progress, ""));
    }

    #[test]
    fn what_names_no_state_is_no_receipt() {
        assert_eq!(read("k=x", "", ""), Err(FormFault::NoStatus));
        assert_eq!(read("status=lost", "", ""), Err(FormFault::UnknownStatus));
        let json = |body| read("status=sent", "application/json", body);
        assert_eq!(json("[1]"), Err(FormFault::NoObject));
        assert_eq!(json("{"), Err(FormFault::NoObject));
    }
}
