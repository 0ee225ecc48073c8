//! The parts of a node, put together.
//!
//! `open` opens the parts that stand on their own: identity, log, state, peers, raft. The others are
//! made here from those, each by a method of its own, so that it shows which part works with which.
//! Nothing is started here but the task that gathers commands.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64},
};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Node, duty::Duty, readiness::Readiness};
use crate::{
    cluster::{
        changes::MemberChanges, dismissal::Dismissal, handover::Handover, level::LevelKeeper,
        member_list::MemberList, myself::Myself, reachability::Reachability, survey::Surveyor,
        workbench::Workbench,
    },
    consensus::{
        candidacy::Candidacy, handle::Consensus, levels::Levels, proposals::Proposals, reads::Reads,
    },
    disk::own_identity::OwnIdentity,
    log::log_store::LogStore,
    peers::client::Peers,
    state::node_state::NodeState,
    time::{clock::Clock, stamp::Stamp, trust::Trust},
};

/// Opened parts of which a node is made.
pub(crate) struct NodeParts {
    pub(crate) me: Arc<Myself>,
    pub(crate) own: Arc<OwnIdentity>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) state: Arc<NodeState>,
    pub(crate) log: LogStore,
    pub(crate) peers: Arc<Peers>,
    pub(crate) consensus: Arc<Consensus>,
    pub(crate) stop_peers: watch::Sender<bool>,
    /// The level that this node understands.
    pub(crate) level: u32,
    /// The commit that it was built from.
    pub(crate) commit: String,
    pub(crate) exercises_levels: bool,
}

impl NodeParts {
    /// Makes the node. The front does not pass calls on to it yet, and [`Node::start`] starts all that
    /// runs beside calls.
    pub(crate) fn into_node(self) -> Arc<Node> {
        let stamp = Stamp::new(self.clock.clone(), self.trust.clone());
        let levels = Arc::new(Levels {
            own: self.level,
            state: self.state.clone(),
        });
        let proposals = Arc::new(self.proposals(&stamp, &levels));
        let reads = Arc::new(self.reads(&stamp));
        let reachability = Arc::new(self.reachability());
        let readiness = self.readiness(&reads, &stamp, &reachability);
        let candidacy = Arc::new(self.candidacy());

        // Each after what it works with: a handover surveys the members, the list of members proposes
        // commands, and a change needs both.
        let surveyor = Arc::new(self.surveyor());
        let handover = Arc::new(self.handover(&surveyor));
        let list = Arc::new(self.member_list(&proposals));
        let changes = Arc::new(MemberChanges::new(
            self.workbench((&list, &handover), &levels),
        ));
        let dismissal = self.dismissal(&list);
        let level_keeper = LevelKeeper {
            levels: levels.clone(),
            surveyor: surveyor.clone(),
            proposals: proposals.clone(),
        };

        Arc::new(Node {
            me: self.me,
            own: self.own,
            clock: self.clock,
            trust: self.trust,
            stamp,
            state: self.state,
            log: self.log,
            peers: self.peers,
            consensus: self.consensus,
            candidacy,
            proposals,
            reads,
            surveyor,
            reachability,
            handover,
            changes,
            dismissal,
            list,
            duty: Duty::default(),
            leader_changes: AtomicU64::new(0),
            readiness,
            levels,
            level_keeper,
            exercises_levels: self.exercises_levels,
            service: OnceLock::new(),
            stop_peers: self.stop_peers,
            tasks: Mutex::default(),
        })
    }

    fn candidacy(&self) -> Candidacy {
        Candidacy {
            consensus: self.consensus.clone(),
            peers: self.peers.clone(),
            log: self.log.clone(),
        }
    }

    fn proposals(&self, stamp: &Stamp, levels: &Arc<Levels>) -> Proposals {
        Proposals::start(
            self.consensus.clone(),
            self.state.clone(),
            stamp.clone(),
            levels.clone(),
        )
    }

    fn reads(&self, stamp: &Stamp) -> Reads {
        Reads::new(self.consensus.clone(), self.state.clone(), stamp.clone())
    }

    fn reachability(&self) -> Reachability {
        Reachability::new(self.me.clone(), self.consensus.clone(), self.peers.clone())
    }

    fn readiness(
        &self,
        reads: &Arc<Reads>,
        stamp: &Stamp,
        reachability: &Arc<Reachability>,
    ) -> Readiness {
        Readiness {
            consensus: self.consensus.clone(),
            reachability: reachability.clone(),
            reads: reads.clone(),
            state: self.state.clone(),
            log: self.log.clone(),
            clock: self.clock.clone(),
            stamp: stamp.clone(),
            lag: Mutex::default(),
            caught_up: AtomicBool::new(false),
        }
    }

    fn surveyor(&self) -> Surveyor {
        Surveyor {
            me: self.me.clone(),
            consensus: self.consensus.clone(),
            state: self.state.clone(),
            peers: self.peers.clone(),
            level: self.level,
            commit: self.commit.clone(),
        }
    }

    fn handover(&self, surveyor: &Arc<Surveyor>) -> Handover {
        Handover {
            me: self.me.clone(),
            consensus: self.consensus.clone(),
            peers: self.peers.clone(),
            surveyor: surveyor.clone(),
        }
    }

    fn member_list(&self, proposals: &Arc<Proposals>) -> MemberList {
        MemberList::new(
            self.consensus.clone(),
            proposals.clone(),
            self.state.clone(),
        )
    }

    fn workbench(
        &self,
        (list, handover): (&Arc<MemberList>, &Arc<Handover>),
        levels: &Arc<Levels>,
    ) -> Workbench {
        Workbench {
            me: self.me.clone(),
            own: self.own.clone(),
            peers: self.peers.clone(),
            consensus: self.consensus.clone(),
            list: list.clone(),
            handover: handover.clone(),
            levels: levels.clone(),
        }
    }

    fn dismissal(&self, list: &Arc<MemberList>) -> Dismissal {
        Dismissal {
            me: self.me.clone(),
            own: self.own.clone(),
            consensus: self.consensus.clone(),
            list: list.clone(),
            peers: self.peers.clone(),
        }
    }
}
