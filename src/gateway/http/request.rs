//! Requests to the gateway: one message as an HTTP request.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName},
};
use http_body_util::Full;
use notty_storage::model::MessageId;

use super::{super::Envelope, address::GatewayUrl};

/// Room for all of a body but its text.
const BODY_BYTES: usize = 64;

/// The header with the URL for receipts of the message. It is no part of the body: that URL may change between
/// two tries, and a gateway may know a repeat by its body.
const RECEIPT_URL: HeaderName = HeaderName::from_static("notty-receipt-url");

/// Builds requests; whatever all of them share is kept ready.
pub(super) struct RequestMaker {
    path: String,
    host: HeaderValue,
    authorization: Option<HeaderValue>,
}

impl RequestMaker {
    /// Requests to a URL, with a token unless it is empty.
    pub(super) fn new(url: &GatewayUrl, token: &str) -> Result<Self, String> {
        let authorization = (!token.is_empty()).then(|| bearer(token)).transpose()?;

        Ok(Self {
            path: url.path.clone(),
            host: url.host_header.clone(),
            authorization,
        })
    }

    /// The request of one message.
    pub(super) fn request(&self, envelope: &Envelope<'_>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body(envelope)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri(envelope.id);
        self.fill(request.headers_mut(), envelope);
        request
    }

    fn uri(&self, id: MessageId) -> Uri {
        let path = format!("{}/{id}", self.path);
        path.parse()
            .expect("a path of a URL and a number is a path")
    }

    fn fill(&self, headers: &mut HeaderMap, envelope: &Envelope<'_>) {
        headers.reserve(5);
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        // The gateway may know a repeat by it.
        let key = HeaderValue::from(envelope.id.as_u64());
        headers.insert(HeaderName::from_static("idempotency-key"), key);
        headers.extend(receipt_url(envelope).map(|url| (RECEIPT_URL, url)));
    }
}

/// The header's value for a message's receipts, where any are asked for.
fn receipt_url(envelope: &Envelope<'_>) -> Option<HeaderValue> {
    let url = envelope.receipt_url;
    // The check of the configuration lets nothing through that cannot stand in a header.
    let mut value = HeaderValue::from_str(url)
        .ok()
        .filter(|_| !url.is_empty())?;
    // Its signature must not show where headers are printed.
    value.set_sensitive(true);
    Some(value)
}

/// The header's value for a token.
fn bearer(token: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| "it cannot stand in a header".to_owned())?;
    // It must not show where headers are printed.
    value.set_sensitive(true);
    Ok(value)
}

/// The body of a message's request.
fn body(envelope: &Envelope<'_>) -> Bytes {
    let Envelope {
        id, phone, text, ..
    } = envelope;
    // Quotes and escapes are few: nearly every text fits without growing.
    let mut body = String::with_capacity(text.len() + BODY_BYTES);
    let digits = phone.digits();
    write!(body, r#"{{"id":{id},"phone":{digits},"text":"#).expect("writing to memory cannot fail");

    let mut bytes = body.into_bytes();
    serde_json::to_writer(&mut bytes, text).expect("writing to memory cannot fail");
    bytes.push(b'}');
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests {
    use notty_storage::{Timestamp, model::Phone};

    use super::*;

    #[test]
    fn a_body_is_json_whatever_the_text() {
        let text = "He said \"no\"\n\\ \u{1F600} Скидка";
        let id = MessageId::from_u64((1 << 32) + 7).expect("an id");
        let phone = Phone::parse("+79161112233").expect("a phone number");
        let envelope = Envelope {
            id,
            phone,
            text,
            ends_at: Timestamp::default(),
            receipt_url: "",
        };
        let value: serde_json::Value = serde_json::from_slice(&body(&envelope)).expect("JSON");

        assert_eq!(value["id"], (1u64 << 32) + 7);
        assert_eq!(value["phone"], 79_161_112_233_u64);
        assert_eq!(value["text"], text);
    }

    #[test]
    fn a_repeat_has_the_same_body_whether_receipts_are_asked_for_or_not() {
        let url = GatewayUrl::parse("http://127.0.0.1:9090/v1/send").expect("a URL");
        let maker = RequestMaker::new(&url, "token").expect("a token");
        let with = "https://sms.example/receipts/default/7?k=1.a_b-c";
        let envelope = |receipt_url| Envelope {
            id: MessageId::from_u64((1 << 32) + 7).expect("an id"),
            phone: Phone::parse("+79161112233").expect("a phone number"),
            text: "Hello",
            ends_at: Timestamp::default(),
            receipt_url,
        };
        assert_eq!(body(&envelope("")), body(&envelope(with)));

        let header = |receipt_url| {
            let request = maker.request(&envelope(receipt_url));
            request.headers().get(RECEIPT_URL).cloned()
        };
        assert_eq!(header(""), None);
        let told = header(with).expect("a header");
        assert_eq!(told, with);
        assert!(told.is_sensitive());
    }
}
