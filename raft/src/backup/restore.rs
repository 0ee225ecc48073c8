//! From a backup to the data directory of a new cluster's first node.
//!
//! The identity of the directory is written first, under another name; the rest is built beside it,
//! and one rename ends the restore. A restore that stops in between leaves a directory that no node
//! uses, and that the next restore clears. A directory whose identity has its name is whole. The
//! changes to the state itself (nothing is sent that may have been sent) are rules of `notty_storage`.

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
    state::{position::Position, snapshots::Snapshots, state_dir::StateDir},
    time::{belief::OFF_MS, clock::Clock, moment::APART_MS},
    types::{LogId, Membership, Peer, Vote},
};

/// The term of a restored log, and the number of its one node.
const FIRST: u64 = 1;

/// The result of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The log position at which the state stands.
    pub index: u64,
    /// Messages that were not final, and are in doubt now.
    pub unconfirmed: u64,
    /// Mailings that wait for their owners.
    pub held: u64,
    /// The time at which the state begins.
    pub at: Timestamp,
    /// Milliseconds by which this machine's clock is ahead of that time, if no other source agrees with
    /// the clock; 0 if the clock is believed.
    pub not_believed_ms: i64,
}

/// Makes an empty directory the first node of a new cluster, with a backup as its state.
pub fn restore(backup: &Backup, dir: &Path, clock: &dyn Clock) -> Result<Restored, Error> {
    let restoring = Restoring::open(dir)?;
    let disk = restoring.begin()?;

    let built = build(backup, restoring.data_dir(), &disk, clock);
    if built.is_ok() {
        restoring.end()?;
    } else if let Err(error) = restoring.clear() {
        // It is in nobody's way: the next restore clears it, and a node does not start in it.
        tracing::warn!(%error, "what an interrupted restore left could not be removed");
    }
    built
}

/// Builds state, snapshot and log in a directory that has no identity yet.
fn build(
    backup: &Backup,
    data_dir: &DataDir,
    disk: &str,
    clock: &dyn Clock,
) -> Result<Restored, Error> {
    let position = first_position(backup.index, disk);
    let state_dir = StateDir::open(&data_dir.state())?;
    let place = state_dir.current()?;

    let wall = clock.wall();
    let at = beginning(backup.contents.at, wall, clock.disciplined());
    let mut store = restore_state(backup, &place, &position, at)?;
    let restored = Restored {
        at,
        not_believed_ms: wall.since(at),
        ..figures(backup, &store)?
    };
    write_snapshot(&mut store, data_dir, position.clone())?;
    write_log(data_dir, position.applied)?;

    // Closed first, so that all of it is on the disk when the mark says so.
    drop(store);
    state_dir.mark_closed()?;
    Ok(restored)
}

/// Builds the state from the snapshot in the backup.
fn restore_state(
    backup: &Backup,
    place: &Path,
    position: &Position,
    at: Timestamp,
) -> Result<Store, Error> {
    // Drawn out here, as the time is read: the state itself takes neither chance nor clock.
    let marker = position.marker();
    let begins = Beginning {
        marker: &marker,
        draw: draw(),
        at,
    };

    let from = (backup.path(), backup.from);
    let restored = restore_snapshot(from, place, StoreOptions::default(), begins);
    restored.map_err(|error| damage(backup.path(), error))
}

/// Random numbers, so that another restore of the same backup gives its messages other ids.
fn draw() -> Draw {
    let mut random = rand::rng();
    Draw {
        mailings: random.next_u64(),
        epochs: random.next_u64(),
    }
}

/// The time at which the restored state begins: this machine's, whatever the backup's was. If it is
/// long after the backup, it is believed only if the kernel agrees; otherwise the state begins at the
/// end of the backup, and its node decides once it runs.
fn beginning(backup: Timestamp, wall: Timestamp, disciplined: Option<Timestamp>) -> Timestamp {
    let is_agreed = disciplined.is_some_and(|kernel| kernel.since(wall).abs() <= APART_MS);
    // A backup of an empty state has no time to begin with.
    let is_empty = backup == Timestamp::default();
    if wall.since(backup) <= OFF_MS || is_agreed || is_empty {
        wall
    } else {
        backup
    }
}

/// The position of the restored state: the index of its backup, in a log and a term of its own, with
/// itself as the only member.
fn first_position(index: u64, disk: &str) -> Position {
    let applied = RaftLogId::new(CommittedLeaderId::new(FIRST, FIRST), index);
    // Its name and addresses are those of a configuration, which a restore does not read: the node
    // puts them in once it runs.
    let mine = Peer {
        disk: disk.to_owned(),
        ..Peer::default()
    };
    let nodes = BTreeMap::from([(FIRST, mine)]);
    let voters = vec![BTreeSet::from([FIRST])];

    let members = openraft::Membership::new(voters, nodes);
    Position {
        applied: Some(applied),
        membership: Membership::new(Some(applied), members),
    }
}

/// Figures for the person who restores; the times are filled in by the caller.
fn figures(backup: &Backup, store: &Store) -> Result<Restored, Error> {
    let view = store.view();
    let reader = view.read();
    // The backup may have held messages in doubt already.
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

/// Writes the state as a snapshot, from which it can be rebuilt if it is lost.
fn write_snapshot(store: &mut Store, data_dir: &DataDir, position: Position) -> Result<(), Error> {
    let snapshots = Snapshots::open(&data_dir.snapshots())?;
    let name = uuid::Uuid::new_v4().simple().to_string();
    let mut export = store.begin_export(&snapshots.aside(&name))?;
    // In one go: no node runs here that would wait for the state.
    while export.copy_some()? {}
    let summary = store.end_export(export)?;
    snapshots
        .keep(&name, position, summary.hash, summary.bytes)
        .map(drop)
}

/// Writes a log without entries that begins after the snapshot.
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
