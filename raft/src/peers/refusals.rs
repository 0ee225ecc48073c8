//! Lines about peers that are refused: one is enough for whoever tries again several times a second.

use std::{collections::HashMap, io, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::tls;

/// Before the same is said again of the same peer.
const AGAIN: Duration = Duration::from_secs(60);
/// Lines remembered, at most: who comes from everywhere must not fill the memory.
const LINES: usize = 256;

/// What was said of whom lately.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<String, Instant>>);

impl Refusals {
    /// Tells why a session that a peer opened has ended, as far as somebody should know.
    pub(super) fn tell_taken_in(&self, from: &str, error: &io::Error) {
        // Each try comes from another port.
        let host = from.rsplit_once(':').map_or(from, |(host, _)| host);
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
        if told.get(&line).is_some_and(|at| now.duration_since(*at) < AGAIN) {
            return false;
        }
        if told.len() >= LINES {
            told.clear();
        }
        told.insert(line, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_and_what_is_remembered_has_a_bound() {
        let refusals = Refusals::default();
        assert!(refusals.is_news("a".to_owned()));
        assert!(!refusals.is_news("a".to_owned()));
        for n in 0..LINES * 3 {
            assert!(refusals.is_news(format!("line {n}")));
        }
        assert!(refusals.0.lock().len() <= LINES);
    }
}
