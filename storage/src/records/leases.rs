//! Postmen and their leases. Leases live in slots that are used again, so that nothing piles up.

use serde::{Deserialize, Serialize};

use crate::model::{Epoch, LeaseId, MailingNumber, PostmanName, Run, Timestamp};

/// A postman that may get leases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postman {
    /// Its name.
    pub name: PostmanName,
    /// Its present epoch.
    pub epoch: Epoch,
    /// The nonce that it registered with.
    pub nonce: u64,
    /// The number of its last lease.
    pub last: u64,
    /// Nonces and epochs of its starts before this one, the latest first, as many as are kept.
    pub before: Vec<(u64, Epoch)>,
    /// The gateway that it sends to, as this start or the one before has declared it.
    pub gateway: Option<DeclaredGateway>,
}

/// A gateway and account, as a postman has declared it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredGateway {
    /// The start that declared it.
    pub by: Epoch,
    /// A hash of the gateway and the account.
    pub gateway: u64,
    /// For how many milliseconds after the first doubtful try it may get a message again; none: never.
    pub repeat_ms: Option<u64>,
}

impl Postman {
    /// Whether an epoch is that of its present start, or of an earlier one that is remembered.
    pub fn has_had(&self, epoch: Epoch) -> bool {
        self.epoch == epoch || self.before.iter().any(|(_, before)| *before == epoch)
    }
}

/// All postmen, in the order of their epochs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postmen {
    /// One a name.
    pub postmen: Vec<Postman>,
}

/// A lease in its slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// Whose messages.
    pub mailing: MailingNumber,
    /// The steady time at which it was granted.
    pub granted_at: Timestamp,
    /// The steady time at which it runs out.
    pub expires_at: Timestamp,
    /// Its messages, in the order of positions.
    pub runs: Vec<Run>,
    /// Messages not yet reported.
    pub open: u32,
}

/// A lease in a list, for finding its slot and its end without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedLease {
    /// Its id.
    pub id: LeaseId,
    /// Its slot.
    pub slot: u32,
    /// Its mailing.
    pub mailing: MailingNumber,
    /// The steady time at which it runs out.
    pub expires_at: Timestamp,
}

/// Leases in the order of their ids: those that are open, or those that ran out unheard of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseList {
    /// Each once.
    pub leases: Vec<ListedLease>,
}

impl LeaseList {
    /// The lease with this id.
    pub fn find(&self, id: LeaseId) -> Option<&ListedLease> {
        self.leases
            .binary_search_by_key(&id, |lease| lease.id)
            .ok()
            .map(|at| &self.leases[at])
    }

    /// Puts a lease in its place.
    pub fn insert(&mut self, lease: ListedLease) {
        let at = self.leases.partition_point(|other| other.id < lease.id);
        self.leases.insert(at, lease);
    }

    /// The lowest slot that no lease of this list or another has.
    pub fn free_slot(&self, other: &Self) -> u32 {
        let all = self.leases.iter().chain(&other.leases);
        let mut taken: Vec<u32> = all.map(|lease| lease.slot).collect();
        taken.sort_unstable();
        let gap = taken
            .iter()
            .zip(0u32..)
            .find(|(slot, index)| **slot != *index);
        gap.map_or(taken.len() as u32, |(_, index)| index)
    }
}
