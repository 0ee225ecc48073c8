//! The dismissal of this node: its removal from the cluster, for good.
//!
//! Only the state here counts, and members that answer at their addresses with their disks; never a
//! peer that says so unasked.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;

use crate::{
    cluster::{member_list::MemberList, myself::Myself},
    consensus::handle::Consensus,
    disk::own_identity::OwnIdentity,
    peers::{client::Peers, protocol::AskStatus},
};

/// Time limit of a member for its answer: less than the peer waits that had this node ask.
const ANSWER: Duration = Duration::from_millis(1_500);

/// Finds out whether this node was taken out.
pub(crate) struct Dismissal {
    pub(crate) me: Arc<Myself>,
    pub(crate) own: Arc<OwnIdentity>,
    pub(crate) consensus: Arc<Consensus>,
    pub(crate) list: Arc<MemberList>,
    pub(crate) peers: Arc<Peers>,
}

impl Dismissal {
    /// Looks into the state here, and notes the dismissal if it is there.
    pub(crate) fn look(&self) {
        if self.consensus.members().contains_key(&self.me.node) {
            return;
        }
        let remembered = self.list.remembered();
        if remembered.is_ok_and(|all| all.is_dismissed(&self.me.peer.disk)) {
            self.peers.note_dismissal();
        }
    }

    /// Asks the members too; returns true if this node was taken out.
    pub(crate) async fn ask(&self) -> bool {
        self.look();
        let mut members = self.consensus.members();
        // A node that has no log yet knows only the members of its invitation.
        if members.is_empty() {
            members = self.own.current().inviters;
        }
        members.retain(|_, member| member.disk != self.me.peer.disk);

        // The answer itself is not needed: a call to a member notes whether it has dismissed this node.
        let asked = members
            .values()
            .map(|member| self.peers.call_member(member, AskStatus, ANSWER));
        join_all(asked).await;
        self.is_known()
    }

    /// True if the dismissal was noted.
    pub(crate) fn is_known(&self) -> bool {
        *self.peers.dismissed().borrow()
    }
}
