//! Editing batches so that the sums always add up.
//!
//! Every change of a message's status goes through [`BatchEdit::set`]. Closing a batch carries
//! what changed into its head, its block's summary, the mailing's counts, the day's facets and the
//! customers' totals; saving the mailing carries it into the totals. All in the same entry.

mod deliveries;

use std::collections::BTreeMap;

use self::deliveries::DeliveryMove;
use super::settling::settle;
use crate::{
    changes::Changes,
    error::Error,
    keys::{
        ColumnsKey, CustomerTotalsKey, FacetsKey, HeadsKey, LateKey, MembersKey, ReachesKey,
        TotalsKey,
    },
    limits::{CUSTOMERS_PER_BLOCK, HEADS_PER_BLOCK, REACHES_PER_BLOCK},
    model::{Counts, DeliveryCounts, MailingNumber, Reason, Status, Timestamp},
    records::{
        Block, Columns, CustomerTotals, Doubt, Facet, Head, Heads, Members, Progress, Reaches,
        WordKind, position,
    },
    source::Source,
};

/// No failed message waits.
pub(super) const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// One message in so many may still be open in a batch that counts in the facets.
const STRAGGLERS: u64 = 16;

/// One message's move.
#[derive(Clone, Copy)]
struct Move {
    index: usize,
    from: Status,
    to: Status,
}

/// A batch being edited.
pub(super) struct BatchEdit {
    pub(super) number: u32,
    pub(super) head: Head,
    pub(super) columns: Columns,
    members: Option<Members>,
    moves: Vec<Move>,
    delivered: Vec<DeliveryMove>,
    touched: bool,
    narrowed: bool,
}

impl BatchEdit {
    /// Who is in it; read once.
    pub(super) fn members(
        &mut self,
        changes: &Changes<'_>,
        mailing: MailingNumber,
    ) -> Result<&Members, Error> {
        if self.members.is_none() {
            let key = MembersKey(mailing, self.number);
            self.members = Some(changes.need(&key, "members of a batch")?);
        }
        self.members.as_ref().ok_or(Error::Contradiction {
            what: "members of a batch",
        })
    }

    /// Moves one message to a status, at a steady time.
    pub(super) fn set(&mut self, index: usize, to: Status, steady: Timestamp) {
        let from = self.columns.status(index);
        self.touched = true;
        self.columns.statuses[index] = to as u8;
        self.columns.changed_ms[index] = steady.since(self.head.created_steady()).max(0) as u64;
        if from == Status::Failed {
            self.columns.clear_due(index);
        }
        self.head.counts.shift(from, to, 1);
        self.moves.push(Move { index, from, to });
    }

    /// Marks the zone of a message that waits again, so that a grant finds it.
    pub(super) fn mark_zone(
        &mut self,
        changes: &Changes<'_>,
        mailing: MailingNumber,
        index: usize,
    ) -> Result<(), Error> {
        let bit = Head::zone_bit(self.members(changes, mailing)?.zones[index]);
        match self.columns.status(index) {
            Status::Created => self.head.created_zones |= bit,
            Status::Failed => self.head.failed_zones |= bit,
            _ => {}
        }
        Ok(())
    }

    /// Takes over the zones that were found to wait; whether the head knew less.
    pub(super) fn narrow(&mut self, created_zones: u64, failed_zones: u64) -> bool {
        let before = (self.head.created_zones, self.head.failed_zones);
        (self.head.created_zones, self.head.failed_zones) = (created_zones, failed_zones);
        let narrowed = before != (created_zones, failed_zones);
        self.narrowed |= narrowed;
        narrowed
    }

    /// Notes a doubt about one message.
    pub(super) fn doubt(&mut self, doubt: Doubt) {
        self.touched = true;
        self.columns.add_doubt(doubt);
    }

    /// Notes that a message's customer was deleted while it was under way.
    pub(super) fn forsake(&mut self, index: usize) {
        self.touched |= self.columns.forsake(index);
    }

    /// Moves one message to where it goes when nothing more is to be sent: `to`, or
    /// `unconfirmed` if the gateway may have it.
    pub(super) fn give_up(&mut self, index: usize, to: Status, steady: Timestamp) {
        let doubtful = self.columns.doubt(index).is_some();
        self.set(
            index,
            if doubtful { Status::Unconfirmed } else { to },
            steady,
        );
    }
}

/// A batch of new messages.
pub(super) struct NewBatch {
    pub(super) members: Members,
    /// True if they came to match late.
    pub(super) late: bool,
    /// The status of all but those whose phone has the message.
    pub(super) status: Status,
    /// Indexes of those whose phone has the message already, in rising order.
    pub(super) duplicates: Vec<usize>,
}

impl NewBatch {
    fn columns(&self) -> (Columns, Counts) {
        let len = self.members.len();
        let mut columns = Columns::new(len, self.status);
        for index in &self.duplicates {
            columns.bear_cancelled(*index, Reason::DuplicatePhone);
        }

        let cancelled = self.duplicates.len();
        let mut counts = Counts::default();
        counts.add(Status::Cancelled, cancelled as u64);
        counts.add(self.status, (len - cancelled) as u64);
        (columns, counts)
    }
}

/// A mailing whose batches are being edited.
pub(super) struct MailingEdit {
    pub(super) number: MailingNumber,
    pub(super) progress: Progress,
    before: (Counts, DeliveryCounts),
    heads: Option<(u32, Heads)>,
}

impl MailingEdit {
    pub(super) fn open(changes: &Changes<'_>, number: MailingNumber) -> Result<Self, Error> {
        let progress = (*changes.need_progress(number)?).clone();
        Ok(Self {
            number,
            before: (progress.counts, progress.delivery),
            progress,
            heads: None,
        })
    }

    /// The heads of a block.
    pub(super) fn heads(&mut self, changes: &mut Changes<'_>, block: u32) -> Result<&Heads, Error> {
        self.load_heads(changes, block)?;
        let loaded = self.heads.as_ref().map(|(_, heads)| heads);
        loaded.ok_or(Error::Contradiction {
            what: "heads of a block",
        })
    }

    fn load_heads(&mut self, changes: &mut Changes<'_>, block: u32) -> Result<(), Error> {
        if self
            .heads
            .as_ref()
            .is_some_and(|(loaded, _)| *loaded == block)
        {
            return Ok(());
        }
        self.store_heads(changes);
        self.heads = Some((
            block,
            changes.get_or_default(&HeadsKey(self.number, block))?,
        ));
        Ok(())
    }

    /// Writes the heads at hand and their block's summary.
    fn store_heads(&mut self, changes: &mut Changes<'_>) {
        if let Some((block, heads)) = self.heads.take() {
            self.progress.summarise(summary(block, &heads));
            changes.put(&HeadsKey(self.number, block), &heads);
        }
    }

    /// Opens a batch; none where there is no such batch, or no longer.
    pub(super) fn batch(
        &mut self,
        changes: &mut Changes<'_>,
        number: u32,
    ) -> Result<Option<BatchEdit>, Error> {
        if number >= self.progress.batches || number < self.progress.purged {
            return Ok(None);
        }
        let heads = self.heads(changes, number / HEADS_PER_BLOCK)?;
        let head = heads
            .heads
            .get((number % HEADS_PER_BLOCK) as usize)
            .cloned();
        let head = head.ok_or(Error::Contradiction {
            what: "head of a batch",
        })?;
        let columns = changes.need(&ColumnsKey(self.number, number), "columns of a batch")?;
        let (members, moves, touched, narrowed) = (None, Vec::new(), false, false);
        Ok(Some(BatchEdit {
            number,
            head,
            columns,
            members,
            moves,
            delivered: Vec::new(),
            touched,
            narrowed,
        }))
    }

    /// Adds a batch of new messages.
    pub(super) fn add(&mut self, changes: &mut Changes<'_>, new: NewBatch) -> Result<(), Error> {
        let (columns, counts) = new.columns();
        let NewBatch { members, late, .. } = new;
        let number = self.progress.batches;
        let block = number / HEADS_PER_BLOCK;
        let created = (changes.at(), changes.setting().shift_ms);
        let head = new_head(&members, late, counts, created);
        if !late {
            self.progress.reached = head.customers.1 + 1;
        } else {
            self.index_late(changes, &members, number);
        }
        self.progress.batches += 1;
        if self.progress.batches.is_multiple_of(HEADS_PER_BLOCK) {
            self.note_reach(changes, block)?;
        }
        self.progress.counts.merge(&counts);
        self.load_heads(changes, block)?;
        if let Some((_, heads)) = &mut self.heads {
            heads.heads.push(Head::default());
        }
        use_words(changes, &members, 1);
        changes.put(&MembersKey(self.number, number), &members);
        let (members, moves, touched, narrowed) = (Some(members), Vec::new(), true, false);
        let edit = BatchEdit {
            number,
            head,
            columns,
            members,
            moves,
            delivered: Vec::new(),
            touched,
            narrowed,
        };
        self.close_with(changes, edit, true)
    }

    /// Notes how far the sweep came with a block of heads that is full.
    fn note_reach(&self, changes: &mut Changes<'_>, block: u32) -> Result<(), Error> {
        let key = ReachesKey(self.number, block / REACHES_PER_BLOCK);
        changes.update(&key, |reaches: &mut Reaches| {
            reaches.reached.push(self.progress.reached)
        })
    }

    fn index_late(&self, changes: &mut Changes<'_>, members: &Members, batch: u32) {
        for (index, customer) in members.customers().enumerate() {
            changes.put(&LateKey(self.number, customer), &position(batch, index));
        }
    }

    /// Takes what was done to a batch into everything that counts it.
    pub(super) fn close(
        &mut self,
        changes: &mut Changes<'_>,
        edit: BatchEdit,
    ) -> Result<(), Error> {
        self.close_with(changes, edit, false)
    }

    fn close_with(
        &mut self,
        changes: &mut Changes<'_>,
        mut edit: BatchEdit,
        new: bool,
    ) -> Result<(), Error> {
        if !edit.touched {
            return if edit.narrowed {
                self.put_head(changes, edit)
            } else {
                Ok(())
            };
        }
        for step in &edit.moves {
            self.progress.counts.shift(step.from, step.to, 1);
        }
        edit.head.due = edit
            .columns
            .due
            .iter()
            .map(|(_, due)| *due)
            .min()
            .unwrap_or(NEVER);
        let was_counted = edit.head.counted;
        if was_counted {
            self.recount_facets(changes, &mut edit)?;
        } else if is_through(&edit.head) {
            self.count_facets(changes, &mut edit)?;
        }
        if !new && edit.number < self.progress.folded {
            self.recount_customers(changes, &mut edit)?;
        }
        self.recount_deliveries(changes, &mut edit, was_counted)?;
        changes.put(&ColumnsKey(self.number, edit.number), &edit.columns);
        self.put_head(changes, edit)
    }

    fn put_head(&mut self, changes: &mut Changes<'_>, mut edit: BatchEdit) -> Result<(), Error> {
        if edit.head.counts.of(Status::Created) == 0 {
            edit.head.created_zones = 0;
        }
        if edit.head.counts.of(Status::Failed) == 0 {
            edit.head.failed_zones = 0;
        }
        self.load_heads(changes, edit.number / HEADS_PER_BLOCK)?;
        if let Some((_, heads)) = &mut self.heads {
            heads.heads[(edit.number % HEADS_PER_BLOCK) as usize] = edit.head;
        }
        Ok(())
    }

    /// Counts a batch whose messages are final, but for a few.
    fn count_facets(&self, changes: &mut Changes<'_>, edit: &mut BatchEdit) -> Result<(), Error> {
        edit.members(changes, self.number)?;
        let Some(members) = &edit.members else {
            return Ok(());
        };
        let mut counts: BTreeMap<(u32, u32), Counts> = BTreeMap::new();
        for index in 0..members.len() {
            let facet = (members.tags[index], members.operators[index]);
            counts
                .entry(facet)
                .or_default()
                .add(edit.columns.status(index), 1);
        }
        let day = edit.head.created_at.day() as u32;
        update_facets(changes, day, counts, |facet, new| facet.counts.merge(&new))?;
        if edit.head.delivery != DeliveryCounts::default() {
            let found = deliveries::by_words(members, &edit.columns);
            update_facets(changes, day, found, |facet, new| facet.delivery.merge(&new))?;
        }
        edit.head.counted = true;
        Ok(())
    }

    /// Moves messages of a batch that was counted before.
    fn recount_facets(&self, changes: &mut Changes<'_>, edit: &mut BatchEdit) -> Result<(), Error> {
        edit.members(changes, self.number)?;
        let Some(members) = &edit.members else {
            return Ok(());
        };
        let day = edit.head.created_at.day() as u32;
        let mut steps: BTreeMap<(u32, u32), Vec<Move>> = BTreeMap::new();
        for step in &edit.moves {
            let facet = (members.tags[step.index], members.operators[step.index]);
            steps.entry(facet).or_default().push(*step);
        }
        update_facets(changes, day, steps, |facet, steps| {
            steps
                .iter()
                .for_each(|step| facet.counts.shift(step.from, step.to, 1));
        })
    }

    /// Moves messages of a batch that was added to its customers' totals before.
    fn recount_customers(
        &self,
        changes: &mut Changes<'_>,
        edit: &mut BatchEdit,
    ) -> Result<(), Error> {
        edit.members(changes, self.number)?;
        let Some(members) = &edit.members else {
            return Ok(());
        };
        for step in &edit.moves {
            let customer = members.customer(step.index);
            let key = CustomerTotalsKey(customer / CUSTOMERS_PER_BLOCK);
            let offset = (customer % CUSTOMERS_PER_BLOCK) as u8;
            changes.update(&key, |totals| {
                totals_of(totals, offset).shift(step.from, step.to, 1);
            })?;
        }
        Ok(())
    }

    /// Writes everything, and settles the mailing if nothing more can happen by itself.
    pub(super) fn save(mut self, changes: &mut Changes<'_>) -> Result<(), Error> {
        self.store_heads(changes);
        let after = (self.progress.counts, self.progress.delivery);
        if self.before != after {
            let before = self.before;
            changes.update(&TotalsKey, |totals| {
                totals.counts.replace(&before.0, &after.0);
                totals.delivery.replace(&before.1, &after.1);
            })?;
        }
        changes.put_progress(self.number, self.progress.clone());
        settle(changes, self.number, &self.progress)
    }
}

fn new_head(
    members: &Members,
    late: bool,
    counts: Counts,
    (created_at, shift_ms): (Timestamp, i64),
) -> Head {
    let mut customers = members.customers();
    let first = customers.next().unwrap_or_default();
    let last = customers.last().unwrap_or(first);
    let zones = members
        .zones
        .iter()
        .fold(0, |bits, zone| bits | Head::zone_bit(*zone));
    Head {
        counts,
        due: NEVER,
        customers: (first, last),
        late,
        created_zones: zones,
        failed_zones: 0,
        created_at,
        shift_ms,
        counted: false,
        delivery: DeliveryCounts::default(),
    }
}

/// Whether a batch's messages are final, but for a few: time to count it in the facets, where each
/// later move costs a little. Otherwise one message that waits for another try would have its whole
/// batch counted anew by everyone who asks.
fn is_through(head: &Head) -> bool {
    head.open() * STRAGGLERS <= head.counts.total()
}

fn summary(number: u32, heads: &Heads) -> Block {
    let sum = |status| {
        heads
            .heads
            .iter()
            .map(|head| head.counts.of(status))
            .sum::<u64>() as u32
    };
    Block {
        number,
        created: sum(Status::Created),
        failed: sum(Status::Failed),
        sending: sum(Status::Sending),
        due: heads
            .heads
            .iter()
            .map(|head| head.due)
            .min()
            .unwrap_or(NEVER),
        created_zones: heads
            .heads
            .iter()
            .fold(0, |bits, head| bits | head.created_zones),
        failed_zones: heads
            .heads
            .iter()
            .fold(0, |bits, head| bits | head.failed_zones),
    }
}

fn update_facets<T>(
    changes: &mut Changes<'_>,
    day: u32,
    values: BTreeMap<(u32, u32), T>,
    mut change: impl FnMut(&mut Facet, T),
) -> Result<(), Error> {
    let mut records: BTreeMap<(u32, u32), BTreeMap<(u32, u32), T>> = BTreeMap::new();
    for ((tag, operator), value) in values {
        let record = (tag / 16, operator / 16);
        records
            .entry(record)
            .or_default()
            .insert((tag, operator), value);
    }
    for ((tags, operators), values) in records {
        let mut new = Vec::new();
        changes.update(&FacetsKey(day, tags, operators), |facets| {
            for ((tag, operator), value) in values {
                if !facets.contains(tag, operator) {
                    new.push((tag, operator));
                }
                change(facets.pair_mut(tag, operator), value);
            }
        })?;
        for (tag, operator) in new {
            changes.use_word(WordKind::Tag, tag, 1);
            changes.use_word(WordKind::Operator, operator, 1);
        }
    }
    Ok(())
}

/// Counts that the members of a batch use their words, or no longer do.
pub(super) fn use_words(changes: &mut Changes<'_>, members: &Members, change: i64) {
    changes.use_words(WordKind::Tag, &members.tags, change);
    changes.use_words(WordKind::Operator, &members.operators, change);
}

/// The counts of one customer of a block, made where they are new.
pub(super) fn totals_of(totals: &mut CustomerTotals, offset: u8) -> &mut Counts {
    let at = match totals.counts.binary_search_by_key(&offset, |(o, _)| *o) {
        Ok(at) => at,
        Err(at) => {
            totals.counts.insert(at, (offset, Counts::default()));
            at
        }
    };
    &mut totals.counts[at].1
}
