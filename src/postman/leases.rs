//! The leases that a postman holds: their messages' results on the way to acknowledged reports.
//!
//! Decisions only: no calls, no clock. A lease leaves when every one of its results is acknowledged.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use notty_storage::{
    command::Report,
    model::{Run, SendResult},
};

use super::{
    desk::HeldLease,
    floor::Settled,
    outlet::Outlet,
    reports::{report, tokens},
    terms::{Job, SharedLease},
};

/// Time between two reports of a lease that is not yet done.
const REPORT: Duration = Duration::from_millis(250);

/// A lease that is held.
pub(super) struct LeaseInHand {
    pub(super) shared: Arc<SharedLease>,
    /// The gateway that its messages go to.
    outlet: Arc<Outlet>,
    runs: Arc<[Run]>,
    /// Count of messages without a result.
    unsettled: usize,
    /// Positions of messages with a result.
    settled: HashSet<u32>,
    /// Results not yet in a report.
    results: Vec<Settled>,
    /// The report on its way; repeated unchanged until it is acknowledged.
    report: Option<Report>,
    reported_at: Duration,
    /// Messages that are begun only after a look: the lease's own answer took long.
    unshown: Vec<Job>,
}

impl LeaseInHand {
    /// A lease of which nothing is settled.
    pub(super) fn new(
        shared: Arc<SharedLease>,
        outlet: Arc<Outlet>,
        runs: Vec<Run>,
        unsettled: usize,
        now: Duration,
    ) -> Self {
        // Every message of it will have a result.
        let settled = HashSet::with_capacity(unsettled);

        Self {
            shared,
            outlet,
            runs: runs.into(),
            unsettled,
            settled,
            results: Vec::new(),
            report: None,
            reported_at: now,
            unshown: Vec::new(),
        }
    }

    /// The same with the results of all its messages.
    pub(super) fn settled_with(self, results: Vec<Settled>) -> Self {
        Self {
            unsettled: 0,
            results,
            ..self
        }
    }

    /// Keeps messages back until a look shows the lease.
    pub(super) fn keep_back(&mut self, jobs: Vec<Job>) {
        self.unshown = jobs;
    }

    /// Puts messages that were kept back where the slots find them.
    pub(super) fn release(&mut self) {
        let jobs = std::mem::take(&mut self.unshown);
        if !jobs.is_empty() {
            self.outlet.enqueue(jobs);
        }
    }

    /// Takes in a message's result.
    pub(super) fn take(&mut self, settled: Settled) {
        // Once given up, a message has its result: a later one would be a conflict.
        if self.settled.insert(settled.token.position) {
            self.unsettled -= 1;
            self.results.push(settled);
        }
    }

    /// Puts a report together if one is due.
    fn report_due(&mut self, now: Duration, at_once: bool) -> Option<&Report> {
        let is_done = self.unsettled == 0;
        let waited = now.saturating_sub(self.reported_at) >= REPORT;
        let is_due = is_done || waited || at_once;
        if self.report.is_some() || self.results.is_empty() || !is_due {
            return None;
        }

        let results = std::mem::take(&mut self.results);
        let SharedLease { lease, mailing, .. } = *self.shared;
        self.reported_at = now;
        let gateway = self.outlet.options.identity;
        Some(self.report.insert(report(lease, mailing, gateway, results)))
    }

    fn is_over(&self) -> bool {
        self.unsettled == 0 && self.results.is_empty() && self.report.is_none()
    }

    /// Settles as unsure all messages that have no result.
    fn give_up(&mut self) {
        let SharedLease { lease, mailing, .. } = *self.shared;
        // Collected first: what is settled changes below.
        let left: Vec<_> = tokens(lease.n, mailing, &self.runs)
            .filter(|token| !self.settled.contains(&token.position))
            .collect();

        for token in left {
            self.settled.insert(token.position);
            self.results.push(Settled {
                token,
                result: SendResult::Unsure,
            });
        }
        self.unsettled = 0;
    }
}

/// All leases that a postman holds, by number.
#[derive(Default)]
pub(super) struct LeasesInHand {
    leases: BTreeMap<u64, LeaseInHand>,
    /// Leases whose report was refused, and may be taken from a later run: the journal must keep what it
    /// knows of them.
    refused: BTreeSet<u64>,
}

impl LeasesInHand {
    /// Adds a lease; one that is there already stays as it is.
    pub(super) fn add(&mut self, n: u64, lease: LeaseInHand) -> &mut LeaseInHand {
        self.leases.entry(n).or_insert(lease)
    }

    pub(super) fn get_mut(&mut self, n: u64) -> Option<&mut LeaseInHand> {
        self.leases.get_mut(&n)
    }

    /// Counts the leases in hand.
    pub(super) fn len(&self) -> usize {
        self.leases.len()
    }

    /// Counts the messages without a result.
    pub(super) fn unsettled(&self) -> usize {
        self.leases.values().map(|lease| lease.unsettled).sum()
    }

    /// Takes in a message's result.
    pub(super) fn take(&mut self, settled: Settled) {
        if let Some(lease) = self.leases.get_mut(&settled.token.n) {
            lease.take(settled);
        }
    }

    /// Puts together the reports that are due: of leases that are done, and of others from time to time.
    pub(super) fn reports_due(&mut self, now: Duration, at_once: bool) -> Vec<Report> {
        self.leases
            .values_mut()
            .filter_map(|lease| lease.report_due(now, at_once).cloned())
            .collect()
    }

    /// The report of a lease that is on its way.
    pub(super) fn report_of(&self, n: u64) -> Option<&Report> {
        self.leases.get(&n)?.report.as_ref()
    }

    /// Notes that a report was acknowledged.
    pub(super) fn acknowledge(&mut self, n: u64) {
        if let Some(lease) = self.leases.get_mut(&n) {
            lease.report = None;
        }
    }

    /// Forgets a lease whose report was refused for now. It is not closed: what the journal knows of it
    /// stays.
    pub(super) fn refuse(&mut self, n: u64) {
        self.leases.remove(&n);
        self.refused.insert(n);
    }

    /// Forgets a lease whose report was refused for good: no run can report it. Returns the lowest number
    /// that is still needed; `next_n` is that of the next lease.
    pub(super) fn let_go(&mut self, n: u64, next_n: u64) -> u64 {
        self.leases.remove(&n);
        self.lowest_needed(next_n)
    }

    /// Forgets a lease whose every result is acknowledged, if there is one. Returns its number, and the
    /// lowest one that is still needed; `next_n` is that of the next lease.
    pub(super) fn close_next(&mut self, next_n: u64) -> Option<(u64, u64)> {
        let (n, _) = self.leases.iter().find(|(_, lease)| lease.is_over())?;
        let n = *n;
        self.leases.remove(&n);
        Some((n, self.lowest_needed(next_n)))
    }

    fn lowest_needed(&self, next_n: u64) -> u64 {
        let open = self.leases.keys().chain(&self.refused).min();
        open.copied().unwrap_or(next_n)
    }

    /// The leases to look after: those with messages that have no result.
    pub(super) fn held(&self) -> Vec<HeldLease> {
        let held = |lease: &LeaseInHand| HeldLease {
            lease: lease.shared.lease,
            mailing: lease.shared.mailing,
            runs: lease.runs.clone(),
        };
        let leases = self.leases.values();
        leases
            .filter(|lease| lease.unsettled > 0)
            .map(held)
            .collect()
    }

    /// Lets the slots have all messages that wait for a look.
    pub(super) fn release_all(&mut self) {
        self.leases.values_mut().for_each(LeaseInHand::release);
    }

    /// Settles as unsure whatever is still on its way: the gateway may have it.
    pub(super) fn give_up(&mut self) {
        for lease in self.leases.values_mut() {
            if lease.unsettled > 0 {
                lease.give_up();
            }
        }
    }
}
