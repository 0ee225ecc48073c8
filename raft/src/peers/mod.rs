//! Calls between nodes: sessions that prove both ends, calls with deadlines, a server.
//!
//! A peer connection is a stream of frames ([`session`]) over TLS ([`tls`]). Both ends prove
//! themselves by certificates, or by a secret that nobody can learn or guess from the bytes that they
//! send ([`proof`]), and then name themselves ([`opening`]). One call at a time goes over a session
//! ([`client`]); idle sessions are kept ([`pool`]). Connections that are not proved yet have few places
//! of their own ([`handshakes`]). The calls and their replies are declared in [`protocol`].

pub(crate) mod call;
pub(crate) mod client;
mod handshakes;
pub(crate) mod network;
mod opening;
pub(crate) mod peer_client;
mod pool;
pub(crate) mod proof;
pub(crate) mod protocol;
mod refusals;
pub(crate) mod server;
pub(crate) mod session;
#[cfg(test)]
mod tests;
mod tls;
mod transport;
mod validity;

pub use call::CallError;
pub use proof::Credentials;
pub use tls::{TlsError, TlsFiles};
pub use transport::{Accepted, Io, Listener, Peek, TcpTransport, Transport};
