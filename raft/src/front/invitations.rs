//! Invitations into a cluster: taken from peers, and followed by the node that waits for one.

use std::time::Duration;

use tokio::sync::watch;

use crate::{
    disk::data_dir::Identity,
    peers::{call::Denial, protocol::Invitation, session::Hello},
};

/// Time limit of this node for writing an invitation down: less than the inviting node waits.
const KEEP: Duration = Duration::from_millis(1_500);

/// The invitations that have arrived.
pub(crate) struct Invitations(watch::Sender<Option<Invitation>>);

impl Default for Invitations {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Invitations {
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Invitation>> {
        self.0.subscribe()
    }

    /// Takes an invitation. Returns once the node has written it down, because the members count on
    /// this node from then on.
    pub(crate) async fn take(
        &self,
        invitation: Invitation,
        by: &Hello,
        mut own: watch::Receiver<Identity>,
    ) -> Result<(), Denial> {
        let mut members = invitation.members.values();
        if !members.any(|member| member.disk == by.disk) {
            return Err(Denial::refused(
                "it takes no invitation from a node that is not among the members named",
            ));
        }

        // The same invitation again is welcome: its answer may have been lost.
        let identity = own.borrow().clone();
        let is_same = identity.cluster == invitation.cluster && identity.node == invitation.node;
        if !identity.cluster.is_empty() && !is_same {
            return Err(Denial::refused(
                "it belongs to another cluster already, or is another node of it; only an empty \
                 data directory can be taken in",
            ));
        }

        // `forming` writes it down, and shows that in the identity.
        let cluster = invitation.cluster.clone();
        let node = invitation.node;
        self.0.send_replace(Some(invitation));
        let kept = own.wait_for(|now| now.cluster == cluster && now.node == node);
        match tokio::time::timeout(KEEP, kept).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Denial::refused(
                "it could not write the invitation down in time",
            )),
        }
    }
}
