//! The HTTP gateway over real sockets: what a connection's end means, and how long one is kept.

mod handshake;
mod idle;
mod provider;
mod support;
