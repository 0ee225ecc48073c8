//! Truncated and purged entries, also when a crash comes in between.

use super::*;

#[test]
fn truncated_entries_are_gone_and_others_take_their_place() {
    for from in 1..24 {
        let files = MemoryFiles::new();
        let mut log = filled(&files);
        log.save_committed(None).expect("is noted");
        log.truncate(from).expect("is cut");
        assert_eq!(log.last(), Some(id(from - 1)));
        append(&mut log, from..from + 2);
        check_holds(&log, 0..from + 2);
        drop(log);
        check_holds(&open(&files, 300).expect("opens"), 0..from + 2);
    }
}

#[test]
fn purged_entries_are_gone_and_the_rest_is_there() {
    for upto in 0..30 {
        let files = MemoryFiles::new();
        let mut log = filled(&files);
        log.purge(id(upto)).expect("is dropped");
        drop(log);
        files.crash(|_| 0);
        let mut log = open(&files, 300).expect("opens");
        check_holds(&log, (upto + 1).min(24)..24);
        assert_eq!(
            (log.purged(), log.last()),
            (Some(id(upto)), Some(id(upto.max(23))))
        );
        let next = upto.max(23) + 1;
        append(&mut log, next..next + 1);
        drop(log);
        assert_eq!(open(&files, 300).expect("opens").last(), Some(id(next)));
    }
}

#[test]
fn a_purge_that_a_crash_interrupted_is_ended_by_the_next_start() {
    for upto in [0, 7, 22, 23, 24, 25, 5_000] {
        let files = MemoryFiles::new();
        let mut log = filled(&files);
        // All that a purge does before it drops segments.
        log.begin_purge(id(upto)).expect("is saved");
        drop(log);
        files.crash(|_| 0);
        let mut log = open(&files, 1_000_000).expect("opens");
        check_holds(&log, (upto + 1).min(24)..24);
        let next = upto.max(23) + 1;
        assert_eq!(log.last(), Some(id(next - 1)));
        append(&mut log, next..next + 3);
        check_holds(&log, (upto + 1).min(next)..next + 3);
        drop(log);
        files.crash(|_| 0);
        check_holds(
            &open(&files, 1_000_000).expect("opens again"),
            upto + 1..next + 3,
        );
    }
}

#[test]
fn what_is_purged_later_is_gone_at_once_for_readers_and_on_the_disk_with_the_next_entry() {
    for upto in [7, 23, 24, 5_000] {
        let files = MemoryFiles::new();
        let mut log = filled(&files);
        log.purge_later(id(upto));
        check_holds(&log, (upto + 1).min(24)..24);
        assert_eq!(
            (log.purged(), log.last()),
            (Some(id(upto)), Some(id(upto.max(23))))
        );
        drop(log);
        files.crash(|_| 0);
        let mut log = open(&files, 300).expect("opens");
        check_holds(&log, 0..24);
        assert_eq!((log.purged(), log.last()), (None, Some(id(23))));
        log.purge_later(id(upto));
        let next = upto.max(23) + 1;
        append(&mut log, next..next + 1);
        drop(log);
        files.crash(|_| 0);
        let log = open(&files, 300).expect("opens");
        check_holds(&log, upto + 1..next + 1);
        assert_eq!((log.purged(), log.last()), (Some(id(upto)), Some(id(next))));
    }
}
