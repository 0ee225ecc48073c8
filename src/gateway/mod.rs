//! The outside: the way of a message to an SMS gateway, and the meaning of its answer.
//!
//! A postman knows a gateway by two traits alone: [`Gateway`] and [`Courier`]. It hands over an
//! [`Envelope`] and gets a [`GatewayOutcome`]; connections, requests and answers are the gateway's own.
//! [`http`] is the gateway of this service, [`practice`] is one to try things with, and
//! [`profile`] has what providers speak, as data. A gateway that
//! answers many messages on one connection fits the same traits: a test holds that.

pub mod courier;
pub mod http;
pub mod outcome;
pub mod practice;
pub mod profile;
mod retry_after;
#[cfg(test)]
mod tests;

pub use courier::{Courier, Envelope, Gateway, PreparedCourier};
pub use http::{ByteStream, Connecting, Connector, GatewayOptions, HttpGateway, TcpConnector};
pub use outcome::GatewayOutcome;
