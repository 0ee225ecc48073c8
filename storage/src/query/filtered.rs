//! Counts by status of the messages that filters choose: by tag, operator and day.
//!
//! What is through stands added up in the facets of its day; batches that are not are read message by
//! message. Both may be much, so the count is made in bounded parts; all of them must be asked of the
//! same state, or a batch that gets through meanwhile would be missed or counted twice.

use super::Parts;
use crate::{
    apply::remembered,
    codec,
    error::Error,
    index::OpenMailing,
    keys::{ColumnsKey, FacetsKey, HeadsKey, Key, MembersKey},
    limits::HEADS_PER_BLOCK,
    model::{Counts, DeliveryCounts, Filter, MailingNumber, Matcher},
    records::{Columns, Facets, Heads, Members, WordKind},
    source::{Scan, Source},
};

/// Records of facets that one part looks at, at most: each has 256 counts at most.
const FACETS_PART: usize = 64;
/// Blocks of heads that one part looks at, at most.
const BLOCKS_PART: usize = 4;
/// Steps of comparing words after which a part looks at no further block.
const STEPS_PART: u64 = 1_000_000;

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

/// The messages that match, in one look.
pub fn filtered<S: Scan>(source: &S, filter: &StatsFilter) -> Result<Counts, Error> {
    let mut count = FilteredCount::begin(source, filter.clone());
    while count.part(source)? {}
    Ok(count.counts)
}

/// The messages that match by delivery, in one look.
pub fn filtered_delivery<S: Scan>(
    source: &S,
    filter: &StatsFilter,
) -> Result<DeliveryCounts, Error> {
    let mut count = FilteredCount::begin(source, filter.clone());
    while count.part(source)? {}
    Ok(count.delivery)
}

/// The count of messages that match, in bounded parts.
#[derive(Clone, Debug)]
pub struct FilteredCount {
    chosen: Chosen,
    /// Where the facets go on; none once all were looked at.
    facets: Option<Vec<u8>>,
    /// Mailings with blocks that were not looked at yet, the next one last.
    mailings: Vec<OpenMailing>,
    /// Blocks of the next mailing below this were looked at.
    block: u32,
    counts: Counts,
    delivery: DeliveryCounts,
}

impl FilteredCount {
    /// Begins with the mailings that are open now.
    pub fn begin<S: Source>(source: &S, filter: StatsFilter) -> Self {
        let open = source.index().mailings.all_open();
        let started = open.filter(|mailing| {
            mailing
                .record
                .started_at
                .is_some_and(|at| at.day() <= filter.to_day)
        });
        let mailings = started.cloned().collect();
        let facets = Some(FacetsKey(filter.from_day.max(0) as u32, 0, 0).bytes());
        let chosen = Chosen::new(filter);
        Self {
            chosen,
            facets,
            mailings,
            block: 0,
            counts: Counts::default(),
            delivery: DeliveryCounts::default(),
        }
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The same by delivery.
    pub fn delivery(&self) -> DeliveryCounts {
        self.delivery
    }

    fn count_facets<S: Scan>(&mut self, source: &S, from: &[u8]) -> Result<(), Error> {
        let last_day = self.chosen.filter.to_day.max(0) as u32;
        let end = FacetsKey(last_day, u32::MAX, u32::MAX).bytes();
        let (mut seen, mut fault) = (0, None);
        source.scan(from, |key, value| {
            if key > end.as_slice() {
                return false;
            }
            if seen == FACETS_PART {
                self.facets = Some(key.to_vec());
                return false;
            }
            seen += 1;
            match codec::decode::<Facets>(value) {
                Ok(facets) => self.take(source, &facets),
                Err(error) => fault = Some(error),
            }
            fault.is_none()
        })?;
        fault.map_or(Ok(()), Err)
    }

    fn take<S: Source>(&mut self, source: &S, facets: &Facets) {
        for facet in &facets.facets {
            if self.chosen.contains(source, facet.tag, facet.operator) {
                self.counts.merge(&facet.counts);
                self.delivery.merge(&facet.delivery);
            }
        }
    }

    /// Counts batches of open mailings that are not in the facets yet.
    fn count_blocks<S: Source>(&mut self, source: &S) -> Result<(), Error> {
        let steps = self.chosen.steps() + STEPS_PART;
        for _ in 0..BLOCKS_PART {
            if self.chosen.steps() > steps {
                return Ok(());
            }
            let Some(mailing) = self.mailings.last() else {
                return Ok(());
            };
            let number = mailing.number;
            match mailing
                .progress
                .open_from(self.block)
                .map(|block| block.number)
            {
                Some(block) => {
                    self.count_block(source, number, block)?;
                    self.block = block + 1;
                }
                None => {
                    self.mailings.pop();
                    self.block = 0;
                }
            }
        }
        Ok(())
    }

    fn count_block<S: Source>(
        &mut self,
        source: &S,
        mailing: MailingNumber,
        block: u32,
    ) -> Result<(), Error> {
        let heads: Heads = source.get_or_default(&HeadsKey(mailing, block))?;
        for (head, batch) in heads.heads.iter().zip(block * HEADS_PER_BLOCK..) {
            if head.counted || !self.chosen.has_day(head.created_at.day()) {
                continue;
            }
            let key = MembersKey(mailing, batch);
            let words = source.read_part(&key, "members of a batch", Members::words_in)?;
            self.count_batch(source, ColumnsKey(mailing, batch), &words)?;
            if head.delivery != DeliveryCounts::default() {
                self.count_deliveries(source, ColumnsKey(mailing, batch), &words)?;
            }
        }
        Ok(())
    }

    fn count_batch<S: Source>(
        &mut self,
        source: &S,
        key: ColumnsKey,
        words: &[(u32, u32)],
    ) -> Result<(), Error> {
        let statuses = source.read_part(&key, "columns of a batch", Columns::statuses_in)?;
        for ((tag, operator), status) in words.iter().zip(statuses) {
            if self.chosen.contains(source, *tag, *operator) {
                self.counts.add(status, 1);
            }
        }
        Ok(())
    }

    /// Counts the deliveries of a batch for which receipts have come.
    fn count_deliveries<S: Source>(
        &mut self,
        source: &S,
        key: ColumnsKey,
        words: &[(u32, u32)],
    ) -> Result<(), Error> {
        let columns = source.need(&key, "columns of a batch")?;
        for (index, (tag, operator)) in words.iter().enumerate() {
            if let Some(delivery) = columns.delivery(index)
                && self.chosen.contains(source, *tag, *operator)
            {
                self.delivery.add(delivery, 1);
            }
        }
        Ok(())
    }
}

impl Parts for FilteredCount {
    fn part<S: Scan>(&mut self, source: &S) -> Result<bool, Error> {
        match self.facets.take() {
            Some(from) => self.count_facets(source, &from)?,
            None => self.count_blocks(source)?,
        }
        Ok(self.facets.is_some() || !self.mailings.is_empty())
    }
}

/// Which words the filters match; each is compared once.
#[derive(Clone, Debug)]
struct Chosen {
    filter: StatsFilter,
    tag: Matcher,
    operator: Matcher,
    tags: Vec<Option<bool>>,
    operators: Vec<Option<bool>>,
}

impl Chosen {
    fn new(filter: StatsFilter) -> Self {
        let (tag, operator) = (Matcher::new(&filter.tag), Matcher::new(&filter.operator));
        Self {
            filter,
            tag,
            operator,
            tags: Vec::new(),
            operators: Vec::new(),
        }
    }

    fn contains<S: Source>(&mut self, source: &S, tag: u32, operator: u32) -> bool {
        let matches = |filter: &mut Matcher, kind, number| {
            source
                .word(kind, number)
                .is_some_and(|word| filter.matches(&word.folded))
        };
        let Self {
            tag: by_tag,
            operator: by_operator,
            tags,
            operators,
            ..
        } = self;
        (by_tag.is_any() || remembered(tags, tag, || matches(by_tag, WordKind::Tag, tag)))
            && (by_operator.is_any()
                || remembered(operators, operator, || {
                    matches(by_operator, WordKind::Operator, operator)
                }))
    }

    fn steps(&self) -> u64 {
        self.tag.steps() + self.operator.steps()
    }

    fn has_day(&self, day: i32) -> bool {
        (self.filter.from_day..=self.filter.to_day).contains(&day)
    }
}
