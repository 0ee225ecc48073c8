//! Opening what a node keeps on its disk: the log, the snapshots, and the state, which is rebuilt
//! where it cannot be used.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use notty_storage::{Store, import_snapshot};

use crate::{
    disk::data_dir::DataDir,
    error::Error,
    log::Log,
    open::options::NodeOptions,
    state::{
        node_state::{NodeState, StateParts},
        position::Position,
        snapshots::Snapshots,
        state_dir::{StateDir, Unusable},
        watchdog::{self, Watch, Work},
    },
    types::LogId,
};

/// Opens log and state, and rebuilds a state that cannot be used (rule 15 of docs/rules.md).
pub(crate) fn open(
    data_dir: &DataDir,
    options: &NodeOptions,
) -> Result<(Log, Arc<NodeState>), Error> {
    // The log comes first: the state is checked against it.
    let mut log = Log::open(options.files.clone(), &data_dir.log(), options.log)?;
    let snapshots = Snapshots::open(&data_dir.snapshots())?;
    let state_dir = StateDir::open(&data_dir.state())?;
    let snapshot = snapshots.latest()?.and_then(|kept| kept.position.applied);

    // sled may never come back from a state that is damaged: the watchdog ends that too.
    let works = Arc::new(Watch::default());
    watchdog::watch(&works, state_dir.clone(), options.fatal.clone());
    let opening = works.begin(Work::Open);
    let opened = open_state(&state_dir, log.purged().max(snapshot), options)?;
    drop(opening);

    let store = match opened {
        Ok(store) => store,
        Err(why) => rebuild(&state_dir, &snapshots, &log, options, &why)?,
    };
    let position = Position::from_marker(store.marker().as_deref())?;
    if position.applied > log.last().max(snapshot) {
        return Err(above_the_log(data_dir, &position));
    }

    // What a snapshot holds need not be in the log any more.
    log.settle(position.applied.filter(|applied| Some(*applied) > snapshot))?;
    let parts = StateParts {
        snapshots,
        state_dir,
        options: options.store.clone(),
        fatal: options.fatal.clone(),
        onlooker: options.onlooker.clone(),
        watch: works,
    };
    let state = NodeState::new(store, parts)?;

    // Before anything in them is acknowledged, the directories must have their names.
    data_dir.sync()?;
    Ok((log, state))
}

fn above_the_log(data_dir: &DataDir, position: &Position) -> Error {
    let index = position.index().unwrap_or(0);
    Error::DataDir {
        path: data_dir.state(),
        what: format!(
            "the state stands at entry {index}, above the log and the last snapshot: files of the log \
             are missing"
        ),
    }
}

/// Opens the state as the process before left it. The inner error is the reason why it must be
/// rebuilt; the outer one ends the start.
fn open_state(
    dir: &StateDir,
    least: Option<LogId>,
    options: &NodeOptions,
) -> Result<Result<Store, Unusable>, Error> {
    let was_closed = dir.take_closed()?;
    match dir.suspicion() {
        Some(why) => Ok(Err(damaged(format!("it was marked suspect: {why}")))),
        None if !was_closed => Ok(Err(Unusable::NotClosed)),
        None => open_closed(dir, least, options),
    }
}

/// Opens a state that was closed. It must have what the log has no more, and, openraft counts on
/// that, what the last snapshot has: one may have been received, but not yet installed.
fn open_closed(
    dir: &StateDir,
    least: Option<LogId>,
    options: &NodeOptions,
) -> Result<Result<Store, Unusable>, Error> {
    let place = dir.current()?;
    let store_options = options.store.clone();
    // What a panic leaves half done is not used again: the state is built anew.
    let opened = catch_unwind(AssertUnwindSafe(|| Store::open(&place, store_options)));

    let store = match opened {
        Ok(Ok(store)) => store,
        // Another process has it, there is no room, or it may not be read: building it anew would
        // fare no better.
        Ok(Err(error)) if !error.is_damage() => return Err(error.into()),
        Ok(Err(error)) => return Ok(Err(damaged(format!("it does not open: {error}")))),
        Err(_) => return Ok(Err(damaged("it does not open: panic inside it"))),
    };
    Ok(match behind(&store, least) {
        None => Ok(store),
        Some(why) => Err(why),
    })
}

/// The reason why the log cannot bring an opened state up to date, if there is one.
fn behind(store: &Store, least: Option<LogId>) -> Option<Unusable> {
    match Position::from_marker(store.marker().as_deref()) {
        Ok(position) if position.applied >= least => None,
        Ok(_) => Some(damaged(
            "it stands before the first entry of the log, or before the snapshot",
        )),
        Err(error) => Some(damaged(format!("its position does not decode: {error}"))),
    }
}

fn damaged(why: impl Into<String>) -> Unusable {
    Unusable::Damaged(why.into())
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
        return Err(Error::DataDir {
            path: dir.current()?,
            what: format!("the state cannot be used ({why}), and no snapshot reaches the log"),
        });
    }
    log_rebuild(why, reached);

    // The old state goes once there is a new one: a rebuild that fails can be tried again.
    let place = dir.fresh();
    let store = match latest {
        Some(kept) => import_snapshot(&snapshots.file(&kept), &place, options.store.clone())?,
        None => Store::open(&place, options.store.clone())?,
    };
    dir.replace_by(&place, why)?;
    Ok(store)
}

fn log_rebuild(why: &Unusable, reached: Option<LogId>) {
    let from = reached.map_or(0, |reached| reached.index);
    match why {
        Unusable::NotClosed => {
            tracing::info!(from, "{why}: the state is rebuilt from snapshot and log");
        }
        Unusable::Damaged(why) => {
            tracing::warn!(
                why,
                from,
                "the state is set aside and rebuilt from snapshot and log"
            );
        }
    }
}
