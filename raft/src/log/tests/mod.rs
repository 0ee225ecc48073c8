//! What a crash, a purge, a cut and a flipped bit do to the log: logs in memory, cut and opened again.

mod damage;
mod drops;
mod writes;

use std::{path::Path, sync::Arc};

use notty_storage::{
    Action, Command, Entry, Timestamp, command::StartMailing, model::MailingNumber,
};
use openraft::{CommittedLeaderId, EntryPayload};

use super::{Log, LogOptions};
use crate::{
    disk::memory_files::MemoryFiles,
    error::Error,
    types::{LogEntry, LogId, Vote},
};

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
    let commands = vec![Command::new(Action::StartMailing(StartMailing { mailing }))];
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
