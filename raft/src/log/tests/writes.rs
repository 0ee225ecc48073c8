//! Appended entries after a crash, a lost sync and a sync that fails.

use super::*;

#[test]
fn entries_are_there_after_opening_again() {
    let files = MemoryFiles::new();
    check_holds(&filled(&files), 0..24);
    files.crash(|_| 0);
    let log = open(&files, 300).expect("opens");
    check_holds(&log, 0..24);
    assert_eq!(log.last(), Some(id(23)));
    assert_eq!(log.vote(), Some(Vote::new_committed(1, 1)));
}

#[test]
fn what_was_not_synced_may_be_lost_in_any_part_and_is_cut() {
    for kept in 0..400 {
        let files = MemoryFiles::new();
        let mut log = filled(&files);
        let _never_synced = log
            .append((24..28).map(entry).collect())
            .expect("is written");
        files.crash(|unsynced| kept.min(unsynced));
        let mut log = open(&files, 300).expect("opens");
        let end = log.last().expect("has entries").index + 1;
        assert!((24..=28).contains(&end));
        check_holds(&log, 0..end);
        append(&mut log, end..end + 2);
        drop(log);
        check_holds(&open(&files, 300).expect("opens again"), 0..end + 2);
    }
}

#[test]
fn what_a_process_left_unsynced_is_on_the_disk_once_the_log_is_open_again() {
    // Small segments: what comes after the reopening goes to another file.
    for segment_bytes in [100, 1_000_000] {
        let files = MemoryFiles::new();
        let mut log = open(&files, segment_bytes).expect("opens");
        log.save_vote(Vote::new_committed(1, 1)).expect("is saved");
        append(&mut log, 0..3);
        // The process dies before the sync; the system keeps what was written.
        let _never_synced = log.append((3..7).map(entry).collect()).expect("is written");
        drop(log);
        let mut log = open(&files, segment_bytes).expect("opens again");
        check_holds(&log, 0..7);
        append(&mut log, 7..9);
        drop(log);
        files.crash(|_| 0);
        check_holds(
            &open(&files, segment_bytes).expect("opens after the power came back"),
            0..9,
        );
    }
}

#[test]
fn a_sync_that_fails_is_an_error() {
    let files = MemoryFiles::new();
    let mut log = filled(&files);
    files.fail_syncs(true);
    let unsynced = log.append(vec![entry(24)]);
    assert!(
        unsynced
            .and_then(|unsynced| unsynced.expect("written").sync())
            .is_err()
    );
    assert!(log.save_vote(Vote::new(2, 1)).is_err());
}
