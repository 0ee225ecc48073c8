//! What the gateway's answer means for a message.
//!
//! | answer | message |
//! |---|---|
//! | 2xx, JSON with `code` 0 or without `code` | [`Answer::Done`] |
//! | 400 | [`Answer::Invalid`] |
//! | a status declared unsure; 2xx with anything else; 1xx, which is no answer | [`Answer::Unsure`] |
//! | any other status, redirects included | [`Answer::NotTaken`] |

use std::time::Duration;

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The gateway took the message.
    Done,
    /// The gateway refused it for good.
    Invalid,
    /// The gateway answered that it did not take it.
    NotTaken {
        /// The status of its answer.
        status: u16,
        /// How long it asked to wait, if it did.
        retry_after: Option<Duration>,
    },
    /// Not a byte of the request was written, and none will be.
    NotSent,
    /// It may have been taken.
    Unsure,
}

impl Answer {
    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Answer::Done => "done",
            Answer::Invalid => "invalid",
            Answer::NotTaken { .. } => "not_taken",
            Answer::NotSent => "not_sent",
            Answer::Unsure => "unsure",
        }
    }
}

/// What a status says by itself; none where the body decides.
pub(super) fn by_status(
    status: StatusCode,
    headers: &HeaderMap,
    unsure_statuses: &[u16],
) -> Option<Answer> {
    if unsure_statuses.contains(&status.as_u16()) || status.is_informational() {
        Some(Answer::Unsure)
    } else if status.is_success() {
        None
    } else if status == StatusCode::BAD_REQUEST {
        Some(Answer::Invalid)
    } else {
        let status = status.as_u16();
        Some(Answer::NotTaken {
            status,
            retry_after: retry_after(headers),
        })
    }
}

/// What the body of a 2xx answer says.
pub(super) fn by_body(body: &[u8]) -> Answer {
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(serde_json::Value::Object(object)) => match object.get("code") {
            None => Answer::Done,
            Some(code) if code.as_f64() == Some(0.0) => Answer::Done,
            Some(_) => Answer::Unsure,
        },
        Ok(_) => Answer::Done,
        Err(_) => Answer::Unsure,
    }
}

/// `Retry-After`, in seconds or as a date.
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

    fn status(code: u16) -> Option<Answer> {
        let code = StatusCode::from_u16(code).expect("a status");
        by_status(code, &HeaderMap::new(), &[502, 504])
    }

    #[test]
    fn a_status_means_what_the_table_says() {
        assert_eq!(status(200), None);
        assert_eq!(status(204), None);
        assert_eq!(status(400), Some(Answer::Invalid));
        // The last one is no answer to a request that asked for no other protocol.
        for unsure in [502, 504, 101] {
            assert_eq!(status(unsure), Some(Answer::Unsure));
        }
        for not_taken in [301, 307, 401, 404, 409, 413, 429, 500, 503] {
            let wanted = Answer::NotTaken {
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
            assert_eq!(by_body(done.as_bytes()), Answer::Done, "{done}");
        }
        for unsure in [
            r#"{"code":1}"#,
            r#"{"code":"0"}"#,
            r#"{"code":null}"#,
            "",
            "OK",
            "{\"co",
        ] {
            assert_eq!(by_body(unsure.as_bytes()), Answer::Unsure, "{unsure}");
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
