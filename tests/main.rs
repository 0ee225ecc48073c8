//! Black-box tests: they know the command line, HTTP and the gateway, and nothing inside.

// Printed where a test cannot run on this machine; everything else speaks by assertions.
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]
#![allow(
    unreachable_pub,
    reason = "what modules share is public among them, and nobody else's"
)]

mod support;

mod api;
mod cli;
mod clock;
mod cluster;
mod connections;
mod deploy;
mod disk;
mod example_config;
mod faults;
mod gateway;
mod logging;
mod metrics;
mod openapi;
mod private;
mod sending;
mod stopping;
mod tls;
mod upgrade;
