//! The search of a grant: which messages of a mailing it takes, batch by batch.
//!
//! The same search answers what a grant would come to, so that the post office proposes none in vain.
//! Who may have a lease at all is decided in `leases.rs`.

use std::ops::Range;

use super::{
    batches::{BatchEdit, MailingEdit, NEVER},
    deleted::Deleted,
    gateways::{Allowed, Gateways},
};
use crate::{
    changes::Changes,
    command::Grant,
    error::Error,
    keys::PostmenKey,
    limits::{GRANT_SKIP_MS, HEADS_PER_BLOCK},
    model::{MailingNumber, Run, Status, Timestamp},
    records::{Head, position},
    rules,
    source::Source,
};

/// What a grant took.
#[derive(Default)]
pub(super) struct Picked {
    pub(super) runs: Vec<Run>,
    count: u16,
    /// Whether looking changed something although it may have taken nothing: messages in doubt
    /// were given up, heads know better which zones wait, or the next look begins elsewhere.
    pub(super) learnt: bool,
}

impl Picked {
    fn push(&mut self, position: u32, attempt: u16) {
        self.count += 1;
        match self.runs.last_mut() {
            Some(run) if run.attempt == attempt && run.end() == u64::from(position) => {
                run.len += 1;
            }
            _ => self.runs.push(Run {
                first: position,
                len: 1,
                attempt,
            }),
        }
    }
}

/// Takes messages of a mailing, and notes where the next grant begins to look.
pub(super) fn pick(
    changes: &mut Changes<'_>,
    edit: &mut MailingEdit,
    grant: &Grant,
    gateways: &Gateways,
) -> Result<Picked, Error> {
    let (mut search, stopped) = search(changes, edit, grant, gateways)?;
    if grant.from.is_some() {
        return Ok(search.picked);
    }
    match stopped {
        None => edit.progress.skip = None,
        Some(batch) if search.barren >= grant.barren => {
            edit.progress.skip = Some((batch, changes.steady()));
            search.picked.learnt = true;
        }
        Some(_) => {}
    }
    Ok(search.picked)
}

/// Looks through a mailing once, in the order of batches: from where the grant says to the end, or
/// from where the mailing says and round. The batch before which the search stopped, if it did.
fn search<'g>(
    changes: &mut Changes<'_>,
    edit: &mut MailingEdit,
    grant: &'g Grant,
    gateways: &'g Gateways,
) -> Result<(Search<'g>, Option<u32>), Error> {
    let at = changes.steady();
    let first = edit
        .progress
        .open
        .first()
        .map_or(0, |block| block.number * HEADS_PER_BLOCK);
    let all = first..edit.progress.batches;
    let within = |batch: u32| batch.clamp(all.start, all.end);
    let mut search = Search::new(changes, grant, gateways)?;

    if let Some(from) = grant.from {
        let stopped = search.through(changes, edit, within(from)..all.end)?;
        return Ok((search, stopped));
    }
    let skip = edit
        .progress
        .skip
        .filter(|(_, since)| at.since(*since) < GRANT_SKIP_MS);
    let from = skip.map_or(all.start, |(batch, _)| within(batch));
    for batches in [from..all.end, all.start..from] {
        if let Some(stopped) = search.through(changes, edit, batches)? {
            return Ok((search, Some(stopped)));
        }
    }
    Ok((search, None))
}

/// What a grant would come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prospect {
    /// It would change something, first of all in this batch: grant messages, or learn which ones
    /// wait in vain.
    Something {
        /// The first such batch.
        batch: u32,
    },
    /// It would change nothing.
    Nothing {
        /// Where it would stop to look; none: it would come to the end.
        stopped: Option<u32>,
        /// When time alone may change that, for the batches that it would look at, as a steady time
        /// ([`TimeSetting`](crate::records::TimeSetting)).
        until: Timestamp,
    },
}

/// Looks for what a grant would find, by the grant's own rules, and drops what it found.
pub(crate) fn prospect(changes: &mut Changes<'_>, grant: &Grant) -> Result<Prospect, Error> {
    let postmen = changes.get_or_default(&PostmenKey)?.postmen;
    let gateways = Gateways::of(&postmen, grant, *changes.setting());
    let mut edit = MailingEdit::open(changes, grant.mailing)?;
    let (search, stopped) = search(changes, &mut edit, grant, &gateways)?;
    changes.drop_command();
    Ok(match search.first {
        Some(batch) => Prospect::Something { batch },
        None => Prospect::Nothing {
            stopped,
            until: search.until,
        },
    })
}

/// A grant looking for messages.
struct Search<'g> {
    grant: &'g Grant,
    gateways: &'g Gateways,
    zones: u64,
    deleted: Deleted,
    picked: Picked,
    fruitful: u8,
    barren: u8,
    /// The first batch of which something was taken or learnt.
    first: Option<u32>,
    /// When something that was seen to wait is due next.
    until: Timestamp,
}

impl<'g> Search<'g> {
    fn new(changes: &Changes<'_>, grant: &'g Grant, gateways: &'g Gateways) -> Result<Self, Error> {
        let zones = Head::zone_bits(grant.zones.as_deref());
        let (deleted, picked) = (Deleted::load(changes)?, Picked::default());
        let (first, until) = (None, NEVER);
        let (fruitful, barren) = (0, 0);
        Ok(Self {
            grant,
            gateways,
            zones,
            deleted,
            picked,
            fruitful,
            barren,
            first,
            until,
        })
    }

    fn is_over(&self) -> bool {
        self.picked.count >= self.grant.limit
            || self.fruitful >= self.grant.batches
            || self.barren >= self.grant.barren
    }

    /// Takes what is ready in some batches; the batch before which it stopped, if it did.
    fn through(
        &mut self,
        changes: &mut Changes<'_>,
        edit: &mut MailingEdit,
        batches: Range<u32>,
    ) -> Result<Option<u32>, Error> {
        let (mut next, end) = (
            batches.start / HEADS_PER_BLOCK,
            batches.end.div_ceil(HEADS_PER_BLOCK),
        );
        while let Some(summary) = edit.progress.open_from(next).filter(|b| b.number < end) {
            let block = summary.number;
            next = block + 1;
            if !summary.is_ready(changes.steady(), self.zones) {
                if summary.failed_zones & self.zones != 0 {
                    self.until = self.until.min(summary.due);
                }
                continue;
            }
            for number in self.ready_batches(changes, edit, block)? {
                if !batches.contains(&number) {
                    continue;
                }
                if self.is_over() {
                    return Ok(Some(number));
                }
                let Some(mut batch) = edit.batch(changes, number)? else {
                    continue;
                };
                let (before, knew) = (self.picked.count, self.picked.learnt);
                self.pick_from(changes, edit.number, &mut batch)?;
                edit.close(changes, batch)?;
                let taken = self.picked.count > before;
                if taken || self.picked.learnt != knew {
                    self.first = self.first.or(Some(number));
                }
                self.fruitful += u8::from(taken);
                self.barren += u8::from(!taken);
            }
        }
        Ok(None)
    }

    fn ready_batches(
        &mut self,
        changes: &mut Changes<'_>,
        edit: &mut MailingEdit,
        block: u32,
    ) -> Result<Vec<u32>, Error> {
        let at = changes.steady();
        let mut ready = Vec::new();
        let heads = edit
            .heads(changes, block)?
            .heads
            .iter()
            .zip(block * HEADS_PER_BLOCK..);
        for (head, batch) in heads {
            if head.is_ready(at, self.zones) {
                ready.push(batch);
            } else if head.failed_zones & self.zones != 0 {
                self.until = self.until.min(head.due);
            }
        }
        Ok(ready)
    }

    fn pick_from(
        &mut self,
        changes: &Changes<'_>,
        mailing: MailingNumber,
        batch: &mut BatchEdit,
    ) -> Result<(), Error> {
        let at = changes.steady();
        let needs_members = self.grant.zones.is_some() || self.deleted.any();
        let who: Vec<(u32, u16)> = if needs_members {
            let members = batch.members(changes, mailing)?;
            members
                .customers()
                .zip(members.zones.iter().copied())
                .collect()
        } else {
            vec![(0, 0); batch.columns.statuses.len()]
        };
        let (mut created_zones, mut failed_zones) = (0, 0);
        for (index, (customer, zone)) in who.into_iter().enumerate() {
            let status = batch.columns.status(index);
            if !rules::may_be_granted(status) || self.deleted.contains(changes, customer)? {
                continue;
            }
            let full = self.picked.count >= self.grant.limit;
            if !full && self.is_open(zone) {
                self.pick_if_due(batch, index, at);
            }
            // What is left here waits on, in one status or the other.
            match batch.columns.status(index) {
                Status::Created => created_zones |= Head::zone_bit(zone),
                Status::Failed => failed_zones |= Head::zone_bit(zone),
                _ => {}
            }
        }
        if needs_members && batch.narrow(created_zones, failed_zones) {
            self.picked.learnt = true;
        }
        Ok(())
    }

    fn is_open(&self, zone: u16) -> bool {
        self.grant
            .zones
            .as_ref()
            .is_none_or(|zones| zones.iter().any(|open| open.0 == zone))
    }

    /// Takes a message if it is due, unless a gateway may have it already.
    fn pick_if_due(&mut self, batch: &mut BatchEdit, index: usize, at: Timestamp) {
        if !is_due(batch, index, at) {
            self.until = self.until.min(batch.columns.due_of(index).unwrap_or(NEVER));
            return;
        }
        let doubt = batch.columns.doubt(index);
        match doubt.map_or(Allowed::Now, |doubt| self.gateways.allow(doubt, at)) {
            Allowed::Now => take(batch, index, at, &mut self.picked),
            Allowed::Elsewhere { until } => self.until = self.until.min(until.plus_millis(1)),
            Allowed::Never => {
                batch.set(index, Status::Unconfirmed, at);
                self.picked.learnt = true;
            }
        }
    }
}

fn is_due(batch: &BatchEdit, index: usize, at: Timestamp) -> bool {
    let due = batch.columns.due_of(index).unwrap_or(NEVER);
    rules::is_due(batch.columns.status(index), due, at)
}

fn take(batch: &mut BatchEdit, index: usize, at: Timestamp, picked: &mut Picked) {
    // An attempt number is never used twice: a message that has used them all waits for its end.
    let Some(attempt) = batch.columns.attempts[index].checked_add(1) else {
        return;
    };
    batch.columns.attempts[index] = attempt;
    batch.columns.reported[index] = 0;
    batch.set(index, Status::Sending, at);
    picked.push(position(batch.number, index), attempt);
}
