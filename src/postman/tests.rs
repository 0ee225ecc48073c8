//! A postman at a desk whose answers a test decides.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use notty_raft::{Clock, SystemClock};
use notty_storage::{
    Timestamp,
    command::Report,
    model::{Epoch, LeaseId, PostmanName},
};
use tokio::sync::watch;

use super::{
    Postman, PostmanError, PostmanOptions, PostmanParts,
    desk::{Answer, Desk, DeskError, Held, LeftOpen, Look, Parcel},
    retry::RetryPolicy,
};
use crate::{
    gateway::{Gateway, GatewayOptions, TcpConnector},
    metrics::SendingMetrics,
};

/// Counts asks; its leader's clock is apart from the postman's.
#[derive(Default)]
struct Odd {
    apart_ms: AtomicI64,
    looks: AtomicUsize,
    asks: AtomicUsize,
    refuses: bool,
}

impl Desk for Odd {
    fn register(&self, name: PostmanName, _nonce: u64) -> Answer<'_, Epoch> {
        let refused = DeskError::Refused(format!("{} is not liked here", name.as_str()));
        let answer = if self.refuses { Err(refused) } else { Ok(Epoch(1)) };
        Box::pin(async { answer })
    }

    fn ask(&self, _: LeaseId, _: u16, _: u64, _: bool) -> Answer<'_, Option<Parcel>> {
        self.asks.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(None) })
    }

    fn report(&self, _: Report) -> Answer<'_, usize> {
        Box::pin(async { Ok(0) })
    }

    fn look(&self, _: Vec<Held>) -> Answer<'_, Look> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let wall = SystemClock.wall().as_millis() + self.apart_ms.load(Ordering::Relaxed);
        let look = Look { leader_clock: Timestamp::from_millis(wall), ..Look::default() };
        Box::pin(async { Ok(look) })
    }

    fn left_open(&self, _: Epoch) -> Answer<'_, Vec<LeftOpen>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// Runs a postman at a desk until told to stop.
async fn run(desk: Arc<Odd>, stop: watch::Receiver<bool>) -> Result<(), PostmanError> {
    let dir = tempfile::tempdir().expect("a directory");
    let time = Duration::from_secs(1);
    let options = PostmanOptions {
        name: PostmanName::parse("p").expect("a name"),
        journal_dir: dir.path().to_owned(),
        cluster: "c".to_owned(),
        concurrency: 1,
        threads: 1,
        lease_size: 10,
        gateway: 1,
        retry: RetryPolicy { initial_ms: 1, max_ms: 1, repeat_ms: None },
        send_time: (time, time),
    };
    let gateway = GatewayOptions {
        url: "http://127.0.0.1:9/".to_owned(),
        token: String::new(),
        connect_timeout: time,
        timeout: time,
        unsure_statuses: Vec::new(),
    };
    let gateway = Gateway::new(gateway, Arc::new(TcpConnector));
    let parts = PostmanParts {
        desk,
        gateway: Arc::new(gateway.map_err(|(key, _)| key).expect("a gateway")),
        clock: Arc::new(SystemClock),
        metrics: SendingMetrics::default(),
        fatal: Arc::new(|line| panic!("{line}")),
    };
    Postman::run(options, parts, stop).await
}

async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("in time");
}

#[tokio::test]
async fn a_postman_whose_clock_is_more_than_two_seconds_off_asks_for_nothing_until_they_agree() {
    for apart in [-2_500, 2_500] {
        let desk = Arc::new(Odd { apart_ms: AtomicI64::new(apart), ..Odd::default() });
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
    let desk = Arc::new(Odd { refuses: true, ..Odd::default() });
    let (_stop, stopped) = watch::channel(false);
    let error = run(desk, stopped).await.expect_err("refused").to_string();
    assert!(error.contains("p is not liked here"), "{error}");
}
