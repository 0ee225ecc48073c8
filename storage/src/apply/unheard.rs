//! Leases that ran out before their postmen may have heard of them.

use crate::{
    changes::Changes,
    error::Error,
    keys::{PostmenKey, UnheardLeasesKey},
    model::LeaseId,
    records::{Lease, ListedLease},
    source::Source,
};

/// A lease may run out before its answer comes, and then nobody knows what it held. So what a
/// postman was granted last, and reported nothing of, is kept: it can be handed back. One a name.
pub(super) fn keep_unheard(
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
