//! From a backup to a data directory of a new cluster, whose first node it is.
//!
//! The new identity is written first, under another name than an identity has; the rest is built
//! beside that, and one rename ends it. A restore that breaks off leaves a directory that no node
//! uses, and that the next restore clears. An identity that was renamed is whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use notty_storage::{
    Beginning, Store, StoreOptions, Timestamp, model::Status, query, records::Draw,
    restore_snapshot,
};
use openraft::{CommittedLeaderId, LogId as RaftLogId};
use rand::RngCore;

use crate::{
    backup::file::{Backup, damage},
    disk::{
        data_dir::DataDir,
        files::{Files, RealFiles},
        restoring::Restoring,
    },
    error::Error,
    log::{Log, LogOptions},
    state::{
        snapshots::{Position, Snapshots},
        state_dir::StateDir,
    },
    time::{clock::Clock, clocks::APART_MS, trust::OFF_MS},
    types::{LogId, Membership, Peer, Vote},
};

/// The term of a restored log, and the number of its one node.
const FIRST: u64 = 1;

/// Figures of a restored state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The position of the state in the log.
    pub index: u64,
    /// Messages that were not final, and are in doubt now.
    pub unconfirmed: u64,
    /// Mailings that wait for their owners.
    pub held: u64,
    /// The time that the state begins with.
    pub at: Timestamp,
    /// By how much this machine's clock is ahead of that, in milliseconds, where nobody else agrees with
    /// the clock: 0 where it is believed.
    pub not_believed_ms: i64,
}

/// Makes an empty directory the first node of a new cluster, with a backup as its state.
pub fn restore(backup: &Backup, dir: &Path, clock: &dyn Clock) -> Result<Restored, Error> {
    let restoring = Restoring::open(dir)?;
    let disk = restoring.begin()?;

    let built = build(backup, restoring.data_dir(), &disk, clock);
    match built {
        Ok(restored) => {
            restoring.end()?;
            Ok(restored)
        }
        Err(error) => {
            // As it was: what is left would be in the way of nothing but another kind of use.
            if let Err(error) = restoring.clear() {
                tracing::warn!(%error, "the files of an interrupted restore could not be removed");
            }
            Err(error)
        }
    }
}

fn build(
    backup: &Backup,
    data_dir: &DataDir,
    disk: &str,
    clock: &dyn Clock,
) -> Result<Restored, Error> {
    let position = first_position(backup.index, disk);
    let wall = clock.wall();
    let at = beginning(backup.contents.at, wall, clock.disciplined());

    // Nothing of what is built now counts before the identity is renamed.
    let state_dir = StateDir::open(&data_dir.state())?;
    let mut store = build_state(backup, &state_dir, &position, at)?;
    let restored = Restored {
        at,
        not_believed_ms: wall.since(at),
        ..figures(backup, &store)?
    };

    // The snapshot is the truth on the disk: the state can be lost and built from it.
    write_snapshot(&mut store, data_dir, position.clone())?;
    write_log(data_dir, position.applied)?;
    drop(store);
    state_dir.mark_closed()?;
    Ok(restored)
}

fn build_state(
    backup: &Backup,
    state_dir: &StateDir,
    position: &Position,
    at: Timestamp,
) -> Result<Store, Error> {
    let from = (backup.path(), backup.from);
    let place = state_dir.current()?;
    let marker = position.marker();
    let begins = Beginning {
        marker: &marker,
        draw: draw(),
        at,
    };
    let restored = restore_snapshot(from, &place, StoreOptions::default(), begins);
    restored.map_err(|error| damage(backup.path(), error))
}

/// By chance, so that another restore of the same backup gives its messages other ids.
fn draw() -> Draw {
    let mut random = rand::rng();
    Draw {
        mailings: random.next_u64(),
        epochs: random.next_u64(),
    }
}

/// The time that the restored state begins with: this machine's, whatever the backup's was. Where that
/// is long after the backup, it is believed only if the kernel agrees; otherwise the state begins where
/// the backup ended, and its node decides once it runs.
fn beginning(backup: Timestamp, wall: Timestamp, disciplined: Option<Timestamp>) -> Timestamp {
    let is_agreed = disciplined.is_some_and(|kernel| kernel.since(wall).abs() <= APART_MS);
    let is_empty = backup == Timestamp::default();
    if wall.since(backup) <= OFF_MS || is_agreed || is_empty {
        wall
    } else {
        backup
    }
}

/// The position of the restored state: that of its backup, in a log and a term of its own, with itself
/// as the only member.
fn first_position(index: u64, disk: &str) -> Position {
    let mine = Peer {
        disk: disk.to_owned(),
        ..Peer::default()
    };
    // Not a joint membership: one set of voters, of one node.
    let voters = vec![BTreeSet::from([FIRST])];
    let members = openraft::Membership::new(voters, BTreeMap::from([(FIRST, mine)]));

    let applied = RaftLogId::new(CommittedLeaderId::new(FIRST, FIRST), index);
    Position {
        applied: Some(applied),
        membership: Membership::new(Some(applied), members),
    }
}

/// Figures of the state alone: the caller adds the time.
fn figures(backup: &Backup, store: &Store) -> Result<Restored, Error> {
    let view = store.view();
    let reader = view.read();
    let before = backup.contents.messages.of(Status::Unconfirmed);
    let after = query::stats::overall(&reader)?.of(Status::Unconfirmed);
    Ok(Restored {
        index: backup.index,
        unconfirmed: after.saturating_sub(before),
        held: query::work::open_mailings(&reader).len() as u64,
        at: Timestamp::default(),
        not_believed_ms: 0,
    })
}

fn write_snapshot(store: &mut Store, data_dir: &DataDir, position: Position) -> Result<(), Error> {
    let snapshots = Snapshots::open(&data_dir.snapshots())?;
    let name = uuid::Uuid::new_v4().simple().to_string();
    let mut export = store.begin_export(&snapshots.aside(&name))?;
    while export.copy_some()? {}
    let summary = store.end_export(export)?;
    let kept = snapshots.keep(&name, position, summary.hash, summary.bytes);
    kept.map(drop)
}

/// Writes a log that holds nothing, and begins after the snapshot.
fn write_log(data_dir: &DataDir, applied: Option<LogId>) -> Result<(), Error> {
    let dir = data_dir.log();
    let mut log = Log::open(Arc::new(RealFiles), &dir, LogOptions::default())?;
    log.save_vote(Vote::new(FIRST, FIRST))?;
    if let Some(applied) = applied {
        log.purge(applied)?;
    }
    RealFiles.sync_dir(&dir).map_err(Error::file(&dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_begins_with_the_machines_time_unless_that_is_far_ahead_and_nobody_agrees() {
        let at = Timestamp::from_millis;
        let backup = at(1_800_000_000_000);
        let near = backup.plus_millis(OFF_MS);
        assert_eq!(beginning(backup, near, None), near);
        let year = backup.plus_millis(365 * 86_400_000);
        assert_eq!(beginning(backup, year, None), backup);
        assert_eq!(
            beginning(backup, year, Some(backup)),
            backup,
            "of another clock"
        );
        assert_eq!(beginning(backup, year, Some(year.plus_millis(900))), year);
        // A backup whose time had run ahead.
        assert_eq!(beginning(year, backup, None), backup);
        assert_eq!(beginning(at(0), year, None), year, "it holds nothing");
    }
}
