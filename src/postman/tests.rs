//! A postman at a desk whose answers a test decides.

mod connecting;
mod halted_mailing;
mod halting;
mod in_flight;
mod refused;
mod stopping;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use notty_raft::{Clock, SystemClock};
use notty_storage::{
    Timestamp,
    command::Report,
    model::{
        Epoch, LeaseId, MailingNumber, MessageId, Phone, PostmanName, Run, SendResult, ZoneNumber,
    },
    query::leases::LeasedMessage,
};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{
    OutletOptions, Postman, PostmanError, PostmanOptions, PostmanParts,
    desk::{
        ClusterLook, Desk, DeskAnswer, DeskError, HeldLease, Left, Parcel, SendableWork, Terms,
    },
    journal::{Journal, RunTerms, SendToken},
    retry::RetryPolicy,
    terms::VIEW_AGE,
};
use crate::{
    gateway::{Connector, GatewayOptions, HttpGateway, TcpConnector},
    metrics::SendingMetrics,
};

/// Counts asks; its leader's clock is apart from the postman's.
#[derive(Default)]
struct Odd {
    apart_ms: AtomicI64,
    looks: AtomicUsize,
    /// Leases that were looked after, counted anew at each look.
    held: AtomicUsize,
    asks: AtomicUsize,
    reports: AtomicUsize,
    refuses: bool,
    /// The answer to every report; none: it is taken.
    refuses_reports: Option<DeskError>,
    /// Grants one lease, whose answer takes longer than a view may be old.
    grants_late: bool,
    /// Grants a lease to every ask.
    grants_all: bool,
    /// Each lease has a message of its own.
    grants_others: bool,
    /// Grants one lease of two messages, the second of which a receipt has settled.
    grants_settled: bool,
    /// Answers the first ask too late: its lease ran out.
    runs_out: bool,
    /// What was asked for and reported, one line each.
    said: Mutex<Vec<String>>,
    /// Looks show the leases that are held.
    shows: AtomicBool,
    /// The mailings that each ask did not want; no lease of theirs is granted.
    unwanted: Mutex<Vec<Vec<MailingNumber>>>,
    /// The gateway of each report.
    gateways: Mutex<Vec<(Epoch, u64)>>,
    /// The position that each wait for something to ask for came with.
    waits: Mutex<Vec<Option<u64>>>,
    /// Ends a wait.
    wake: Notify,
    /// Declarations, in their order.
    declared: Mutex<Vec<(Epoch, u64, Option<u64>)>>,
}

const MAILING: MailingNumber = MailingNumber(1);

fn open_terms() -> Terms {
    let ends_at = Timestamp::from_millis(i64::MAX);
    Terms {
        open: true,
        ends_at,
        ..Terms::default()
    }
}

/// A lease of one message.
fn parcel(lease: LeaseId) -> Parcel {
    parcel_of(lease, 0)
}

/// A lease of one message at a position.
fn parcel_of(lease: LeaseId, position: u32) -> Parcel {
    let runs = vec![Run {
        first: position,
        len: 1,
        attempt: 1,
    }];
    let message = LeasedMessage {
        id: MessageId {
            mailing: MAILING,
            position,
        },
        attempt: 1,
        tries: 0,
        phone: Phone::parse("+79161112233").expect("a phone number"),
        zone: ZoneNumber(0),
        repeat_until: None,
    };
    Parcel {
        lease,
        mailing: MAILING,
        ttl: Duration::from_secs(60),
        text: "Hello".into(),
        runs,
        messages: vec![message],
        terms: open_terms(),
        mailing_id: "m".to_owned(),
        receipts: None,
    }
}

impl Desk for Odd {
    fn register(&self, name: PostmanName, _nonce: u64) -> DeskAnswer<'_, Epoch> {
        let refused = DeskError::Refused(format!("{} is not liked here", name.as_str()));
        let answer = if self.refuses {
            Err(refused)
        } else {
            Ok(Epoch(1))
        };
        Box::pin(async { answer })
    }

    fn declare(&self, postman: Epoch, gateway: u64, repeat_ms: Option<u64>) -> DeskAnswer<'_, ()> {
        let mut declared = self.declared.lock();
        declared.push((postman, gateway, repeat_ms));
        let lost = Err(DeskError::Unavailable("the answer was lost".to_owned()));
        let answer = if declared.len() == 1 { lost } else { Ok(()) };
        Box::pin(async { answer })
    }

    fn ask(
        &self,
        lease: LeaseId,
        _: u16,
        work: SendableWork,
        _: bool,
    ) -> DeskAnswer<'_, Option<Parcel>> {
        let asked = self.asks.fetch_add(1, Ordering::Relaxed);
        self.said.lock().push(format!("asks for {}", lease.n));
        if self.runs_out && asked < 2 {
            let lost = DeskError::Unavailable("the answer was lost".to_owned());
            let answer = if asked == 0 { lost } else { DeskError::Closed };
            return Box::pin(async { Err(answer) });
        }
        let is_late = self.grants_late && asked == 0;
        let is_wanted = !work.unwanted.contains(&MAILING);
        self.unwanted.lock().push(work.unwanted);
        let grants = is_late || self.grants_all && is_wanted;
        let settled = self.grants_settled && asked == 0;
        let position = if self.grants_others { asked as u32 } else { 0 };
        Box::pin(async move {
            if is_late {
                tokio::time::sleep(VIEW_AGE + Duration::from_millis(300)).await;
            }
            if settled {
                let mut parcel = parcel_of(lease, 0);
                parcel.runs[0].len = 2;
                return Ok(Some(parcel));
            }
            Ok(grants.then(|| parcel_of(lease, position)))
        })
    }

    fn report(&self, report: Report) -> DeskAnswer<'_, usize> {
        self.reports.fetch_add(1, Ordering::Relaxed);
        self.gateways
            .lock()
            .push((report.lease.epoch, report.gateway));
        self.said
            .lock()
            .push(format!("reports {}: {:?}", report.lease.n, report.results));
        let answer = self.refuses_reports.clone().map_or(Ok(0), Err);
        Box::pin(async { answer })
    }

    fn look(&self, held: Vec<HeldLease>) -> DeskAnswer<'_, ClusterLook> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let wall = SystemClock.wall().as_millis() + self.apart_ms.load(Ordering::Relaxed);
        self.held.fetch_add(held.len(), Ordering::Relaxed);
        let mut look = ClusterLook {
            leader_clock: Timestamp::from_millis(wall),
            ..ClusterLook::default()
        };
        if self.shows.load(Ordering::Relaxed) {
            look.terms = held.iter().map(|held| (held.lease, open_terms())).collect();
        }
        Box::pin(async { Ok(look) })
    }

    fn left(&self, epoch: Epoch) -> DeskAnswer<'_, Vec<Left>> {
        let lease = LeaseId { epoch, n: 1 };
        let Parcel { mailing, runs, .. } = parcel(lease);
        let mut said = self.said.lock();
        said.push("asks what is left".to_owned());
        let answer = match said.iter().filter(|line| line.ends_with("left")).count() {
            1 => Err(DeskError::Unavailable("the answer was lost".to_owned())),
            _ => Ok(vec![Left {
                lease,
                mailing,
                runs,
            }]),
        };
        Box::pin(async { answer })
    }

    fn wait(&self, _: Epoch, _: SendableWork, seen: Option<u64>) -> DeskAnswer<'_, u64> {
        self.waits.lock().push(seen);
        Box::pin(async {
            self.wake.notified().await;
            Ok(7)
        })
    }
}

/// Runs a postman at a desk until told to stop.
async fn run(desk: Arc<Odd>, stop: watch::Receiver<bool>) -> Result<(), PostmanError> {
    let dir = tempfile::tempdir().expect("a directory");
    run_in(dir.path(), desk, stop).await
}

/// The same with a journal that was there before.
async fn run_in(
    dir: &Path,
    desk: Arc<Odd>,
    stop: watch::Receiver<bool>,
) -> Result<(), PostmanError> {
    let second = Duration::from_secs(1);
    let connector = Arc::new(TcpConnector::default());
    let (options, parts) = postman(dir, desk, connector, second);
    Postman::run(options, parts, stop).await
}

/// A gateway with so many slots and short times, whose failures are tried again at once.
fn outlet_options(concurrency: usize) -> OutletOptions {
    let second = Duration::from_secs(1);
    OutletOptions {
        identity: 1,
        concurrency,
        retry: RetryPolicy {
            initial_ms: 1,
            max_ms: 1,
            wish_ms: 1,
            repeat_ms: None,
        },
        connect_time: second,
        answer_time: second,
    }
}

/// A postman with one slot, whose connections are made by a connector within a time.
fn postman(
    dir: &Path,
    desk: Arc<Odd>,
    connector: Arc<dyn Connector>,
    time: Duration,
) -> (PostmanOptions, PostmanParts<HttpGateway>) {
    let options = PostmanOptions {
        name: PostmanName::parse("p").expect("a name"),
        journal_dir: dir.to_owned(),
        cluster: "c".to_owned(),
        threads: 1,
        lease_size: 10,
        outlet: OutletOptions {
            connect_time: time,
            answer_time: time,
            ..outlet_options(1)
        },
    };
    let gateway = GatewayOptions {
        url: "http://127.0.0.1:9/".to_owned(),
        token: String::new(),
        connect_timeout: time,
        timeout: time,
        idle_timeout: time,
        unsure_statuses: Vec::new(),
    };
    let gateway = HttpGateway::new(gateway, connector, Arc::new(SystemClock));
    let parts = PostmanParts {
        desk,
        gateway: Arc::new(gateway.map_err(|(key, _)| key).expect("a gateway")),
        clock: Arc::new(SystemClock),
        metrics: SendingMetrics::default(),
        fatal: Arc::new(|line| panic!("{line}")),
    };
    (options, parts)
}

async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .expect("in time");
}

#[tokio::test]
async fn a_postman_whose_clock_is_more_than_two_seconds_off_asks_for_nothing_until_they_agree() {
    for apart in [-2_500, 2_500] {
        let desk = Arc::new(Odd {
            apart_ms: AtomicI64::new(apart),
            ..Odd::default()
        });
        let (stop, stopped) = watch::channel(false);
        let postman = tokio::spawn(run(desk.clone(), stopped));
        until(|| desk.looks.load(Ordering::Relaxed) > 3).await;
        assert_eq!(desk.asks.load(Ordering::Relaxed), 0, "{apart} ms apart");
        desk.apart_ms.store(apart * 6 / 10, Ordering::Relaxed);
        until(|| desk.asks.load(Ordering::Relaxed) > 0).await;
        stop.send_replace(true);
        postman.await.expect("no panic").expect("it ends well");
    }
}

#[tokio::test]
async fn a_postman_that_the_cluster_does_not_take_ends_and_says_why() {
    let desk = Arc::new(Odd {
        refuses: true,
        ..Odd::default()
    });
    let (_stop, stopped) = watch::channel(false);
    let error = run(desk, stopped).await.expect_err("refused").to_string();
    assert!(error.contains("p is not liked here"), "{error}");
}

#[tokio::test]
async fn a_lease_whose_terms_are_old_is_not_begun_before_a_look_shows_them_anew() {
    let desk = Arc::new(Odd {
        grants_late: true,
        ..Odd::default()
    });
    let (stop, stopped) = watch::channel(false);
    let postman = tokio::spawn(run(desk.clone(), stopped));
    until(|| desk.held.load(Ordering::Relaxed) > 3).await;
    assert_eq!(desk.reports.load(Ordering::Relaxed), 0, "it was begun");
    // Nobody listens there: it is begun, and reported as not sent.
    desk.shows.store(true, Ordering::Relaxed);
    until(|| desk.reports.load(Ordering::Relaxed) > 0).await;
    stop.send_replace(true);
    postman.await.expect("no panic").expect("it ends well");
}

#[tokio::test]
async fn a_message_that_a_lease_holds_and_its_parcel_lacks_is_handed_back() {
    let desk = Arc::new(Odd {
        grants_settled: true,
        ..Odd::default()
    });
    desk.shows.store(true, Ordering::Relaxed);
    let (stop, stopped) = watch::channel(false);
    let postman = tokio::spawn(run(desk.clone(), stopped));
    let second = "HandedBack, [Run { first: 1, len: 1, attempt: 1 }]";
    let is_reported = || desk.said.lock().iter().any(|line| line.contains(second));
    until(is_reported).await;
    stop.send_replace(true);
    postman.await.expect("no panic").expect("it ends well");
}

#[tokio::test]
async fn a_lease_that_ran_out_before_its_answer_came_is_handed_back_before_the_next_is_asked_for() {
    let desk = Arc::new(Odd {
        runs_out: true,
        ..Odd::default()
    });
    let (stop, stopped) = watch::channel(false);
    let postman = tokio::spawn(run(desk.clone(), stopped));
    let said = |what: &str| {
        desk.said
            .lock()
            .iter()
            .position(|line| line.starts_with(what))
    };
    until(|| said("reports").is_some() && said("asks for 2").is_some()).await;
    stop.send_replace(true);
    postman.await.expect("no panic").expect("it ends well");
    let lines = desk.said.lock();
    let first = [
        "asks for 1",
        "asks for 1",
        "asks what is left",
        "asks what is left",
    ];
    assert_eq!(lines[..4], first, "{lines:?}");
    let report = "reports 1: [(HandedBack, [Run { first: 0, len: 1, attempt: 1 }])]";
    let reports = lines.iter().filter(|line| line.starts_with("reports"));
    assert_eq!(reports.collect::<Vec<_>>(), [report], "{lines:?}");
}

#[tokio::test]
async fn what_the_run_before_left_in_doubt_is_reported_of_the_gateway_that_run_sent_to() {
    let dir = tempfile::tempdir().expect("a directory");
    {
        let boot = SystemClock.boot_id().expect("a boot");
        let mut journal = Journal::open(dir.path(), boot, "c").expect("opens");
        let (epoch, repeat_ms) = (Epoch(1), Some(70));
        let before = RunTerms {
            epoch,
            nonce: 3,
            gateway: 9,
            repeat_ms,
        };
        let mut senders = journal.begin(before, 1).expect("begins");
        let lease = LeaseId { epoch, n: 1 };
        journal
            .leased(1, MAILING, &parcel(lease).runs)
            .expect("is noted");
        let token = SendToken {
            n: 1,
            mailing: MAILING,
            position: 0,
            attempt: 1,
        };
        senders[0].begun(token).expect("is noted");
        senders[0].settled(
            token,
            SendResult::UnsureRepeatable {
                pause_ms: 5,
                repeat_ms: 70,
            },
        );
        senders[0].flush().expect("is written");
    }
    // A process that another test starts just now may hold the lock for a moment.
    let boot = SystemClock.boot_id().expect("a boot");
    until(|| Journal::open(dir.path(), boot, "c").is_ok()).await;
    // This run sends to gateway 1, which takes no repeats.
    let desk = Arc::new(Odd::default());
    let (stop, stopped) = watch::channel(false);
    let (theirs, path) = (desk.clone(), dir.path().to_owned());
    let postman = tokio::spawn(async move { run_in(&path, theirs, stopped).await });
    until(|| desk.asks.load(Ordering::Relaxed) > 0).await;
    stop.send_replace(true);
    postman.await.expect("no panic").expect("it ends well");
    assert_eq!(*desk.gateways.lock(), [(Epoch(1), 9)]);
    let reported = "UnsureRepeatable { pause_ms: 1, repeat_ms: 70 }";
    assert!(
        desk.said.lock().iter().any(|line| line.contains(reported)),
        "{:?}",
        desk.said.lock()
    );
    // Said before anything is asked for, and again after its answer was lost.
    assert_eq!(
        *desk.declared.lock(),
        [(Epoch(1), 1, None), (Epoch(1), 1, None)]
    );
}

#[tokio::test]
async fn a_postman_that_found_nothing_asks_again_when_its_desk_wakes_it_and_not_before() {
    let desk = Arc::new(Odd::default());
    let (stop, stopped) = watch::channel(false);
    let postman = tokio::spawn(run(desk.clone(), stopped));
    until(|| desk.waits.lock().len() == 1).await;
    // Looks come four times a second: it is at work, and asks for nothing.
    let looks = desk.looks.load(Ordering::Relaxed);
    until(|| desk.looks.load(Ordering::Relaxed) > looks + 3).await;
    assert_eq!(desk.asks.load(Ordering::Relaxed), 1);

    desk.wake.notify_one();
    until(|| desk.waits.lock().len() == 2).await;
    assert_eq!(desk.asks.load(Ordering::Relaxed), 2);
    assert_eq!(*desk.waits.lock(), [None, Some(7)]);
    stop.send_replace(true);
    postman.await.expect("no panic").expect("it ends well");
}
