//! Lines about peers that are refused: one is enough for whoever tries again several times a second,
//! and all of them together are no more than somebody may read.

use std::{collections::HashMap, io, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{handshakes, tls};

/// Before the same is said again of the same peer.
const AGAIN: Duration = Duration::from_secs(60);
/// Lines in this time, at most: whoever comes from everywhere, or under another name each time, must
/// fill neither the log nor the memory.
const LINES: usize = 32;

/// What was said of whom lately.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<String, Instant>>);

impl Refusals {
    /// Tells why a session that a peer opened has ended, as far as somebody should know.
    pub(super) fn tell_taken_in(&self, from: &str, error: &io::Error) {
        // Each try comes from another port.
        let host = handshakes::host_of(from);
        let error = tls::explained(error);
        if error.kind() != io::ErrorKind::PermissionDenied {
            tracing::debug!(from, %error, "a peer session ended");
        } else if self.is_news(format!("{host} {error}")) {
            tracing::warn!(from, "a peer was refused: {error}");
        }
    }

    /// Tells why a session with a peer cannot be opened, as far as somebody should know.
    pub(super) fn tell_opened(&self, address: &str, error: &io::Error) {
        if error.kind() == io::ErrorKind::PermissionDenied
            && self.is_news(format!("{address} {error}"))
        {
            tracing::warn!("no session with the peer {address}: {error}");
        }
    }

    fn is_news(&self, line: String) -> bool {
        let now = Instant::now();
        let mut told = self.0.lock();
        told.retain(|_, at| now.duration_since(*at) < AGAIN);
        if told.contains_key(&line) || told.len() > LINES {
            return false;
        }
        told.insert(line, now);
        if told.len() > LINES {
            tracing::warn!("more peers are refused than are told of: no more lines for a minute");
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_and_all_together_have_a_bound() {
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
