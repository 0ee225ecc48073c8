//! The checks of single values that several sections have: addresses, numbers, secrets in headers.

use std::{net::SocketAddr, ops::RangeInclusive};

use super::{ConfigError, Secret};
use crate::address::HostPort;

/// The beginning of the text that the examples have in the place of a secret.
pub(super) const PLACEHOLDER: &str = "replace-me";

/// Reads an address that peers connect to. The host need not be known yet.
pub(super) fn check_peer_address(key: &str, address: &str) -> Result<HostPort, ConfigError> {
    let parsed = HostPort::parse(address).map_err(|fault| {
        let fault = format!("`{address}` {fault}; write a host and a port, like 10.0.0.1:7080");
        ConfigError::at(key, fault)
    })?;
    if parsed.is_unspecified() {
        let fault = format!(
            "`{address}` stands for all addresses of a machine, and nobody can connect to it; name the \
             host that others reach"
        );
        return Err(ConfigError::at(key, fault));
    }
    Ok(parsed)
}

/// Reads an address to listen at: an IP address of this machine, with a port.
pub(super) fn check_listen_address(
    key: &str,
    listen: &str,
    example: &str,
) -> Result<SocketAddr, ConfigError> {
    // The standard library takes a port with leading zeros.
    let is_plain = HostPort::parse(listen).is_ok() || listen.ends_with(":0");
    let address = listen.parse().ok().filter(|_| is_plain);
    address.ok_or_else(|| {
        let fault = format!("`{listen}` is not an IP address and port, like {example}");
        ConfigError::at(key, fault)
    })
}

pub(super) fn within(key: &str, value: u64, range: RangeInclusive<u64>) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    let fault = format!("{value} is not between {least} and {most}");
    Err(ConfigError::at(key, fault))
}

/// Rejects a token that no request can carry: the end of a line comes with a file that it was read from.
pub(super) fn check_header_text(key: &str, token: &Secret) -> Result<(), ConfigError> {
    if token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let fault = "it has a space, a line end or a character beyond ASCII in it, and requests cannot carry \
                 that";
    Err(ConfigError::at(key, fault))
}
