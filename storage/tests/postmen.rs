//! Which postmen the state forgets when there are too many.

use notty_storage::{
    Action, Command, Entry, Outcome, Rejection, Reply, Store, StoreOptions, Timestamp,
    command::{
        CreateMailing, CustomerRow, Expand, Grant, GrantedLease, PutCustomers, PutMode,
        RegisterPostman, Report, StartMailing,
    },
    limits,
    model::{
        AudienceSpan, CustomerId, Epoch, Filter, LeaseId, MailingId, MailingNumber, MailingSpec,
        Phone, PostmanName, SendResult,
    },
    records::Cursor,
};

const MAILING: MailingNumber = MailingNumber(1);

struct World {
    _dir: tempfile::TempDir,
    store: Store,
    entries: u64,
}

impl World {
    /// A mailing with messages for ten customers.
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), StoreOptions::default()).expect("opens");
        let mut world = Self {
            _dir: dir,
            store,
            entries: 0,
        };
        let id = MailingId::parse("m").expect("an id");
        let cursor = Cursor::default();
        let begun = world.act(vec![
            Action::PutCustomers(customers()),
            Action::CreateMailing(CreateMailing {
                id,
                spec: spec(),
                first: 0,
            }),
            Action::StartMailing(StartMailing { mailing: MAILING }),
            Action::Expand(Expand {
                mailing: MAILING,
                cursor,
                scan: 10,
                limit: 10,
            }),
        ]);
        assert!(begun.iter().all(Result::is_ok), "{begun:?}");
        world
    }

    fn act(&mut self, actions: Vec<Action>) -> Vec<Outcome> {
        self.entries += 1;
        let commands = actions.into_iter().map(Command::new).collect();
        let entry = Entry {
            at: Timestamp::from_millis(1),
            commands,
        };
        self.store
            .apply(&entry, &self.entries.to_be_bytes())
            .expect("applies")
    }

    /// Postmen of ever other names register.
    fn register(&mut self, names: &str, count: usize) -> Epoch {
        let name = |n| PostmanName::parse(&format!("{names}-{n}")).expect("a name");
        let register = |n| {
            Action::RegisterPostman(RegisterPostman {
                name: name(n),
                nonce: 1,
            })
        };
        match self.act((0..count).map(register).collect()).pop() {
            Some(Ok(Reply::Registered(epoch))) => epoch,
            other => panic!("{other:?}"),
        }
    }

    /// Is granted a message and reports it.
    fn work(&mut self, epoch: Epoch, n: u64) -> Result<(), Rejection> {
        let lease = LeaseId { epoch, n };
        let grant = Grant {
            lease,
            mailing: MAILING,
            limit: 1,
            batches: 1,
            barren: 1,
            zones: None,
            ttl_ms: 1_000,
            gateway: 1,
            from: None,
        };
        let Reply::Granted(Some(GrantedLease { runs, .. })) =
            self.act(vec![Action::Grant(grant)]).remove(0)?
        else {
            panic!("nothing is granted");
        };
        let results = vec![(SendResult::Done, runs)];
        let report = Report {
            lease,
            mailing: MAILING,
            gateway: 1,
            results,
        };
        self.act(vec![Action::Report(report)]).remove(0).map(drop)
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
    let rows = (0..10).map(row).collect();
    PutCustomers {
        mode: PutMode::Upsert,
        tags,
        operators,
        zones,
        rows,
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

#[test]
fn who_works_stays_and_who_was_forgotten_is_told_so() {
    let mut world = World::new();
    let (working, idle) = (world.register("working", 1), world.register("idle", 1));
    assert_eq!(world.work(working, 1), Ok(()));
    world.register("others", limits::POSTMEN - 2);
    assert_eq!(world.work(working, 2), Ok(()));
    world.register("more", limits::POSTMEN - 1);
    assert_eq!(world.work(idle, 1), Err(Rejection::PostmanForgotten));
    assert_eq!(
        world.work(working, 3),
        Ok(()),
        "others were idle for longer"
    );
    world.register("yet-more", limits::POSTMEN);
    assert_eq!(world.work(working, 4), Err(Rejection::PostmanForgotten));
    // Nobody has taken its name: it may have it again, under another epoch.
    let again = world.register("working", 1);
    assert_eq!(world.work(again, 1), Ok(()));
    assert_eq!(
        world.work(Epoch(again.0 + 1), 1),
        Err(Rejection::PostmanClosed),
        "never given"
    );
}
