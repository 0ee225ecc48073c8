//! A flush that failed. In a process of its own: sled's seam for faults is one for all of it.

mod rows;

use std::{
    sync::{atomic::Ordering, mpsc},
    time::Duration,
};

use fault_injection::FAULT_INJECT_COUNTER;
use notty_storage::{Scan, Store, StoreOptions};

/// Far longer than anything here needs.
const SOON: Duration = Duration::from_secs(60);
/// No operation fails any more.
const NONE: u64 = u64::MAX;

/// Once sled has failed to flush, it waits for ever for the next flush, and closing it is one.
#[test]
fn after_a_flush_that_failed_nothing_waits_and_everything_tells() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let mut store = Store::open(dir.path(), StoreOptions::default()).expect("a new state opens");
    for round in 0..2u64 {
        store
            .apply(&rows::entry(round), &round.to_be_bytes())
            .expect("it applies");
    }
    store.flush().expect("it flushes");
    store.apply(&rows::entry(2), &[2]).expect("it applies");
    let (sender, ended) = mpsc::channel();
    // It hangs, if it does, until the process ends.
    std::thread::spawn(move || {
        FAULT_INJECT_COUNTER.store(1, Ordering::Release);
        let first = store.flush();
        FAULT_INJECT_COUNTER.store(NONE, Ordering::Release);
        let error = first.expect_err("the disk fails");
        assert!(!error.is_damage(), "it is the disk's: {error}");
        assert!(store.flush().is_err(), "it is not tried again");
        assert!(store.flusher().flush().is_err(), "nor by anyone else");
        assert!(
            store.view().read().scan(&[], |_, _| true).is_err(),
            "readers are told"
        );
        assert!(
            store.apply(&rows::entry(3), &[3]).is_err(),
            "nothing is applied any more"
        );
        drop(store);
        sender.send(()).expect("someone waits");
    });
    ended.recv_timeout(SOON).expect("nothing waits for ever");
}
