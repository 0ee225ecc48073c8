//! The outside: how a message goes to the SMS gateway, and what its answer means.
//!
//! At most once needs a sender that knows whether it wrote. So there is one request at a time on a
//! connection, HTTP/1.1, no redirects, no proxies, no retries: [`Slot`] is one connection, and a
//! flag under its HTTP layer is set by the first byte of a request. "Not sent" is said only while
//! that flag is unset and the connection is gone. [`answer`] holds what each answer means;
//! [`practice`] is a gateway to try things with.

pub mod answer;
mod connect;
mod flagged;
pub mod practice;
mod slot;

pub use answer::Answer;
pub use connect::{Connecting, Connector, Io, TcpConnector};
pub use slot::{Envelope, Gateway, GatewayOptions, Slot};
