//! The reason why a node has no cluster yet, for its log and for people who ask it meanwhile.

use std::sync::Arc;

use parking_lot::Mutex;

/// Holds the reason why a node waits, as long as it does; clones share it.
#[derive(Clone, Debug, Default)]
pub struct WaitingReason(Arc<Mutex<WaitingLooks>>);

#[derive(Debug, Default)]
struct WaitingLooks {
    /// The reason of the last look.
    present: Option<String>,
    /// The reason that was logged last.
    logged: Option<String>,
}

impl WaitingReason {
    /// The reason, as text for people; `None` while the node waits for nobody.
    pub fn text(&self) -> Option<String> {
        self.0.lock().present.clone()
    }

    /// Takes the reason of the present look, and logs it if it is worth a line.
    pub(crate) fn note(&self, why: &str) {
        if self.0.lock().is_news(why) {
            tracing::info!("not a member of a cluster yet: {why}");
        }
    }

    /// Ends the waiting: the node belongs to a cluster.
    pub(crate) fn end(&self) {
        *self.0.lock() = WaitingLooks::default();
    }
}

impl WaitingLooks {
    /// True for a reason that two looks in a row have found, once: while nodes start together and form
    /// a cluster, each look finds another one, and none of them matters.
    fn is_news(&mut self, why: &str) -> bool {
        let before = self.present.replace(why.to_owned());
        let has_lasted = before.as_deref() == Some(why);
        let is_logged = self.logged.as_deref() == Some(why);
        if !has_lasted || is_logged {
            return false;
        }
        self.logged = Some(why.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_news_once_and_only_if_it_lasts() {
        let mut waits = WaitingLooks::default();
        assert!(!waits.is_news("one is missing"));
        assert!(!waits.is_news("another is missing"));
        assert!(waits.is_news("another is missing"));
        assert!(!waits.is_news("another is missing"));
        assert!(!waits.is_news("one is missing"));
        assert!(waits.is_news("one is missing"));
    }
}
