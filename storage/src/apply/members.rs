//! Where a customer's message of a mailing is.
//!
//! There is no index by customer: batches are in customer order, apart from those of customers
//! who came to match late, which are few and have a key each.

use crate::{
    error::Error,
    keys::{HeadsKey, LateKey, MembersKey},
    limits::{BATCH_STRIDE_BITS, HEADS_PER_BLOCK},
    model::MailingNumber,
    records::{Heads, Members, Progress},
    source::Source,
};

/// Finds one customer's message: batch and index.
pub(crate) fn find_member<S: Source>(
    source: &S,
    mailing: MailingNumber,
    progress: &Progress,
    customer: u32,
) -> Result<Option<(u32, usize)>, Error> {
    Finder::new(mailing, progress).find(source, customer)
}

/// Finds many customers' messages. What it read last it keeps, so that customers who follow each
/// other cost one read of their batch.
pub(super) struct Finder<'p> {
    mailing: MailingNumber,
    progress: &'p Progress,
    heads: Option<(u32, Heads)>,
    customers: Option<(u32, Vec<u32>)>,
}

impl<'p> Finder<'p> {
    pub(super) fn new(mailing: MailingNumber, progress: &'p Progress) -> Self {
        Self { mailing, progress, heads: None, customers: None }
    }

    pub(super) fn find<S: Source>(
        &mut self,
        source: &S,
        customer: u32,
    ) -> Result<Option<(u32, usize)>, Error> {
        if let Some(position) = source.get(&LateKey(self.mailing, customer))? {
            let index = position & ((1 << BATCH_STRIDE_BITS) - 1);
            return Ok(Some((position >> BATCH_STRIDE_BITS, index as usize)));
        }
        let Some(batch) = self.batch(source, customer)? else {
            return Ok(None);
        };
        let customers = self.customers(source, batch)?;
        Ok(customers.binary_search(&customer).ok().map(|index| (batch, index)))
    }

    /// The one batch in customer order whose range holds a customer.
    fn batch<S: Source>(&mut self, source: &S, customer: u32) -> Result<Option<u32>, Error> {
        let blocks = &self.progress.blocks;
        let block = blocks.partition_point(|block| block.last_customer <= customer) as u32;
        if block as usize == blocks.len() {
            return Ok(None);
        }
        let heads = match self.heads.take() {
            Some((kept, heads)) if kept == block => heads,
            _ => source.get_or_default(&HeadsKey(self.mailing, block))?,
        };
        let mut batches = heads.heads.iter().zip(block * HEADS_PER_BLOCK..);
        let found = batches.find(|(head, batch)| {
            let within = (head.customers.0..=head.customers.1).contains(&customer);
            !head.late && within && *batch >= self.progress.purged
        });
        let found = found.map(|(_, batch)| batch);
        self.heads = Some((block, heads));
        Ok(found)
    }

    /// The customers of a batch, in rising order.
    fn customers<S: Source>(&mut self, source: &S, batch: u32) -> Result<&[u32], Error> {
        if self.customers.as_ref().is_none_or(|(kept, _)| *kept != batch) {
            let key = MembersKey(self.mailing, batch);
            let members: Members = source.need(&key, "members of a batch")?;
            self.customers = Some((batch, members.customers().collect()));
        }
        Ok(self.customers.as_ref().map_or(&[], |(_, customers)| customers))
    }
}
