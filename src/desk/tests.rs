//! The desk of a node: calls that a standalone postman may not make, and the one that the node holds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use notty_raft::{Caller, Service, SystemClock};
use notty_storage::{
    codec,
    command::Report,
    limits,
    model::{Epoch, LeaseId, MailingNumber, PostmanName, Run, SendResult},
};

use tokio::sync::watch;

use super::{
    calls::{Call, CallResult},
    node::NodeDesk,
};
use crate::{
    gateway::{Courier, Envelope, Gateway, GatewayOutcome, PreparedCourier},
    metrics::SendingMetrics,
    post_office::tests::{SOON, customers, mailing, open},
    postman::{
        OutletOptions, Postman, PostmanOptions, PostmanParts,
        desk::{ClusterLook, Desk, DeskAnswer, DeskError, HeldLease, Left, Parcel},
        retry::RetryPolicy,
    },
};

/// The messages of a whole lease one by one, and so many runs of nothing.
fn runs(empty: usize) -> Vec<Run> {
    let one = |first: u32| Run {
        first,
        len: 1,
        attempt: 1,
    };
    let mut runs: Vec<_> = (0..u32::from(limits::LEASE_MESSAGES)).map(one).collect();
    runs.extend(vec![
        Run {
            first: 0,
            len: 0,
            attempt: 1
        };
        empty
    ]);
    runs
}

fn report(results: Vec<(SendResult, Vec<Run>)>) -> Call {
    let lease = LeaseId {
        epoch: Epoch(1),
        n: 1,
    };
    Call::Report(Report {
        lease,
        mailing: MailingNumber(1),
        gateway: 1,
        results,
    })
}

fn look(runs: Vec<Run>) -> Call {
    let lease = LeaseId {
        epoch: Epoch(1),
        n: 1,
    };
    Call::Look(vec![HeldLease {
        lease,
        mailing: MailingNumber(1),
        runs: runs.into(),
    }])
}

/// Why a call is refused.
async fn refusal(desk: &NodeDesk, call: Call) -> String {
    refusal_of("p", desk, call).await
}

/// Why a call of a postman is refused.
async fn refusal_of(name: &str, desk: &NodeDesk, call: Call) -> String {
    let answer = desk
        .call(Caller::Postman(name.to_owned()), codec::encode(&call))
        .await;
    match codec::decode::<CallResult<()>>(&answer) {
        Ok(Err(DeskError::Refused(why))) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_of_a_postman_is_longer_than_a_lease_may_make_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, office) = open(&dir, Arc::default()).await;
    let desk = NodeDesk::new(node.clone(), office, "UTC");
    let done = |runs| report(vec![(SendResult::Done, runs)]);
    let groups = |count| report(vec![(SendResult::Done, Vec::new()); count]);
    let too_long = [
        done(runs(1)),
        groups(usize::from(limits::LEASE_MESSAGES) + 1),
        look(runs(1)),
    ];
    for call in too_long {
        let why = refusal(&desk, call).await;
        assert!(why.contains("does not understand"), "{why}");
    }
    // As long as one may be, it is for the state to refuse.
    let why = refusal(&desk, done(runs(0))).await;
    assert!(why.contains("no mailing has this id"), "{why}");
    node.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_postman_speaks_of_what_another_holds() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, office) = open(&dir, Arc::default()).await;
    let desk = NodeDesk::new(node.clone(), office, "UTC");
    // That of a node, as it may be, and its restart.
    let name = PostmanName::parse("q").expect("a name");
    let first = desk.register(name.clone(), 1).await.expect("registered");
    let second = desk.register(name, 2).await.expect("registered");
    for epoch in [first, second] {
        let lease = LeaseId { epoch, n: 1 };
        let mailing = MailingNumber(1);
        let report = Report {
            lease,
            mailing,
            gateway: 1,
            results: Vec::new(),
        };
        let held = HeldLease {
            lease,
            mailing,
            runs: Vec::new().into(),
        };
        for call in [
            Call::Ask {
                lease,
                room: 1,
                gateway: 1,
                again: false,
            },
            Call::Report(report),
            Call::Look(vec![held]),
            Call::Left(epoch),
            Call::Declare {
                postman: epoch,
                gateway: 1,
                repeat_ms: None,
            },
            Call::Wait {
                postman: epoch,
                gateway: 1,
                seen: None,
            },
        ] {
            let why = refusal(&desk, call).await;
            assert!(
                why.contains("speaks of a lease of the postman `q`"),
                "{why}"
            );
        }
    }
    // Under its name, that one would end.
    let name = PostmanName::parse("q").expect("a name");
    let why = refusal(&desk, Call::Register { name, nonce: 3 }).await;
    assert!(why.contains("`p` cannot register as `q`"), "{why}");
    // Its own are for the state to judge.
    let lease = LeaseId {
        epoch: second,
        n: 1,
    };
    let report = Report {
        lease,
        mailing: MailingNumber(1),
        gateway: 1,
        results: Vec::new(),
    };
    let why = refusal_of("q", &desk, Call::Report(report)).await;
    assert!(!why.contains("speaks of"), "{why}");
    node.stop().await.expect("it stops");
}

/// A gateway that takes every message, and counts them.
#[derive(Default)]
struct Takes(AtomicUsize);

struct TakesOne(Arc<Takes>);

impl Gateway for Takes {
    type Courier = TakesOne;

    fn identity(&self, _cluster: &str) -> u64 {
        1
    }

    fn courier(self: &Arc<Self>) -> TakesOne {
        TakesOne(self.clone())
    }
}

impl Courier for TakesOne {
    type PreparedCourier<'c> = &'c TakesOne;

    async fn prepare(&mut self) -> Option<&TakesOne> {
        Some(self)
    }
}

impl PreparedCourier for &TakesOne {
    async fn send(self, _envelope: Envelope<'_>) -> GatewayOutcome {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        GatewayOutcome::Done
    }
}

/// The calls of a standalone postman, without the network between: it asks a node's service.
struct Standalone {
    node: Arc<NodeDesk>,
    asks: AtomicUsize,
    looks: AtomicUsize,
    waits: AtomicUsize,
}

impl Standalone {
    fn call<T: serde::de::DeserializeOwned + Send>(&self, call: Call) -> DeskAnswer<'_, T> {
        let request = codec::encode(&call);
        Box::pin(async move {
            let caller = Caller::Postman("p".to_owned());
            let answer = self.node.call(caller, request).await;
            codec::decode::<CallResult<T>>(&answer).expect("an answer")
        })
    }
}

impl Desk for Standalone {
    fn register(&self, name: PostmanName, nonce: u64) -> DeskAnswer<'_, Epoch> {
        self.call(Call::Register { name, nonce })
    }

    fn declare(&self, postman: Epoch, gateway: u64, repeat_ms: Option<u64>) -> DeskAnswer<'_, ()> {
        self.call(Call::Declare {
            postman,
            gateway,
            repeat_ms,
        })
    }

    fn ask(
        &self,
        lease: LeaseId,
        room: u16,
        gateway: u64,
        again: bool,
    ) -> DeskAnswer<'_, Option<Parcel>> {
        self.asks.fetch_add(1, Ordering::Relaxed);
        self.call(Call::Ask {
            lease,
            room,
            gateway,
            again,
        })
    }

    fn report(&self, report: Report) -> DeskAnswer<'_, usize> {
        self.call(Call::Report(report))
    }

    fn look(&self, held: Vec<HeldLease>) -> DeskAnswer<'_, ClusterLook> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.call(Call::Look(held))
    }

    fn left(&self, epoch: Epoch) -> DeskAnswer<'_, Vec<Left>> {
        self.call(Call::Left(epoch))
    }

    fn wait(&self, postman: Epoch, gateway: u64, seen: Option<u64>) -> DeskAnswer<'_, u64> {
        self.waits.fetch_add(1, Ordering::Relaxed);
        self.call(Call::Wait {
            postman,
            gateway,
            seen,
        })
    }
}

/// Waits until something is true.
async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.expect("in time");
}

fn options(journal_dir: &std::path::Path) -> PostmanOptions {
    let time = Duration::from_secs(1);
    PostmanOptions {
        name: PostmanName::parse("p").expect("a name"),
        journal_dir: journal_dir.to_owned(),
        cluster: "c".to_owned(),
        threads: 1,
        lease_size: 10,
        outlet: OutletOptions {
            identity: 1,
            concurrency: 4,
            retry: RetryPolicy {
                initial_ms: 1,
                max_ms: 1,
                repeat_ms: None,
            },
            connect_time: time,
            answer_time: time,
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_while_a_standalone_postman_waits_is_sent_without_a_poll() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, office) = open(&dir, Arc::default()).await;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(office.clone().run(stopped.clone()));
    node.act(customers(3)).await.expect("written");
    let desk = Arc::new(Standalone {
        node: NodeDesk::new(node.clone(), office, "UTC"),
        asks: AtomicUsize::new(0),
        looks: AtomicUsize::new(0),
        waits: AtomicUsize::new(0),
    });
    let gateway = Arc::new(Takes::default());
    let journal = tempfile::tempdir().expect("a directory");
    let parts = PostmanParts {
        desk: desk.clone(),
        gateway: gateway.clone(),
        clock: Arc::new(SystemClock),
        metrics: SendingMetrics::default(),
        fatal: Arc::new(|line| panic!("{line}")),
    };
    let postman = tokio::spawn(Postman::run(options(journal.path()), parts, stopped));

    // It asks once, and then looks at the cluster only.
    until(|| desk.waits.load(Ordering::Relaxed) == 1).await;
    until(|| desk.looks.load(Ordering::Relaxed) > 3).await;
    assert_eq!(desk.asks.load(Ordering::Relaxed), 1);

    node.act(mailing()).await.expect("created");
    until(|| gateway.0.load(Ordering::Relaxed) == 3).await;
    // Each ask but the first was brought about by a wait, or by a lease before it.
    let waits = desk.waits.load(Ordering::Relaxed);
    let asks = desk.asks.load(Ordering::Relaxed);
    let leases = 3;
    assert!(asks <= 1 + waits + leases, "{asks} asks, {waits} waits");

    stop.send_replace(true);
    postman.await.expect("no panic").expect("it ends well");
    node.stop().await.expect("it stops");
}
