//! How nodes talk to each other: sessions that prove both ends, calls with deadlines, a server.
//!
//! A peer connection is a stream of frames over TLS ([`tls`]). Both ends prove themselves by
//! certificates, or by a secret that nobody can learn or try from what they send ([`proof`]), and
//! say who they are ([`session`]). One call at a time goes over a session ([`client`]); those that are
//! idle are kept ([`pool`]). Connections that are not proved yet have few places of their own ([`handshakes`]).
//! What is said is in [`protocol`].

pub(crate) mod call;
pub(crate) mod client;
mod handshakes;
pub(crate) mod network;
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

pub use call::CallError;
pub use proof::Credentials;
pub use tls::{TlsError, TlsFiles};
pub use transport::{Io, Listener, TcpTransport, Transport};
