//! Postmen: registering under a name, and the epochs of their starts.
//!
//! A postman that is not listed gets nothing. The list has an end: those that had nothing to do for
//! longest go first, and may register again.

use super::{ruled::Ruled, unheard::drop_unheard};
use crate::{
    changes::Changes,
    command::{RegisterPostman, Rejection},
    error::Error,
    keys::{NumbersKey, OpenLeasesKey, PostmenKey},
    limits::{POSTMAN_STARTS, POSTMEN},
    model::Epoch,
    records::{Numbers, Postman},
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
