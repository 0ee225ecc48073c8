//! The knowledge that a leader gathers from one ask to the next.
//!
//! It is lost with the leadership, and nothing of it is needed for safety: a leader that has just
//! been elected proposes a few grants more that find nothing.

use std::collections::{BTreeSet, HashMap};

use notty_storage::model::MailingNumber;

use super::{
    PostOfficeOptions,
    candidates::Reach,
    looks::Looks,
    rates::{Budgets, RecentGrants},
};
use crate::zones::Zones;

/// The things that a leader remembers between asks.
pub(super) struct LeaderMemory {
    /// The time zones of the state.
    pub(super) zones: Zones,
    /// Messages that may be granted at the configured rate, for each gateway.
    pub(super) budgets: Budgets,
    /// The turn in which each mailing was served last, as a rising number.
    pub(super) served: HashMap<MailingNumber, u64>,
    turn: u64,
    /// Mailings whose last grant found nothing, until one more batch of theirs is asked for.
    pub(super) barren: BTreeSet<MailingNumber>,
    /// Results of looking at mailings whose last grant found nothing, by gateway.
    pub(super) looks: Looks,
    /// Mailings whose messages lie far apart: the next grant looks far.
    pub(super) scattered: BTreeSet<MailingNumber>,
    /// Messages granted lately, from which it follows how far ahead to expand.
    pub(super) recent: RecentGrants,
    /// True once the cluster is known to have a secret of receipts, which it keeps.
    pub(super) has_receipt_secret: bool,
}

impl LeaderMemory {
    /// The memory of a leader that has granted nothing yet.
    pub(super) fn new(options: &PostOfficeOptions) -> Self {
        Self {
            zones: Zones::new(&options.timezone),
            budgets: Budgets::new(options.rate_limit),
            served: HashMap::new(),
            turn: 0,
            barren: BTreeSet::new(),
            looks: Looks::default(),
            scattered: BTreeSet::new(),
            recent: RecentGrants::default(),
            has_receipt_secret: false,
        }
    }

    /// Gives a mailing its turn. Returns how far its grant may look.
    pub(super) fn serve(&mut self, mailing: MailingNumber) -> Reach {
        self.turn += 1;
        self.served.insert(mailing, self.turn);
        Reach::of(self.scattered.contains(&mailing))
    }

    /// Forgets all mailings but some, so that memory does not grow with settled ones.
    pub(super) fn retain(&mut self, keep: impl Fn(&MailingNumber) -> bool) {
        self.served.retain(|mailing, _| keep(mailing));
        self.barren.retain(&keep);
        self.scattered.retain(&keep);
        self.looks.retain(&keep);
    }
}
