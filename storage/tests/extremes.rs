//! Commands with extreme numbers: none may panic, and none may break a sum.

mod common;

use common::Past;
use notty_storage::{
    Action, Entry, Outcome, Store, StoreOptions, Timestamp,
    command::{
        CreateMailing, CustomerRow, EndMailing, Expand, ExpireLease, FoldMailing, Grant,
        PurgeMailing, PutCustomers, PutMode, RegisterPostman, Report, StartMailing, SweepDeleted,
        SweepMailing, TrimChanges,
    },
    model::{
        AudienceSpan, CustomerId, Epoch, Filter, LeaseId, MailingId, MailingNumber, MailingSpec,
        Phone, PostmanName, Run, SendResult, ZoneNumber,
    },
    records::Cursor,
};

/// The highest first: a lease whose messages were all reported is closed.
const FIRSTS: [u32; 10] = [
    u32::MAX,
    u32::MAX - 1,
    1 << 31,
    1_024,
    1_023,
    1_000,
    4,
    3,
    1,
    0,
];
const LENS: [u16; 6] = [0, 1, 2, 1_000, 1_024, u16::MAX];
const ATTEMPTS: [u16; 3] = [0, 1, u16::MAX];
const LARGE: [u64; 5] = [0, 1, 600_000, i64::MAX as u64, u64::MAX];

/// A state that is checked whole after each command.
struct World {
    _dir: tempfile::TempDir,
    store: Store,
    past: Past,
    at: Timestamp,
    entries: u64,
}

impl World {
    /// Four customers, one mailing, and one lease on three of its messages.
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let store = Store::open(dir.path(), StoreOptions::default()).expect("a new state opens");
        let at = Timestamp::from_millis(1);
        let mut world = Self {
            _dir: dir,
            store,
            past: Past::new(1),
            at,
            entries: 0,
        };
        let name = PostmanName::parse("p").expect("a name");
        let id = MailingId::parse("m").expect("an id");
        let (mailing, cursor) = (MailingNumber(1), Cursor::default());
        let first = [
            Action::PutCustomers(customers()),
            Action::CreateMailing(CreateMailing {
                id,
                spec: spec(),
                first: 0,
            }),
            Action::StartMailing(StartMailing { mailing }),
            Action::Expand(Expand {
                mailing,
                cursor,
                scan: 10,
                limit: 10,
            }),
            Action::RegisterPostman(RegisterPostman { name, nonce: 1 }),
            Action::Grant(Grant {
                limit: 3,
                ..grant(1)
            }),
        ];
        for action in first {
            world.act(action).expect("the world begins");
        }
        world
    }

    fn act(&mut self, action: Action) -> Outcome {
        self.entries += 1;
        let entry = Entry {
            at: self.at,
            commands: vec![action.clone().into()],
        };
        let outcome = self.store.apply(&entry, &self.entries.to_be_bytes());
        let outcome = outcome.expect("the state applies").remove(0);
        let checked = common::check(&self.store.view().read(), &mut self.past);
        if let Err(fault) = checked {
            panic!("{fault}, after {action:?}");
        }
        outcome
    }
}

fn customers() -> PutCustomers {
    let row = |n: u64| CustomerRow {
        id: CustomerId::parse(&format!("c-{n}")).expect("an id"),
        by_phone: false,
        name: String::new(),
        phone: Some(Phone::from_digits(79_160_000_000 + n)),
        tag: 0,
        operator: 0,
        zone: None,
        kept: Default::default(),
    };
    let word = || vec![(String::new(), String::new())];
    let (tags, operators, zones) = (word(), word(), Vec::new());
    PutCustomers {
        mode: PutMode::Upsert,
        tags,
        operators,
        zones,
        rows: (0..4).map(row).collect(),
    }
}

fn spec() -> MailingSpec {
    MailingSpec {
        desc: String::new(),
        text: "Hi".to_owned(),
        start: Timestamp::default(),
        end: Timestamp::from_millis(i64::MAX),
        tag_filter: Filter::default(),
        operator_filter: Filter::default(),
        phone_filter: Filter::default(),
        send_window: None,
        audience: AudienceSpan::default(),
        unique_phones: false,
    }
}

fn lease(n: u64) -> LeaseId {
    LeaseId { epoch: Epoch(1), n }
}

fn grant(n: u64) -> Grant {
    Grant {
        lease: lease(n),
        mailing: MailingNumber(1),
        limit: 1,
        batches: 1,
        barren: 1,
        zones: None,
        ttl_ms: 1_000,
        gateway: 1,
        from: None,
    }
}

fn report(n: u64, result: SendResult, runs: Vec<Run>) -> Action {
    let (mailing, results) = (MailingNumber(1), vec![(result, runs)]);
    Action::Report(Report {
        lease: lease(n),
        mailing,
        gateway: u64::MAX,
        results,
    })
}

#[test]
fn no_run_of_a_report_is_too_large() {
    let mut world = World::new();
    for first in FIRSTS {
        for len in LENS {
            for attempt in ATTEMPTS {
                let run = Run {
                    first,
                    len,
                    attempt,
                };
                // The lease that is open, one that is not, and one that never was.
                for n in [1, 2, u64::MAX] {
                    let _ = world.act(report(n, SendResult::HandedBack, vec![run, run]));
                }
            }
        }
    }
}

#[test]
fn no_pause_is_too_long() {
    for number in LARGE {
        let results = [
            SendResult::NotTaken { pause_ms: number },
            SendResult::NotSent { pause_ms: number },
            SendResult::UnsureRepeatable {
                pause_ms: number,
                repeat_ms: number,
            },
        ];
        let mut world = World::new();
        for (result, first) in results.into_iter().zip(0..) {
            let run = Run {
                first,
                len: 1,
                attempt: 1,
            };
            world
                .act(report(1, result, vec![run]))
                .expect("a report of its own message");
        }
        world.at = Timestamp::from_millis(i64::MAX);
        for n in 2..6 {
            let _ = world.act(Action::Grant(grant(n)));
        }
    }
}

#[test]
fn no_grant_is_too_large() {
    let mut world = World::new();
    for number in LARGE {
        for n in [0, 1, 2, 3, u64::MAX] {
            let wide = Grant {
                limit: number as u16,
                batches: number as u8,
                barren: number as u8,
                zones: Some(vec![ZoneNumber(0), ZoneNumber(number as u16)]),
                ttl_ms: number,
                gateway: number,
                ..grant(n)
            };
            let _ = world.act(Action::Grant(wide));
        }
    }
    for epoch in LARGE {
        let id = LeaseId {
            epoch: Epoch(epoch),
            n: epoch,
        };
        let _ = world.act(Action::Grant(Grant {
            lease: id,
            ..grant(1)
        }));
        let _ = world.act(Action::ExpireLease(ExpireLease { lease: id }));
    }
}

#[test]
fn no_step_of_the_post_office_is_too_long() {
    let mut world = World::new();
    for at in [1, i64::MAX - 1, i64::MAX] {
        world.at = Timestamp::from_millis(at);
        for number in LARGE {
            let batches = number as u32;
            for mailing in [MailingNumber(1), MailingNumber(u32::MAX), MailingNumber(0)] {
                for (customer, change) in [(4, 0), (u32::MAX, u64::MAX), (4, u64::MAX)] {
                    let cursor = Cursor { customer, change };
                    let limit = number as u16;
                    let _ = world.act(Action::Expand(Expand {
                        mailing,
                        cursor,
                        scan: batches,
                        limit,
                    }));
                }
                let _ = world.act(Action::SweepMailing(SweepMailing { mailing, batches }));
                let _ = world.act(Action::FoldMailing(FoldMailing {
                    mailing,
                    batches,
                    blocks: batches,
                }));
                let _ = world.act(Action::PurgeMailing(PurgeMailing { mailing, batches }));
            }
            let _ = world.act(Action::SweepDeleted(SweepDeleted { batches }));
            let _ = world.act(Action::TrimChanges(TrimChanges { blocks: batches }));
            let _ = world.act(Action::ExpireLease(ExpireLease { lease: lease(1) }));
        }
        let _ = world.act(Action::EndMailing(EndMailing {
            mailing: MailingNumber(1),
        }));
    }
}
