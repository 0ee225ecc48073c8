//! What a crash, a cut and a flipped bit do to the log.

use std::{path::Path, sync::Arc};

use notty_storage::{Action, Command, Entry, Timestamp, model::MailingNumber};
use openraft::{CommittedLeaderId, EntryPayload};

use super::*;
use crate::disk::memory_files::MemoryFiles;

const DIR: &str = "/log";

fn open(files: &MemoryFiles, segment_bytes: u64) -> Result<Log, Error> {
    let options = LogOptions {
        segment_bytes,
        cache_bytes: 200,
        ..LogOptions::default()
    };
    let mut log = Log::open(Arc::new(files.clone()), Path::new(DIR), options)?;
    log.settle(None)?;
    Ok(log)
}

fn id(index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(1, 1), index)
}

fn entry(index: u64) -> LogEntry {
    let mailing = MailingNumber(index as u32);
    let commands = vec![Command::new(Action::StartMailing { mailing })];
    let entry = Entry {
        at: Timestamp::from_millis(index as i64),
        commands,
    };
    LogEntry {
        log_id: id(index),
        payload: EntryPayload::Normal(Arc::new(entry)),
    }
}

fn append(log: &mut Log, indexes: std::ops::Range<u64>) {
    let unsynced = log
        .append(indexes.map(entry).collect())
        .expect("is written");
    unsynced
        .expect("something was written")
        .sync()
        .expect("is synced");
}

/// A log of several segments and writes of several entries, all but the last known committed.
fn filled(files: &MemoryFiles) -> Log {
    let mut log = open(files, 300).expect("opens");
    log.save_vote(Vote::new_committed(1, 1)).expect("is saved");
    for first in (0..24).step_by(3) {
        append(&mut log, first..first + 3);
        log.save_committed(first.checked_sub(1).map(id))
            .expect("is noted");
    }
    log
}

fn check_holds(log: &Log, indexes: std::ops::Range<u64>) {
    let found = log.read(..).expect("reads");
    assert_eq!(found, indexes.map(entry).collect::<Vec<_>>());
}

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
        log.marks.save_purged(id(upto)).expect("is saved");
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

/// Every file of the log, with its bytes.
fn all_files(files: &MemoryFiles) -> Vec<(PathBuf, Vec<u8>)> {
    let names = files.list(Path::new(DIR)).expect("lists");
    let paths = names.into_iter().map(|name| Path::new(DIR).join(name));
    paths
        .map(|path| (path.clone(), files.bytes(&path).expect("is there")))
        .collect()
}

/// What may come of damage: the log refuses, or holds a prefix in which only the last write is
/// missing.
fn check_damaged(files: &MemoryFiles, path: &Path, what: &str) -> bool {
    match open(files, 300) {
        Err(Error::Damage { .. }) => true,
        Err(other) => panic!("{what} of {}: {other}", path.display()),
        Ok(log) => {
            let end = log.last().map_or(0, |last| last.index + 1);
            assert!(
                (21..=24).contains(&end),
                "{what} of {}: ends at {end}",
                path.display()
            );
            check_holds(&log, 0..end);
            false
        }
    }
}

#[test]
fn a_cut_at_any_byte_of_any_file_is_refused_or_loses_the_last_write_alone() {
    let whole = MemoryFiles::new();
    drop(filled(&whole));
    let mut refused = 0;
    for (path, bytes) in all_files(&whole) {
        for len in 0..bytes.len() {
            let files = copy(&whole);
            files.put(&path, bytes[..len].to_vec());
            refused += u32::from(check_damaged(&files, &path, &format!("cut at {len}")));
        }
    }
    assert!(refused > 500, "{refused}");
}

#[test]
fn a_flip_of_any_byte_of_any_file_is_refused_or_loses_the_last_write_alone() {
    let whole = MemoryFiles::new();
    drop(filled(&whole));
    let mut refused = 0;
    for (path, bytes) in all_files(&whole) {
        for at in 0..bytes.len() {
            let files = copy(&whole);
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            files.put(&path, flipped);
            refused += u32::from(check_damaged(&files, &path, &format!("flip at {at}")));
        }
    }
    assert!(refused > 500, "{refused}");
}

fn copy(files: &MemoryFiles) -> MemoryFiles {
    let copy = MemoryFiles::new();
    for (path, bytes) in all_files(files) {
        copy.put(&path, bytes);
    }
    copy
}

#[test]
fn no_byte_below_the_committed_mark_is_ever_cut() {
    let whole = MemoryFiles::new();
    let mut log = filled(&whole);
    log.save_committed(Some(id(23))).expect("is noted");
    drop(log);
    let (path, bytes) = all_files(&whole)
        .into_iter()
        .rfind(|(p, _)| p.extension().is_some_and(|e| e == "log"))
        .expect("a segment");
    for len in 0..bytes.len() {
        let files = copy(&whole);
        files.put(&path, bytes[..len].to_vec());
        assert!(
            matches!(open(&files, 300), Err(Error::Damage { .. })),
            "cut at {len}"
        );
    }
}

#[test]
fn no_byte_below_the_states_position_is_ever_cut() {
    let files = MemoryFiles::new();
    drop(filled(&files));
    let (path, bytes) = all_files(&files)
        .into_iter()
        .rfind(|(p, _)| p.extension().is_some_and(|e| e == "log"))
        .expect("a segment");
    files.put(&path, bytes[..bytes.len() - 1].to_vec());
    let options = LogOptions {
        segment_bytes: 300,
        cache_bytes: 200,
        ..LogOptions::default()
    };
    let mut log = Log::open(Arc::new(files), Path::new(DIR), options).expect("opens");
    let error = log.settle(Some(id(23))).expect_err("refused");
    assert!(error.to_string().contains("state's position"), "{error}");
}

#[test]
fn a_torn_committed_mark_gives_the_one_before() {
    let files = MemoryFiles::new();
    let mut log = filled(&files);
    for index in [20, 21, 22] {
        log.save_committed(Some(id(index))).expect("is noted");
    }
    let path = Path::new(DIR).join("committed");
    let mut bytes = files.bytes(&path).expect("is there");
    bytes[64 + 9] ^= 1;
    files.put(&path, bytes);
    assert_eq!(open(&files, 300).expect("opens").committed(), Some(id(21)));
}
