//! What must hold of a state after every command, worked out again from its records.
//!
//! Slow and plain on purpose: it reads every message and adds everything up once more, where the
//! state itself keeps counts, heads and summaries. Shared by the scripts and the random test.

pub(crate) mod census;
mod deliveries;
mod phones;
mod words;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use census::{Census, take};
use notty_storage::{
    Reader, Scan, Source, codec,
    keys::{
        CallerRepliesKey, ClientReplyKey, Key, LeaseKey, NumbersKey, RenumberedKey, StagesKey,
        UnheardLeasesKey,
    },
    limits::{CLIENT_KEYS, HEADS_PER_BLOCK, STAGES_PER_BLOCK},
    model::{Counts, Filter, MailingNumber, STATUSES, Seq, Status, Timestamp},
    query,
    records::{Block, Head, Stage, address},
};

/// A fault found, as a sentence.
pub(crate) type Checked = Result<(), String>;

/// What checks remember of mailings that are gone: their counts stay in the totals.
pub(crate) struct Past {
    deliveries: deliveries::PastDeliveries,
    counts: BTreeMap<MailingNumber, Counts>,
    checks: u32,
    every: u32,
}

impl Past {
    /// Adds up the facets and the customers' counts, which is slow, in every so many checks.
    pub(crate) fn new(every: u32) -> Self {
        Self {
            deliveries: BTreeMap::new(),
            counts: BTreeMap::new(),
            checks: 0,
            every,
        }
    }

    /// Remembers the counts of a state that is not checked, in case a mailing is gone in the next.
    #[allow(dead_code, reason = "for those that do not check every state")]
    pub(crate) fn note(&mut self, reader: &Reader<'_>) -> Checked {
        let counts = census::counts(reader).map_err(|error| error.to_string())?;
        for (mailing, counts, delivery) in counts {
            self.counts.insert(mailing, counts);
            self.deliveries.insert(mailing, delivery);
        }
        Ok(())
    }

    /// A mailing was reported on, or got receipts, and was dropped by one entry, so that no state shows what its counts
    /// came to: they are what the totals say, if reports of so many messages account for it.
    #[allow(dead_code, reason = "for those that do not check every state")]
    pub(crate) fn reported_and_dropped(
        &mut self,
        reader: &Reader<'_>,
        mailing: MailingNumber,
        reported: u64,
    ) -> Checked {
        let mut sum = Counts::default();
        self.counts.values().for_each(|counts| sum.merge(counts));
        let overall = query::stats::overall(reader).map_err(|e| e.to_string())?;
        let moved: u64 = STATUSES
            .into_iter()
            .map(|s| overall.of(s).abs_diff(sum.of(s)))
            .sum();
        let Some(counts) = self.counts.get_mut(&mailing) else {
            return Ok(());
        };
        let mut came = Counts::default();
        for status in STATUSES {
            // What it did not have cannot have moved: then the totals are wrong.
            let n = (counts.of(status) + overall.of(status)).checked_sub(sum.of(status));
            came.add(status, n.unwrap_or_default());
        }
        if moved <= 2 * reported && came.total() == counts.total() {
            *counts = came;
        }
        deliveries::take_from_totals(reader, &mut self.deliveries, mailing, reported)
    }
}

/// Checks everything that must hold of one state.
pub(crate) fn check(reader: &Reader<'_>, past: &mut Past) -> Result<Census, String> {
    let census = take(reader).map_err(|error| error.to_string())?;
    check_mailings(&census)?;
    check_totals(reader, &census, past)?;
    deliveries::check(reader, &census, &mut past.deliveries)?;
    check_leases(reader, &census)?;
    check_stages(reader, &census)?;
    check_customers(reader, &census)?;
    check_renumbered(reader, &census)?;
    words::check(reader, &census)?;
    phones::check(reader, &census)?;
    check_client_replies(reader)?;
    Ok(census)
}

/// A fault, unless something holds.
pub(crate) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

/// The replies that are kept for each caller are as many as its count says. Not looked at where they
/// are very many.
fn check_client_replies(reader: &Reader<'_>) -> Checked {
    let text = |error: notty_storage::Error| error.to_string();
    let numbers = reader.get_or_default(&NumbersKey).map_err(text)?;
    let living = numbers.client_keys_from..numbers.client_keys;
    if living.clone().count() > 1_000 {
        return Ok(());
    }
    let mut found: BTreeMap<u64, u64> = BTreeMap::new();
    for n in living {
        let key = ClientReplyKey((n % CLIENT_KEYS) as u32);
        let kept = reader
            .need(&key, "a kept reply to a client")
            .map_err(text)?;
        *found.entry(kept.caller).or_default() += 1;
    }
    for (caller, found) in found {
        let said = reader
            .get_or_default(&CallerRepliesKey(caller))
            .map_err(text)?;
        ensure(said == found, || {
            format!("{found} replies to caller {caller} are kept, its count says {said}")
        })?;
    }
    Ok(())
}

/// The messages of each mailing add up to its counts, its heads and its summaries.
fn check_mailings(census: &Census) -> Checked {
    for (number, mailing) in &census.mailings {
        let mut counts = Counts::default();
        let mut members = BTreeSet::new();
        for seen in &mailing.messages {
            counts.add(seen.status, 1);
            ensure(members.insert(seen.customer), || {
                format!(
                    "customer {} has two messages of mailing {number}",
                    seen.customer
                )
            })?;
        }
        let kept = &mailing.progress.counts;
        let whole = mailing.progress.purged == 0;
        for status in STATUSES {
            let (found, said) = (counts.of(status), kept.of(status));
            ensure(if whole { found == said } else { found <= said }, || {
                format!(
                    "mailing {number} has {found} {}, its counts say {said}",
                    status.name()
                )
            })?;
        }
        for (batch, head) in &mailing.heads {
            check_head(census, *number, *batch, head)?;
        }
        check_blocks(*number, mailing)?;
    }
    Ok(())
}

fn check_head(census: &Census, mailing: MailingNumber, batch: u32, head: &Head) -> Checked {
    let name = format!("batch {batch} of mailing {mailing}");
    let census::Mailing { messages, .. } = &census.mailings[&mailing];
    let mut counts = Counts::default();
    let mut due = i64::MAX;
    for seen in messages
        .iter()
        .filter(|seen| address(seen.position).0 == batch)
    {
        counts.add(seen.status, 1);
        due = due.min(seen.due.map_or(i64::MAX, Timestamp::as_millis));
        let zones = if seen.due.is_some() {
            head.failed_zones
        } else {
            head.created_zones
        };
        let marked = zones & Head::zone_bit(seen.zone) != 0;
        let waits = seen.status.is_ready() && !census.deleted.contains(&seen.customer);
        ensure(marked || !waits, || {
            format!("{name} lacks the mark of zone {}", seen.zone)
        })?;
        ensure(
            seen.due.is_some() == (seen.status == Status::Failed),
            || format!("{name}: only what failed is due: {seen:?}"),
        )?;
    }
    ensure(counts == head.counts, || {
        format!("{name} counts wrong: {counts:?}")
    })?;
    ensure(due == head.due.as_millis(), || {
        format!("{name} is due at {due}, not {:?}", head.due)
    })
}

/// Blocks of heads add up, and those with open messages are summarised.
fn check_blocks(number: MailingNumber, mailing: &census::Mailing) -> Checked {
    let progress = &mailing.progress;
    for index in 0..progress.batches.div_ceil(HEADS_PER_BLOCK) {
        let due = Timestamp::from_millis(i64::MAX);
        let mut sum = Block {
            number: index,
            due,
            ..Block::default()
        };
        for (_, head) in mailing
            .heads
            .iter()
            .filter(|(b, _)| *b / HEADS_PER_BLOCK == index)
        {
            sum.created += head.counts.of(Status::Created) as u32;
            sum.failed += head.counts.of(Status::Failed) as u32;
            sum.sending += head.counts.of(Status::Sending) as u32;
            sum.due = sum.due.min(head.due);
            sum.created_zones |= head.created_zones;
            sum.failed_zones |= head.failed_zones;
        }
        let block = progress.open.iter().find(|block| block.number == index);
        ensure(block.copied() == sum.is_open().then_some(sum), || {
            format!("block {index} of mailing {number} is {block:?}, adds up to {sum:?}")
        })?;
    }
    ensure(progress.open.is_sorted_by_key(|block| block.number), || {
        format!("the open blocks of mailing {number} are not in order")
    })
}

/// The totals add up to all mailings, those that are gone among them.
fn check_totals(reader: &Reader<'_>, census: &Census, past: &mut Past) -> Checked {
    for (number, mailing) in &census.mailings {
        past.counts.insert(*number, mailing.progress.counts);
    }
    let mut sum = Counts::default();
    past.counts.values().for_each(|counts| sum.merge(counts));
    let overall = query::stats::overall(reader).map_err(|e| e.to_string())?;
    ensure(overall == sum, || {
        format!("totals are {overall:?}, mailings add up to {sum:?}")
    })?;
    past.checks += 1;
    if !past.checks.is_multiple_of(past.every) {
        return Ok(());
    }
    check_parts(reader, census, &sum)
}

/// The facets and the customers' counts each add up to the totals.
fn check_parts(reader: &Reader<'_>, census: &Census, sum: &Counts) -> Checked {
    let every = query::filtered::StatsFilter {
        tag: Filter::default(),
        operator: Filter::default(),
        from_day: 0,
        to_day: i32::MAX,
    };
    let filtered = query::filtered::filtered(reader, &every).map_err(|e| e.to_string())?;
    ensure(filtered == *sum, || {
        format!("facets add up to {filtered:?}, not {sum:?}")
    })?;
    let mut of_customers = Counts::default();
    for seq in 0..census.customers {
        let counts = query::stats::of_customer(reader, Seq(seq)).map_err(|e| e.to_string())?;
        of_customers.merge(&counts);
    }
    ensure(of_customers == *sum, || {
        format!("customers add up to {of_customers:?}, not {sum:?}")
    })?;
    deliveries::check_parts(reader, census)
}

/// What is `sending` is exactly what open leases hold, but for what receipts have settled.
fn check_leases(reader: &Reader<'_>, census: &Census) -> Checked {
    let mut held = BTreeSet::new();
    for open in query::leases::open(reader).map_err(|e| e.to_string())? {
        let lease = reader
            .need(&LeaseKey(open.slot), "an open lease")
            .map_err(|e| e.to_string())?;
        ensure(lease.id == open.id, || {
            format!("lease {} lies in another's slot", open.id)
        })?;
        let (mut count, mut gone) = (0, 0);
        for run in &lease.runs {
            for position in run.first..run.first + u32::from(run.len) {
                if census.find(lease.mailing, position).is_none() {
                    gone += 1;
                } else if census.is_unreported(lease.mailing, position, run.attempt) {
                    count += 1;
                    let new = held.insert((lease.mailing, position));
                    ensure(new, || format!("{position} is under two leases"))?;
                }
            }
        }
        let fits = (count..=count + gone).contains(&lease.open);
        ensure(fits && lease.open > 0, || {
            format!(
                "lease {} says {} open messages, has {count}",
                lease.id, lease.open
            )
        })?;
    }
    let unheard = reader
        .get_or_default(&UnheardLeasesKey)
        .map_err(|e| e.to_string())?;
    for kept in &unheard.leases {
        let lease = reader
            .need(&LeaseKey(kept.slot), "a kept lease")
            .map_err(|e| e.to_string())?;
        ensure(lease.id == kept.id, || {
            format!("lease {} lost its slot", kept.id)
        })?;
    }
    let sending = census
        .all()
        .filter(|(_, seen)| seen.status == Status::Sending)
        .count();
    let is_sending = |(mailing, position): &&(MailingNumber, u32)| {
        let seen = census.find(*mailing, *position);
        seen.is_some_and(|seen| seen.status == Status::Sending)
    };
    let held = held.iter().filter(is_sending).count();
    ensure(sending == held, || {
        format!("{sending} messages are sending, open leases hold {held}")
    })
}

/// Each mailing is in its stage, and memory says what the records say.
fn check_stages(reader: &Reader<'_>, census: &Census) -> Checked {
    let memory = &reader.index().mailings;
    for open in memory.all_open() {
        let mailing = census.mailings.get(&open.number);
        let same = mailing.is_some_and(|mailing| {
            mailing.record == *open.record && mailing.progress == *open.progress
        });
        ensure(same, || {
            format!(
                "memory has mailing {} otherwise than its record",
                open.number
            )
        })?;
    }
    for (number, mailing) in &census.mailings {
        ensure(mailing.record.paused || !mailing.record.held, || {
            format!("mailing {number} is held, and not paused")
        })?;
        let block = reader.get_or_default(&StagesKey(number.0 / STAGES_PER_BLOCK));
        let stages = block.map_err(|e| e.to_string())?.stages;
        let stage = stages.get((number.0 % STAGES_PER_BLOCK) as usize).copied();
        let stage = stage.unwrap_or_default();
        ensure(stage == memory.stage(*number), || {
            format!(
                "mailing {number} is {stage:?}, memory says {:?}",
                memory.stage(*number)
            )
        })?;
        let open = mailing.record.settled_at.is_none();
        ensure(open == (stage == Stage::Open), || {
            format!("mailing {number} is open: {open}, its stage is {stage:?}")
        })?;
        let left = mailing.progress.purged < mailing.progress.batches
            || mailing.record.deleted_at.is_some();
        ensure(!left || stage != Stage::Done, || {
            format!("mailing {number} is forgotten")
        })?;
        ensure(open || mailing.progress.counts.open() == 0, || {
            format!("mailing {number} is settled with open messages")
        })?;
    }
    Ok(())
}

/// The marks of deleted customers are as many as the counter says.
fn check_customers(reader: &Reader<'_>, census: &Census) -> Checked {
    let count = query::customers::count(reader).map_err(|e| e.to_string())?;
    let deleted = census.deleted.len() as u64;
    ensure(count + deleted == u64::from(census.customers), || {
        format!(
            "{count} customers and {deleted} deleted of {}",
            census.customers
        )
    })
}

/// A number that ids have instead of their mailing's leads to the mailing, for as long as that is
/// there.
fn check_renumbered(reader: &Reader<'_>, census: &Census) -> Checked {
    let mut expected = BTreeMap::new();
    for (mailing, found) in &census.mailings {
        for (_, number) in &found.progress.renumbered {
            expected.insert(RenumberedKey(*number).bytes(), codec::encode(mailing));
        }
    }
    let mut kept = BTreeMap::new();
    let scanned = reader.scan(&[RenumberedKey::TAG], |key, value| {
        let goes_on = key[0] == RenumberedKey::TAG;
        goes_on.then(|| kept.insert(key.to_vec(), value.to_vec()));
        goes_on
    });
    scanned.map_err(|e| e.to_string())?;
    ensure(kept == expected, || {
        format!("numbers of ids are {kept:?}, not {expected:?}")
    })
}
