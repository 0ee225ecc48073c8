//! Leases: who may send what, until when.
//!
//! The safety of "at most once" begins here: a message is granted only from `created`, or from
//! `failed` once due, and each grant is a new attempt. A lease that runs out sends nothing again.

use super::{
    batches::{BatchEdit, MailingEdit},
    gateways::Gateways,
    mailings,
    postmen::why_unknown,
    ruled::Ruled,
    search::pick,
    unheard::{drop_unheard, keep_unheard},
};
use crate::{
    changes::Changes,
    command::{ExpireLease, Grant, GrantedLease, Rejection},
    error::Error,
    keys::{LeaseKey, OpenLeasesKey, PostmenKey, UnheardLeasesKey},
    limits::{GRANT_BARREN_BATCHES, LEASE_BATCHES, LEASE_MESSAGES, LEASE_TTL_MS, POSTMAN_LEASES},
    model::{LeaseId, Run, Status, Timestamp},
    records::{Lease, LeaseList, ListedLease, Postman, address},
    rules,
    source::Source,
};

/// Grants messages of a mailing to a postman; the same lease id gives the same lease again.
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

/// A lease has run out: what was not reported may have been sent, and is never sent again.
pub(super) fn expire(changes: &mut Changes<'_>, expire: &ExpireLease) -> Ruled<()> {
    let id = expire.lease;
    let open: LeaseList = changes.get_or_default(&OpenLeasesKey)?;
    let found = *open.find(id).ok_or(Rejection::LeaseClosed)?;
    if changes.steady() < found.expires_at {
        return Err(Rejection::NotNow.into());
    }
    let lease = changes.need(&LeaseKey(found.slot), "an open lease")?;
    // Receipts may have settled all that it had left, and the mailing may be gone since.
    if changes.progress(lease.mailing)?.is_some() {
        let edit = MailingEdit::open(changes, lease.mailing)?;
        leave_unconfirmed(changes, edit, &lease)?;
    }
    close(changes, id)?;
    keep_unheard(changes, found, &lease)?;
    Ok(())
}

/// Leaves `unconfirmed` all that a lease has not reported.
fn leave_unconfirmed(
    changes: &mut Changes<'_>,
    mut edit: MailingEdit,
    lease: &Lease,
) -> Result<(), Error> {
    let at = changes.steady();
    let mut early = 0;
    for_each_batch(changes, &mut edit, &lease.runs, |batch, index, attempt| {
        if batch.columns.attempts[index] != attempt {
            return;
        }
        if batch.columns.status(index) == Status::Sending {
            batch.columns.add_lapsed(index, lease.granted_at);
            batch.set(index, rules::status_after_expiry(), at);
        } else if batch.columns.is_settled_by_receipt(index) {
            early += 1;
        }
    })?;

    // Nothing is begun under this lease any more.
    edit.progress.early = edit.progress.early.saturating_sub(early);
    edit.save(changes)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, MailingNumber, PostmanName};

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
