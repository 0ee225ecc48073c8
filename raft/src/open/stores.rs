//! Opening what a node keeps on its disk: the log, the snapshots, and the state, which is rebuilt
//! where it cannot be used.

use std::{panic::AssertUnwindSafe, sync::Arc};

use notty_storage::{Store, import_snapshot};

use crate::{
    disk::data_dir::DataDir,
    error::Error,
    log::Log,
    open::options::NodeOptions,
    state::watchdog::{self, Watch, Work},
    state::{position::Position, snapshots::Snapshots},
    state::{
        state_dir::{StateDir, Unusable},
        node_state::NodeState,
    },
    types::LogId,
};

/// Opens log and state, and rebuilds a state that cannot be used (rule 15 of docs/rules.md).
pub(crate) fn open(data_dir: &DataDir, options: &NodeOptions) -> Result<(Log, Arc<NodeState>), Error> {
    let mut log = Log::open(options.files.clone(), &data_dir.log(), options.log)?;
    let snapshots = Snapshots::open(&data_dir.snapshots())?;
    let state_dir = StateDir::open(&data_dir.state())?;
    let snapshot = snapshots.latest()?.and_then(|kept| kept.position.applied);
    let works = Arc::new(Watch::default());
    watchdog::watch(&works, state_dir.clone(), options.fatal.clone());
    let opening = works.begin(Work::Open);
    let was_closed = state_dir.take_closed()?;
    let opened = match state_dir.suspicion() {
        Some(why) => Err(Unusable::Damaged(format!("it was marked suspect: {why}"))),
        None if !was_closed => Err(Unusable::NotClosed),
        None => open_state(&state_dir, log.purged().max(snapshot), options)?,
    };
    drop(opening);
    let store = match opened {
        Ok(store) => store,
        Err(why) => rebuild(&state_dir, &snapshots, &log, options, &why)?,
    };
    let position = Position::from_marker(store.marker().as_deref())?;
    if position.applied > log.last().max(snapshot) {
        let what = format!(
            "the state stands at entry {}, above the log and the last snapshot: files of the log \
             are missing",
            position.index().unwrap_or(0)
        );
        return Err(Error::DataDir {
            path: data_dir.state(),
            what,
        });
    }
    // What a snapshot holds need not be in the log any more.
    log.settle(position.applied.filter(|applied| Some(*applied) > snapshot))?;
    let store_options = options.store.clone();
    let (fatal, onlooker) = (options.fatal.clone(), options.onlooker.clone());
    let shared = NodeState::new(
        store,
        snapshots,
        state_dir,
        store_options,
        fatal,
        onlooker,
        works,
    )?;
    // Before anything in them is acknowledged, the directories must have their names.
    data_dir.sync()?;
    Ok((log, shared))
}

/// The state that was closed, or why it must be rebuilt. It must have what the log has no more, and, openraft counts
/// on that, what the last snapshot has: one may have been received, but not yet installed.
fn open_state(
    dir: &StateDir,
    least: Option<LogId>,
    options: &NodeOptions,
) -> Result<Result<Store, Unusable>, Error> {
    let damaged = |why: String| Ok(Err(Unusable::Damaged(why)));
    let place = dir.current()?;
    let store_options = options.store.clone();
    // What a panic leaves half done is not used again: the state is built anew.
    let open = AssertUnwindSafe(|| Store::open(&place, store_options));
    let opened = std::panic::catch_unwind(open);
    let store = match opened {
        Ok(Ok(store)) => store,
        // Another process has it, there is no room, or it may not be read: building it anew would
        // fare no better.
        Ok(Err(error)) if !error.is_damage() => return Err(error.into()),
        Ok(Err(error)) => return damaged(format!("it does not open: {error}")),
        Err(_) => return damaged("it does not open: panic inside it".into()),
    };
    match Position::from_marker(store.marker().as_deref()) {
        Err(error) => damaged(format!("its position does not decode: {error}")),
        Ok(position) if position.applied < least => {
            damaged("it stands before the first entry of the log, or before the snapshot".into())
        }
        Ok(_) => Ok(Ok(store)),
    }
}

/// Gives the state up and builds it anew from the last snapshot; the log does the rest.
fn rebuild(
    dir: &StateDir,
    snapshots: &Snapshots,
    log: &Log,
    options: &NodeOptions,
    why: &Unusable,
) -> Result<Store, Error> {
    let latest = snapshots.latest()?;
    let reached = latest.as_ref().and_then(|kept| kept.position.applied);
    if reached < log.purged() {
        let path = dir.current()?;
        let what = format!("the state cannot be used ({why}), and no snapshot reaches the log");
        return Err(Error::DataDir { path, what });
    }
    let from = reached.map_or(0, |reached| reached.index);
    match why {
        Unusable::NotClosed => {
            tracing::info!(from, "{why}: the state is rebuilt from snapshot and log")
        }
        Unusable::Damaged(why) => {
            tracing::warn!(
                why,
                from,
                "the state is set aside and rebuilt from snapshot and log"
            );
        }
    }
    // The old state goes once there is a new one: a rebuild that fails can be tried again.
    let place = dir.fresh();
    let store = match latest {
        Some(kept) => import_snapshot(&snapshots.file(&kept), &place, options.store.clone())?,
        None => Store::open(&place, options.store.clone())?,
    };
    dir.replace_by(&place, why)?;
    Ok(store)
}
