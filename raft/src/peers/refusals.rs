//! Lines of the log about refused peers, without repetition.
//!
//! A refused peer tries again several times a second: one line a minute is enough for it, and all lines
//! together are no more than a person reads. The decision to refuse is made elsewhere.

use std::{collections::HashMap, io, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{handshakes, tls};

/// Time before the same line about the same peer is logged again.
const AGAIN: Duration = Duration::from_secs(60);
/// Lines in this time, at most: peers from many addresses, or with another name each time, must fill
/// neither the log nor the memory.
const LINES: usize = 32;

/// Lines that were logged lately, with their times.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<String, Instant>>);

impl Refusals {
    /// Logs the end of a session that a peer opened, as a warning if it was refused.
    pub(super) fn log_accepted(&self, from: &str, error: &io::Error) {
        // Each try comes from another port of the same host.
        let host = handshakes::host_of(from);
        let error = tls::explained(error);
        if error.kind() != io::ErrorKind::PermissionDenied {
            tracing::debug!(from, %error, "a peer session ended");
        } else if self.is_news(format!("{host} {error}")) {
            tracing::warn!(from, "a peer was refused: {error}");
        }
    }

    /// Warns that a peer refuses sessions of this node.
    pub(super) fn log_opened(&self, address: &str, error: &io::Error) {
        if error.kind() == io::ErrorKind::PermissionDenied
            && self.is_news(format!("{address} {error}"))
        {
            tracing::warn!("no session with the peer {address}: {error}");
        }
    }

    fn is_news(&self, line: String) -> bool {
        let now = Instant::now();
        let mut logged = self.0.lock();
        logged.retain(|_, at| now.duration_since(*at) < AGAIN);
        if logged.contains_key(&line) || logged.len() > LINES {
            return false;
        }

        // The one beyond the limit is kept as well, so that its warning comes once.
        logged.insert(line, now);
        let is_within = logged.len() <= LINES;
        if !is_within {
            tracing::warn!("many peers are refused: no more lines about them for a minute");
        }
        is_within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_logged_once_and_all_together_have_a_bound() {
        let refusals = Refusals::default();
        assert!(refusals.is_news("a".to_owned()));
        assert!(!refusals.is_news("a".to_owned()));
        let told = (0..LINES * 3)
            .filter(|n| refusals.is_news(format!("line {n}")))
            .count();
        assert_eq!(told, LINES - 1);
        assert!(refusals.0.lock().len() <= LINES + 1);
    }
}
