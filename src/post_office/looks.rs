//! The leader's knowledge of grants that would find nothing, so that it does not propose them: each
//! would be an entry that every node writes and syncs, for every ask.
//!
//! The state's summaries of waiting messages promise too much where zones share a mark, where a
//! message is due in a closed zone only, or waits for another gateway. So once a grant found nothing,
//! the leader looks for itself before the next one, by the grant's own rules, in bounded parts. If a
//! look finds nothing, there is no other one before something changes or its time comes.

use std::{collections::HashMap, sync::Arc};

use notty_storage::{
    Timestamp,
    model::{MailingNumber, ZoneNumber},
    query::{leases::Prospect, work::OpenMailing},
    records::{DeclaredGateway, MailingRecord, Progress},
};

/// The most looks at one mailing that are remembered: one for each gateway that postmen send to.
/// There are few gateways; a postman that names many must not fill the memory.
const GATEWAYS: usize = 8;

/// The messages that a grant would be for, and the mailing as it was then.
#[derive(Clone, Debug)]
pub struct Wanted {
    mailing: MailingNumber,
    gateway: u64,
    zones: Option<Vec<ZoneNumber>>,
    record: Arc<MailingRecord>,
    progress: Arc<Progress>,
}

impl Wanted {
    /// Messages of a mailing as it is now, for a gateway, in some zones; `None` means all zones.
    pub fn new(mailing: &OpenMailing, gateway: u64, zones: Option<&[ZoneNumber]>) -> Self {
        Self {
            mailing: mailing.number,
            gateway,
            zones: zones.map(<[ZoneNumber]>::to_vec),
            record: mailing.record.clone(),
            progress: mailing.progress.clone(),
        }
    }

    /// True if nothing has changed that could give a grant something. The state replaces record and
    /// progress with each change of the mailing or of any of its messages.
    fn is_same(&self, other: &Self) -> bool {
        self.gateway == other.gateway
            && self.zones == other.zones
            && Arc::ptr_eq(&self.record, &other.record)
            && Arc::ptr_eq(&self.progress, &other.progress)
    }
}

/// A look through a mailing in parts, from its first batch to its last.
#[derive(Debug)]
struct MailingScan {
    /// The messages that were wanted, and the mailing, when the look began.
    wanted: Wanted,
    /// The batch at which it goes on; `None` once it has come to the end.
    next: Option<u32>,
    /// Time from which on the result may be another although nothing has changed.
    until: Timestamp,
}

impl MailingScan {
    fn begin(wanted: Wanted) -> Self {
        Self {
            wanted,
            next: Some(0),
            until: Timestamp::from_millis(i64::MAX),
        }
    }

    /// True if it has found nothing in the whole mailing, and would find nothing now.
    fn is_in_vain(&self, wanted: &Wanted, now: Timestamp) -> bool {
        self.next.is_none() && self.wanted.is_same(wanted) && now < self.until
    }
}

/// The mailings whose last grant found nothing, and the results of looking at them.
#[derive(Debug, Default)]
pub struct Looks {
    scans: HashMap<MailingNumber, Vec<MailingScan>>,
    /// The gateways of all postmen when the looks began.
    declared: Vec<DeclaredGateway>,
}

impl Looks {
    /// Begins all looks anew if a postman now sends to another gateway: a message in doubt that waited
    /// for the former one may have nothing to wait for any more.
    pub fn refresh(&mut self, declared: Vec<DeclaredGateway>) {
        if self.declared != declared {
            self.scans.clear();
            self.declared = declared;
        }
    }

    /// Notes that a grant found nothing: before the next one there is a look.
    pub fn in_vain(&mut self, wanted: Wanted) {
        self.forget(wanted.mailing, wanted.gateway);
        let scans = self.scans.entry(wanted.mailing).or_default();
        scans.insert(0, MailingScan::begin(wanted));
        scans.truncate(GATEWAYS);
    }

    /// Notes that a grant was filled: the next one is proposed without a look.
    pub fn forget(&mut self, mailing: MailingNumber, gateway: u64) {
        if let Some(scans) = self.scans.get_mut(&mailing) {
            scans.retain(|scan| scan.wanted.gateway != gateway);
        }
    }

    /// Forgets all mailings but some.
    pub fn retain(&mut self, keep: impl Fn(&MailingNumber) -> bool) {
        self.scans
            .retain(|mailing, scans| keep(mailing) && !scans.is_empty());
    }

    /// True if it is known without another look that a grant would find nothing.
    pub fn is_in_vain(&self, wanted: &Wanted, now: Timestamp) -> bool {
        let scans = self.scans.get(&wanted.mailing).into_iter().flatten();
        let mut of_gateway = scans.filter(|scan| scan.wanted.gateway == wanted.gateway);
        let scan = of_gateway.next();
        scan.is_some_and(|scan| scan.is_in_vain(wanted, now))
    }

    /// The batch at which the next look begins; `None` if a grant is to be proposed without a look.
    pub fn next(&mut self, wanted: &Wanted) -> Option<u32> {
        let scan = self.scan_mut(wanted)?;
        if scan.next.is_none() || scan.wanted.zones != wanted.zones {
            *scan = MailingScan::begin(wanted.clone());
        }
        scan.next
    }

    /// Notes the result of a look. Returns true if the look has come to the end of the mailing and has
    /// found nothing.
    pub fn note(&mut self, wanted: &Wanted, found: Prospect) -> bool {
        let Some(scan) = self.scan_mut(wanted) else {
            return false;
        };

        match found {
            Prospect::Something { .. } => *scan = MailingScan::begin(wanted.clone()),
            Prospect::Nothing { stopped, until } => {
                scan.next = stopped;
                scan.until = scan.until.min(until);
            }
        }
        scan.next.is_none()
    }

    /// The look at a mailing for a gateway, whatever has changed since it began.
    fn scan_mut(&mut self, wanted: &Wanted) -> Option<&mut MailingScan> {
        let scans = self.scans.get_mut(&wanted.mailing)?;
        scans
            .iter_mut()
            .find(|scan| scan.wanted.gateway == wanted.gateway)
    }
}

#[cfg(test)]
mod tests;
