//! Black-box tests: they know the command line, HTTP and the gateway, and nothing inside.

// Printed where a test cannot run on this machine; everything else speaks by assertions.
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod support;

mod api;
mod cli;
mod example_config;
mod gateway;
mod openapi;
mod sending;
mod stopping;
