//! The reason why a node has no cluster yet, for its log and for people who ask it meanwhile.

use tokio::sync::watch;

/// Holds the reason why a node waits, as long as it does; clones share it.
#[derive(Clone, Debug)]
pub struct WaitingReason(watch::Sender<Option<String>>);

impl Default for WaitingReason {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl WaitingReason {
    /// The reason, as text for people; `None` while the node waits for nobody.
    pub fn text(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Takes the reason of the present look, and logs it if it is a new one.
    pub(crate) fn note(&self, why: String) {
        let is_new = self.0.send_if_modified(|known| {
            let is_new = known.as_ref() != Some(&why);
            *known = Some(why.clone());
            is_new
        });
        if is_new {
            tracing::info!("not a member of a cluster yet: {why}");
        }
    }

    /// Ends the waiting: the node belongs to a cluster.
    pub(crate) fn end(&self) {
        self.0.send_replace(None);
    }
}
