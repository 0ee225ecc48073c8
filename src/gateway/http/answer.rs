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

use super::super::GatewayOutcome;

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
    if status.is_success() {
        return None;
    }

    Some(match status {
        StatusCode::BAD_REQUEST => GatewayOutcome::Invalid,
        _ => GatewayOutcome::NotTaken {
            status: status.as_u16(),
            retry_after: retry_after(headers),
        },
    })
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

/// The pause of `Retry-After`, which is given in seconds or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }

    let date = jiff::fmt::rfc2822::parse(value).ok()?;
    let wait = date.timestamp().duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or_default())
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
    }
}
