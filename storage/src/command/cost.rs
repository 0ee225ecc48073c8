//! The bounds that a command declares, so that an entry is not filled beyond its budget.

use std::collections::BTreeSet;

use super::{
    Command,
    action::{
        Action, CreateMailing, Expand, FoldMailing, PurgeMailing, PutCustomer, PutCustomers,
        Report, SweepDeleted, SweepMailing, TakeReceipts, TrimChanges, UpdateMailing,
    },
};
use crate::{
    codec, limits,
    model::{Customer, MailingNumber},
};

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
            Action::TakeReceipts(take) => take.cost(),
            Action::TrimChanges(TrimChanges { blocks }) => Cost {
                customers: blocks * limits::CHANGES_PER_BLOCK as u32,
                ..Cost::default()
            },
            _ => Cost::default(),
        }
    }
}

impl Command {
    /// Bytes of the encoded command, at most. Those that can be long bound it themselves: whoever proposes
    /// a thousand customers need not encode them only to count.
    pub fn most_bytes(&self) -> usize {
        let bounds_itself = matches!(
            self.action,
            Action::PutCustomers(_)
                | Action::PutCustomer(_)
                | Action::Report(_)
                | Action::TakeReceipts(_)
        );
        if bounds_itself {
            self.cost().bytes
        } else {
            codec::encode(self).len()
        }
    }
}

/// Bytes before a text or a list, at most: all that stand in commands have fewer than 65,536.
const LEN_BYTES: usize = 3;
/// Bytes of a row in a command beside its texts, at most: its own length and those of its texts, and
/// phone, three numbers of words, the mark of a zone, and two bytes of marks.
const ROW_BYTES: usize = 3 * LEN_BYTES + 9 + 3 * 3 + 1 + 2;

fn text_bytes(text: &str) -> usize {
    text.len() + LEN_BYTES
}

impl PutCustomers {
    fn cost(&self) -> Cost {
        let words = self.tags.iter().chain(&self.operators);
        let words = words.map(|(text, folded)| text_bytes(text) + text_bytes(folded));
        let zones = self.zones.iter().map(|zone| text_bytes(zone));
        let rows = self.rows.iter();
        let rows = rows.map(|row| row.id.as_str().len() + row.name.len() + ROW_BYTES);
        Cost {
            bytes: words.sum::<usize>() + zones.sum::<usize>() + rows.sum::<usize>(),
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
        let folded = [&self.folded_tag, &self.folded_operator];
        let texts = [name, tag, operator].into_iter().chain(folded);
        let texts = texts.map(|text| text_bytes(text));
        let zone = timezone.as_ref().map_or(0, |zone| text_bytes(zone));
        Cost {
            bytes: texts.sum::<usize>() + zone + id.as_str().len() + ROW_BYTES,
            customers: 1,
            batches: 0,
        }
    }
}

/// Bytes of one encoded run, at most: its length, position, number of messages and attempt.
const RUN_BYTES: usize = 1 + 5 + 3 + 3;
/// Bytes of one result in a report beside its runs, at most: its length, its kind, the length of its
/// numbers and two of them, and the length of the list of runs.
const RESULT_BYTES: usize = 1 + 1 + 1 + 2 * 9 + LEN_BYTES;

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
            bytes: count * RUN_BYTES + self.results.len() * RESULT_BYTES + 40,
            customers: 0,
            batches: batches.min(limits::ENTRY_BATCHES),
        }
    }
}

/// Bytes of one receipt beside its code, at most: its length, that of the id and its two numbers, the
/// state, and the length of the code.
const RECEIPT_BYTES: usize = 1 + 1 + 2 * 5 + 1 + LEN_BYTES;

impl TakeReceipts {
    fn cost(&self) -> Cost {
        let codes = self
            .receipts
            .iter()
            .map(|receipt| receipt.error.as_str().len());
        Cost {
            bytes: self.receipts.len() * RECEIPT_BYTES + codes.sum::<usize>() + ORIGIN_BYTES,
            customers: 0,
            batches: self.batches().len() as u32,
        }
    }

    /// The batches that the receipts are about, each by its mailing's number in ids and its own.
    pub(crate) fn batches(&self) -> BTreeSet<(MailingNumber, u32)> {
        let receipts = self.receipts.iter();
        let batch = |position| position >> limits::BATCH_STRIDE_BITS;
        receipts
            .map(|receipt| (receipt.message.mailing, batch(receipt.message.position)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Origin,
        command::{CustomerRow, KeptFields, PutMode},
        model::{CustomerId, Epoch, LeaseId, MailingNumber, Phone, Run, SendResult},
    };

    /// Fails unless a command is at most as long as it says, and not much shorter.
    fn check_bound(action: impl Into<Action>) {
        let origin = Origin::Import {
            import: [u8::MAX; 16],
            n: u32::MAX,
        };
        let command = Command::new(action.into()).by(origin);
        let bytes = codec::encode(&command).len();
        let said = command.most_bytes();
        let much = bytes + bytes / 8 + 300;
        assert!(bytes <= said && said <= much, "{bytes} of {said}");
    }

    /// Texts that take as many bytes as they can, or none.
    fn texts() -> [String; 3] {
        [String::new(), "ж".repeat(64), "😀".repeat(64)]
    }

    #[test]
    fn no_customers_are_longer_than_they_say() {
        for text in texts() {
            let row = CustomerRow {
                id: CustomerId::parse(&"𠀀".repeat(64)).expect("letters"),
                by_phone: true,
                name: text.clone(),
                phone: Some(Phone::from_digits(999_999_999_999_999)),
                tag: u16::MAX,
                operator: u16::MAX,
                zone: Some(u16::MAX),
                kept: KeptFields::ALL,
            };
            check_bound(PutCustomers {
                mode: PutMode::Upsert,
                tags: vec![(text.clone(), text.clone()); 2],
                operators: vec![(text.clone(), text.clone()); 2],
                zones: vec![text; 2],
                rows: vec![row; limits::CUSTOMER_ROWS],
            });
        }
    }

    #[test]
    fn no_customer_is_longer_than_it_says() {
        for text in texts() {
            check_bound(PutCustomer {
                mode: PutMode::Update,
                customer: Customer {
                    id: CustomerId::parse(&"𠀀".repeat(64)).expect("letters"),
                    name: text.clone(),
                    phone: Phone::from_digits(999_999_999_999_999),
                    operator: text.clone(),
                    tag: text.clone(),
                    timezone: Some(text.clone()),
                },
                folded_tag: text.clone(),
                folded_operator: text,
            });
        }
    }

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
        let longest = SendResult::UnsureRepeatable {
            pause_ms: u64::MAX,
            repeat_ms: u64::MAX,
        };
        for (kinds, runs) in [(1, 1), (1, 100), (1, 1_000), (1_000, 0), (1_000, 1)] {
            let results = vec![(longest, vec![run; runs]); kinds];
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
                "{bytes} bytes of {kinds} results with {runs} runs, said to be {said}"
            );
        }
    }
}
