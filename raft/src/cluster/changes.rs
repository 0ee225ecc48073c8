//! Changes of the cluster: passed on to the leader, which makes one at a time.

use std::{sync::Arc, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{Instant, sleep, timeout},
};

use crate::{
    cluster::{
        addition::Addition,
        change::{Change, ChangeError, Changed},
        completion::Completion,
        member_list::MemberList,
        relocation::Relocation,
        removal::Removal,
        workbench::Workbench,
    },
    consensus::handle::{Consensus, OtherLeader},
    peers::{call::CallError, protocol::MakeChange},
    types::Peer,
};

/// Time limit of the leader for a change that is passed on: a node that goes winds up its work first.
const CHANGE: Duration = Duration::from_secs(40);
/// Time limit of a member for the answer that it does not lead.
const ANSWER: Duration = Duration::from_secs(2);
/// For how long a change is asked for again while there is no leader, or another one.
const AGAIN: Duration = Duration::from_secs(10);
/// Between two such tries.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest wait for an earlier change to end.
const TURN: Duration = Duration::from_secs(5);

/// Makes changes of the cluster, here as the leader or by the leader elsewhere.
pub(crate) struct MemberChanges {
    workbench: Workbench,
    completion: Arc<Completion>,
    addition: Addition,
    removal: Removal,
    relocation: Relocation,
    /// Held by the one change of the members that is being made.
    turn: Mutex<()>,
}

impl MemberChanges {
    pub(crate) fn new(workbench: Workbench) -> Self {
        // Additions and removals wait for the same steps that upkeep makes.
        let completion = Arc::new(Completion::new(workbench.clone()));

        Self {
            addition: Addition {
                workbench: workbench.clone(),
                completion: completion.clone(),
            },
            removal: Removal {
                workbench: workbench.clone(),
                completion: completion.clone(),
            },
            relocation: Relocation {
                workbench: workbench.clone(),
            },
            completion,
            workbench,
            turn: Mutex::default(),
        }
    }

    pub(crate) fn list(&self) -> &MemberList {
        &self.workbench.list
    }

    pub(crate) fn consensus(&self) -> &Consensus {
        &self.workbench.consensus
    }

    /// Waits for its turn: other changes wait until it is dropped.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// True if no change is being made.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.turn.try_lock().is_ok()
    }

    /// Makes one step of what is wanted, unless a change is being made.
    pub(crate) async fn complete(&self) -> Result<(), ChangeError> {
        let Ok(_turn) = self.turn.try_lock() else {
            return Ok(());
        };
        self.completion.step().await
    }

    /// Has the cluster changed, here or by the leader.
    pub(crate) async fn change(self: &Arc<Self>, change: Change) -> Result<Changed, ChangeError> {
        let until = Instant::now() + AGAIN;
        loop {
            let changed = self.try_change(&change).await;
            let has_handed_over = changed == Err(ChangeError::HandedOver);
            let has_time = has_handed_over || Instant::now() <= until;
            if !has_time || !may_try_again(&change, &changed) {
                return changed;
            }
            sleep(PAUSE).await;
        }
    }

    async fn try_change(self: &Arc<Self>, change: &Change) -> Result<Changed, ChangeError> {
        let changed = match self.workbench.consensus.leader_elsewhere() {
            None => self.change_here(change.clone()).await,
            Some(leader) => self.pass_on(&leader, change.clone()).await,
        };

        let is_passing = changed.as_ref().is_err_and(ChangeError::is_passing);
        if is_passing && matches!(change, Change::Move(_)) {
            self.ask_all(change).await
        } else {
            changed
        }
    }

    async fn pass_on(&self, leader: &OtherLeader, change: Change) -> Result<Changed, ChangeError> {
        let Workbench {
            peers, consensus, ..
        } = &self.workbench;
        let is_transfer = matches!(change, Change::Transfer { .. });
        let call = MakeChange(change);

        let answer = if is_transfer {
            // That it leads no more is what was asked for.
            peers.call_member(&leader.peer, call, CHANGE).await
        } else {
            consensus.call_leader(leader, call, CHANGE).await
        };

        answer.unwrap_or_else(|error| match error {
            CallError::Lost { .. } => Err(ChangeError::Unknown),
            CallError::NotSent { .. } | CallError::Refused { .. } => Err(ChangeError::NoLeader),
        })
    }

    /// Asks all other members, of whom one may lead though none, or another, is known here as the
    /// leader. A leader that looks for this node at its old address cannot make itself known to it; and
    /// as long as that leader is there, the others give this node no vote.
    async fn ask_all(&self, change: &Change) -> Result<Changed, ChangeError> {
        let mut others = self.workbench.consensus.members();
        others.remove(&self.workbench.me.node);
        let ask_member = |member| {
            let call = MakeChange(change.clone());
            self.workbench.peers.call_member(member, call, ANSWER)
        };
        let mut asked: FuturesUnordered<_> = others.values().map(ask_member).collect();

        // The first that leads, or knows of a reason, has the answer.
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(Err(ChangeError::NoLeader)) | Err(_) => {}
                Ok(changed) => return changed,
            }
        }
        Err(ChangeError::NoLeader)
    }

    /// Changes the cluster as the leader, or not at all; to its end, also where whoever asked goes
    /// away meanwhile.
    pub(crate) async fn change_here(
        self: &Arc<Self>,
        change: Change,
    ) -> Result<Changed, ChangeError> {
        let this = self.clone();
        let changing = tokio::spawn(async move { this.change_as_leader(change).await });
        changing.await.unwrap_or(Err(ChangeError::Unknown))
    }

    async fn change_as_leader(&self, change: Change) -> Result<Changed, ChangeError> {
        if !self.workbench.consensus.leads_now() {
            return Err(ChangeError::NoLeader);
        }

        let name = match change {
            // Waits for no turn: a leader that is stuck in a change can still be replaced.
            Change::Transfer { to } => self.workbench.handover.hand_over_to(to.as_deref()).await?,
            Change::Add { name, peer, api } => {
                // The addition finds out the disk, from the node that answers.
                let disk = String::new();
                let asked = Peer {
                    name,
                    peer,
                    api,
                    disk,
                };
                let _turn = self.turn_in_time().await?;
                self.addition.add(asked).await?
            }
            Change::Remove { name } => {
                let _turn = self.turn_in_time().await?;
                self.removal.remove(name).await?
            }
            Change::Move(peer) => {
                let _turn = self.turn_in_time().await?;
                self.relocation.relocate(peer).await?
            }
        };
        Ok(Changed { name })
    }

    async fn turn_in_time(&self) -> Result<MutexGuard<'_, ()>, ChangeError> {
        let turn = timeout(TURN, self.turn.lock()).await;
        turn.map_err(|_| ChangeError::Busy)
    }
}

/// True if the same change may be asked for again, so that another node may answer otherwise.
fn may_try_again(change: &Change, changed: &Result<Changed, ChangeError>) -> bool {
    match (changed, change) {
        // Asked again, leadership would go on to a third node.
        (Err(error), Change::Transfer { to: None }) => *error == ChangeError::NoLeader,
        (Err(error), _) => error.is_passing(),
        (Ok(_), _) => false,
    }
}
