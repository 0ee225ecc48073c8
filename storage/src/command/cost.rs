//! The bounds that a command declares, so that an entry is not filled beyond its budget.

use super::action::{
    Action, CreateMailing, Expand, FoldMailing, PurgeMailing, PutCustomer, PutCustomers, Report,
    SweepDeleted, SweepMailing, TrimChanges, UpdateMailing,
};
use crate::{limits, model::Customer};

/// Bytes of a command beside its action, at most.
pub(super) const ORIGIN_BYTES: usize = 64;

/// Bounds on the work of a command; the proposer adds them up to fill an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of its encoding, roughly.
    pub bytes: usize,
    /// Customers that it scans.
    pub customers: u32,
    /// Batches that it touches.
    pub batches: u32,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.customers = self.customers.saturating_add(other.customers);
        self.batches = self.batches.saturating_add(other.batches);
    }
}

impl Action {
    /// Bounds of this action alone.
    pub(super) fn cost(&self) -> Cost {
        let batches = |batches: u32| Cost {
            batches,
            ..Cost::default()
        };

        match self {
            Action::PutCustomers(put) => put.cost(),
            Action::PutCustomer(put) => put.cost(),
            Action::CreateMailing(CreateMailing { spec, .. })
            | Action::UpdateMailing(UpdateMailing { spec, .. }) => Cost {
                bytes: 1_600 + spec.text.len() + spec.desc.len(),
                ..Cost::default()
            },
            Action::Expand(Expand { scan, limit, .. }) => {
                let batches = u32::from(*limit)
                    .div_ceil(limits::BATCH_MESSAGES as u32)
                    .max(1);
                Cost {
                    customers: *scan,
                    batches,
                    bytes: 0,
                }
            }
            Action::SweepDeleted(SweepDeleted { batches: n })
            | Action::SweepMailing(SweepMailing { batches: n, .. })
            | Action::FoldMailing(FoldMailing { batches: n, .. })
            | Action::PurgeMailing(PurgeMailing { batches: n, .. }) => batches(*n),
            Action::DeleteCustomer(_) => batches(limits::SWEEP_MAILINGS),
            Action::Grant(grant) => batches(u32::from(grant.batches) + u32::from(grant.barren)),
            Action::ExpireLease(_) => batches(limits::LEASE_BATCHES.into()),
            Action::Report(report) => report.cost(),
            Action::TrimChanges(TrimChanges { blocks }) => Cost {
                customers: blocks * limits::CHANGES_PER_BLOCK as u32,
                ..Cost::default()
            },
            _ => Cost::default(),
        }
    }
}

impl PutCustomers {
    fn cost(&self) -> Cost {
        let words = self.tags.iter().chain(&self.operators);
        let words: usize = words
            .map(|(text, folded)| text.len() + folded.len() + 4)
            .sum();
        let rows = self
            .rows
            .iter()
            .map(|row| row.id.as_str().len() + row.name.len() + 25);
        let bytes = words + rows.sum::<usize>() + self.zones.len() * 24;
        Cost {
            bytes,
            customers: self.rows.len() as u32,
            batches: 0,
        }
    }
}

impl PutCustomer {
    fn cost(&self) -> Cost {
        let Customer {
            id,
            name,
            operator,
            tag,
            timezone,
            ..
        } = &self.customer;
        let folded = self.folded_tag.len() + self.folded_operator.len();
        let words = tag.len() + operator.len() + folded + 8;
        let zone = timezone.as_ref().map_or(0, |_| 24);
        Cost {
            bytes: words + id.as_str().len() + name.len() + 28 + zone,
            customers: 1,
            batches: 0,
        }
    }
}

/// Bytes of one encoded run, at most: its length, position, number of messages and attempt.
const RUN_BYTES: usize = 1 + 5 + 3 + 3;

impl Report {
    fn cost(&self) -> Cost {
        let runs = self.results.iter().flat_map(|(_, runs)| runs);
        let (mut count, mut batches, mut last) = (0, 0, None);
        for run in runs {
            count += 1;
            let batch = run.first >> limits::BATCH_STRIDE_BITS;
            batches += u32::from(last != Some(batch));
            last = Some(batch);
        }
        Cost {
            bytes: count * RUN_BYTES + 40,
            customers: 0,
            batches: batches.min(limits::ENTRY_BATCHES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        codec,
        model::{Epoch, LeaseId, MailingNumber, Run, SendResult},
    };

    #[test]
    fn no_report_is_longer_than_it_says() {
        let lease = LeaseId {
            epoch: Epoch(u64::MAX),
            n: u64::MAX,
        };
        let run = Run {
            first: u32::MAX,
            len: u16::MAX,
            attempt: u16::MAX,
        };
        for runs in [1, 100, 1_000] {
            let results = vec![(SendResult::Done, vec![run; runs])];
            let mailing = MailingNumber(u32::MAX);
            let report = Report {
                lease,
                mailing,
                gateway: u64::MAX,
                results,
            };
            let action = Action::Report(report);
            let bytes = codec::encode(&action).len();
            let said = action.cost().bytes + ORIGIN_BYTES;
            assert!(
                bytes <= said,
                "{bytes} bytes of {runs} runs, said to be {said}"
            );
        }
    }
}
