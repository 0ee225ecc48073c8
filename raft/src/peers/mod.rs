//! How nodes talk to each other: sessions that prove both ends, calls with deadlines, a server.
//!
//! A peer connection is a stream of frames. Both ends prove that they know the cluster's secret, by
//! a fresh challenge and without showing it, and every frame carries a code that binds it to that
//! session and its place in it ([`session`]). With certificates, [`tls`] lies below. One call at a time goes over a connection;
//! [`client`] keeps those that are idle. What is said is in [`protocol`].

pub(crate) mod client;
pub(crate) mod protocol;
mod refusals;
pub(crate) mod server;
pub(crate) mod session;
#[cfg(test)]
mod tests;
mod tls;
mod transport;

pub use client::CallError;
pub use tls::{TlsError, TlsFiles, TlsTransport};
pub use transport::{Io, Listener, TcpTransport, Transport};
