//! What must hold of deliveries: only what is done has one, and every sum of them adds up.

use std::collections::BTreeMap;

use notty_storage::{
    Reader,
    model::{DeliveryCounts, Filter, MailingNumber, Seq, Status},
    query,
    records::address,
};

use super::{
    Checked,
    census::{Census, Mailing, Seen},
    ensure,
};

/// Deliveries of mailings, those that are gone among them.
pub(crate) type PastDeliveries = BTreeMap<MailingNumber, DeliveryCounts>;

/// Checks every message with a delivery, and the sums of mailings and of all.
pub(crate) fn check(reader: &Reader<'_>, census: &Census, past: &mut PastDeliveries) -> Checked {
    check_early(reader, census)?;
    for (number, mailing) in &census.mailings {
        check_mailing(*number, mailing)?;
        past.insert(*number, mailing.progress.delivery);
    }
    let mut sum = DeliveryCounts::default();
    past.values().for_each(|counts| sum.merge(counts));
    let overall = query::stats::overall_delivery(reader).map_err(|e| e.to_string())?;
    ensure(overall == sum, || {
        format!("deliveries are {overall:?} in all, mailings add up to {sum:?}")
    })?;

    let counts = query::stats::overall(reader).map_err(|e| e.to_string())?;
    let done = counts.of(Status::Done);
    ensure(sum.delivered + sum.undelivered <= done, || {
        format!("{sum:?} of {done} that are done")
    })
}

/// Each message that a receipt settled under an open lease is counted in its mailing.
fn check_early(reader: &Reader<'_>, census: &Census) -> Checked {
    let mut early: BTreeMap<MailingNumber, u32> = BTreeMap::new();
    for listed in query::leases::open(reader).map_err(|e| e.to_string())? {
        let lease = query::leases::get(reader, listed.id).map_err(|e| e.to_string())?;
        let lease = lease.ok_or("an open lease has no record")?;
        for run in &lease.runs {
            let seen = run
                .positions()
                .filter_map(|at| census.find(lease.mailing, at));
            let settled =
                seen.filter(|seen| seen.settled_by_receipt && seen.attempt == run.attempt);
            *early.entry(lease.mailing).or_default() += settled.count() as u32;
        }
    }

    for (number, mailing) in &census.mailings {
        let found = early.get(number).copied().unwrap_or_default();
        let said = mailing.progress.early;
        // What is gone with its batch is not counted down.
        let is_whole = mailing.progress.purged == 0;
        let fits = found == said || (!is_whole && found < said);
        ensure(fits, || {
            format!("mailing {number} has {found} messages settled early, and counts {said}")
        })?;
    }
    Ok(())
}

/// No state shows what the deliveries of a mailing came to that one entry changed and dropped: they are what
/// the totals say, if so many receipts account for it.
#[allow(dead_code, reason = "for those that do not check every state")]
pub(crate) fn take_from_totals(
    reader: &Reader<'_>,
    past: &mut PastDeliveries,
    mailing: MailingNumber,
    receipts: u64,
) -> Checked {
    let overall = query::stats::overall_delivery(reader).map_err(|e| e.to_string())?;
    let mut others = DeliveryCounts::default();
    let rest = past.iter().filter(|(number, _)| **number != mailing);
    rest.for_each(|(_, counts)| others.merge(counts));

    let before = past.get(&mailing).copied().unwrap_or_default();
    let left = |of: fn(&DeliveryCounts) -> u64| of(&overall).checked_sub(of(&others));
    let came = left(|counts| counts.delivered).zip(left(|counts| counts.undelivered));
    if let Some((delivered, undelivered)) = came
        && delivered.abs_diff(before.delivered) + undelivered.abs_diff(before.undelivered)
            <= 2 * receipts
    {
        past.insert(
            mailing,
            DeliveryCounts {
                delivered,
                undelivered,
            },
        );
    }
    Ok(())
}

/// The facets and the customers' counts of deliveries each add up to the totals. Slow.
pub(crate) fn check_parts(reader: &Reader<'_>, census: &Census) -> Checked {
    let sum = query::stats::overall_delivery(reader).map_err(|e| e.to_string())?;
    let every = query::filtered::StatsFilter {
        tag: Filter::default(),
        operator: Filter::default(),
        from_day: 0,
        to_day: i32::MAX,
    };
    let filtered = query::filtered::filtered_delivery(reader, &every);
    let filtered = filtered.map_err(|e| e.to_string())?;
    ensure(filtered == sum, || {
        format!("facets of deliveries add up to {filtered:?}, not {sum:?}")
    })?;

    let mut of_customers = DeliveryCounts::default();
    for seq in 0..census.customers {
        let counts = query::stats::delivery_of_customer(reader, Seq(seq));
        of_customers.merge(&counts.map_err(|e| e.to_string())?);
    }
    ensure(of_customers == sum, || {
        format!("deliveries of customers add up to {of_customers:?}, not {sum:?}")
    })
}

fn check_mailing(number: MailingNumber, mailing: &Mailing) -> Checked {
    let found = sum(mailing.messages.iter());
    let said = mailing.progress.delivery;
    let whole = mailing.progress.purged == 0;
    let fits = found.delivered <= said.delivered && found.undelivered <= said.undelivered;
    ensure(if whole { found == said } else { fits }, || {
        format!("mailing {number} has deliveries {found:?}, its counts say {said:?}")
    })?;

    for seen in &mailing.messages {
        let fits = seen.delivery.is_none() || seen.status == Status::Done;
        ensure(fits, || format!("mailing {number}: {seen:?}"))?;
    }
    for (batch, head) in &mailing.heads {
        let of_batch = |seen: &&Seen| address(seen.position).0 == *batch;
        let found = sum(mailing.messages.iter().filter(of_batch));
        ensure(found == head.delivery, || {
            format!(
                "batch {batch} of mailing {number} has {found:?}, not {:?}",
                head.delivery
            )
        })?;
    }
    Ok(())
}

fn sum<'a>(messages: impl Iterator<Item = &'a Seen>) -> DeliveryCounts {
    let mut counts = DeliveryCounts::default();
    messages
        .filter_map(|seen| seen.delivery)
        .for_each(|delivery| counts.add(delivery, 1));
    counts
}
