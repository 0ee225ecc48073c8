//! The meaning of the gateway's HTTP answer for a message.
//!
//! | answer | message |
//! |---|---|
//! | 2xx, JSON with `code` 0 or without `code` | [`GatewayOutcome::Done`] |
//! | 400 | [`GatewayOutcome::Invalid`] |
//! | a status declared unsure; 2xx with anything else; 1xx, which is no answer | [`GatewayOutcome::Unsure`] |
//! | any other status, redirects included | [`GatewayOutcome::NotTaken`] |

use std::time::Duration;

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};

use super::super::{GatewayOutcome, retry_after::pause_of};

/// The part of the gateway's keep-alive time that is not used.
const KEEP_MARGIN: Duration = Duration::from_secs(1);

/// The meaning of a status by itself; `None` where the body decides.
pub(super) fn by_status(
    status: StatusCode,
    headers: &HeaderMap,
    unsure_statuses: &[u16],
) -> Option<GatewayOutcome> {
    // The configuration comes first: it may declare any status unsure, success included.
    if unsure_statuses.contains(&status.as_u16()) || status.is_informational() {
        return Some(GatewayOutcome::Unsure);
    }
    // A proxy's page may come with 200 too, so success needs the body as well.
    if status.is_success() {
        return None;
    }

    Some(match status {
        StatusCode::BAD_REQUEST => GatewayOutcome::Invalid,
        _ => not_taken(status, headers),
    })
}

fn not_taken(status: StatusCode, headers: &HeaderMap) -> GatewayOutcome {
    GatewayOutcome::NotTaken {
        status: status.as_u16(),
        retry_after: retry_after(headers),
    }
}

/// The meaning of the body of a 2xx answer.
pub(super) fn by_body(body: &[u8]) -> GatewayOutcome {
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) if value.get("code").is_none_or(is_zero) => GatewayOutcome::Done,
        Ok(_) | Err(_) => GatewayOutcome::Unsure,
    }
}

/// True for 0 in any writing of a number, as `0.0`.
fn is_zero(code: &serde_json::Value) -> bool {
    code.as_f64() == Some(0.0)
}

/// The pause of `Retry-After`, if the answer has one.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    pause_of(headers.get(RETRY_AFTER)?)
}

/// Longest idle time of the connection by `Keep-Alive: timeout=N`, `N` in seconds. A second less than the
/// gateway says, or half of it: its time began earlier, and a request takes a while to arrive.
pub(super) fn keep_alive(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("keep-alive")?.to_str().ok()?;
    let seconds = value.split(',').find_map(timeout_seconds)?;
    let kept = Duration::from_secs(seconds.into());
    Some(kept.saturating_sub(KEEP_MARGIN).max(kept / 2))
}

/// The seconds of the parameter `timeout=N`; `None` for any other one.
fn timeout_seconds(parameter: &str) -> Option<u32> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("timeout") {
        return None;
    }
    value.trim().trim_matches('"').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Option<GatewayOutcome> {
        let code = StatusCode::from_u16(code).expect("a status");
        by_status(code, &HeaderMap::new(), &[502, 504])
    }

    #[test]
    fn a_status_means_what_the_table_says() {
        assert_eq!(status(200), None);
        assert_eq!(status(204), None);
        assert_eq!(status(400), Some(GatewayOutcome::Invalid));
        // The last one is no answer to a request that asked for no other protocol.
        for unsure in [502, 504, 101] {
            assert_eq!(status(unsure), Some(GatewayOutcome::Unsure));
        }
        for not_taken in [301, 307, 401, 404, 409, 413, 429, 500, 503] {
            let wanted = GatewayOutcome::NotTaken {
                status: not_taken,
                retry_after: None,
            };
            assert_eq!(status(not_taken), Some(wanted));
        }
    }

    #[test]
    fn a_2xx_is_done_only_with_json_that_says_so() {
        for done in [
            r#"{"code":0,"message":"OK"}"#,
            "{}",
            "[]",
            r#"{"code":0.0}"#,
            "true",
        ] {
            assert_eq!(by_body(done.as_bytes()), GatewayOutcome::Done, "{done}");
        }
        for unsure in [
            r#"{"code":1}"#,
            r#"{"code":"0"}"#,
            r#"{"code":null}"#,
            "",
            "OK",
            "{\"co",
        ] {
            assert_eq!(
                by_body(unsure.as_bytes()),
                GatewayOutcome::Unsure,
                "{unsure}"
            );
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wait = |value: &str| {
            let value = value.parse().expect("a header value");
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-1"), None);
        let longest = Duration::from_secs(u32::MAX.into());
        assert_eq!(wait("99999999999999999999999"), Some(longest));
    }

    #[test]
    fn a_connection_is_kept_for_less_than_the_gateway_says() {
        let kept = |value: &str| {
            let value = value.parse().expect("a header value");
            let name = http::HeaderName::from_static("keep-alive");
            keep_alive(&HeaderMap::from_iter([(name, value)]))
        };
        assert_eq!(kept("timeout=5, max=100"), Some(Duration::from_secs(4)));
        assert_eq!(kept("max=7,Timeout = 60"), Some(Duration::from_secs(59)));
        assert_eq!(kept("timeout=1"), Some(Duration::from_millis(500)));
        assert_eq!(kept("timeout=0"), Some(Duration::ZERO));
        for none in ["", "max=5", "timeout", "timeout=-3", "timeout=soon"] {
            assert_eq!(kept(none), None, "{none}");
        }
    }
}
