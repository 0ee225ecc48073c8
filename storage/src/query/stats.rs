//! Counts by status and by delivery: overall, by mailing, by customer.

use super::{Parts, mailings};
use crate::{
    apply::find_member,
    error::Error,
    keys::{ColumnsKey, CustomerTotalsKey, TotalsKey},
    limits::CUSTOMERS_PER_BLOCK,
    model::{Counts, DeliveryCounts, MailingNumber, Seq},
    records::{Columns, CustomerTotals, Progress},
    source::{Scan, Source},
};

/// Mailings that one part of a customer's count looks at, at most: some milliseconds.
const CUSTOMER_PART: usize = 100;

/// All messages ever expanded.
pub fn overall<S: Source>(source: &S) -> Result<Counts, Error> {
    Ok(source.get_or_default(&TotalsKey)?.counts)
}

/// The messages of a mailing that is there to be seen.
pub fn of_mailing<S: Source>(source: &S, mailing: MailingNumber) -> Result<Option<Counts>, Error> {
    if mailings::visible(source, mailing)?.is_none() {
        return Ok(None);
    }
    Ok(source.progress(mailing)?.map(|progress| progress.counts))
}

/// All messages ever expanded, by delivery.
pub fn overall_delivery<S: Source>(source: &S) -> Result<DeliveryCounts, Error> {
    Ok(source.get_or_default(&TotalsKey)?.delivery)
}

/// The messages of a mailing that is there to be seen, by delivery.
pub fn delivery_of_mailing<S: Source>(
    source: &S,
    mailing: MailingNumber,
) -> Result<Option<DeliveryCounts>, Error> {
    if mailings::visible(source, mailing)?.is_none() {
        return Ok(None);
    }
    Ok(source.progress(mailing)?.map(|progress| progress.delivery))
}

/// The messages of a customer: what was folded, and what open and settled mailings hold.
pub fn of_customer<S: Scan>(source: &S, customer: Seq) -> Result<Counts, Error> {
    let mut count = CustomerCount::begin(source, customer)?;
    while count.part(source)? {}
    Ok(count.counts)
}

/// The messages of a customer by delivery.
pub fn delivery_of_customer<S: Scan>(source: &S, customer: Seq) -> Result<DeliveryCounts, Error> {
    let mut count = CustomerCount::begin(source, customer)?;
    while count.part(source)? {}
    Ok(count.delivery)
}

/// The count of a customer's messages in bounded parts, all to be asked of the same state: there may
/// be ten thousand open mailings, and what is folded between two parts would be missed.
#[derive(Clone, Debug)]
pub struct CustomerCount {
    customer: Seq,
    /// Mailings that were not looked at yet; the next ones stand last.
    mailings: Vec<MailingNumber>,
    counts: Counts,
    delivery: DeliveryCounts,
}

impl CustomerCount {
    /// Begins with what was folded, and the mailings to look at.
    pub fn begin<S: Source>(source: &S, customer: Seq) -> Result<Self, Error> {
        let (counts, delivery) = folded(source, customer)?;
        let known = &source.index().mailings;
        let open = known.all_open().map(|mailing| mailing.number);
        let mailings = open.chain(known.settled()).collect();
        Ok(Self {
            customer,
            mailings,
            counts,
            delivery,
        })
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The same by delivery.
    pub fn delivery(&self) -> DeliveryCounts {
        self.delivery
    }

    fn count<S: Source>(&mut self, source: &S, mailing: MailingNumber) -> Result<(), Error> {
        let progress = source.need_progress(mailing)?;
        let found = find_member(source, mailing, &progress, self.customer.0)?;
        if let Some((batch, index)) = found
            && batch >= progress.folded
        {
            let key = ColumnsKey(mailing, batch);
            let statuses = source.read_part(&key, "columns of a batch", Columns::statuses_in)?;
            self.counts.add(statuses[index], 1);
            self.count_delivery(source, &key, &progress, index)?;
        }
        Ok(())
    }

    /// Reads whole columns, and only where receipts have come.
    fn count_delivery<S: Source>(
        &mut self,
        source: &S,
        key: &ColumnsKey,
        progress: &Progress,
        index: usize,
    ) -> Result<(), Error> {
        if progress.delivery == DeliveryCounts::default() {
            return Ok(());
        }
        let columns = source.need(key, "columns of a batch")?;
        if let Some(delivery) = columns.delivery(index) {
            self.delivery.add(delivery, 1);
        }
        Ok(())
    }
}

impl Parts for CustomerCount {
    fn part<S: Scan>(&mut self, source: &S) -> Result<bool, Error> {
        let rest = self.mailings.len().saturating_sub(CUSTOMER_PART);
        for mailing in self.mailings.split_off(rest) {
            self.count(source, mailing)?;
        }
        Ok(!self.mailings.is_empty())
    }
}

/// A customer's messages that no mailing holds any more.
fn folded<S: Source>(source: &S, customer: Seq) -> Result<(Counts, DeliveryCounts), Error> {
    let key = CustomerTotalsKey(customer.0 / CUSTOMERS_PER_BLOCK);
    let totals: CustomerTotals = source.get_or_default(&key)?;
    let offset = (customer.0 % CUSTOMERS_PER_BLOCK) as u8;
    let found = totals.counts.binary_search_by_key(&offset, |(o, _)| *o);
    let counts = found.map_or_else(|_| Counts::default(), |at| totals.counts[at].1);
    Ok((counts, totals.delivery(offset)))
}
