//! The protection of an open API against web pages.
//!
//! Without tokens everyone who reaches the API may use it. It listens on loopback only, but a web
//! page that the operator visits runs on the same machine. The page can send a POST, and through a
//! host name that resolves first to its own server and then to 127.0.0.1 it can also read answers
//! (DNS rebinding). Browsers send the host and the origin of each request: both are checked here.
//!
//! Reads from other origins are rejected as well. The page could not see the answer, but a backup or
//! a long count costs the node as much. Only the few routes that are open to everyone are exempt.
//! With tokens none of this is needed, because no page has a token.

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, Uri, header};

use super::{code::Code, error::ApiError, table::Admission};

/// Rejects requests to a host name that is not this machine's, and requests that a web page of
/// another origin sends, unless the route is open to everyone.
pub(super) fn check(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    admission: Admission,
) -> Result<(), ApiError> {
    // A health check reveals nothing, and probes use any host name. A receipt proves itself.
    if !admission.checks_origin {
        return Ok(());
    }

    let hosts = hosts(uri, headers);
    if !hosts.iter().copied().all(is_loopback) {
        return Err(refused(
            "without api.tokens this API answers to 127.0.0.1, [::1] and localhost only, and the \
             request's Host is another; use one of these, or configure api.tokens",
        ));
    }

    let is_read = matches!(*method, Method::GET | Method::HEAD);
    if is_read && admission.is_open() {
        return Ok(());
    }
    if is_cross_site(headers) || has_other_origin(headers, &hosts) {
        return Err(refused(
            "the request was sent by a web page from elsewhere (its Origin or Sec-Fetch-Site says \
             so), and without api.tokens this API takes none from there",
        ));
    }
    Ok(())
}

/// All host names that a request gives. A value that is not ASCII counts as an empty name, which is
/// not this machine's.
fn hosts<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Vec<&'a str> {
    let named = headers
        .get_all(header::HOST)
        .iter()
        .map(|host| host.to_str().unwrap_or_default());
    named
        .chain(uri.authority().map(|authority| authority.as_str()))
        .collect()
}

/// True if the browser marks a request as one of another origin. `same-site` counts too: a page on
/// another port of this machine is of the same site, but it is not the API's.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    matches!(site, Some(b"cross-site" | b"same-site"))
}

/// True if a request has an `Origin`, and that is none of the hosts it was sent to.
fn has_other_origin(headers: &HeaderMap, hosts: &[&str]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return false;
    };
    let authority = origin.to_str().unwrap_or_default().strip_prefix("http://");
    !authority.is_some_and(|from| hosts.iter().any(|host| from.eq_ignore_ascii_case(host)))
}

fn refused(detail: &str) -> ApiError {
    ApiError::new(Code::ForbiddenOrigin, detail)
}

/// True if a host name, with or without a port, can only be this machine.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };

    // Of IPv6 the brackets are part of the name.
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
