//! The checks of `[[gateways]]`, as far as they need no profile: those that do are made where the profile
//! is read.

use super::{
    ConfigError, FaultList, SpanLimitConfig, gateways::ProviderConfig, placeholder, values::within,
};

/// Characters of a gateway's name, at most.
const NAME_CHARS: usize = 32;
/// The span of a limit that can be kept so far.
const SECOND: &str = "1s";

/// Checks all entries as a postman needs them.
pub(super) fn check(gateways: &[ProviderConfig]) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    for (n, gateway) in gateways.iter().enumerate() {
        faults.take(check_one(gateway, &section(n)));
    }
    if gateways.len() > 1 {
        let fault = "one gateway is possible so far: remove this one";
        faults.add(&section(1), fault);
    }
    faults.finish()
}

/// The path of an entry.
pub(crate) fn section(n: usize) -> String {
    format!("gateways[{n}]")
}

fn check_one(gateway: &ProviderConfig, section: &str) -> Result<(), ConfigError> {
    let at = |key: &str| format!("{section}.{key}");
    let mut faults = FaultList::default();
    faults.take(check_name(&gateway.name, &at("name")));
    faults.take(check_profile(gateway, &at("profile")));

    let concurrency = gateway.concurrency as u64;
    faults.take(within(&at("concurrency"), concurrency, 1..=10_000));
    faults.take(check_timeouts(gateway, section));
    faults.take(check_limits(&gateway.limits, &at("limits")));
    faults.take(check_no_password(&gateway.url, &at("url")));
    faults.take(placeholder::check_url(&at("url"), &gateway.url));
    for (name, secret) in &gateway.secrets {
        let key = format!("{section}.secrets.{name}");
        faults.take(placeholder::check_secret(&key, secret));
    }
    faults.finish()
}

fn check_name(name: &str, key: &str) -> Result<(), ConfigError> {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let begins_well = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    // Two underscores in a row set levels apart in variables of the environment.
    let is_plain = !ProviderConfig::variable_name(name).contains("__");
    if begins_well && is_plain && name.len() <= NAME_CHARS && name.bytes().all(fits) {
        return Ok(());
    }
    let fault = format!(
        "`{name}` is no name of a gateway: 1 to {NAME_CHARS} of a-z, 0-9, `.`, `-` and `_`, no two of \
         these signs in a row, and a letter or digit first"
    );
    Err(ConfigError::at(key, fault))
}

/// Rejects a password in a URL before any other check can show the URL.
fn check_no_password(url: &str, key: &str) -> Result<(), ConfigError> {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let has_port =
        |host: &str| !host.contains(':') || host.ends_with(|last: char| last.is_ascii_digit());
    let host = after_scheme
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default();
    // A password may have a slash in it: then what seems to be the port is none.
    let is_cut = !host.starts_with('[') && !has_port(host) && url.contains('@');
    if host.contains('@') || is_cut {
        let fault = "it has a user name or password in it, which would show in logs; use `secrets`";
        return Err(ConfigError::at(key, fault));
    }
    Ok(())
}

fn check_profile(gateway: &ProviderConfig, key: &str) -> Result<(), ConfigError> {
    let has_file = !gateway.profile_file.as_os_str().is_empty();
    let fault = match (gateway.profile.is_empty(), has_file) {
        (true, false) => {
            "it is missing; name a built-in profile, like twilio, or a file in `profile_file`"
        }
        (false, true) => "`profile_file` is set too; keep one of them",
        _ => return Ok(()),
    };
    Err(ConfigError::at(key, fault))
}

/// Checks the time limits, each by itself.
pub(super) fn check_timeouts(gateway: &ProviderConfig, section: &str) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    let connect_ms = gateway.connect_timeout_ms;
    let key = format!("{section}.connect_timeout_ms");
    faults.take(within(&key, connect_ms, 1..=60_000));
    let key = format!("{section}.timeout_ms");
    faults.take(within(&key, gateway.timeout_ms, 1..=300_000));
    faults.finish()
}

fn check_limits(limits: &[SpanLimitConfig], key: &str) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    for (n, limit) in limits.iter().enumerate() {
        let at = format!("{key}[{n}]");
        if limit.per != SECOND {
            let per = &limit.per;
            let fault = format!("`{per}` cannot be kept yet; a limit per `{SECOND}` can");
            faults.add(&format!("{at}.per"), fault);
        }
        faults.take(within(
            &format!("{at}.max"),
            limit.max.into(),
            1..=u32::MAX.into(),
        ));
        if limits[..n].iter().any(|earlier| earlier.per == limit.per) {
            faults.add(&at, format!("there is a limit per `{}` already", limit.per));
        }
    }
    faults.finish()
}
