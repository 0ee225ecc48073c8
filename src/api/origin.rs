//! What keeps web pages away from an open API.
//!
//! Without tokens everyone who reaches the API may use it. It listens on loopback only, but a web
//! page that the operator visits runs on the same machine: it can send a POST by itself, and by a
//! name that first leads to it and then to 127.0.0.1 it can read what it likes (DNS rebinding).
//! A browser says where a request is meant to go and where it comes from: both are checked here.
//! That a page cannot read an answer does not make a read harmless: a backup or a long count costs
//! the node as much. So reads from elsewhere are refused too, but for the few routes that are open to
//! everyone. With tokens this is not needed: no page has one.

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, Uri, header};

use super::{code::Code, error::ApiError, table::Admission};

/// What an open API refuses: requests under a name that is not this machine's, and those that a page
/// from elsewhere sends, unless everyone may see the answer and it costs nothing.
pub(super) fn check(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    admission: Admission,
) -> Result<(), ApiError> {
    // It reveals nothing, and is asked by machines under any name.
    if admission.is_health {
        return Ok(());
    }
    let named = headers
        .get_all(header::HOST)
        .iter()
        .map(|host| host.to_str().unwrap_or_default());
    let hosts: Vec<_> = named
        .chain(uri.authority().map(|authority| authority.as_str()))
        .collect();
    if !hosts.iter().copied().all(is_loopback) {
        return Err(refused(
            "without api.tokens this API answers to 127.0.0.1, [::1] and localhost only, and the \
             request's Host is another; use one of these, or configure api.tokens",
        ));
    }
    if matches!(*method, Method::GET | Method::HEAD) && admission.is_open() {
        return Ok(());
    }
    let origin = headers
        .get(header::ORIGIN)
        .map(|origin| origin.to_str().unwrap_or_default());
    let own = |origin: &str| {
        let authority = origin.strip_prefix("http://");
        authority.is_some_and(|from| hosts.iter().any(|host| from.eq_ignore_ascii_case(host)))
    };
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    // A page from another port of this machine is of the same site, and not of the API.
    let from_elsewhere = matches!(site, Some(b"cross-site" | b"same-site"));
    if from_elsewhere || origin.is_some_and(|origin| !own(origin)) {
        return Err(refused(
            "the request was sent by a web page from elsewhere (its Origin or Sec-Fetch-Site says \
             so), and without api.tokens this API takes none from there",
        ));
    }
    Ok(())
}

fn refused(detail: &str) -> ApiError {
    ApiError::new(Code::ForbiddenOrigin, detail)
}

/// Whether a host, with its port or without, can be this machine alone.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in [
            "127.0.0.1:8080",
            "127.0.0.1",
            "localhost:1",
            "LocalHost",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example:8080",
            "127.0.0.1.evil.example:8080",
            "localhost.evil.example",
            "192.0.2.1:8080",
            "0.0.0.0:8080",
            "[::2]:8080",
            "127.0.0.1@evil.example",
            "evil.example:127.0.0.1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
