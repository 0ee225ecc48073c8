//! Counts by status: overall, by mailing, by customer, by tag, operator and day.

use std::collections::BTreeMap;

use super::mailings;
use crate::{
    apply::find_member,
    error::Error,
    keys::{
        ColumnsKey, CustomerTotalsKey, FacetsKey, HeadsKey, Key, MembersKey, TotalsKey,
    },
    index::OpenMailing,
    limits::{CUSTOMERS_PER_BLOCK, HEADS_PER_BLOCK},
    model::{Counts, Filter, MailingNumber, Seq},
    records::{Columns, CustomerTotals, Facets, Heads, Members, WordKind},
    source::Source,
    store::Reader,
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

/// The messages of a customer: what was folded, and what open and settled mailings hold.
pub fn of_customer<S: Source>(source: &S, customer: Seq) -> Result<Counts, Error> {
    let mut count = CustomerCount::begin(source, customer)?;
    while count.part(source)? {}
    Ok(count.counts)
}

/// The count of a customer's messages in bounded parts, each of which may be asked of another
/// reader: there may be ten thousand open mailings.
///
/// Between two parts messages may be folded from a mailing into the customer's totals, and then be
/// missed; [`CustomerCount::holds`] says whether that happened.
#[derive(Clone, Debug)]
pub struct CustomerCount {
    customer: Seq,
    /// What was folded when the count began.
    folded: Counts,
    /// Mailings that were not looked at yet; the next ones stand last.
    mailings: Vec<MailingNumber>,
    counts: Counts,
}

impl CustomerCount {
    /// Begins with what was folded, and the mailings to look at.
    pub fn begin<S: Source>(source: &S, customer: Seq) -> Result<Self, Error> {
        let folded = folded(source, customer)?;
        let known = &source.index().mailings;
        let open = known.all_open().map(|mailing| mailing.number);
        let mailings = open.chain(known.settled()).collect();
        Ok(Self { customer, folded, mailings, counts: folded })
    }

    /// Looks at the next mailings; whether there are more.
    pub fn part<S: Source>(&mut self, source: &S) -> Result<bool, Error> {
        let rest = self.mailings.len().saturating_sub(CUSTOMER_PART);
        for mailing in self.mailings.split_off(rest) {
            self.count(source, mailing)?;
        }
        Ok(!self.mailings.is_empty())
    }

    /// Whether nothing was folded since the beginning, so that no message was missed.
    pub fn holds<S: Source>(&self, source: &S) -> Result<bool, Error> {
        Ok(folded(source, self.customer)? == self.folded)
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn count<S: Source>(&mut self, source: &S, mailing: MailingNumber) -> Result<(), Error> {
        // What went away since the beginning was folded before.
        let Some(progress) = source.progress(mailing)? else {
            return Ok(());
        };
        let found = find_member(source, mailing, &progress, self.customer.0)?;
        if let Some((batch, index)) = found
            && batch >= progress.folded
        {
            let key = ColumnsKey(mailing, batch);
            let statuses = source.read_part(&key, "columns of a batch", Columns::statuses_in)?;
            self.counts.add(statuses[index], 1);
        }
        Ok(())
    }
}

/// A customer's messages that no mailing holds any more.
fn folded<S: Source>(source: &S, customer: Seq) -> Result<Counts, Error> {
    let key = CustomerTotalsKey(customer.0 / CUSTOMERS_PER_BLOCK);
    let totals: CustomerTotals = source.get_or_default(&key)?;
    let offset = (customer.0 % CUSTOMERS_PER_BLOCK) as u8;
    let found = totals.counts.binary_search_by_key(&offset, |(o, _)| *o);
    Ok(found.map_or_else(|_| Counts::default(), |at| totals.counts[at].1))
}

/// Which messages to count.
#[derive(Clone, Debug)]
pub struct StatsFilter {
    /// Which tags, as they were at expansion.
    pub tag: Filter,
    /// Which operators, as they were at expansion.
    pub operator: Filter,
    /// The first UTC day of creation, counted from 1970-01-01.
    pub from_day: i32,
    /// The last UTC day of creation.
    pub to_day: i32,
}

/// The messages that match: final ones from the facets of their day, the rest batch by batch.
pub fn filtered(reader: &Reader<'_>, filter: &StatsFilter) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    let mut chosen = Chosen { filter, tags: BTreeMap::new(), operators: BTreeMap::new() };
    count_facets(reader, &mut chosen, &mut counts)?;
    for mailing in reader.index().mailings.all_open() {
        count_open(reader, mailing, &mut chosen, &mut counts)?;
    }
    Ok(counts)
}

/// Which words the filters match; each is compared once.
struct Chosen<'a> {
    filter: &'a StatsFilter,
    tags: BTreeMap<u32, bool>,
    operators: BTreeMap<u32, bool>,
}

impl Chosen<'_> {
    fn contains(&mut self, reader: &Reader<'_>, tag: u32, operator: u32) -> bool {
        let matches = |filter: &Filter, kind, number| {
            filter.is_any()
                || reader.word(kind, number).is_some_and(|word| filter.matches(&word.folded))
        };
        let filter = self.filter;
        *self.tags.entry(tag).or_insert_with(|| matches(&filter.tag, WordKind::Tag, tag))
            && *self
                .operators
                .entry(operator)
                .or_insert_with(|| matches(&filter.operator, WordKind::Operator, operator))
    }

    fn has_day(&self, day: i32) -> bool {
        (self.filter.from_day..=self.filter.to_day).contains(&day)
    }
}

fn count_facets(
    reader: &Reader<'_>,
    chosen: &mut Chosen<'_>,
    counts: &mut Counts,
) -> Result<(), Error> {
    let from = FacetsKey(chosen.filter.from_day.max(0) as u32, 0, 0).bytes();
    let end = FacetsKey(chosen.filter.to_day.max(0) as u32, u32::MAX, u32::MAX).bytes();
    let mut fault = None;
    reader.scan(&from, |key, value| {
        if key > end.as_slice() {
            return false;
        }
        match crate::codec::decode::<Facets>(value) {
            Ok(facets) => {
                for facet in &facets.facets {
                    if chosen.contains(reader, facet.tag, facet.operator) {
                        counts.merge(&facet.counts);
                    }
                }
                true
            }
            Err(error) => {
                fault = Some(error);
                false
            }
        }
    })?;
    fault.map_or(Ok(()), Err)
}

/// Counts the batches of an open mailing that are not in the facets yet.
fn count_open(
    reader: &Reader<'_>,
    mailing: &OpenMailing,
    chosen: &mut Chosen<'_>,
    counts: &mut Counts,
) -> Result<(), Error> {
    let OpenMailing { number: mailing, record, progress } = mailing;
    let mailing = *mailing;
    if record.started_at.is_none_or(|at| at.day() > chosen.filter.to_day) {
        return Ok(());
    }
    for block in progress.open.iter().map(|block| block.number) {
        let heads: Heads = reader.get_or_default(&HeadsKey(mailing, block))?;
        for (head, batch) in heads.heads.iter().zip(block * HEADS_PER_BLOCK..) {
            if !head.counted && chosen.has_day(head.created_at.day()) {
                count_batch(reader, mailing, batch, chosen, counts)?;
            }
        }
    }
    Ok(())
}

fn count_batch(
    reader: &Reader<'_>,
    mailing: MailingNumber,
    batch: u32,
    chosen: &mut Chosen<'_>,
    counts: &mut Counts,
) -> Result<(), Error> {
    let key = MembersKey(mailing, batch);
    let words = reader.read_part(&key, "members of a batch", Members::words_in)?;
    let key = ColumnsKey(mailing, batch);
    let statuses = reader.read_part(&key, "columns of a batch", Columns::statuses_in)?;
    for ((tag, operator), status) in words.into_iter().zip(statuses) {
        if chosen.contains(reader, tag, operator) {
            counts.add(status, 1);
        }
    }
    Ok(())
}
