//! The journal while a slot waits for a connection.

use super::*;
use crate::{
    gateway::{Courier, Envelope, Gateway, GatewayOutcome, PreparedCourier},
    postman::{
        floor::Floor,
        journal::{Past, TokenFate},
        outlet::Outlet,
        slots::{Workplace, hire},
        terms::{Job, LeaseTerms, LeasedMailing, SharedLease},
    },
};

/// A gateway that takes one message on each connection, and is never connected to again.
#[derive(Default)]
struct TakesOne {
    connects_again: AtomicBool,
}

struct OneWay {
    gateway: Arc<TakesOne>,
    is_used: bool,
}

impl Gateway for TakesOne {
    type Courier = OneWay;

    fn identity(&self, _cluster: &str) -> u64 {
        1
    }

    fn courier(self: &Arc<Self>) -> OneWay {
        OneWay {
            gateway: self.clone(),
            is_used: false,
        }
    }
}

impl Courier for OneWay {
    type PreparedCourier<'c> = &'c mut OneWay;

    async fn prepare(&mut self) -> Option<&mut OneWay> {
        if self.is_used {
            // The connection that it had has ended unnoticed, and another is not to be had.
            self.gateway.connects_again.store(true, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
        Some(self)
    }
}

impl PreparedCourier for &mut OneWay {
    async fn send(self, _envelope: Envelope<'_>) -> GatewayOutcome {
        self.is_used = true;
        GatewayOutcome::Done
    }
}

/// A message of the first lease.
pub(super) fn job(lease: &Arc<SharedLease>, position: u32) -> Job {
    Job {
        lease: lease.clone(),
        id: MessageId {
            mailing: MAILING,
            position,
        },
        phone: Phone::parse("+79161112233").expect("a phone number"),
        attempt: 1,
        tries: 0,
        zone: 0,
        repeat_until: None,
        receipt: None,
    }
}

/// A lease that was granted just now.
fn shared_lease(epoch: Epoch) -> Arc<SharedLease> {
    lease_of(MAILING, epoch)
}

/// The same of another mailing.
pub(super) fn lease_of(mailing: MailingNumber, epoch: Epoch) -> Arc<SharedLease> {
    let now = SystemClock.boot();
    let terms = LeaseTerms::new(now, open_terms());
    let lease = LeaseId { epoch, n: 1 };
    SharedLease::new(
        lease,
        LeasedMailing::unsent(mailing),
        now + Duration::from_secs(60),
        terms,
    )
}

#[tokio::test]
async fn results_are_written_before_a_new_connection_is_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = Journal::open(dir.path(), 1, "c").expect("opens");
    let run = RunTerms {
        epoch: Epoch(1),
        nonce: 3,
        gateway: 1,
        repeat_ms: None,
    };
    let senders = journal.begin(run, 1).expect("begins");
    let runs = [Run {
        first: 0,
        len: 2,
        attempt: 1,
    }];
    journal.leased(1, MAILING, &runs).expect("is noted");

    let floor = Floor::new(
        Arc::new(SystemClock),
        SendingMetrics::default(),
        Arc::new(|line| panic!("{line}")),
    );
    floor.seen(SystemClock.boot());
    let gateway = Arc::<TakesOne>::default();
    let place = Workplace {
        floor,
        outlet: Outlet::new(outlet_options(1)),
        gateway: gateway.clone(),
    };
    hire(&place, senders, 0).expect("a slot");

    let lease = shared_lease(run.epoch);
    let jobs = [job(&lease, 0), job(&lease, 1)];
    let [first, second] = [jobs[0].token(), jobs[1].token()];
    place.outlet.enqueue(jobs.into());
    until(|| gateway.connects_again.load(Ordering::Relaxed)).await;

    // The process may be killed at this moment.
    let Past::Whole(remains) = journal.past(1).expect("reads") else {
        panic!("it is whole");
    };
    let done = TokenFate::Settled(SendResult::Done);
    assert_eq!(remains.fate(&first), Some(done));
    assert_eq!(remains.fate(&second), None);
}
