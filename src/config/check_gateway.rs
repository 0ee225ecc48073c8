//! The checks of `[gateway]`: its URL, its token, its limits.

use super::{
    ConfigError, FaultList, GatewayConfig, placeholder,
    values::{check_header_text, within},
};
use crate::address::HttpUrl;

/// Checks the section as a postman needs it.
pub(super) fn check(gateway: &GatewayConfig) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    faults.take(check_url(&gateway.url));
    faults.take(placeholder::check_url("gateway.url", &gateway.url));
    faults.take(placeholder::check_secret("gateway.token", &gateway.token));
    if !gateway.token.is_empty() {
        faults.take(check_header_text("gateway.token", &gateway.token));
    }

    let concurrency = gateway.concurrency as u64;
    faults.take(within("gateway.concurrency", concurrency, 1..=10_000));
    faults.take(check_timeouts(gateway));
    let hours = gateway.idempotent_hours;
    faults.take(within("gateway.idempotent_hours", hours, 1..=8_760));
    faults.take(check_unsure_statuses(&gateway.unsure_statuses));
    faults.finish()
}

fn check_url(url: &str) -> Result<(), ConfigError> {
    let fault = match HttpUrl::parse(url) {
        Ok(_) => return Ok(()),
        // A password in it must not be shown.
        Err(fault) if url.contains('@') => format!("the URL {fault}; use gateway.token"),
        Err(fault) => format!("`{url}` {fault}"),
    };
    Err(ConfigError::at("gateway.url", fault))
}

/// Checks the time limits, each by itself.
pub(super) fn check_timeouts(gateway: &GatewayConfig) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    let connect_ms = gateway.connect_timeout_ms;
    faults.take(within("gateway.connect_timeout_ms", connect_ms, 1..=60_000));
    let answer_ms = gateway.timeout_ms;
    faults.take(within("gateway.timeout_ms", answer_ms, 1..=300_000));
    let idle_ms = gateway.idle_timeout_ms;
    faults.take(within("gateway.idle_timeout_ms", idle_ms, 0..=3_600_000));
    faults.finish()
}

/// Rejects a number that no answer can have. The status that was meant would be missing, and an answer
/// with it would count as not taken: the message would be sent again.
fn check_unsure_statuses(statuses: &[u16]) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    for (n, status) in statuses.iter().enumerate() {
        if !(100..600).contains(status) {
            let key = format!("gateway.unsure_statuses[{n}]");
            let fault =
                format!("{status} is not an HTTP status, which is a number from 100 to 599");
            faults.add(&key, fault);
        }
    }
    faults.finish()
}
