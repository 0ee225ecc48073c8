//! What a snapshot costs whoever applies meanwhile.

#![allow(
    clippy::print_stdout,
    reason = "a test that measures says what it found"
)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use notty_raft::{Node, NodeOptions, Peer, SystemClock};
use notty_storage::{
    Action, StoreOptions,
    command::{CustomerRow, PutCustomers, PutMode},
    model::{CustomerId, Phone},
};

type Result<T = ()> = anyhow::Result<T>;

/// Customers in the state that is exported.
const CUSTOMERS: u32 = 100_000;
/// For how long applying is watched, each way.
const WATCH: Duration = Duration::from_secs(3);
/// What a snapshot may add to the 99.9th percentile of a round of applying.
const ADDED: Duration = Duration::from_millis(50);
/// How often it is measured again where the machine was busy with other things.
const TRIES: u32 = 6;

/// Writes customers from a number on.
fn put(first: u32, count: u32) -> Action {
    let row = |n: u32| CustomerRow {
        id: CustomerId::parse(&format!("customer-{n}")).expect("an id"),
        by_phone: false,
        name: format!("Name of customer {n}"),
        phone: Some(Phone::from_digits(79_160_000_000 + u64::from(n))),
        tag: 0,
        operator: 0,
        zone: None,
        kept: Default::default(),
    };
    let words = || vec![("word".to_owned(), "word".to_owned())];
    let rows = (first..first + count).map(row).collect();
    let (tags, operators, zones) = (words(), words(), Vec::new());
    Action::PutCustomers(PutCustomers {
        mode: PutMode::Upsert,
        tags,
        operators,
        zones,
        rows,
    })
}

/// The 99.9th percentile.
fn p999(mut rounds: Vec<Duration>) -> Duration {
    rounds.sort();
    rounds
        .get(rounds.len() * 999 / 1_000)
        .copied()
        .unwrap_or_default()
}

/// Applies as fast as it goes for a while, with snapshots one after the other or without any; the
/// rounds' times, and how many snapshots there were.
async fn watch(
    node: &Arc<Node>,
    rounds: &Arc<Mutex<Vec<Duration>>>,
    snapshots: bool,
) -> Result<(Vec<Duration>, usize)> {
    rounds.lock().expect("no panic").clear();
    let over = Arc::new(AtomicBool::new(false));
    let snapping = {
        let (node, over) = (node.clone(), over.clone());
        tokio::spawn(async move {
            let mut count = 0;
            while snapshots && !over.load(Ordering::Acquire) {
                let before = node.status().snapshot_index;
                node.snapshot().await?;
                // To its end: the next one is not to begin beside it.
                while node.status().snapshot_index == before {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                count += 1;
            }
            Ok::<usize, anyhow::Error>(count)
        })
    };
    let began = Instant::now();
    let mut first = 0;
    while began.elapsed() < WATCH {
        node.act(put(first, 50)).await?;
        first = (first + 997) % (CUSTOMERS - 100);
    }
    over.store(true, Ordering::Release);
    let count = snapping.await??;
    Ok((
        std::mem::take(&mut *rounds.lock().expect("no panic")),
        count,
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_in_progress_adds_little_to_applying() -> Result {
    let dir = tempfile::tempdir()?;
    let options = NodeOptions {
        peer: Peer {
            name: "node-0".to_owned(),
            ..Peer::default()
        },
        store: StoreOptions::default(),
        log: Default::default(),
        files: Arc::new(notty_raft::disk::files::RealFiles),
        onlooker: None,
        clock: Arc::new(SystemClock),
        fatal: Arc::new(|line| panic!("{line}")),
        commit: String::new(),
        exercises_levels: false,
        cluster: None,
    };
    let node = Node::open(&dir.path().join("data"), options).await?;
    anyhow::ensure!(node.ready().await);
    let rounds = Arc::new(Mutex::new(Vec::new()));
    let noted = rounds.clone();
    node.observe_applying(move |took| noted.lock().expect("no panic").push(took));
    for first in (0..CUSTOMERS).step_by(1_000) {
        node.act(put(first, 1_000)).await?;
    }
    let mut added = Duration::MAX;
    for _ in 0..TRIES {
        let (off, _) = watch(&node, &rounds, false).await?;
        let (on, count) = watch(&node, &rounds, true).await?;
        if count == 0 || on.len() < 100 {
            println!("{count} snapshots, {} rounds: too few", on.len());
            continue;
        }
        let (rounds_off, rounds_on) = (off.len(), on.len());
        let (off, on) = (p999(off), p999(on));
        println!(
            "p99.9 of applying: {off:?} of {rounds_off} rounds without snapshots, {on:?} of \
             {rounds_on} rounds with {count} snapshots one after the other"
        );
        added = added.min(on.saturating_sub(off));
        if added <= ADDED {
            break;
        }
    }
    assert!(added <= ADDED, "a snapshot adds {added:?}");
    node.stop().await?;
    Ok(())
}
