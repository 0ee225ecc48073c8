//! The service's own protocol, as the gateway of `[gateway]` speaks it: docs/gateway-protocol.md.

use bytes::Bytes;
use http::{Request, response::Parts};
use http_body_util::Full;

use super::{
    super::Envelope,
    address::GatewayUrl,
    answer::{by_body, by_status},
    request::RequestMaker,
    secret_forms,
    speech::{AnswerVerdict, Speech},
};

/// The own protocol with one account.
pub struct OwnSpeech {
    requests: RequestMaker,
    unsure_statuses: Vec<u16>,
    token: String,
    /// The token in all its forms.
    secrets: Vec<String>,
}

impl OwnSpeech {
    /// Speaks to a URL, with a token unless it is empty. The error is a fault of the token.
    pub(super) fn new(
        url: &GatewayUrl,
        token: String,
        unsure_statuses: Vec<u16>,
    ) -> Result<Self, String> {
        Ok(Self {
            requests: RequestMaker::new(url, &token)?,
            unsure_statuses,
            secrets: secret_forms::forms([token.as_str()]),
            token,
        })
    }
}

impl Speech for OwnSpeech {
    fn request(&self, envelope: &Envelope<'_>) -> Request<Full<Bytes>> {
        self.requests.request(envelope)
    }

    fn judge(&self, head: &Parts, body: &[u8], _: &Envelope<'_>) -> AnswerVerdict<'_> {
        let by_status = by_status(head.status, &head.headers, &self.unsure_statuses);
        AnswerVerdict {
            outcome: by_status.unwrap_or_else(|| by_body(body)),
            why: None,
        }
    }

    /// Another token is another account, as far as anybody can tell.
    fn account(&self) -> Vec<&str> {
        vec![&self.token]
    }

    fn secrets(&self) -> &[String] {
        &self.secrets
    }
}
