//! Reports that the cluster refuses, and the journal after that.

use super::*;
use crate::postman::{desk::NOT_UNDERSTOOD, journal::Past};

/// The leases that the journal still knows after a run whose report was refused so.
async fn known_after(refusal: DeskError) -> usize {
    let dir = tempfile::tempdir().expect("a directory");
    let desk = Arc::new(Odd {
        grants_late: true,
        shows: AtomicBool::new(true),
        refuses_reports: Some(refusal),
        ..Odd::default()
    });

    let (stop, stopped) = watch::channel(false);
    let running = desk.clone();
    let path = dir.path().to_owned();
    let postman = tokio::spawn(async move { run_in(&path, running, stopped).await });
    until(|| desk.reports.load(Ordering::Relaxed) > 0).await;
    stop.send_replace(true);
    postman.await.expect("no panic").expect("it ends well");
    assert_eq!(
        desk.reports.load(Ordering::Relaxed),
        1,
        "it is not repeated"
    );

    let boot = SystemClock.boot_id().expect("a boot");
    let journal = Journal::open(dir.path(), boot, "c").expect("opens");
    match journal.past(1).expect("reads") {
        Past::Whole(remains) => remains.leases().count(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_lease_whose_report_was_refused_for_good_leaves_the_journal() {
    let refusal = "a report names messages that its lease does not hold";
    assert_eq!(known_after(DeskError::Refused(refusal.to_owned())).await, 0);
    assert_eq!(known_after(DeskError::Closed).await, 0);
}

#[tokio::test]
async fn a_report_that_a_node_of_another_version_does_not_understand_stays_for_the_next_run() {
    let refusal = DeskError::Refused(NOT_UNDERSTOOD.to_owned());
    assert_eq!(known_after(refusal).await, 1);
}
