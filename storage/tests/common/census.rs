//! Every message of a state, read one by one from the records of its batches.

use std::collections::{BTreeMap, BTreeSet};

use notty_storage::{
    Error, Reader, Source,
    keys::{
        ColumnsKey, CustomerColumnsKey, HeadsKey, MailingKey, MembersKey, NumbersKey, ProgressKey,
    },
    limits::{CUSTOMERS_PER_BLOCK, HEADS_PER_BLOCK},
    model::{
        Counts, Delivery, DeliveryCounts, ErrorCode, MailingNumber, Reason, Status, Timestamp,
    },
    records::{Head, Heads, MailingRecord, Numbers, Progress, position},
};

/// A message as its batch holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its position in its mailing.
    pub(crate) position: u32,
    /// Its customer's number.
    pub(crate) customer: u32,
    /// The phone that it goes to.
    pub(crate) phone: u64,
    /// Its customer's zone.
    pub(crate) zone: u16,
    /// What has become of it.
    pub(crate) status: Status,
    /// Its last attempt.
    pub(crate) attempt: u16,
    /// Its tries, without what was handed back.
    pub(crate) tries: u16,
    /// When it is due, if it failed.
    pub(crate) due: Option<Timestamp>,
    /// The reason for its status, if one is known.
    pub(crate) reason: Option<Reason>,
    /// Its delivery, if a receipt named one.
    pub(crate) delivery: Option<Delivery>,
    /// The gateway's code of the error.
    pub(crate) error: Option<ErrorCode>,
    /// True if a receipt settled its last attempt, which was not reported yet.
    pub(crate) settled_by_receipt: bool,
}

/// A mailing with everything in it.
pub(crate) struct Mailing {
    /// What was decided, and its marks.
    pub(crate) record: MailingRecord,
    /// How far it has come.
    pub(crate) progress: Progress,
    /// Heads of batches that are still there.
    pub(crate) heads: Vec<(u32, Head)>,
    /// In the order of positions.
    pub(crate) messages: Vec<Seen>,
}

/// All mailings that the state holds, deleted ones among them, and who is deleted.
pub(crate) struct Census {
    /// By number.
    pub(crate) mailings: BTreeMap<MailingNumber, Mailing>,
    /// Numbers of deleted customers.
    pub(crate) deleted: BTreeSet<u32>,
    /// Customers ever created.
    pub(crate) customers: u32,
}

impl Census {
    /// Every message with its mailing.
    pub(crate) fn all(&self) -> impl Iterator<Item = (MailingNumber, &Seen)> {
        let mailings = self.mailings.iter();
        mailings.flat_map(|(number, mailing)| mailing.messages.iter().map(|seen| (*number, seen)))
    }

    /// The message at a position.
    pub(crate) fn find(&self, mailing: MailingNumber, position: u32) -> Option<&Seen> {
        let messages = &self.mailings.get(&mailing)?.messages;
        let at = messages
            .binary_search_by_key(&position, |seen| seen.position)
            .ok()?;
        messages.get(at)
    }

    /// True if a token is under its lease, if that is open: not reported, and not given up. Where the
    /// message is gone, a receipt had settled it.
    pub(crate) fn is_unreported(
        &self,
        mailing: MailingNumber,
        position: u32,
        attempt: u16,
    ) -> bool {
        self.find(mailing, position).is_none_or(|seen| {
            let waits = seen.status == Status::Sending || seen.settled_by_receipt;
            waits && seen.attempt == attempt
        })
    }
}

/// Reads everything.
pub(crate) fn take(reader: &Reader<'_>) -> Result<Census, Error> {
    let numbers: Numbers = reader.get_or_default(&NumbersKey)?;
    let mut mailings = BTreeMap::new();
    let mut number = 1;
    while number <= numbers.mailings {
        let mailing_number = MailingNumber(number);
        if let Some(record) = reader.get(&MailingKey(mailing_number))? {
            mailings.insert(mailing_number, mailing(reader, mailing_number, record)?);
        }
        number = numbers.mailing_from(number + 1);
    }
    Ok(Census {
        mailings,
        deleted: deleted(reader, numbers.customers)?,
        customers: numbers.customers,
    })
}

/// The counts of all mailings that the state holds, by status and by delivery.
pub(crate) fn counts(
    reader: &Reader<'_>,
) -> Result<Vec<(MailingNumber, Counts, DeliveryCounts)>, Error> {
    let numbers: Numbers = reader.get_or_default(&NumbersKey)?;
    let (mut counts, mut number) = (Vec::new(), 1);
    while number <= numbers.mailings {
        if let Some(progress) = reader.get(&ProgressKey(MailingNumber(number)))? {
            counts.push((MailingNumber(number), progress.counts, progress.delivery));
        }
        number = numbers.mailing_from(number + 1);
    }
    Ok(counts)
}

fn deleted(reader: &Reader<'_>, customers: u32) -> Result<BTreeSet<u32>, Error> {
    let mut deleted = BTreeSet::new();
    for block in 0..customers.div_ceil(CUSTOMERS_PER_BLOCK) {
        let columns = reader.get_or_default(&CustomerColumnsKey(block))?;
        let first = block * CUSTOMERS_PER_BLOCK;
        let gone = (0..columns.len()).filter(|index| !columns.is_present(*index));
        deleted.extend(gone.map(|index| first + index as u32));
    }
    Ok(deleted)
}

fn mailing(
    reader: &Reader<'_>,
    number: MailingNumber,
    record: MailingRecord,
) -> Result<Mailing, Error> {
    let progress: Progress = reader.need(&ProgressKey(number), "progress of a mailing")?;
    let mut found = Mailing {
        record,
        progress,
        heads: Vec::new(),
        messages: Vec::new(),
    };
    for block in 0..found.progress.batches.div_ceil(HEADS_PER_BLOCK) {
        let heads: Heads = reader.get_or_default(&HeadsKey(number, block))?;
        let heads = heads.heads.into_iter();
        found.heads.extend((block * HEADS_PER_BLOCK..).zip(heads));
    }
    let purged = found.progress.purged;
    found.heads.retain(|(batch, _)| *batch >= purged);
    for batch in purged..found.progress.batches {
        found.messages.extend(messages(reader, number, batch)?);
    }
    Ok(found)
}

fn messages(reader: &Reader<'_>, number: MailingNumber, batch: u32) -> Result<Vec<Seen>, Error> {
    let members = reader.need(&MembersKey(number, batch), "members of a batch")?;
    let columns = reader.need(&ColumnsKey(number, batch), "columns of a batch")?;
    let seen = |(index, customer)| Seen {
        position: position(batch, index),
        customer,
        phone: members.phones[index],
        zone: members.zones[index],
        status: columns.status(index),
        attempt: columns.attempts[index],
        tries: columns.tries(index),
        due: columns.due_of(index),
        reason: columns.reason(index),
        delivery: columns.delivery(index),
        error: columns.error(index).cloned(),
        settled_by_receipt: columns.is_settled_by_receipt(index),
    };
    Ok(members.customers().enumerate().map(seen).collect())
}
