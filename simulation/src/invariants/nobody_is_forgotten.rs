//! In the end, everyone whom a mailing was for has its one message: nothing is lost without an
//! account.
//!
//! Judged by those whom clients imported in the beginning and who are still there, for mailings
//! that lasted to their planned end: who came or went, or changed, may have one or not.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use notty_storage::{
    Source,
    model::{CustomerId, MailingId},
    query,
};

use super::{Facts, Invariant, Judgement, ensure, stats_add_up::common};
use crate::{
    event::{Event, Final, Outcome, Told},
    hosts::client::imported_tag,
    plan::{Fate, Plan},
};

/// How long before a mailing's end a customer must have come, in milliseconds: clocks may differ.
const BEFORE_MS: u64 = 5_000;

/// See above.
pub(super) struct NobodyIsForgotten {
    lasting: Vec<Lasting>,
    /// When which customers' import was acknowledged, by their numbers.
    imported: BTreeMap<u32, Duration>,
}

/// A mailing that lasts.
struct Lasting {
    id: MailingId,
    tag_filter: &'static str,
    end_ms: u64,
}

impl NobodyIsForgotten {
    pub(super) fn new(plan: &Plan) -> Self {
        let lasts = |end_ms, fate| end_ms > plan.quiet_ms && fate == Fate::Kept;
        let lasting = plan
            .mailings
            .iter()
            .filter(|mailing| lasts(mailing.end_ms, mailing.fate));
        let lasting = lasting.filter_map(|mailing| {
            let (id, tag_filter) = (MailingId::parse(&mailing.id).ok()?, mailing.tag_filter);
            Some(Lasting {
                id,
                tag_filter,
                end_ms: mailing.end_ms,
            })
        });
        Self {
            lasting: lasting.collect(),
            imported: BTreeMap::new(),
        }
    }
}

impl Invariant for NobodyIsForgotten {
    fn name(&self) -> &'static str {
        "nobody_is_forgotten"
    }

    fn judge(&mut self, event: &Event<'_>, _facts: &Facts, now: Duration) -> Judgement {
        match event {
            Event::Told(Told::Imported { first, count }) => {
                self.imported
                    .extend((*first..first + count).map(|number| (number, now)));
            }
            Event::Told(Told::Write { key, outcome, .. }) if *outcome != Outcome::Refused => {
                let number = key
                    .strip_prefix("gone/i")
                    .and_then(|number| number.parse().ok());
                number.and_then(|number: u32| self.imported.remove(&number));
            }
            _ => {}
        }
        Ok(())
    }

    fn conclude(&mut self, end: &Final<'_>, _facts: &Facts) -> Judgement {
        let reader = end.view.read();
        let text = |error: notty_storage::Error| error.to_string();
        let census = common::take(&reader).map_err(text)?;
        for Lasting {
            id,
            tag_filter,
            end_ms,
        } in &self.lasting
        {
            let Some(number) = query::mailings::number_of(&reader, id).map_err(text)? else {
                continue;
            };
            let Some(mailing) = census.mailings.get(&number) else {
                return Err(format!("mailing {id} was acknowledged, and is gone"));
            };
            let reached: BTreeSet<u32> =
                mailing.messages.iter().map(|seen| seen.customer).collect();
            let latest = Duration::from_millis(end_ms.saturating_sub(BEFORE_MS));
            for (customer, at) in &self.imported {
                if *at > latest || !is_for(tag_filter, *customer) {
                    continue;
                }
                let known = CustomerId::parse(&format!("i{customer}")).map_err(|i| i.detail)?;
                let seq = reader.find_customer(&known).map_err(text)?;
                ensure(seq.is_some_and(|seq| reached.contains(&seq.0)), || {
                    format!("customer i{customer} (number {seq:?}) has no message of mailing {id}")
                })?;
            }
        }
        Ok(())
    }
}

/// Whether a mailing is for a customer that was imported: their tags go by their numbers.
fn is_for(filter: &str, number: u32) -> bool {
    let tag = imported_tag(number);
    match filter {
        "a%" => tag.starts_with('a'),
        "%new" => tag.ends_with("new"),
        _ => true,
    }
}
