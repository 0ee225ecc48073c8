//! The state: applying each command of a message's way, with 100,000 customers, and filters.

use std::{hint::black_box, path::Path};

use criterion::{BatchSize, Criterion, criterion_group};
use notty_storage::{
    Action, Entry, Source, Store, StoreOptions, Timestamp,
    command::{
        CreateMailing, CustomerRow, Expand, Grant, GrantedLease, PutCustomers, PutMode,
        RegisterPostman, Report, StartMailing,
    },
    keys::ProgressKey,
    limits,
    model::{
        AudienceSpan, CustomerId, Epoch, Filter, LeaseId, MailingId, MailingNumber, MailingSpec,
        Matcher, Phone, PostmanName, Run, SendResult,
    },
};

const CUSTOMERS: u64 = 100_000;
const OPERATORS: [&str; 4] = ["мтс", "билайн", "мегафон", "t2"];

/// A state that goes on from entry to entry.
struct State {
    store: Store,
    index: u64,
    mailing: MailingNumber,
    lease: u64,
}

impl State {
    fn open(dir: &Path) -> Self {
        let store = Store::open(dir, StoreOptions::default()).expect("an empty directory");
        let mut state = Self {
            store,
            index: 0,
            mailing: MailingNumber(0),
            lease: 0,
        };
        for from in (0..CUSTOMERS).step_by(limits::CUSTOMER_ROWS) {
            state.apply(customers(from));
        }
        let name = PostmanName::parse("postman").expect("a name");
        state.apply(Action::RegisterPostman(RegisterPostman { name, nonce: 1 }));
        state
    }

    fn apply(&mut self, action: Action) -> notty_storage::Reply {
        self.index += 1;
        let at = Timestamp::from_millis(self.index as i64);
        let entry = Entry {
            at,
            commands: vec![action.into()],
        };
        let outcomes = self
            .store
            .apply(&entry, &self.index.to_be_bytes())
            .expect("applies");
        let outcome = outcomes.into_iter().next().expect("one outcome a command");
        outcome.expect("the command fits the state")
    }

    /// A mailing to all whose phone matches, just started.
    fn mailing(&mut self, phones: &str) {
        self.mailing = MailingNumber(self.mailing.0 + 1);
        let id = MailingId::parse(&format!("m-{}", self.mailing.0)).expect("an id");
        self.apply(Action::CreateMailing(CreateMailing {
            id,
            spec: spec(phones),
            first: 0,
        }));
        self.apply(Action::StartMailing(StartMailing {
            mailing: self.mailing,
        }));
    }

    fn expand(&mut self) -> notty_storage::Reply {
        let key = ProgressKey(self.mailing);
        let progress = self
            .store
            .view()
            .read()
            .get_or_default(&key)
            .expect("a state that reads");
        self.apply(Action::Expand(Expand {
            mailing: self.mailing,
            cursor: progress.cursor,
            scan: limits::ENTRY_CUSTOMERS,
            limit: limits::BATCH_MESSAGES as u16,
        }))
    }

    fn grant(&mut self) -> Vec<Run> {
        self.lease += 1;
        let reply = self.apply(Action::Grant(Grant {
            lease: LeaseId {
                epoch: Epoch(1),
                n: self.lease,
            },
            mailing: self.mailing,
            limit: limits::LEASE_MESSAGES,
            batches: limits::LEASE_BATCHES,
            barren: limits::GRANT_BARREN_BATCHES,
            zones: None,
            ttl_ms: limits::LEASE_TTL_MS,
            gateway: 1,
            from: None,
        }));
        match reply {
            notty_storage::Reply::Granted(Some(GrantedLease { runs, .. })) => runs,
            other => panic!("no lease: {other:?}"),
        }
    }

    fn report(&mut self, runs: Vec<Run>) -> notty_storage::Reply {
        self.apply(Action::Report(Report {
            lease: LeaseId {
                epoch: Epoch(1),
                n: self.lease,
            },
            mailing: self.mailing,
            gateway: 1,
            results: vec![(SendResult::Done, runs)],
        }))
    }
}

fn spec(phones: &str) -> MailingSpec {
    MailingSpec {
        desc: String::new(),
        text: "Hello!".into(),
        start: Timestamp::from_millis(0),
        end: Timestamp::from_millis(i64::MAX / 2),
        tag_filter: Filter::default(),
        operator_filter: Filter::default(),
        phone_filter: Filter::parse(phones).expect("a pattern"),
        send_window: None,
        audience: AudienceSpan::default(),
        unique_phones: false,
    }
}

fn customers(from: u64) -> Action {
    let row = |n: u64| CustomerRow {
        id: CustomerId::parse(&format!("customer-{n:07}")).expect("an id"),
        by_phone: false,
        name: "Анна Шевчук".to_owned(),
        phone: Some(Phone::from_digits(70_000_000_000 + n)),
        tag: (n % 20) as u16,
        operator: (n % 4) as u16,
        zone: None,
        kept: Default::default(),
    };
    let word = |text: String| (text.clone(), text);
    Action::PutCustomers(PutCustomers {
        mode: PutMode::Upsert,
        tags: (0..20)
            .map(|n| word(format!("clients.city-{n}.new")))
            .collect(),
        operators: OPERATORS.map(|text| word(text.to_owned())).to_vec(),
        zones: Vec::new(),
        rows: (from..from + limits::CUSTOMER_ROWS as u64)
            .map(row)
            .collect(),
    })
}

fn apply(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut state = State::open(dir.path());
    let mut group = criterion.benchmark_group("apply");
    group.bench_function("a thousand messages: expand, grant, report", |bench| {
        let mut left = 0;
        bench.iter(|| {
            if left == 0 {
                state.mailing("%");
                left = CUSTOMERS / limits::BATCH_MESSAGES as u64;
            }
            left -= 1;
            state.expand();
            let runs = state.grant();
            state.report(runs)
        });
    });
    group.bench_function("a thousand customers, as they were", |bench| {
        let make = || customers(0);
        bench.iter_batched(make, |rows| state.apply(rows), BatchSize::SmallInput);
    });
    group.finish();
}

fn expansion(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut state = State::open(dir.path());
    let mut group = criterion.benchmark_group("expansion");
    group.bench_function("ten thousand customers, ten match", |bench| {
        let mut left = 0;
        bench.iter(|| {
            if left == 0 {
                state.mailing("%777");
                left = CUSTOMERS / u64::from(limits::ENTRY_CUSTOMERS);
            }
            left -= 1;
            state.expand()
        });
    });
    group.finish();
}

fn filters(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("filter");
    for (pattern, text) in [
        ("%", "clients.moscow.new"),
        ("clients.%.new", "clients.moscow.new"),
        ("%ос%нов%", "клиенты.москва.новые"),
        ("+7000____777", "+70001234777"),
    ] {
        let mut matcher = Matcher::new(&Filter::parse(pattern).expect("a pattern"));
        group.bench_function(pattern, |bench| {
            bench.iter(|| matcher.matches(black_box(text)))
        });
    }
    group.finish();
}

criterion_group!(benches, apply, expansion, filters);
