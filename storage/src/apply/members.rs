//! Where a customer's message of a mailing is.
//!
//! There is no index by customer: batches are in customer order, apart from those of customers
//! who came to match late, which are few and have a key each.

use crate::{
    error::Error,
    keys::{HeadsKey, LateKey, MembersKey, ReachesKey},
    limits::{HEADS_PER_BLOCK, REACHES_PER_BLOCK},
    model::MailingNumber,
    records::{Heads, Members, Progress, address},
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
    reaches: Option<(u32, Vec<u32>)>,
    heads: Option<(u32, Heads)>,
    customers: Option<(u32, Vec<u32>)>,
}

impl<'p> Finder<'p> {
    pub(super) fn new(mailing: MailingNumber, progress: &'p Progress) -> Self {
        Self {
            mailing,
            progress,
            reaches: None,
            heads: None,
            customers: None,
        }
    }

    pub(super) fn find<S: Source>(
        &mut self,
        source: &S,
        customer: u32,
    ) -> Result<Option<(u32, usize)>, Error> {
        if self.progress.batches == 0 {
            return Ok(None);
        }
        if let Some(position) = source.get(&LateKey(self.mailing, customer))? {
            return Ok(Some(address(position)));
        }
        let Some(batch) = self.batch(source, customer)? else {
            return Ok(None);
        };
        let customers = self.customers(source, batch)?;
        Ok(customers
            .binary_search(&customer)
            .ok()
            .map(|index| (batch, index)))
    }

    /// The one batch in customer order whose range holds a customer.
    fn batch<S: Source>(&mut self, source: &S, customer: u32) -> Result<Option<u32>, Error> {
        let Some(block) = self.block(source, customer)? else {
            return Ok(None);
        };
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

    /// The first block of heads whose sweep in customer order went beyond a customer.
    fn block<S: Source>(&mut self, source: &S, customer: u32) -> Result<Option<u32>, Error> {
        if customer >= self.progress.reached {
            return Ok(None);
        }
        let full = self.progress.batches / HEADS_PER_BLOCK;
        let (mut low, mut high) = (0, full.div_ceil(REACHES_PER_BLOCK));
        while low < high {
            let middle = low + (high - low) / 2;
            let reached = self.reaches(source, middle)?;
            let within = reached.partition_point(|reached| *reached <= customer) as u32;
            let len = reached.len() as u32;
            // What was purged is empty, and lies before what was not.
            if within == len {
                low = middle + 1;
            } else if within > 0 {
                return Ok(Some(middle * REACHES_PER_BLOCK + within));
            } else {
                high = middle;
            }
        }
        Ok(Some((low * REACHES_PER_BLOCK).min(full)))
    }

    /// How far the sweep came with each of some blocks of heads.
    fn reaches<S: Source>(&mut self, source: &S, number: u32) -> Result<&[u32], Error> {
        if self
            .reaches
            .as_ref()
            .is_none_or(|(kept, _)| *kept != number)
        {
            let reaches = source.get_or_default(&ReachesKey(self.mailing, number))?;
            self.reaches = Some((number, reaches.reached));
        }
        Ok(self.reaches.as_ref().map_or(&[], |(_, reached)| reached))
    }

    /// The customers of a batch, in rising order.
    fn customers<S: Source>(&mut self, source: &S, batch: u32) -> Result<&[u32], Error> {
        if self
            .customers
            .as_ref()
            .is_none_or(|(kept, _)| *kept != batch)
        {
            let key = MembersKey(self.mailing, batch);
            let customers = source.read_part(&key, "members of a batch", Members::customers_in)?;
            self.customers = Some((batch, customers));
        }
        Ok(self
            .customers
            .as_ref()
            .map_or(&[], |(_, customers)| customers))
    }
}
