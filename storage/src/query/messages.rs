//! Messages: one, a page by mailing, customer and status.

use super::{Page, customers, mailings};
use crate::{
    apply::find_member,
    error::Error,
    keys::{ColumnsKey, HeadsKey, MembersKey, NumbersKey, RenumberedKey},
    limits::HEADS_PER_BLOCK,
    model::{
        Counts, Delivery, DeliveryCounts, MailingNumber, Message, MessageId, Phone, Seq, Status,
    },
    records::{Columns, Head, Heads, MailingRecord, Members, Numbers, Progress, address, position},
    source::Source,
};

/// Batches (or mailings, where a customer is asked for) that one page looks at, at most.
const SCAN: u32 = 2_000;

/// Which messages to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessageFilter {
    /// Of one mailing.
    pub mailing: Option<MailingNumber>,
    /// Of one customer.
    pub customer: Option<Seq>,
    /// In one status.
    pub status: Option<Status>,
    /// With one delivery.
    pub delivery: Option<Delivery>,
}

impl MessageFilter {
    /// True if there can be one among messages that were counted so.
    fn finds_in(&self, counts: &Counts, delivery: &DeliveryCounts) -> bool {
        self.status.is_none_or(|status| counts.of(status) > 0)
            && self.delivery.is_none_or(|wanted| delivery.of(wanted) > 0)
    }

    /// True if it asks for a message of a batch, by what changes.
    fn wants(&self, columns: &Columns, index: usize) -> bool {
        self.status
            .is_none_or(|status| columns.status(index) == status)
            && self
                .delivery
                .is_none_or(|wanted| columns.delivery(index) == Some(wanted))
    }
}

/// A batch at hand.
struct Batch<'a> {
    mailing: MailingNumber,
    record: &'a MailingRecord,
    progress: &'a Progress,
    number: u32,
    head: Head,
    members: Members,
    columns: Columns,
}

impl<'a> Batch<'a> {
    fn read<S: Source>(
        source: &S,
        mailing: MailingNumber,
        (record, progress): (&'a MailingRecord, &'a Progress),
        number: u32,
    ) -> Result<Option<Self>, Error> {
        let heads: Heads = source.get_or_default(&HeadsKey(mailing, number / HEADS_PER_BLOCK))?;
        let head = heads
            .heads
            .into_iter()
            .nth((number % HEADS_PER_BLOCK) as usize);
        let members = source.get(&MembersKey(mailing, number))?;
        let columns = source.get(&ColumnsKey(mailing, number))?;
        let (Some(head), Some(members), Some(columns)) = (head, members, columns) else {
            return Ok(None);
        };
        Ok(Some(Self {
            mailing,
            record,
            progress,
            number,
            head,
            members,
            columns,
        }))
    }

    fn id(&self, index: usize) -> MessageId {
        self.progress.id(self.mailing, position(self.number, index))
    }

    fn message<S: Source>(&self, source: &S, index: usize) -> Result<Message, Error> {
        let status = self.columns.status(index);
        let changed_ms = self.columns.changed_ms[index] as i64;
        let updated_at = self.head.created_at.plus_millis(changed_ms);
        let delivery = self.columns.deliveries.get(index);
        Ok(Message {
            id: self.id(index),
            mailing_id: self.record.id.clone(),
            customer_id: customers::id_of(source, Seq(self.members.customer(index)))?,
            phone: Phone::from_digits(self.members.phones[index]),
            text: self.record.spec.text.clone(),
            status,
            attempts: self.columns.tries(index),
            created_at: self.head.created_at,
            updated_at,
            sent_at: (status == Status::Done).then_some(updated_at),
            reason: self.columns.reason(index),
            delivery: delivery.map(|(delivery, _)| delivery),
            delivered_at: delivery.map(|(_, delay_ms)| updated_at.plus_millis(delay_ms as i64)),
            delivery_error: self.columns.error(index).cloned(),
        })
    }
}

/// A message by its id, while its mailing is there to be seen and keeps its messages.
pub fn get<S: Source>(source: &S, id: MessageId) -> Result<Option<Message>, Error> {
    let mailing = source
        .get(&RenumberedKey(id.mailing))?
        .unwrap_or(id.mailing);
    let Some(record) = mailings::visible(source, mailing)? else {
        return Ok(None);
    };
    let progress = source.need_progress(mailing)?;
    let (number, index) = address(id.position);
    if progress.id(mailing, id.position) != id {
        return Ok(None);
    }
    match Batch::read(source, mailing, (&record, &progress), number)? {
        Some(batch) if index < batch.members.len() => batch.message(source, index).map(Some),
        _ => Ok(None),
    }
}

/// A place in the list of all messages: number of the mailing, and position there.
fn place(mailing: MailingNumber, position: u32) -> u64 {
    MessageId { mailing, position }.as_u64()
}

/// A page of messages in the order of mailings and of positions in them, from a place on.
pub fn list<S: Source>(
    source: &S,
    filter: &MessageFilter,
    from: u64,
    limit: usize,
) -> Result<Page<Message, u64>, Error> {
    let numbers: Numbers = source.get_or_default(&NumbersKey)?;
    let (mut first, mut last) = (1, numbers.mailings);
    if let Some(only) = filter.mailing {
        (first, last) = (only.0, only.0);
    }
    let mut listing = Listing {
        source,
        filter,
        limit,
        from,
        items: Vec::new(),
        budget: SCAN,
        next: None,
    };
    let mut number = numbers.mailing_from(first.max((from >> 32) as u32));
    while number <= last {
        let mailing = MailingNumber(number);
        if listing.budget == 0 {
            listing.next = Some(u64::from(number) << 32);
            break;
        }
        listing.budget -= 1;
        if let Some(record) = mailings::visible(source, mailing)? {
            listing.mailing(mailing, &record)?;
        }
        if listing.next.is_some() {
            break;
        }
        number = numbers.mailing_from(number + 1);
    }
    Ok(Page {
        items: listing.items,
        next: listing.next,
    })
}

/// A page being gathered.
struct Listing<'a, S> {
    source: &'a S,
    filter: &'a MessageFilter,
    limit: usize,
    from: u64,
    items: Vec<Message>,
    budget: u32,
    next: Option<u64>,
}

impl<S: Source> Listing<'_, S> {
    fn mailing(&mut self, mailing: MailingNumber, record: &MailingRecord) -> Result<(), Error> {
        let progress = self.source.need_progress(mailing)?;
        match self.filter.customer {
            Some(customer) => self.of_customer(mailing, record, &progress, customer),
            None => self.of_mailing(mailing, record, &progress),
        }
    }

    fn of_customer(
        &mut self,
        mailing: MailingNumber,
        record: &MailingRecord,
        progress: &Progress,
        customer: Seq,
    ) -> Result<(), Error> {
        let found = find_member(self.source, mailing, progress, customer.0)?;
        let Some((number, index)) = found else {
            return Ok(());
        };
        if let Some(batch) = Batch::read(self.source, mailing, (record, progress), number)? {
            self.take(&batch, index)?;
        }
        Ok(())
    }

    fn of_mailing(
        &mut self,
        mailing: MailingNumber,
        record: &MailingRecord,
        progress: &Progress,
    ) -> Result<(), Error> {
        let from = MessageId::from_u64(self.from).filter(|id| id.mailing == mailing);
        let first = from
            .map_or(0, |id| address(id.position).0)
            .max(progress.purged);
        if !self.filter.finds_in(&progress.counts, &progress.delivery) {
            return Ok(());
        }
        for number in first..progress.batches {
            if self.budget == 0 {
                self.next = Some(place(mailing, position(number, 0)));
                return Ok(());
            }
            self.budget -= 1;
            self.batch(mailing, (record, progress), number)?;
            if self.next.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn batch(
        &mut self,
        mailing: MailingNumber,
        (record, progress): (&MailingRecord, &Progress),
        number: u32,
    ) -> Result<(), Error> {
        if self.filter.status.is_some() || self.filter.delivery.is_some() {
            let heads: Heads = self
                .source
                .get_or_default(&HeadsKey(mailing, number / HEADS_PER_BLOCK))?;
            let head = heads.heads.get((number % HEADS_PER_BLOCK) as usize);
            if head.is_none_or(|head| !self.filter.finds_in(&head.counts, &head.delivery)) {
                return Ok(());
            }
        }
        let Some(batch) = Batch::read(self.source, mailing, (record, progress), number)? else {
            return Ok(());
        };
        for index in 0..batch.members.len() {
            self.take(&batch, index)?;
            if self.next.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Takes one message if it is asked for; ends the page where it is full.
    fn take(&mut self, batch: &Batch<'_>, index: usize) -> Result<(), Error> {
        let place = place(batch.mailing, position(batch.number, index));
        if place < self.from || !self.filter.wants(&batch.columns, index) {
            return Ok(());
        }
        if self.items.len() == self.limit {
            self.next = Some(place);
        } else {
            self.items.push(batch.message(self.source, index)?);
        }
        Ok(())
    }
}
