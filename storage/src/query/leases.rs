//! Leases: what a postman gets to send, which have run out.

use super::time;
pub use crate::apply::Prospect;
use crate::{
    apply,
    command::Grant,
    error::Error,
    keys::{
        ColumnsKey, DeletedKey, LeaseKey, MembersKey, NumbersKey, OpenLeasesKey, PostmenKey,
        UnheardLeasesKey,
    },
    limits::{DELETED_PER_BLOCK, POSTMAN_LEASES},
    model::{Epoch, LeaseId, MailingNumber, MessageId, Phone, Run, Timestamp, ZoneNumber},
    records::{Columns, DeletedBlock, Lease, ListedLease, Members, Postman, address},
    rules,
    source::Source,
    view::Reader,
};

/// A message as a postman gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LeasedMessage {
    /// Its id, as the gateway gets it; after a restore it need not name the mailing.
    pub id: MessageId,
    /// The attempt that was granted.
    pub attempt: u16,
    /// Tries before this one.
    pub tries: u16,
    /// Where it goes.
    pub phone: Phone,
    /// Its customer's zone, for the mailing's window.
    pub zone: ZoneNumber,
    /// Until when it may go out, if its gateway may have it already.
    pub repeat_until: Option<Timestamp>,
}

/// The messages of runs that were granted and are still to be sent: those that receipts have settled
/// since are not, and may be gone.
pub fn messages<S: Source>(
    source: &S,
    mailing: MailingNumber,
    runs: &[Run],
) -> Result<Vec<LeasedMessage>, Error> {
    let mut leased = Vec::new();
    let progress = source.progress(mailing)?;
    let gone = progress
        .as_ref()
        .map_or(u32::MAX, |progress| progress.purged);
    let progress = progress.unwrap_or_default();
    let mut runs = runs.iter().peekable();
    while let Some(first) = runs.peek() {
        let (batch, _) = address(first.first);
        if batch < gone {
            runs.next();
            continue;
        }
        let members: Members = source.need(&MembersKey(mailing, batch), "members of a batch")?;
        let columns: Columns = source.need(&ColumnsKey(mailing, batch), "columns of a batch")?;
        while let Some(run) = runs.next_if(|run| address(run.first).0 == batch) {
            for position in run.positions() {
                let (_, index) = address(position);
                if columns.is_settled_by_receipt(index) {
                    continue;
                }
                leased.push(LeasedMessage {
                    id: progress.id(mailing, position),
                    attempt: run.attempt,
                    tries: columns.tries(index).saturating_sub(1),
                    phone: Phone::from_digits(members.phones[index]),
                    zone: ZoneNumber(members.zones[index]),
                    repeat_until: columns.doubt(index).and_then(|doubt| doubt.repeat_until),
                });
            }
        }
    }
    Ok(leased)
}

/// Positions, among runs that were granted, of messages that must not be begun any more, although their mailing
/// goes on: a receipt has settled them; or their customers are deleted now, or were while their message was
/// under way, whoever has their ids since.
pub fn dropped<S: Source>(
    source: &S,
    mailing: MailingNumber,
    runs: &[Run],
) -> Result<Vec<u32>, Error> {
    let progress = source.progress(mailing)?;
    // In most mailings none is marked: their columns are not read.
    let is_any_marked = progress.is_some_and(|progress| progress.forsaken || progress.early > 0);
    let mut found = match is_any_marked {
        true => marked(source, mailing, runs)?,
        false => Vec::new(),
    };

    if source.get_or_default(&NumbersKey)?.deleted > 0 {
        found.extend(of_deleted(source, mailing, runs)?);
        found.sort_unstable();
        found.dedup();
    }
    Ok(found)
}

/// Positions of messages whose customers are deleted now.
fn of_deleted<S: Source>(
    source: &S,
    mailing: MailingNumber,
    runs: &[Run],
) -> Result<Vec<u32>, Error> {
    let (mut found, mut customers, mut batch) = (Vec::new(), Vec::new(), None);
    // Customers of a batch come in order: the marks of one block serve many of them.
    let mut deleted: Option<(u32, DeletedBlock)> = None;
    for position in runs.iter().flat_map(Run::positions) {
        let (number, index) = address(position);
        if batch != Some(number) {
            let members = source.get(&MembersKey(mailing, number))?;
            customers = members.map_or_else(Vec::new, |members| members.customers().collect());
            batch = Some(number);
        }
        let Some(customer) = customers.get(index) else {
            continue;
        };

        let number = customer / DELETED_PER_BLOCK;
        let block = match deleted.take_if(|(kept, _)| *kept == number) {
            Some((_, block)) => block,
            None => source.get_or_default(&DeletedKey(number))?,
        };
        if block.contains(customer % DELETED_PER_BLOCK) {
            found.push(position);
        }
        deleted = Some((number, block));
    }
    Ok(found)
}

/// Positions of messages that a receipt has settled, or whose customers were deleted while they were under
/// way. A customer comes back only after all its messages have been marked so.
fn marked<S: Source>(source: &S, mailing: MailingNumber, runs: &[Run]) -> Result<Vec<u32>, Error> {
    let mut found = Vec::new();
    let mut columns: Option<(u32, Columns)> = None;
    let tokens = runs
        .iter()
        .flat_map(|run| run.positions().map(|position| (position, run.attempt)));
    for (position, attempt) in tokens {
        let (number, index) = address(position);
        let read = match columns.take_if(|(kept, _)| *kept == number) {
            Some((_, read)) => read,
            None => source.get_or_default(&ColumnsKey(mailing, number))?,
        };

        let is_same = read.attempts.get(index) == Some(&attempt);
        let is_settled = is_same && read.is_settled_by_receipt(index) && rules::receipts_are_told();
        if is_settled || read.is_forsaken(index) {
            found.push(position);
        }
        columns = Some((number, read));
    }
    Ok(found)
}

/// What a mailing says.
pub fn text<S: Source>(source: &S, mailing: MailingNumber) -> Result<Option<String>, Error> {
    Ok(source
        .mailing(mailing)?
        .map(|record| record.spec.text.clone()))
}

/// Leases that have run out at a steady time.
pub fn expired<S: Source>(source: &S, at: Timestamp) -> Result<Vec<LeaseId>, Error> {
    let open = source.get_or_default(&OpenLeasesKey)?;
    let expired = open
        .leases
        .into_iter()
        .filter(|lease| lease.expires_at <= at);
    Ok(expired.map(|lease| lease.id).collect())
}

/// All open leases.
pub fn open<S: Source>(source: &S) -> Result<Vec<ListedLease>, Error> {
    Ok(source.get_or_default(&OpenLeasesKey)?.leases)
}

/// An open lease.
pub fn get<S: Source>(source: &S, id: LeaseId) -> Result<Option<Lease>, Error> {
    match source.get_or_default(&OpenLeasesKey)?.find(id) {
        Some(open) => source.get(&LeaseKey(open.slot)),
        None => Ok(None),
    }
}

/// Leases of a postman's start that it may hold, or may not have heard of: those that are open, and the
/// last one if it ran out with nothing reported of it.
pub fn left<S: Source>(source: &S, epoch: Epoch) -> Result<Vec<Lease>, Error> {
    let open = source.get_or_default(&OpenLeasesKey)?.leases;
    let unheard = source.get_or_default(&UnheardLeasesKey)?.leases;
    let listed = open
        .into_iter()
        .chain(unheard)
        .filter(|listed| listed.id.epoch == epoch);
    listed
        .map(|listed| source.need(&LeaseKey(listed.slot), "a listed lease"))
        .collect()
}

/// Whether a postman was granted a lease that has been closed since.
pub fn is_closed<S: Source>(source: &S, id: LeaseId) -> Result<bool, Error> {
    let postmen = source.get_or_default(&PostmenKey)?.postmen;
    let granted = postmen
        .iter()
        .any(|p| p.epoch == id.epoch && id.n <= p.last);
    Ok(granted && source.get_or_default(&OpenLeasesKey)?.find(id).is_none())
}

/// What a grant would come to at a time, by the rules that it will be applied by.
pub fn prospect(reader: &Reader<'_>, grant: &Grant, at: Timestamp) -> Result<Prospect, Error> {
    let at = at.max(time::at(reader)?);
    let time = (at, time::setting(reader)?);
    apply::prospect(&mut reader.rehearse(time), grant)
}

/// Whether a postman has as many leases open as it may, and asks for another.
pub fn has_too_many<S: Source>(source: &S, id: LeaseId) -> Result<bool, Error> {
    let postmen = source.get_or_default(&PostmenKey)?.postmen;
    let asks_for_another = postmen.iter().any(|p| p.epoch == id.epoch && id.n > p.last);
    let open = source.get_or_default(&OpenLeasesKey)?.leases.into_iter();
    let of_postman = open.filter(|lease| lease.id.epoch == id.epoch);
    Ok(asks_for_another && of_postman.count() >= POSTMAN_LEASES)
}

/// All postmen that may get leases.
pub fn postmen<S: Source>(source: &S) -> Result<Vec<Postman>, Error> {
    Ok(source.get_or_default(&PostmenKey)?.postmen)
}
