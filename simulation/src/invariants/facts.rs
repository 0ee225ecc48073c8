//! What is known to have happened: committed entries, requests to the gateway, deaths.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use notty_raft::AppliedEntry;
use notty_storage::{
    Action, Origin, Reader, Reply, Source, Timestamp,
    command::{
        CancelMailing, CreateMailing, DeleteCustomer, DeleteMailing, ExpireLease, GrantedLease,
        PauseMailing, RegisterPostman, Report, ResumeMailing, UpdateMailing,
    },
    keys::MembersKey,
    model::{
        CustomerId, Epoch, LeaseId, MailingId, MailingNumber, MessageId, SendResult, SendWindow,
    },
    query,
    records::address,
};

use crate::{
    event::{Event, Told},
    plan::Plan,
};

/// A mailing, as far as what was committed tells.
#[derive(Clone, Debug)]
pub struct MailingFact {
    /// When it starts.
    pub start: Timestamp,
    /// When it ends; before a change of it, the later one counts until the change.
    pub end: Timestamp,
    /// When its end was last moved, and from where.
    pub ended_before: Option<(Duration, Timestamp)>,
    /// Its window.
    pub window: Option<SendWindow>,
    /// Since when it is cancelled or deleted.
    pub stopped: Option<Duration>,
    /// True if it was deleted: nothing of it is shown any more.
    pub deleted: bool,
    /// Since when it is paused.
    pub paused: Option<Duration>,
}

/// A grant of one message.
#[derive(Clone, Copy, Debug)]
pub struct GrantFact {
    /// The attempt.
    pub attempt: u16,
    /// Under which lease.
    pub lease: LeaseId,
    /// When it was first applied.
    pub at: Duration,
    /// What was reported of it first.
    pub reported: Option<SendResult>,
    /// Whether the lease ran out before that.
    pub lapsed: bool,
}

/// A message, as far as what was committed tells.
#[derive(Clone, Debug, Default)]
pub struct MessageFact {
    /// The digits of its phone.
    pub phone: u64,
    /// The number of its customer.
    pub customer: Option<u32>,
    /// Its grants.
    pub grants: Vec<GrantFact>,
    /// When requests were begun, and by whom.
    pub begun: Vec<(Duration, usize)>,
    /// What the gateway did with each request that it got.
    pub received: Vec<Receipt>,
}

/// The deletion of a customer.
#[derive(Clone, Copy, Debug)]
pub struct Deletion {
    /// The time of it.
    pub at: Duration,
    /// True if somebody was created under its id since.
    pub is_back: bool,
}

/// A request that the gateway got.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    /// Whether it took the message.
    pub taken: bool,
    /// Whether it dropped the request, since it knew the id.
    pub dropped: bool,
    /// True if its answer halts.
    pub halts: bool,
    /// What it answered; none: nothing.
    pub answered: Option<u16>,
}

impl Receipt {
    /// True if it took the message, and answered that it did not.
    pub fn is_denied(&self) -> bool {
        self.taken && self.answered == Some(503)
    }

    /// True if it took the message, and never denied that.
    pub fn is_owned(&self) -> bool {
        self.taken && !self.is_denied()
    }
}

/// Everything that the invariants go by.
pub struct Facts {
    /// Whether an event is the first of its entry.
    pub newest: bool,
    /// Running hashes by position.
    pub hashes: BTreeMap<u64, u64>,
    /// Mailings by number.
    pub mailings: BTreeMap<u32, MailingFact>,
    numbers: BTreeMap<MailingId, u32>,
    /// Messages by id.
    pub messages: BTreeMap<u64, MessageFact>,
    /// Names of postmen by epoch, and when each was registered.
    pub postmen: BTreeMap<Epoch, (String, Duration)>,
    /// Epochs that were replaced by a newer start.
    pub replaced: BTreeSet<Epoch>,
    /// The last deletions of customers, by their numbers.
    pub deleted: BTreeMap<u32, Deletion>,
    /// The last report that something is done.
    pub last_done: Option<Report>,
    /// What clients asked for under keys and was executed: a repeat only gets the answer again.
    keys: BTreeSet<[u8; 16]>,
    /// Commands of imports that were executed, by import and number.
    imported: BTreeSet<([u8; 16], u32)>,
    /// The highest position that each machine's answers reflected.
    pub served: BTreeMap<usize, u64>,
    terms: BTreeMap<u64, usize>,
    voted: BTreeMap<usize, u64>,
    snapshots_installed: u64,
}

impl Facts {
    /// None yet.
    pub fn new(_plan: &Plan) -> Self {
        Self {
            newest: false,
            hashes: BTreeMap::new(),
            mailings: BTreeMap::new(),
            numbers: BTreeMap::new(),
            messages: BTreeMap::new(),
            postmen: BTreeMap::new(),
            replaced: BTreeSet::new(),
            deleted: BTreeMap::new(),
            last_done: None,
            keys: BTreeSet::new(),
            imported: BTreeSet::new(),
            served: BTreeMap::new(),
            terms: BTreeMap::new(),
            voted: BTreeMap::new(),
            snapshots_installed: 0,
        }
    }

    /// Takes in what happened; whether it is worth a line of the trace.
    pub fn take(&mut self, event: &Event<'_>, now: Duration) -> bool {
        match event {
            Event::Applied { applied, .. } => {
                self.newest = !self.hashes.contains_key(&applied.index);
                if self.newest {
                    self.hashes.insert(applied.index, applied.hash);
                    self.committed(applied, now);
                }
                return self.newest;
            }
            Event::Voted { machine, term } => {
                return self.voted.insert(*machine, *term) != Some(*term);
            }
            Event::Begun { machine, id, .. } => {
                self.messages
                    .entry(*id)
                    .or_default()
                    .begun
                    .push((now, *machine));
            }
            Event::Received {
                id,
                taken,
                dropped,
                halts,
                ..
            } => {
                let receipt = Receipt {
                    taken: *taken,
                    dropped: *dropped,
                    halts: *halts,
                    answered: None,
                };
                self.messages.entry(*id).or_default().received.push(receipt);
            }
            Event::Answered { id, status } => {
                // One request at a time: the answer is to the first that has none.
                let message = self.messages.entry(*id).or_default();
                if let Some(last) = message.received.iter_mut().find(|r| r.answered.is_none()) {
                    last.answered = Some(*status);
                }
            }
            Event::Leads { machine, term } => {
                self.terms.insert(*term, *machine);
            }
            Event::Installed { .. } => self.snapshots_installed += 1,
            Event::Told(Told::Position { machine, index, .. }) => {
                let served = self.served.entry(*machine).or_default();
                *served = (*served).max(*index);
                return false;
            }
            Event::Wiped { machine } | Event::OldDisk { machine } => {
                self.served.remove(machine);
            }
            _ => {}
        }
        true
    }

    /// The first node has applied an entry.
    fn committed(&mut self, applied: &AppliedEntry<'_>, now: Duration) {
        let Some(entry) = applied.entry else {
            return;
        };
        for (command, outcome) in entry.commands.iter().zip(applied.outcomes) {
            let Ok(reply) = outcome else {
                continue;
            };
            let repeats = match command.origin {
                Origin::Client { key, .. } => !self.keys.insert(key),
                Origin::Import { import, n } => !self.imported.insert((import, n)),
                Origin::Itself => false,
            };
            if !repeats {
                self.executed(&command.action, reply, applied, now);
            }
        }
    }

    fn executed(
        &mut self,
        action: &Action,
        reply: &Reply,
        applied: &AppliedEntry<'_>,
        now: Duration,
    ) {
        match (action, reply) {
            (Action::PutCustomers(put), _) => {
                for row in &put.rows {
                    self.customer_written(&row.id, applied);
                }
            }
            (Action::PutCustomer(put), _) => {
                self.customer_written(&put.customer.id, applied);
            }
            (Action::DeleteCustomer(DeleteCustomer { id }), _) => {
                let deletion = Deletion {
                    at: now,
                    is_back: false,
                };
                let customer = applied.view.read().find_customer(id).ok().flatten();
                self.deleted.extend(customer.map(|seq| (seq.0, deletion)));
            }
            (
                Action::CreateMailing(CreateMailing { id, .. })
                | Action::UpdateMailing(UpdateMailing { id, .. }),
                _,
            ) => {
                self.mailing_written(id, applied, now);
            }
            (Action::PauseMailing(PauseMailing { id }), _) => {
                self.with_mailing(id, |mailing| mailing.paused = mailing.paused.or(Some(now)));
            }
            (Action::ResumeMailing(ResumeMailing { id, .. }), _) => {
                self.with_mailing(id, |mailing| mailing.paused = None);
            }
            (
                Action::CancelMailing(CancelMailing { id })
                | Action::DeleteMailing(DeleteMailing { id }),
                _,
            ) => {
                self.with_mailing(id, |mailing| {
                    mailing.stopped = mailing.stopped.or(Some(now));
                    mailing.deleted |= matches!(action, Action::DeleteMailing(_));
                });
            }
            (Action::RegisterPostman(RegisterPostman { name, .. }), Reply::Registered(epoch)) => {
                let known = self.postmen.iter();
                let older = known.filter(|(e, (n, _))| *n == name.as_str() && *e != epoch);
                self.replaced.extend(older.map(|(epoch, _)| *epoch));
                self.postmen
                    .entry(*epoch)
                    .or_insert((name.as_str().to_owned(), now));
            }
            (Action::Grant(grant), Reply::Granted(Some(GrantedLease { mailing, runs, .. }))) => {
                self.granted(grant.lease, *mailing, runs, applied, now);
            }
            (Action::Report(report), Reply::Reported(_)) => {
                let done = |(result, _): &(SendResult, _)| *result == SendResult::Done;
                if report.results.iter().all(done) {
                    self.last_done = Some(report.clone());
                }
                for (result, runs) in &report.results {
                    for (id, attempt) in tokens(report.mailing, runs) {
                        self.reported(id, attempt, *result);
                    }
                }
            }
            (Action::ExpireLease(ExpireLease { lease }), _) => self.lapsed(*lease),
            _ => {}
        }
    }

    fn customer_written(&mut self, id: &CustomerId, applied: &AppliedEntry<'_>) {
        if self.deleted.is_empty() {
            return;
        }
        let customer = applied.view.read().find_customer(id).ok().flatten();
        let deletion = customer.and_then(|seq| self.deleted.get_mut(&seq.0));
        if let Some(deletion) = deletion {
            deletion.is_back = true;
        }
    }

    fn mailing_written(&mut self, id: &MailingId, applied: &AppliedEntry<'_>, now: Duration) {
        let reader = applied.view.read();
        let Ok(Some(number)) = query::mailings::number_of(&reader, id) else {
            return;
        };
        let Ok(Some(record)) = query::work::record(&reader, number) else {
            return;
        };
        let spec = record.spec.clone();
        self.numbers.insert(id.clone(), number.0);
        let before = self.mailings.get(&number.0);
        let ended_before = before
            .filter(|before| before.end != spec.end)
            .map(|b| (now, b.end));
        let ended_before = ended_before.or(before.and_then(|before| before.ended_before));
        let (stopped, paused) = before.map_or((None, None), |b| (b.stopped, b.paused));
        let deleted = before.is_some_and(|before| before.deleted);
        let (start, end, window) = (spec.start, spec.end, spec.send_window);
        let fact = MailingFact {
            start,
            end,
            ended_before,
            window,
            stopped,
            deleted,
            paused,
        };
        self.mailings.insert(number.0, fact);
    }

    fn with_mailing(&mut self, id: &MailingId, change: impl FnOnce(&mut MailingFact)) {
        let number = self.numbers.get(id);
        if let Some(mailing) = number.and_then(|number| self.mailings.get_mut(number)) {
            change(mailing);
        }
    }

    fn granted(
        &mut self,
        lease: LeaseId,
        mailing: MailingNumber,
        runs: &[notty_storage::model::Run],
        applied: &AppliedEntry<'_>,
        now: Duration,
    ) {
        let reader = applied.view.read();
        let leased = query::leases::messages(&reader, mailing, runs).unwrap_or_default();
        let customers = customers_of(&reader, mailing, runs);
        for (leased, customer) in leased.into_iter().zip(customers) {
            let message = self.messages.entry(leased.id.as_u64()).or_default();
            message.phone = leased.phone.digits();
            message.customer = customer;
            // The same lease, asked for again.
            if message
                .grants
                .iter()
                .any(|grant| grant.attempt == leased.attempt)
            {
                continue;
            }
            let (attempt, at) = (leased.attempt, now);
            let grant = GrantFact {
                attempt,
                lease,
                at,
                reported: None,
                lapsed: false,
            };
            message.grants.push(grant);
        }
    }

    fn reported(&mut self, id: u64, attempt: u16, result: SendResult) {
        let Some(message) = self.messages.get_mut(&id) else {
            return;
        };
        if let Some(grant) = message
            .grants
            .iter_mut()
            .find(|grant| grant.attempt == attempt)
        {
            grant.reported.get_or_insert(result);
        }
    }

    fn lapsed(&mut self, lease: LeaseId) {
        for message in self.messages.values_mut() {
            for grant in message
                .grants
                .iter_mut()
                .filter(|grant| grant.lease == lease)
            {
                grant.lapsed = grant.reported.is_none();
            }
        }
    }

    /// The mailing of a message.
    pub fn mailing_of(&self, id: u64) -> Option<&MailingFact> {
        self.mailings.get(&MessageId::from_u64(id)?.mailing.0)
    }

    /// Adds what is known in figures.
    pub fn count(&self, counts: &mut BTreeMap<&'static str, u64>) {
        let messages = self.messages.values();
        let requests = messages
            .clone()
            .map(|message| message.received.len() as u64)
            .sum();
        let receipts = messages.clone().flat_map(|message| &message.received);
        let lost = receipts
            .filter(|receipt| receipt.taken && receipt.answered != Some(200))
            .count();
        counts.insert("request to the gateway", requests);
        counts.insert("lost reply", lost as u64);
        counts.insert("message leased", self.messages.len() as u64);
        counts.insert("entry", self.hashes.len() as u64);
        counts.insert("leader change", self.terms.len().saturating_sub(1) as u64);
        counts.insert("snapshot installed", self.snapshots_installed);
    }
}

/// The numbers of the customers of runs.
fn customers_of(
    reader: &Reader<'_>,
    mailing: MailingNumber,
    runs: &[notty_storage::model::Run],
) -> Vec<Option<u32>> {
    let mut batches: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut found = Vec::new();
    for position in runs.iter().flat_map(notty_storage::model::Run::positions) {
        let (batch, index) = address(position);
        let customers = batches.entry(batch).or_insert_with(|| {
            let members = reader.get(&MembersKey(mailing, batch)).ok().flatten();
            members.map_or_else(Vec::new, |members| members.customers().collect())
        });
        found.push(customers.get(index).copied());
    }
    found
}

/// The messages of runs, with their attempts.
pub(super) fn tokens(
    mailing: MailingNumber,
    runs: &[notty_storage::model::Run],
) -> impl Iterator<Item = (u64, u16)> + '_ {
    runs.iter().flat_map(move |run| {
        run.positions()
            .map(move |position| (MessageId { mailing, position }.as_u64(), run.attempt))
    })
}
