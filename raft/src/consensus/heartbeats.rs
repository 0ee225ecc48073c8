//! The heartbeats of a leader, which keeps still for one of two reasons.
//!
//! A leader that hands over lets its lease run out ([`crate::cluster::handover`]), and so does one that no
//! majority answers ([`super::pauses`]). Both reasons are kept here, so that the end of one does not end
//! the other.

use parking_lot::Mutex;

use crate::types::Raft;

/// The heartbeats of this node, as openraft sends them while this node leads.
pub(crate) struct Heartbeats {
    raft: Raft,
    reasons: Mutex<Reasons>,
}

/// The reasons for which a leader keeps still.
#[derive(Clone, Copy, Debug, Default)]
struct Reasons {
    hands_over: bool,
    is_cut_off: bool,
}

impl Heartbeats {
    pub(crate) fn new(raft: Raft) -> Self {
        Self {
            raft,
            reasons: Mutex::default(),
        }
    }

    /// Keeps still so that the lease of this leader runs out, or ends that.
    pub(crate) fn note_handover(&self, hands_over: bool) {
        self.note(|reasons| reasons.hands_over = hands_over);
    }

    /// Keeps still because no majority answers, or ends that.
    pub(super) fn note_cut_off(&self, is_cut_off: bool) {
        self.note(|reasons| reasons.is_cut_off = is_cut_off);
    }

    /// True while this leader keeps still because no majority answers.
    pub(crate) fn pauses(&self) -> bool {
        self.reasons.lock().is_cut_off
    }

    fn note(&self, change: impl FnOnce(&mut Reasons)) {
        // Locked until raft knows: the later of two changes must be the one that counts.
        let mut reasons = self.reasons.lock();
        change(&mut reasons);
        let keeps_still = reasons.hands_over || reasons.is_cut_off;
        self.raft.runtime_config().heartbeat(!keeps_still);
    }
}
