//! Mailings for those who match when they start: what they must come to, however customers change before
//! it is their turn.

use std::collections::{BTreeMap, BTreeSet};

use notty_storage::{
    Error, Reader, Source,
    model::{MailingNumber, Seq},
    query::customers::{self, CustomerFilter},
    records::MailingRecord,
};

use crate::common::{Census, Checked, ensure};

/// The customers of one mailing.
struct Expected {
    matched: BTreeSet<u32>,
    /// Those who were deleted since: nothing is promised of them.
    gone: BTreeSet<u32>,
}

/// The customers that mailings which have started must reach.
#[derive(Default)]
pub(super) struct AtStart(BTreeMap<MailingNumber, Expected>);

impl AtStart {
    /// Looks at a state after a command: who has started, who was deleted, who has messages.
    pub(super) fn check(&mut self, reader: &Reader<'_>, after: &Census) -> Checked {
        for (number, mailing) in &after.mailings {
            let record = &mailing.record;
            let is_new = !self.0.contains_key(number);
            if is_new && record.is_at_start() && record.started_at.is_some() {
                let matched = matching(reader, record).map_err(|error| error.to_string())?;
                let gone = BTreeSet::new();
                self.0.insert(*number, Expected { matched, gone });
            }
        }
        for (number, expected) in &mut self.0 {
            expected.gone.extend(&after.deleted);
            expected.check(*number, after)?;
        }
        Ok(())
    }
}

impl Expected {
    fn check(&self, number: MailingNumber, after: &Census) -> Checked {
        let Some(mailing) = after.mailings.get(&number) else {
            return Ok(());
        };
        let reached: BTreeSet<u32> = mailing.messages.iter().map(|seen| seen.customer).collect();
        ensure(reached.is_subset(&self.matched), || {
            format!("mailing {number} reached {reached:?} of {:?}", self.matched)
        })?;

        let progress = &mailing.progress;
        let is_through = progress.cursor.customer >= mailing.record.begun.customers;
        let missed = self
            .matched
            .iter()
            .find(|customer| !reached.contains(customer) && !self.gone.contains(customer));
        ensure(
            !is_through || progress.purged > 0 || missed.is_none(),
            || format!("mailing {number} missed {missed:?}"),
        )
    }
}

fn matching(reader: &Reader<'_>, record: &MailingRecord) -> Result<BTreeSet<u32>, Error> {
    let filter = CustomerFilter::of(&record.spec);
    let page = customers::list(reader, &filter, Seq(0), 1_000)?;
    let mut found = BTreeSet::new();
    for customer in page.items {
        let seq = reader.find_customer(&customer.id)?;
        found.extend(seq.map(|seq| seq.0));
    }
    Ok(found)
}
