//! States of any size, planted quickly: commands are applied to a store directly, without a log, a
//! network or a gateway. Shared by the test of growth and its benchmark.

use std::path::Path;

use notty_storage::{
    Action, Entry, Outcome, Reply, Source, Store, StoreOptions, Timestamp,
    command::{
        CancelMailing, CreateMailing, CustomerRow, Expand, Expanded, FoldMailing, Grant,
        GrantedLease, PurgeMailing, PutCustomers, PutMode, RegisterPostman, Report, StartMailing,
        SweepMailing,
    },
    keys::ProgressKey,
    limits::{BATCH_MESSAGES, CUSTOMER_ROWS, ENTRY_BATCHES, ENTRY_CUSTOMERS, FOLD_BLOCKS},
    model::{
        AudienceSpan, CustomerId, Epoch, Filter, LeaseId, MailingId, MailingNumber, MailingSpec,
        Phone, PostmanName, Run, SendResult,
    },
};

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// A store that grows.
pub(crate) struct World {
    /// The state.
    pub(crate) store: Store,
    /// The time of the next entry.
    pub(crate) at: Timestamp,
    entries: u64,
    leases: u64,
    measured: bool,
}

/// The steps that a mailing's messages take, each as a count of its commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Messages.
    pub(crate) messages: u64,
    /// Commands it took.
    pub(crate) commands: u64,
}

impl World {
    /// An empty state with one postman.
    pub(crate) fn open(dir: &Path) -> Self {
        let store = Store::open(dir, StoreOptions::default()).expect("a state opens");
        let at = Timestamp::from_millis(DAY_MS);
        let mut world = Self {
            store,
            at,
            entries: 0,
            leases: 0,
            measured: false,
        };
        let name = PostmanName::parse("p").expect("a name");
        world
            .act(Action::RegisterPostman(RegisterPostman { name, nonce: 1 }))
            .expect("a postman registers");
        world
    }

    /// Applies one command as an entry of its own, and flushes as a node does.
    pub(crate) fn act(&mut self, action: Action) -> Outcome {
        self.entries += 1;
        let entry = Entry {
            at: self.at,
            commands: vec![action.into()],
        };
        let outcome = self.store.apply(&entry, &self.entries.to_be_bytes());
        if !self.measured {
            self.flush_if_due();
        }
        outcome.expect("the state applies").remove(0)
    }

    /// Flushes as often as a node does.
    pub(crate) fn flush_if_due(&mut self) {
        if self.store.unflushed_bytes() > 32 * 1024 * 1024 {
            self.store.flush().expect("the state flushes");
        }
    }

    /// Bytes that an action writes into the state. Nothing is flushed meanwhile: a node does that
    /// beside applying.
    pub(crate) fn bytes_of<T>(&mut self, action: impl FnOnce(&mut Self) -> T) -> (u64, T) {
        self.measured = true;
        let before = self.store.unflushed_bytes();
        let done = action(self);
        self.measured = false;
        (self.store.unflushed_bytes() - before, done)
    }

    /// Adds customers with the numbers given; they have so many tags, one in a thousand the tag
    /// `rare` instead, and ten operators.
    pub(crate) fn put_customers(&mut self, numbers: std::ops::Range<u32>, tags: u32) {
        let all: Vec<u32> = numbers.collect();
        for numbers in all.chunks(CUSTOMER_ROWS) {
            let put = customers(numbers, tags);
            self.act(Action::PutCustomers(put))
                .expect("customers are written");
        }
    }

    /// Creates and starts a mailing to the customers whose tags match.
    pub(crate) fn start_mailing(&mut self, number: u32, tag_filter: &str) -> MailingNumber {
        let tag_filter = Filter::parse(tag_filter).expect("a filter");
        let spec = MailingSpec {
            desc: String::new(),
            text: "A text of a usual length, for which people open their phones.".repeat(2),
            start: Timestamp::default(),
            end: self.at.plus_millis(30 * DAY_MS),
            tag_filter,
            operator_filter: Filter::default(),
            phone_filter: Filter::default(),
            send_window: None,
            audience: AudienceSpan::default(),
            unique_phones: false,
        };
        let id = MailingId::parse(&format!("m-{number}")).expect("an id");
        let created = self
            .act(Action::CreateMailing(CreateMailing { id, spec, first: 0 }))
            .expect("a mailing is created");
        let Reply::Mailing(mailing) = created else {
            panic!("another reply: {created:?}")
        };
        let mailing = mailing.number;
        self.act(Action::StartMailing(StartMailing { mailing }))
            .expect("a mailing starts");
        mailing
    }

    /// Looks at the next customers; messages made, none once all were looked at.
    pub(crate) fn expand(&mut self, mailing: MailingNumber) -> Option<u64> {
        let progress = self
            .store
            .view()
            .read()
            .get_or_default(&ProgressKey(mailing));
        let cursor = progress.expect("a state that reads").cursor;
        let (scan, limit) = (ENTRY_CUSTOMERS, BATCH_MESSAGES as u16);
        match self.act(Action::Expand(Expand {
            mailing,
            cursor,
            scan,
            limit,
        })) {
            Ok(Reply::Expanded(Expanded { messages, .. })) => Some(messages.into()),
            _ => None,
        }
    }

    /// Grants a lease.
    pub(crate) fn grant(&mut self, mailing: MailingNumber) -> Option<(LeaseId, Vec<Run>)> {
        let lease = LeaseId {
            epoch: Epoch(1),
            n: self.leases + 1,
        };
        let grant = Grant {
            lease,
            mailing,
            limit: BATCH_MESSAGES as u16,
            batches: ENTRY_BATCHES as u8,
            barren: ENTRY_BATCHES as u8,
            zones: None,
            ttl_ms: 60_000,
            gateway: 1,
            from: None,
        };
        match self.act(Action::Grant(grant)) {
            Ok(Reply::Granted(Some(GrantedLease { runs, .. }))) => {
                self.leases += 1;
                Some((lease, runs))
            }
            _ => None,
        }
    }

    /// Reports messages of a lease.
    pub(crate) fn report(
        &mut self,
        lease: LeaseId,
        mailing: MailingNumber,
        results: Vec<(SendResult, Vec<Run>)>,
    ) {
        let report = Report {
            lease,
            mailing,
            gateway: 1,
            results,
        };
        self.act(Action::Report(report)).expect("a report is taken");
    }

    /// Sends what is ready; all is taken by the gateway, but for the first message of each lease
    /// where `stuck`: that fails and waits.
    pub(crate) fn send_ready(&mut self, mailing: MailingNumber, stuck: bool) -> Sent {
        let mut sent = Sent::default();
        while let Some((lease, mut runs)) = self.grant(mailing) {
            sent.messages += runs.iter().map(|run| u64::from(run.len)).sum::<u64>();
            sent.commands += 2;
            let mut results = Vec::new();
            if stuck && let Some(first) = runs.first_mut() {
                let pause_ms = DAY_MS as u64;
                let failed = Run {
                    first: first.first,
                    len: 1,
                    attempt: first.attempt,
                };
                results.push((SendResult::NotTaken { pause_ms }, vec![failed]));
                (first.first, first.len) = (first.first + 1, first.len - 1);
            }
            runs.retain(|run| run.len > 0);
            results.insert(0, (SendResult::Done, runs));
            self.report(lease, mailing, results);
        }
        sent
    }

    /// Expands and sends the whole of a mailing, batch by batch.
    pub(crate) fn send(&mut self, mailing: MailingNumber, stuck: bool) -> Sent {
        let mut sent = Sent::default();
        while let Some(expanded) = self.expand(mailing) {
            sent.commands += 1;
            if expanded > 0 {
                let part = self.send_ready(mailing, stuck);
                sent.messages += part.messages;
                sent.commands += part.commands;
            }
        }
        sent
    }

    /// Cancels a mailing, and folds what it held into its customers' totals.
    pub(crate) fn finish(&mut self, mailing: MailingNumber, number: u32) {
        let id = MailingId::parse(&format!("m-{number}")).expect("an id");
        self.act(Action::CancelMailing(CancelMailing { id }))
            .expect("a mailing is cancelled");
        let batches = ENTRY_BATCHES / 2;
        while self
            .act(Action::SweepMailing(SweepMailing { mailing, batches }))
            .is_ok()
        {}
        let blocks = FOLD_BLOCKS;
        while self
            .act(Action::FoldMailing(FoldMailing {
                mailing,
                batches,
                blocks,
            }))
            .is_ok()
        {}
    }

    /// Drops the messages of a folded mailing.
    pub(crate) fn purge(&mut self, mailing: MailingNumber) {
        let batches = ENTRY_BATCHES / 2;
        while self
            .act(Action::PurgeMailing(PurgeMailing { mailing, batches }))
            .is_ok()
        {}
    }
}

/// Customers to write.
fn customers(numbers: &[u32], tags: u32) -> PutCustomers {
    let word = |text: String| (text.clone(), text);
    let row = |n: &u32| CustomerRow {
        id: CustomerId::parse(&format!("customer-{n:07}")).expect("an id"),
        by_phone: false,
        name: format!("Name {n}"),
        phone: Some(Phone::from_digits(79_160_000_000 + u64::from(*n))),
        tag: if n % 1_000 == 7 {
            0
        } else {
            (n % tags % 999 + 1) as u16
        },
        operator: (n / tags % 10) as u16,
        zone: None,
        kept: Default::default(),
    };
    // A command carries its own words: about as many tags as it has rows, at most.
    let base = numbers[0] % tags / 999 * 999;
    let tag = |n: u32| {
        word(if n == 0 {
            "rare".into()
        } else {
            format!("tag-{}", base + n)
        })
    };
    PutCustomers {
        mode: PutMode::Upsert,
        tags: (0..=tags.min(999)).map(tag).collect(),
        operators: (0..10).map(|n| word(format!("operator-{n}"))).collect(),
        zones: Vec::new(),
        rows: numbers.iter().map(row).collect(),
    }
}
