//! The contact of a standalone postman with its cluster, as its log tells it.
//!
//! Without a majority every node answers and none can serve, so the postman goes round them several
//! times a second. A loss and its end are a line each, however long it lasts: only a view of the
//! cluster ends it. The nodes themselves are [`remote`](super::remote)'s.

use std::time::Duration;

use tokio::time::Instant;

/// Time without the cluster that is worth a warning: longer than an election takes.
const LONG: Duration = Duration::from_secs(5);

/// The contact since the last view of the cluster.
#[derive(Debug, Default)]
pub(super) struct Contact {
    /// The moment of the first loss since then.
    lost: Option<Instant>,
    has_warned: bool,
}

/// A loss that is worth a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The node that was asked until now is left.
    Node,
    /// No node has served for a while.
    Cluster,
}

impl Contact {
    /// Notes that a node was left.
    pub(super) fn note_loss(&mut self, now: Instant) -> Option<Loss> {
        let Some(since) = self.lost else {
            self.lost = Some(now);
            return Some(Loss::Node);
        };

        let is_long = now - since >= LONG;
        let is_news = is_long && !std::mem::replace(&mut self.has_warned, is_long);
        is_news.then_some(Loss::Cluster)
    }

    /// Notes a view of the cluster. Returns true if it ends a loss.
    pub(super) fn note_view(&mut self) -> bool {
        self.has_warned = false;
        self.lost.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_and_its_end_are_news_once() {
        let mut contact = Contact::default();
        let now = Instant::now();
        assert!(!contact.note_view());
        assert_eq!(contact.note_loss(now), Some(Loss::Node));
        assert_eq!(contact.note_loss(now), None);
        assert_eq!(contact.note_loss(now + LONG), Some(Loss::Cluster));
        assert_eq!(contact.note_loss(now + LONG * 2), None);

        assert!(contact.note_view());
        assert!(!contact.note_view());
        assert_eq!(contact.note_loss(now + LONG * 3), Some(Loss::Node));
    }
}
