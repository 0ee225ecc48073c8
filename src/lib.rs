//! notty.

pub mod gateway;
