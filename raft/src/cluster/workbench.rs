//! The workbench of the leader: the parts that every change of the members works with.

use std::sync::Arc;

use crate::{
    cluster::{handover::Handover, member_list::MemberList, myself::Myself},
    consensus::{handle::Consensus, levels::Levels},
    disk::own_identity::OwnIdentity,
    peers::client::Peers,
};

/// Parts that changes of the members share.
#[derive(Clone)]
pub(crate) struct Workbench {
    pub(crate) me: Arc<Myself>,
    pub(crate) own: Arc<OwnIdentity>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) consensus: Arc<Consensus>,
    pub(crate) list: Arc<MemberList>,
    pub(crate) handover: Arc<Handover>,
    pub(crate) levels: Arc<Levels>,
}
