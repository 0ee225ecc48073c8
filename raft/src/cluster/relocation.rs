//! A member has other addresses, or another name, than the others know of.

use crate::{
    cluster::{change::ChangeError, forming::identify, workbench::Workbench},
    types::Peer,
};

/// Changes names and addresses of members, as the leader.
pub(crate) struct Relocation {
    pub(super) workbench: Workbench,
}

impl Relocation {
    /// Puts the member with this disk under its new name and addresses; returns the name.
    pub(crate) async fn relocate(&self, moved: Peer) -> Result<String, ChangeError> {
        let members = self.workbench.consensus.members();
        let known = members.iter().find(|(_, member)| member.disk == moved.disk);
        let Some((node, member)) = known else {
            return Err(ChangeError::NotFound(moved.name));
        };
        // A repeat of what was made already.
        if *member == moved {
            return Ok(moved.name);
        }

        let mut others = members.iter().filter(|(other, _)| *other != node);
        if others.any(|(_, peer)| peer.name == moved.name) {
            return Err(ChangeError::Exists(moved.name));
        }

        // This node knows its own address; that of another is believed only once its disk answers there.
        if *node != self.workbench.me.node {
            self.check_address(&moved).await?;
        }

        let name = moved.name.clone();
        let address = moved.peer.clone();
        self.workbench.list.set(*node, moved).await?;
        tracing::info!("`{name}` is at {address} from now on");
        Ok(name)
    }

    /// Checks that the node at the new address has the member's disk.
    async fn check_address(&self, moved: &Peer) -> Result<(), ChangeError> {
        let standing = identify(&self.workbench.peers, &moved.peer).await;
        let there = standing.map_err(|error| ChangeError::Unreachable(error.to_string()))?;
        if there.disk == moved.disk {
            return Ok(());
        }
        Err(ChangeError::Unreachable(format!(
            "at {} is another disk, that of `{}`",
            moved.peer, there.name
        )))
    }
}
