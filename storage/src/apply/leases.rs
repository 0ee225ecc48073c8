//! Postmen and their leases: who may send what, until when.
//!
//! The safety of "at most once" begins here: a message is granted only from `created`, or from
//! `failed` once due, and each grant is a new attempt. A lease that runs out sends nothing again.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::Range,
};

use super::{
    batches::{BatchEdit, MailingEdit, NEVER},
    gateways::{Allowed, Gateways},
    mailings,
    ruled::Ruled,
};
use crate::{
    changes::Changes,
    command::{ExpireLease, Grant, GrantedLease, RegisterPostman, Rejection},
    error::Error,
    keys::{DeletedKey, LeaseKey, NumbersKey, OpenLeasesKey, PostmenKey, UnheardLeasesKey},
    limits::{
        DELETED_PER_BLOCK, GRANT_BARREN_BATCHES, GRANT_SKIP_MS, HEADS_PER_BLOCK, LEASE_BATCHES,
        LEASE_MESSAGES, LEASE_TTL_MS, POSTMAN_LEASES, POSTMAN_STARTS, POSTMEN,
    },
    model::{Epoch, LeaseId, MailingNumber, Run, Status, Timestamp},
    records::{
        DeletedBlock, Head, Lease, LeaseList, ListedLease, MailingRecord, Numbers, Postman,
        address, position,
    },
    rules,
    source::Source,
};

/// A postman starts: the same nonce gives the same epoch, another closes the older postman.
pub(super) fn register(changes: &mut Changes<'_>, register: &RegisterPostman) -> Ruled<Epoch> {
    let RegisterPostman { name, nonce } = register;
    let nonce = *nonce;
    let mut record = changes.get_or_default(&PostmenKey)?;
    let postmen = &mut record.postmen;
    let known = postmen.iter().position(|postman| postman.name == *name);
    let (mut before, mut gateway) = (Vec::new(), None);
    if let Some(at) = known {
        if let Some(epoch) = epoch_of(&postmen[at], nonce) {
            return Ok(epoch);
        }
        let older = postmen.remove(at);
        // Until this start declares its own: a message in doubt may be waiting for it.
        gateway = older.gateway;
        before.push((older.nonce, older.epoch));
        before.extend(older.before);
        before.truncate(POSTMAN_STARTS);
    }
    if postmen.len() >= POSTMEN {
        let open = changes.get_or_default(&OpenLeasesKey)?;
        let idle = |p: &Postman| !open.leases.iter().any(|lease| lease.id.epoch == p.epoch);
        let at = postmen.iter().position(idle).unwrap_or_default();
        postmen.remove(at);
    }
    let epoch = changes.update(&NumbersKey, |numbers| {
        numbers.epoch += 1;
        Epoch(numbers.epoch)
    })?;
    postmen.push(Postman {
        name: name.clone(),
        epoch,
        nonce,
        last: 0,
        before,
        gateway,
    });
    drop_unheard(changes, |lease| {
        !record.postmen.iter().any(|p| p.has_had(lease.epoch))
    })?;
    changes.put(&PostmenKey, &record);
    Ok(epoch)
}

/// The epoch of a postman's start, this one or an earlier one.
fn epoch_of(postman: &Postman, nonce: u64) -> Option<Epoch> {
    let mut starts = [(postman.nonce, postman.epoch)]
        .into_iter()
        .chain(postman.before.iter().copied());
    starts.find(|(n, _)| *n == nonce).map(|(_, epoch)| epoch)
}

/// Why a postman that is not listed gets nothing.
pub(super) fn why_unknown(
    changes: &Changes<'_>,
    postmen: &[Postman],
    epoch: Epoch,
) -> Result<Rejection, Error> {
    let numbers: Numbers = changes.get_or_default(&NumbersKey)?;
    let of_this_life = numbers.closed_epochs < epoch.0 && epoch.0 <= numbers.epoch;
    let mut replaced = postmen.iter().flat_map(|postman| &postman.before);
    match of_this_life && !replaced.any(|(_, before)| *before == epoch) {
        true => Ok(Rejection::PostmanForgotten),
        false => Ok(Rejection::PostmanClosed),
    }
}

pub(super) fn grant(changes: &mut Changes<'_>, grant: &Grant) -> Ruled<Option<GrantedLease>> {
    let mut postmen = changes.get_or_default(&PostmenKey)?;
    let Some(at) = postmen
        .postmen
        .iter()
        .position(|p| p.epoch == grant.lease.epoch)
    else {
        return Err(why_unknown(changes, &postmen.postmen, grant.lease.epoch)?.into());
    };
    let mut open = changes.get_or_default(&OpenLeasesKey)?;
    if let Some(same) = open.find(grant.lease) {
        let lease = changes.need(&LeaseKey(same.slot), "an open lease")?;
        return Ok(Some(granted(lease)));
    }
    check_number(&postmen.postmen[at], &open, grant.lease)?;
    let record = mailings::by_number(changes, grant.mailing)?;
    check_bounds(grant)?;
    if !record.is_running() || record.paused || changes.at() >= record.spec.end {
        return Err(Rejection::NotNow.into());
    }
    let mut edit = MailingEdit::open(changes, grant.mailing)?;
    let gateways = Gateways::of(&postmen.postmen, grant, *changes.setting());
    let picked = pick(changes, &mut edit, grant, &gateways)?;
    if picked.runs.is_empty() && !picked.learnt {
        return Err(Rejection::NothingToDo.into());
    }
    edit.save(changes)?;
    if picked.runs.is_empty() {
        // There is no lease, so its number stays free: a lease has one id and an id one lease.
        return Ok(None);
    }
    // At the end of the list: who has nothing to do for longest is forgotten first.
    let mut postman = postmen.postmen.remove(at);
    postman.last = grant.lease.n;
    // Who asks for the next one has handed back the one before.
    drop_unheard(changes, |lease| postman.has_had(lease.epoch))?;
    postmen.postmen.push(postman);
    changes.put(&PostmenKey, &postmen);
    let mut runs = picked.runs;
    // A search that came round found them in another order.
    runs.sort_unstable_by_key(|run| run.first);
    let lease = new_lease(changes.steady(), grant, runs);
    let slot = open.free_slot(&changes.get_or_default(&UnheardLeasesKey)?);
    changes.put(&LeaseKey(slot), &lease);
    let (id, mailing, expires_at) = (lease.id, lease.mailing, lease.expires_at);
    open.insert(ListedLease {
        id,
        slot,
        mailing,
        expires_at,
    });
    changes.put(&OpenLeasesKey, &open);
    Ok(Some(granted(lease)))
}

fn new_lease(at: Timestamp, grant: &Grant, runs: Vec<Run>) -> Lease {
    Lease {
        id: grant.lease,
        mailing: grant.mailing,
        granted_at: at,
        expires_at: at.plus_millis(grant.ttl_ms as i64),
        open: runs.iter().map(|run| u32::from(run.len)).sum(),
        runs,
    }
}

fn granted(lease: Lease) -> GrantedLease {
    GrantedLease {
        mailing: lease.mailing,
        expires_at: lease.expires_at,
        runs: lease.runs,
    }
}

/// A new lease follows the last one; a lower number that is not open is closed for good.
fn check_number(postman: &Postman, open: &LeaseList, lease: LeaseId) -> Result<(), Rejection> {
    if lease.n <= postman.last {
        return Err(Rejection::LeaseClosed);
    }
    if lease.n != postman.last + 1 {
        return Err(Rejection::LeaseGap { last: postman.last });
    }
    let of_postman = open
        .leases
        .iter()
        .filter(|other| other.id.epoch == lease.epoch);
    if of_postman.count() >= POSTMAN_LEASES {
        return Err(Rejection::TooManyLeases);
    }
    Ok(())
}

fn check_bounds(grant: &Grant) -> Result<(), Rejection> {
    let messages = (1..=LEASE_MESSAGES).contains(&grant.limit);
    let batches = (1..=LEASE_BATCHES).contains(&grant.batches)
        && (1..=GRANT_BARREN_BATCHES).contains(&grant.barren);
    if messages && batches && grant.ttl_ms <= LEASE_TTL_MS {
        return Ok(());
    }
    let what = format!(
        "a lease has 1 to {LEASE_MESSAGES} messages of 1 to {LEASE_BATCHES} batches, 1 to \
         {GRANT_BARREN_BATCHES} opened in vain, for at most {LEASE_TTL_MS} ms"
    );
    Err(Rejection::OutOfBounds { what })
}

/// What a grant took.
#[derive(Default)]
struct Picked {
    runs: Vec<Run>,
    count: u16,
    /// Whether looking changed something although it may have taken nothing: messages in doubt
    /// were given up, heads know better which zones wait, or the next look begins elsewhere.
    learnt: bool,
}

impl Picked {
    fn push(&mut self, position: u32, attempt: u16) {
        self.count += 1;
        match self.runs.last_mut() {
            Some(run) if run.attempt == attempt && run.end() == u64::from(position) => {
                run.len += 1;
            }
            _ => self.runs.push(Run {
                first: position,
                len: 1,
                attempt,
            }),
        }
    }
}

/// Takes messages of a mailing, and notes where the next grant begins to look.
fn pick(
    changes: &mut Changes<'_>,
    edit: &mut MailingEdit,
    grant: &Grant,
    gateways: &Gateways,
) -> Result<Picked, Error> {
    let (mut search, stopped) = search(changes, edit, grant, gateways)?;
    if grant.from.is_some() {
        return Ok(search.picked);
    }
    match stopped {
        None => edit.progress.skip = None,
        Some(batch) if search.barren >= grant.barren => {
            edit.progress.skip = Some((batch, changes.steady()));
            search.picked.learnt = true;
        }
        Some(_) => {}
    }
    Ok(search.picked)
}

/// Looks through a mailing once, in the order of batches: from where the grant says to the end, or
/// from where the mailing says and round. The batch before which the search stopped, if it did.
fn search<'g>(
    changes: &mut Changes<'_>,
    edit: &mut MailingEdit,
    grant: &'g Grant,
    gateways: &'g Gateways,
) -> Result<(Search<'g>, Option<u32>), Error> {
    let at = changes.steady();
    let first = edit
        .progress
        .open
        .first()
        .map_or(0, |block| block.number * HEADS_PER_BLOCK);
    let all = first..edit.progress.batches;
    let within = |batch: u32| batch.clamp(all.start, all.end);
    let mut search = Search::new(changes, grant, gateways)?;

    if let Some(from) = grant.from {
        let stopped = search.through(changes, edit, within(from)..all.end)?;
        return Ok((search, stopped));
    }
    let skip = edit
        .progress
        .skip
        .filter(|(_, since)| at.since(*since) < GRANT_SKIP_MS);
    let from = skip.map_or(all.start, |(batch, _)| within(batch));
    for batches in [from..all.end, all.start..from] {
        if let Some(stopped) = search.through(changes, edit, batches)? {
            return Ok((search, Some(stopped)));
        }
    }
    Ok((search, None))
}

/// What a grant would come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prospect {
    /// It would change something, first of all in this batch: grant messages, or learn which ones
    /// wait in vain.
    Something {
        /// The first such batch.
        batch: u32,
    },
    /// It would change nothing.
    Nothing {
        /// Where it would stop to look; none: it would come to the end.
        stopped: Option<u32>,
        /// When time alone may change that, for the batches that it would look at, as a steady time
        /// ([`TimeSetting`](crate::records::TimeSetting)).
        until: Timestamp,
    },
}

/// Looks for what a grant would find, by the grant's own rules, and drops what it found.
pub(crate) fn prospect(changes: &mut Changes<'_>, grant: &Grant) -> Result<Prospect, Error> {
    let postmen = changes.get_or_default(&PostmenKey)?.postmen;
    let gateways = Gateways::of(&postmen, grant, *changes.setting());
    let mut edit = MailingEdit::open(changes, grant.mailing)?;
    let (search, stopped) = search(changes, &mut edit, grant, &gateways)?;
    changes.drop_command();
    Ok(match search.first {
        Some(batch) => Prospect::Something { batch },
        None => Prospect::Nothing {
            stopped,
            until: search.until,
        },
    })
}

/// A grant looking for messages.
struct Search<'g> {
    grant: &'g Grant,
    gateways: &'g Gateways,
    zones: u64,
    deleted: Deleted,
    picked: Picked,
    fruitful: u8,
    barren: u8,
    /// The first batch of which something was taken or learnt.
    first: Option<u32>,
    /// When something that was seen to wait is due next.
    until: Timestamp,
}

impl<'g> Search<'g> {
    fn new(changes: &Changes<'_>, grant: &'g Grant, gateways: &'g Gateways) -> Result<Self, Error> {
        let zones = Head::zone_bits(grant.zones.as_deref());
        let (deleted, picked) = (Deleted::load(changes)?, Picked::default());
        let (first, until) = (None, NEVER);
        let (fruitful, barren) = (0, 0);
        Ok(Self {
            grant,
            gateways,
            zones,
            deleted,
            picked,
            fruitful,
            barren,
            first,
            until,
        })
    }

    fn is_over(&self) -> bool {
        self.picked.count >= self.grant.limit
            || self.fruitful >= self.grant.batches
            || self.barren >= self.grant.barren
    }

    /// Takes what is ready in some batches; the batch before which it stopped, if it did.
    fn through(
        &mut self,
        changes: &mut Changes<'_>,
        edit: &mut MailingEdit,
        batches: Range<u32>,
    ) -> Result<Option<u32>, Error> {
        let (mut next, end) = (
            batches.start / HEADS_PER_BLOCK,
            batches.end.div_ceil(HEADS_PER_BLOCK),
        );
        while let Some(summary) = edit.progress.open_from(next).filter(|b| b.number < end) {
            let block = summary.number;
            next = block + 1;
            if !summary.is_ready(changes.steady(), self.zones) {
                if summary.failed_zones & self.zones != 0 {
                    self.until = self.until.min(summary.due);
                }
                continue;
            }
            for number in self.ready_batches(changes, edit, block)? {
                if !batches.contains(&number) {
                    continue;
                }
                if self.is_over() {
                    return Ok(Some(number));
                }
                let Some(mut batch) = edit.batch(changes, number)? else {
                    continue;
                };
                let (before, knew) = (self.picked.count, self.picked.learnt);
                self.pick_from(changes, edit.number, &mut batch)?;
                edit.close(changes, batch)?;
                let taken = self.picked.count > before;
                if taken || self.picked.learnt != knew {
                    self.first = self.first.or(Some(number));
                }
                self.fruitful += u8::from(taken);
                self.barren += u8::from(!taken);
            }
        }
        Ok(None)
    }

    fn ready_batches(
        &mut self,
        changes: &mut Changes<'_>,
        edit: &mut MailingEdit,
        block: u32,
    ) -> Result<Vec<u32>, Error> {
        let at = changes.steady();
        let mut ready = Vec::new();
        let heads = edit
            .heads(changes, block)?
            .heads
            .iter()
            .zip(block * HEADS_PER_BLOCK..);
        for (head, batch) in heads {
            if head.is_ready(at, self.zones) {
                ready.push(batch);
            } else if head.failed_zones & self.zones != 0 {
                self.until = self.until.min(head.due);
            }
        }
        Ok(ready)
    }

    fn pick_from(
        &mut self,
        changes: &Changes<'_>,
        mailing: MailingNumber,
        batch: &mut BatchEdit,
    ) -> Result<(), Error> {
        let at = changes.steady();
        let needs_members = self.grant.zones.is_some() || self.deleted.any;
        let who: Vec<(u32, u16)> = if needs_members {
            let members = batch.members(changes, mailing)?;
            members
                .customers()
                .zip(members.zones.iter().copied())
                .collect()
        } else {
            vec![(0, 0); batch.columns.statuses.len()]
        };
        let (mut created_zones, mut failed_zones) = (0, 0);
        for (index, (customer, zone)) in who.into_iter().enumerate() {
            let status = batch.columns.status(index);
            if !rules::may_be_granted(status) || self.deleted.contains(changes, customer)? {
                continue;
            }
            let full = self.picked.count >= self.grant.limit;
            if !full && self.is_open(zone) {
                self.pick_if_due(batch, index, at);
            }
            // What is left here waits on, in one status or the other.
            match batch.columns.status(index) {
                Status::Created => created_zones |= Head::zone_bit(zone),
                Status::Failed => failed_zones |= Head::zone_bit(zone),
                _ => {}
            }
        }
        if needs_members && batch.narrow(created_zones, failed_zones) {
            self.picked.learnt = true;
        }
        Ok(())
    }

    fn is_open(&self, zone: u16) -> bool {
        self.grant
            .zones
            .as_ref()
            .is_none_or(|zones| zones.iter().any(|open| open.0 == zone))
    }

    /// Takes a message if it is due, unless a gateway may have it already.
    fn pick_if_due(&mut self, batch: &mut BatchEdit, index: usize, at: Timestamp) {
        if !is_due(batch, index, at) {
            self.until = self.until.min(batch.columns.due_of(index).unwrap_or(NEVER));
            return;
        }
        let doubt = batch.columns.doubt(index);
        match doubt.map_or(Allowed::Now, |doubt| self.gateways.allow(doubt, at)) {
            Allowed::Now => take(batch, index, at, &mut self.picked),
            Allowed::Elsewhere { until } => self.until = self.until.min(until.plus_millis(1)),
            Allowed::Never => {
                batch.set(index, Status::Unconfirmed, at);
                self.picked.learnt = true;
            }
        }
    }
}

fn is_due(batch: &BatchEdit, index: usize, at: Timestamp) -> bool {
    let due = batch.columns.due_of(index).unwrap_or(NEVER);
    rules::is_due(batch.columns.status(index), due, at)
}

fn take(batch: &mut BatchEdit, index: usize, at: Timestamp, picked: &mut Picked) {
    // An attempt number is never used twice: a message that has used them all waits for its end.
    let Some(attempt) = batch.columns.attempts[index].checked_add(1) else {
        return;
    };
    batch.columns.attempts[index] = attempt;
    batch.columns.reported[index] = 0;
    batch.set(index, Status::Sending, at);
    picked.push(position(batch.number, index), attempt);
}

/// Which customers are deleted, read block by block and only if there are any.
pub(super) struct Deleted {
    any: bool,
    blocks: BTreeMap<u32, DeletedBlock>,
}

impl Deleted {
    pub(super) fn load(changes: &Changes<'_>) -> Result<Self, Error> {
        let numbers: Numbers = changes.get_or_default(&NumbersKey)?;
        Ok(Self {
            any: numbers.deleted > 0,
            blocks: BTreeMap::new(),
        })
    }

    pub(super) fn any(&self) -> bool {
        self.any
    }

    pub(super) fn contains(&mut self, changes: &Changes<'_>, customer: u32) -> Result<bool, Error> {
        if !self.any {
            return Ok(false);
        }
        let number = customer / DELETED_PER_BLOCK;
        if let Entry::Vacant(entry) = self.blocks.entry(number) {
            entry.insert(changes.get_or_default(&DeletedKey(number))?);
        }
        Ok(self.blocks[&number].contains(customer % DELETED_PER_BLOCK))
    }
}

/// A lease has run out: what was not reported may have been sent, and is never sent again.
pub(super) fn expire(changes: &mut Changes<'_>, expire: &ExpireLease) -> Ruled<()> {
    let id = expire.lease;
    let open: LeaseList = changes.get_or_default(&OpenLeasesKey)?;
    let found = *open.find(id).ok_or(Rejection::LeaseClosed)?;
    if changes.steady() < found.expires_at {
        return Err(Rejection::NotNow.into());
    }
    let lease = changes.need(&LeaseKey(found.slot), "an open lease")?;
    let at = changes.steady();
    let mut edit = MailingEdit::open(changes, lease.mailing)?;
    for_each_batch(changes, &mut edit, &lease.runs, |batch, index, attempt| {
        let granted = batch.columns.attempts[index] == attempt;
        if granted && batch.columns.status(index) == Status::Sending {
            batch.columns.add_lapsed(index, lease.granted_at);
            batch.set(index, rules::status_after_expiry(), at);
        }
    })?;
    edit.save(changes)?;
    close(changes, id)?;
    keep_unheard(changes, found, &lease)?;
    Ok(())
}

/// A lease may run out before its answer comes, and then nobody knows what it held. So what a
/// postman was granted last, and reported nothing of, is kept: it can be handed back. One a name.
fn keep_unheard(
    changes: &mut Changes<'_>,
    listed: ListedLease,
    lease: &Lease,
) -> Result<(), Error> {
    let postmen = changes.get_or_default(&PostmenKey)?;
    let Some(postman) = postmen.postmen.iter().find(|p| p.has_had(listed.id.epoch)) else {
        return Ok(());
    };
    let messages: u32 = lease.runs.iter().map(|run| u32::from(run.len)).sum();
    // It asks for one after the other: who was granted a later one has heard of this one.
    let last = LeaseId {
        epoch: postman.epoch,
        n: postman.last,
    };
    let asked_since = postman.last > 0 && listed.id < last;
    if lease.open < messages || asked_since {
        return Ok(());
    }
    let mut unheard = changes.get_or_default(&UnheardLeasesKey)?;
    let of_postman = |lease: &ListedLease| postman.has_had(lease.id.epoch);
    if unheard
        .leases
        .iter()
        .filter(|lease| of_postman(lease))
        .all(|lease| lease.id < listed.id)
    {
        unheard.leases.retain(|lease| !of_postman(lease));
        unheard.insert(listed);
        changes.put(&UnheardLeasesKey, &unheard);
    }
    Ok(())
}

/// Forgets leases that ran out, and whose postmen know of them or are gone.
pub(super) fn drop_unheard(
    changes: &mut Changes<'_>,
    is_over: impl Fn(LeaseId) -> bool,
) -> Result<(), Error> {
    let mut unheard = changes.get_or_default(&UnheardLeasesKey)?;
    if unheard.leases.iter().any(|lease| is_over(lease.id)) {
        unheard.leases.retain(|lease| !is_over(lease.id));
        changes.put(&UnheardLeasesKey, &unheard);
    }
    Ok(())
}

/// Calls `each` with every message of some runs, batch by batch.
fn for_each_batch(
    changes: &mut Changes<'_>,
    edit: &mut MailingEdit,
    runs: &[Run],
    mut each: impl FnMut(&mut BatchEdit, usize, u16),
) -> Result<(), Error> {
    let mut runs = runs.iter().peekable();
    while let Some(first) = runs.peek() {
        let (number, _) = address(first.first);
        let mut batch = edit.batch(changes, number)?;
        while let Some(run) = runs.next_if(|run| address(run.first).0 == number) {
            let (_, start) = address(run.first);
            for index in start..start + usize::from(run.len) {
                if let Some(batch) = &mut batch {
                    each(batch, index, run.attempt);
                }
            }
        }
        if let Some(batch) = batch {
            edit.close(changes, batch)?;
        }
    }
    Ok(())
}

/// Takes a lease off the list of open ones.
pub(super) fn close(changes: &mut Changes<'_>, id: LeaseId) -> Result<(), Error> {
    changes.update(&OpenLeasesKey, |open: &mut LeaseList| {
        open.leases.retain(|lease| lease.id != id);
    })
}

/// Whether a mailing is over, with what becomes of what comes back. By its marks alone: an end that seems
/// to have passed, and that nobody has declared, may be a time that people set wrong.
pub(super) fn verdict_when_over(record: &MailingRecord) -> Option<Status> {
    if record.cancelled_at.is_some() || record.deleted_at.is_some() {
        Some(Status::Cancelled)
    } else if record.ended.is_some() {
        Some(Status::Expired)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PostmanName;

    #[test]
    fn open_leases_of_one_postman_have_an_end() {
        let id = |n| LeaseId { epoch: Epoch(1), n };
        let lease = |n: usize| ListedLease {
            id: id(n as u64),
            slot: n as u32,
            mailing: MailingNumber(1),
            expires_at: Timestamp::default(),
        };
        let name = PostmanName::parse("p").expect("a name");
        let last = POSTMAN_LEASES as u64;
        let postman = Postman {
            name,
            epoch: Epoch(1),
            nonce: 1,
            last,
            before: Vec::new(),
            gateway: None,
        };
        let mut open = LeaseList {
            leases: (1..=POSTMAN_LEASES).map(lease).collect(),
        };
        let full = Err(Rejection::TooManyLeases);
        assert_eq!(check_number(&postman, &open, id(last + 1)), full);
        open.leases.pop();
        assert_eq!(check_number(&postman, &open, id(last + 1)), Ok(()));
        assert_eq!(
            check_number(&postman, &open, id(last)),
            Err(Rejection::LeaseClosed)
        );
    }
}
