//! A post office on a node by itself, whose clock a test sets.

use std::sync::atomic::{AtomicI64, Ordering};

use notty_raft::{NodeOptions, Peer, SystemClock};
use notty_storage::{
    Rejection, StoreOptions,
    command::{
        CreateMailing, CustomerRow, DeclareGateway, PutCustomers, PutMode, RegisterPostman, Report,
    },
    limits,
    model::{
        AudienceSpan, CustomerId, Epoch, Filter, LeaseId, MailingId, MailingNumber, MailingSpec,
        Phone, PostmanName, SendResult, SendWindow,
    },
    query,
};
use tempfile::TempDir;

use super::*;

/// Far longer than anything here needs.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// This machine's clocks: the wall clock so many milliseconds ahead, and so many that seem to have
/// passed for both.
#[derive(Default)]
pub(crate) struct ShiftedClock(AtomicI64, AtomicI64);

impl ShiftedClock {
    fn pass(&self, ms: i64) {
        self.1.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ShiftedClock {
    fn wall(&self) -> Timestamp {
        let passed = self.1.load(Ordering::SeqCst);
        SystemClock
            .wall()
            .plus_millis(self.0.load(Ordering::SeqCst) + passed)
    }

    fn boot(&self) -> Duration {
        let passed = self.1.load(Ordering::SeqCst);
        SystemClock.boot() + Duration::from_millis(passed.unsigned_abs())
    }
}

/// A node by itself, and its post office.
pub(crate) async fn open(dir: &TempDir, clock: Arc<ShiftedClock>) -> (Arc<Node>, Arc<PostOffice>) {
    let options = NodeOptions {
        peer: Peer {
            name: "notty-0".to_owned(),
            ..Peer::default()
        },
        commit: String::new(),
        exercises_levels: false,
        cluster: None,
        store: StoreOptions::default(),
        log: Default::default(),
        files: Arc::new(notty_raft::disk::files::RealFiles),
        onlooker: None,
        clock: clock.clone(),
        fatal: Arc::new(|line| panic!("{line}")),
    };
    let node = Node::open(dir.path(), options).await.expect("it opens");
    assert!(node.ready().await);
    let options = PostOfficeOptions {
        lease_size: 10,
        lease_ttl_ms: 60_000,
        rate_limit: 0,
        retention_ms: 1_000_000_000,
        timezone: "UTC".to_owned(),
    };
    (node.clone(), PostOffice::new(node, clock, options))
}

pub(crate) fn customers(count: u64) -> Action {
    let row = |n: u64| CustomerRow {
        id: CustomerId::parse(&format!("customer-{n}")).expect("an id"),
        by_phone: false,
        name: String::new(),
        phone: Some(Phone::from_digits(79_160_000_000 + n)),
        tag: 0,
        operator: 0,
        zone: None,
        kept: Default::default(),
    };
    let word = || vec![("word".to_owned(), "word".to_owned())];
    let (tags, operators, zones) = (word(), word(), Vec::new());
    let rows = (0..count).map(row).collect();
    Action::PutCustomers(PutCustomers {
        mode: PutMode::Upsert,
        tags,
        operators,
        zones,
        rows,
    })
}

pub(crate) fn mailing() -> Action {
    mailing_within(None)
}

fn mailing_within(send_window: Option<SendWindow>) -> Action {
    mailing_named("m", send_window)
}

fn mailing_named(id: &str, send_window: Option<SendWindow>) -> Action {
    let all = || Filter::parse("%").expect("a filter");
    let spec = MailingSpec {
        desc: String::new(),
        text: "Hi".to_owned(),
        start: Timestamp::default(),
        end: SystemClock.wall().plus_millis(1_000_000_000),
        tag_filter: all(),
        operator_filter: all(),
        phone_filter: all(),
        send_window,
        audience: AudienceSpan::default(),
        unique_phones: false,
    };
    Action::CreateMailing(CreateMailing {
        id: MailingId::parse(id).expect("an id"),
        spec,
        first: 0,
    })
}

/// A postman that has registered.
async fn postman(office: &PostOffice) -> Epoch {
    named_postman(office, "p").await
}

async fn named_postman(office: &PostOffice, name: &str) -> Epoch {
    let name = PostmanName::parse(name).expect("a name");
    let registered = office.node.act(RegisterPostman { name, nonce: 1 }).await;
    registered.expect("registered").reply
}

/// Asks until there is something.
async fn ask_until_granted(office: &PostOffice, lease: &mut LeaseId) {
    let asking = async {
        loop {
            office.step().await;
            let ask = Ask {
                lease: *lease,
                room: 1,
                gateway: 0,
                again: false,
                unwanted: Vec::new(),
            };
            let answer = office.ask(ask).await.expect("an answer");
            lease.n += u64::from(answer.is_some());
            if answer.is_some() {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, asking).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_granted_while_the_clock_is_not_agreed_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ShiftedClock::default());
    let (_, office) = open(&dir, clock.clone()).await;
    office.node.act(customers(1_000)).await.expect("written");
    office.node.act(mailing()).await.expect("created");
    let mut lease = LeaseId {
        epoch: postman(&office).await,
        n: 1,
    };
    ask_until_granted(&office, &mut lease).await;
    let before = lease.n;
    // It jumps, and has not been compared since; a comparison may come just between the two.
    for _ in 0..5 {
        clock.0.fetch_add(10_000, Ordering::SeqCst);
        let ask = Ask {
            lease,
            room: 1,
            gateway: 0,
            again: false,
            unwanted: Vec::new(),
        };
        let granted = office.ask(ask).await.expect("an answer");
        lease.n += u64::from(granted.is_some());
    }
    assert!(
        lease.n - before <= 2,
        "{} leases were granted",
        lease.n - before
    );
    // A node by itself is a majority.
    ask_until_granted(&office, &mut lease).await;
    office.node.stop().await.expect("it stops");
}

/// Customers that come, change or go in the night are treated as they are in the morning.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_is_closed_everywhere_expands_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ShiftedClock::default());
    let (node, office) = open(&dir, clock.clone()).await;
    node.act(customers(1_000)).await.expect("written");
    let hour = SystemClock.wall().as_millis() / 3_600_000;
    let at = |later: i64| format!("{:02}:00", (hour + later) % 24);
    let window = SendWindow::parse(&at(2), &at(4)).expect("a window");
    node.act(mailing_within(Some(window)))
        .await
        .expect("created");
    for _ in 0..10 {
        office.step().await;
    }
    let open = || {
        query::work::open_mailings(&node.view().read())
            .next()
            .cloned()
    };
    let progress = open().expect("it is open").progress;
    assert_eq!((progress.batches, progress.counts.total()), (0, 0));
    clock.pass(2 * 3_600_000);
    let mut lease = LeaseId {
        epoch: postman(&office).await,
        n: 1,
    };
    ask_until_granted(&office, &mut lease).await;
    node.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ran_out_unheard_of_is_told_of_although_nothing_waits() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ShiftedClock::default());
    let (node, office) = open(&dir, clock.clone()).await;
    node.act(customers(1)).await.expect("written");
    node.act(mailing()).await.expect("created");
    let first = LeaseId {
        epoch: postman(&office).await,
        n: 1,
    };
    ask_until_granted(&office, &mut first.clone()).await;
    let again = Ask {
        lease: first,
        room: 1,
        gateway: 0,
        again: true,
        unwanted: Vec::new(),
    };
    assert!(
        office
            .ask(again.clone())
            .await
            .expect("an answer")
            .is_some(),
        "it is open"
    );
    let next = LeaseId { n: 2, ..first };
    let of_next = Ask {
        lease: next,
        ..again.clone()
    };
    assert!(
        office.ask(of_next).await.expect("an answer").is_none(),
        "it was never granted"
    );
    clock.pass(100_000);
    let refused = async {
        loop {
            office.step().await;
            match office.ask(again.clone()).await {
                Err(ProposeError::Rejected {
                    rejection: Rejection::LeaseClosed,
                    ..
                }) => return,
                other => assert!(matches!(other, Ok(Some(_))), "{other:?}"),
            }
        }
    };
    tokio::time::timeout(SOON, refused).await.expect("in time");
    node.stop().await.expect("it stops");
}

/// Mailings that wait side by side, more than one ask tries.
const WAITING: usize = 15;
/// Asks in a row that must not write anything: some seconds of a postman's.
const ASKS: u64 = 60;

/// Creates mailings and has them expanded whole.
async fn expanded(node: &Node, office: &PostOffice, window: Option<SendWindow>, messages: u64) {
    for number in 0..WAITING {
        let mailing = mailing_named(&format!("m-{number}"), window);
        node.act(mailing).await.expect("created");
    }
    let all = async {
        loop {
            office.step().await;
            let view = node.view();
            let reader = view.read();
            let of = |mailing: &query::work::OpenMailing| mailing.progress.counts.total();
            if query::work::open_mailings(&reader).all(|mailing| of(mailing) == messages) {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, all).await.expect("in time");
}

/// Asks in vain, and how far the log gets by that, once the leader has learnt what there is to learn.
async fn entries_of_asks_in_vain(node: &Node, office: &PostOffice, ask: Ask) -> u64 {
    let mut index = node.applied_index();
    let (mut quiet, mut asks) = (0, 0);
    while quiet < ASKS && asks < 10 * ASKS {
        office.step().await;
        assert_eq!(office.ask(ask.clone()).await.expect("an answer"), None);
        let now = node.applied_index();
        quiet = if now == index { quiet + 1 } else { 0 };
        (index, asks) = (now, asks + 1);
    }
    assert!(
        asks < 10 * ASKS,
        "each of {asks} asks in vain, or nearly, wrote an entry"
    );
    asks - quiet
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_doubt_at_another_gateway_write_no_entries_for_asks_in_vain() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, office) = open(&dir, Arc::new(ShiftedClock::default())).await;
    node.act(customers(10)).await.expect("written");
    expanded(&node, &office, None, 10).await;
    let mut lease = LeaseId {
        epoch: postman(&office).await,
        n: 1,
    };
    let other = named_postman(&office, "other").await;
    for (postman, gateway) in [(lease.epoch, 1), (other, 2)] {
        let declared = Action::DeclareGateway(DeclareGateway {
            postman,
            gateway,
            repeat_ms: Some(1_000_000_000),
        });
        node.act(declared).await.expect("declared");
    }
    let ask = |lease, gateway| Ask {
        lease,
        room: 10,
        gateway,
        again: false,
        unwanted: Vec::new(),
    };
    for _ in 0..WAITING {
        let granted = office
            .ask(ask(lease, 1))
            .await
            .expect("an answer")
            .expect("a lease");
        let doubt = SendResult::UnsureRepeatable {
            pause_ms: 0,
            repeat_ms: 1_000_000_000,
        };
        let results = vec![(doubt, granted.runs)];
        let report = Report {
            lease,
            mailing: granted.mailing,
            gateway: 1,
            results,
        };
        node.act(Action::Report(report)).await.expect("reported");
        lease.n += 1;
    }

    let of_other = LeaseId { epoch: other, n: 1 };
    let learnt = entries_of_asks_in_vain(&node, &office, ask(of_other, 2)).await;
    assert!(
        learnt <= 2 * WAITING as u64,
        "{learnt} asks in vain wrote entries"
    );

    // Their own gateway gets them at once.
    let granted = office.ask(ask(lease, 1)).await.expect("an answer");
    assert_eq!(granted.map(|granted| granted.lease), Some(lease));
    node.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_wait_for_their_hours_write_no_entries_for_asks_in_vain() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ShiftedClock::default());
    let (node, office) = open(&dir, clock.clone()).await;
    // The zones from the 63rd on share a mark: that of the customers is closed, the last one open.
    let fillers = (1..63).map(|number| format!("Filler/{number}"));
    let zones = fillers
        .chain(["Etc/GMT-12".to_owned(), "UTC".to_owned()])
        .collect();
    let Action::PutCustomers(mut put) = customers(10) else {
        panic!("no customers")
    };
    put.zones = zones;
    put.rows.iter_mut().for_each(|row| row.zone = Some(62));
    node.act(Action::PutCustomers(put)).await.expect("written");
    let hour = SystemClock.wall().as_millis() / 3_600_000;
    let at = |later: i64| format!("{:02}:00", (hour + later) % 24);
    let window = SendWindow::parse(&at(0), &at(4)).expect("a window");
    expanded(&node, &office, Some(window), 10).await;

    let mut lease = LeaseId {
        epoch: postman(&office).await,
        n: 1,
    };
    let ask = Ask {
        lease,
        room: 10,
        gateway: 1,
        again: false,
        unwanted: Vec::new(),
    };
    let learnt = entries_of_asks_in_vain(&node, &office, ask).await;
    assert!(
        learnt <= 2 * WAITING as u64,
        "{learnt} asks in vain wrote entries"
    );

    clock.pass(12 * 3_600_000);
    for _ in 0..WAITING {
        ask_until_granted(&office, &mut lease).await;
    }
    node.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_clock_that_is_not_agreed_on_makes_due_is_not_proposed() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ShiftedClock::default());
    let (node, office) = open(&dir, clock.clone()).await;
    node.act(customers(1)).await.expect("written");
    node.act(mailing()).await.expect("created");
    let mut lease = LeaseId {
        epoch: postman(&office).await,
        n: 1,
    };
    ask_until_granted(&office, &mut lease).await;

    // The mailing's end and the lease's are over by a clock that has jumped, and was not compared
    // since. A comparison comes once a second, and may come just between the two.
    let before = node.applied_index();
    for _ in 0..30 {
        clock.0.store(2_000_000_000, Ordering::SeqCst);
        office.step().await;
        clock.0.store(0, Ordering::SeqCst);
    }
    let entries = node.applied_index() - before;
    assert!(entries < 15, "{entries} entries of 30 looks");
    node.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postman_with_as_many_leases_as_it_may_have_writes_no_entries_for_more() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, office) = open(&dir, Arc::new(ShiftedClock::default())).await;
    node.act(customers(1_000)).await.expect("written");
    node.act(mailing()).await.expect("created");
    let mut lease = LeaseId {
        epoch: postman(&office).await,
        n: 1,
    };
    for _ in 0..limits::POSTMAN_LEASES {
        ask_until_granted(&office, &mut lease).await;
    }

    while office.step().await == Duration::ZERO {}
    let before = node.applied_index();
    for _ in 0..ASKS {
        let answer = office
            .ask(Ask {
                lease,
                room: 1,
                gateway: 0,
                again: false,
                unwanted: Vec::new(),
            })
            .await;
        let Err(ProposeError::Rejected { rejection, .. }) = answer else {
            panic!("a postman has a lease too many: {answer:?}");
        };
        assert_eq!(rejection, Rejection::TooManyLeases);
    }
    assert_eq!(node.applied_index(), before);
    node.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailing_that_a_postman_does_not_want_is_not_granted_to_it_and_others_are() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, office) = open(&dir, Arc::new(ShiftedClock::default())).await;
    node.act(customers(10)).await.expect("written");
    expanded(&node, &office, None, 10).await;
    let epoch = postman(&office).await;
    let ask = |n, unwanted: &[MailingNumber]| Ask {
        lease: LeaseId { epoch, n },
        room: 1,
        gateway: 1,
        again: false,
        unwanted: unwanted.to_vec(),
    };

    let view = node.view();
    let all: Vec<_> = query::work::open_mailings(&view.read())
        .map(|mailing| mailing.number)
        .collect();
    let is_worth = |unwanted: &[MailingNumber]| {
        let answer = office.is_worth_asking(epoch, 1, unwanted);
        answer.expect("a readable state")
    };
    assert!(is_worth(&all[1..]) && !is_worth(&all));
    let before = node.applied_index();
    assert_eq!(office.ask(ask(1, &all)).await.expect("an answer"), None);
    assert_eq!(node.applied_index(), before, "nothing is proposed");

    // Each turn, the only one that is wanted is granted, whichever waited longest.
    for n in 1..=3 {
        let granted = office.ask(ask(n, &all[1..])).await.expect("an answer");
        assert_eq!(granted.map(|granted| granted.mailing), Some(all[0]));
    }
    node.stop().await.expect("it stops");
}
