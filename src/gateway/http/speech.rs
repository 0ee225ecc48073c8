//! The seam between a connection and what is spoken on it: the bytes of a request, and the meaning of a
//! whole answer.
//!
//! Everything else about a message is the same for all gateways over HTTP, and stays with the courier:
//! when a connection may be used, whether a byte of the request went out, and that an answer which does
//! not come whole leaves the message unsure. A speech never connects, waits or counts.

use bytes::Bytes;
use http::{Request, response::Parts};
use http_body_util::Full;

use super::super::{Envelope, GatewayOutcome};

/// A protocol over HTTP, spoken with one account.
pub trait Speech: Send + Sync + 'static {
    /// The request of a message. Its URI is a path; its headers name the host.
    fn request(&self, envelope: &Envelope<'_>) -> Request<Full<Bytes>>;

    /// The meaning of an answer that came whole.
    fn judge(&self, head: &Parts, body: &[u8], envelope: &Envelope<'_>) -> AnswerVerdict<'_>;

    /// Texts that tell one account from another, besides scheme, host and port.
    fn account(&self) -> Vec<&str>;

    /// Texts that must never stand in a log.
    fn secrets(&self) -> &[String];
}

/// The meaning of an answer.
#[derive(Clone, Copy, Debug)]
pub struct AnswerVerdict<'s> {
    /// The meaning for the message.
    pub outcome: GatewayOutcome,
    /// The meaning in words, for the log.
    pub why: Option<&'s str>,
}
