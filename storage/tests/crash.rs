//! A state that is killed at any moment comes back whole, and not behind its last flush.
//!
//! A child process, this same binary, applies numbered entries and says after each flush how far
//! it is. The parent kills it at some moment and opens the state: it must stand at an entry not
//! before the last one that was flushed, and be exactly what those entries make of an empty state.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command as Process, Stdio},
};

use notty_storage::{
    Action, Command, Entry, Source, Store, StoreOptions, Timestamp,
    command::{
        CreateMailing, CustomerRow, DeleteCustomer, Expand, Grant, PutCustomers, PutMode,
        RegisterPostman, Report, StartMailing,
    },
    keys::{LeaseKey, ProgressKey},
    model::{
        AudienceSpan, CustomerId, Epoch, Filter, LeaseId, MailingId, MailingNumber, MailingSpec,
        Phone, PostmanName, SendResult,
    },
    query,
};

/// Set for the child: where its state lies.
const DIR: &str = "NOTTY_CRASH_DIR";
/// Times that the child is killed.
const KILLS: u64 = 20;
/// Entries that a child applies at most before it ends by itself.
const ENTRIES: u64 = 100_000;
/// The one mailing.
const MAILING: MailingNumber = MailingNumber(1);

/// The entry with a number: a pure function of it and of what the entries before it did.
fn entry(store: &Store, number: u64) -> Entry {
    let action = match number {
        1 => create(),
        2 => Action::StartMailing(StartMailing { mailing: MAILING }),
        3 => register(),
        _ => match number % 5 {
            0 => customers(number),
            1 => expand(store),
            2 => grant(store),
            3 => report(store),
            _ => Action::DeleteCustomer(DeleteCustomer { id: id(number - 4) }),
        },
    };
    Entry {
        at: Timestamp::from_millis(number as i64),
        commands: vec![Command::new(action)],
    }
}

fn id(number: u64) -> CustomerId {
    CustomerId::parse(&format!("c-{number}")).expect("an id")
}

fn create() -> Action {
    let spec = MailingSpec {
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
    };
    Action::CreateMailing(CreateMailing {
        id: MailingId::parse("m").expect("an id"),
        spec,
        first: 0,
    })
}

fn register() -> Action {
    Action::RegisterPostman(RegisterPostman {
        name: PostmanName::parse("p").expect("a name"),
        nonce: 1,
    })
}

fn customers(number: u64) -> Action {
    let row = |n: u64| CustomerRow {
        id: id(number + n),
        by_phone: false,
        name: format!("{n:0100}"),
        phone: Some(Phone::from_digits(79_160_000_000 + n)),
        tag: 0,
        operator: 0,
        zone: None,
        kept: Default::default(),
    };
    let words = |word: &str| vec![(word.to_owned(), word.to_owned())];
    let (tags, operators) = (words("tag"), words("operator"));
    let rows = (0..20).map(|n| row(n * 1_000_000)).collect();
    let mode = PutMode::Upsert;
    Action::PutCustomers(PutCustomers {
        mode,
        tags,
        operators,
        zones: Vec::new(),
        rows,
    })
}

fn expand(store: &Store) -> Action {
    let progress = store.view().read().get_or_default(&ProgressKey(MAILING));
    let cursor = progress.expect("a state that reads").cursor;
    Action::Expand(Expand {
        mailing: MAILING,
        cursor,
        scan: 100,
        limit: 15,
    })
}

fn grant(store: &Store) -> Action {
    let postmen = query::leases::postmen(&store.view().read()).expect("a state that reads");
    let last = postmen.first().map_or(0, |postman| postman.last);
    Action::Grant(Grant {
        lease: LeaseId {
            epoch: Epoch(1),
            n: last + 1,
        },
        mailing: MAILING,
        limit: 18,
        batches: 5,
        barren: 5,
        zones: None,
        ttl_ms: 1_000,
        gateway: 1,
        from: None,
    })
}

/// Reports the oldest lease: most done, one handed back.
fn report(store: &Store) -> Action {
    let view = store.view();
    let reader = view.read();
    let open = query::leases::open(&reader).expect("a state that reads");
    let lease = open
        .first()
        .map(|open| reader.need(&LeaseKey(open.slot), "an open lease"));
    let lease = lease.transpose().expect("a state that reads");
    let (id, mut runs) = lease.map_or_else(Default::default, |lease| (lease.id, lease.runs));
    let last = runs.pop().into_iter().collect();
    let results = vec![(SendResult::Done, runs), (SendResult::HandedBack, last)];
    Action::Report(Report {
        lease: id,
        mailing: MAILING,
        gateway: 1,
        results,
    })
}

fn open(dir: &Path) -> Store {
    Store::open(dir, StoreOptions::default()).expect("a state that was killed opens")
}

/// The number of the last entry that a state has.
fn position(store: &Store) -> u64 {
    let marker = store
        .marker()
        .map(|marker| marker.try_into().expect("eight bytes"));
    marker.map_or(0, u64::from_be_bytes)
}

fn apply_next(store: &mut Store) -> u64 {
    let number = position(store) + 1;
    let next = entry(store, number);
    store
        .apply(&next, &number.to_be_bytes())
        .expect("an entry applies");
    number
}

/// What the child does: goes on from where the state stands, and flushes now and then.
#[test]
fn a_child_applies_entries_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let mut store = open(Path::new(&dir));
    let mut out = std::io::stderr().lock();
    for _ in 0..ENTRIES {
        let number = apply_next(&mut store);
        if number.is_multiple_of(7) || number.is_multiple_of(31) {
            store.flush().expect("a state flushes");
            writeln!(out, "flushed {number}").expect("the parent listens");
        }
    }
}

/// The number in what the child said; none where it was killed while it spoke.
fn number(line: &str) -> Option<u64> {
    match line.strip_prefix("flushed ") {
        Some(number) => number.parse().ok(),
        None if "flushed ".starts_with(line) => None,
        None => panic!("the child said {line}"),
    }
}

/// Starts the child, waits until it has said so many lines, kills it, and gives its last one.
fn run_and_kill(dir: &Path, lines: u64, spin: u64) -> u64 {
    let binary = std::env::current_exe().expect("a running binary has a path");
    let mut child: Child = Process::new(binary)
        .args([
            "--exact",
            "a_child_applies_entries_until_it_is_killed",
            "--nocapture",
        ])
        .env(DIR, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this binary runs again");
    let said = BufReader::new(child.stderr.take().expect("its words are piped")).lines();
    let mut said = said.filter_map(|line| number(&line.expect("the child's words are text")));
    let mut last: u64 = 0;
    for number in said.by_ref().take(lines as usize) {
        last = number;
    }
    (0..spin).for_each(|n| {
        std::hint::black_box(n);
    });
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child ends");
    said.last().unwrap_or(last)
}

#[test]
fn what_was_flushed_survives_a_kill_and_nothing_is_half_done() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let (killed, fresh) = (dir.path().join("killed"), dir.path().join("fresh"));
    let mut whole = open(&fresh);
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    for kill in 0..KILLS {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let flushed = run_and_kill(&killed, 1 + dice % 9, (dice >> 20) % 3_000_000);
        let store = open(&killed);
        let found = position(&store);
        assert!(
            found >= flushed,
            "kill {kill}: {flushed} was flushed, the state is at {found}"
        );
        while position(&whole) < found {
            apply_next(&mut whole);
        }
        assert_eq!(
            position(&whole),
            found,
            "kill {kill}: the state went back behind a kill"
        );
        assert_eq!(
            store.hash(),
            whole.hash(),
            "kill {kill}: at {found} the states differ"
        );
        same_records(&store, &whole, kill);
    }
    assert!(
        position(&whole) > KILLS,
        "the child did something between the kills"
    );
}

/// Compares what both states answer.
fn same_records(one: &Store, other: &Store, kill: u64) {
    let answers = |store: &Store| {
        let view = store.view();
        let reader = view.read();
        let filter = query::messages::MessageFilter::default();
        let messages = query::messages::list(&reader, &filter, 0, 1_000_000);
        let customers = query::customers::CustomerFilter::default();
        let customers = query::customers::list(&reader, &customers, Default::default(), 1_000_000);
        let totals = query::stats::overall(&reader).expect("a state that reads");
        let leases = query::leases::open(&reader).expect("a state that reads");
        (
            messages.expect("a state that reads").items,
            customers.expect("a state that reads").items,
            totals,
            leases,
        )
    };
    assert!(
        answers(one) == answers(other),
        "kill {kill}: the states answer differently"
    );
}
