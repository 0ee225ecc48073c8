//! openraft's own storage suite, run over our log and our state machine.

use std::{path::Path, sync::Arc};

use notty_storage::{Store, StoreOptions};
use openraft::testing::{StoreBuilder, Suite};

use crate::{
    disk::files::RealFiles,
    log::log_store::LogStore,
    log::{Log, LogOptions},
    state::snapshots::Snapshots,
    state::{
        node_state::{NodeState, StateParts},
        state_dir::StateDir,
        state_machine::StateMachine,
    },
    types::{StorageError, TypeConfig},
};

/// A state machine in a directory; any fault that ends the node panics.
fn shared(dir: &Path) -> Arc<NodeState> {
    let fatal: crate::Fatal = Arc::new(|line| panic!("{line}"));
    let state_dir = StateDir::open(&dir.join("state")).expect("opens");
    let place = state_dir.current().expect("is named");
    let store = Store::open(&place, StoreOptions::default()).expect("opens");
    let snapshots = Snapshots::open(&dir.join("snapshots")).expect("opens");
    let options = StoreOptions::default();
    NodeState::new(
        store,
        StateParts {
            snapshots,
            state_dir,
            options,
            fatal,
            onlooker: None,
            watch: Arc::default(),
        },
    )
    .expect("is put together")
}

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for Builder {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError> {
        let dir = tempfile::tempdir().expect("a directory");
        let options = LogOptions {
            segment_bytes: 256,
            cache_bytes: 128,
            ..LogOptions::default()
        };
        let log = Log::open(Arc::new(RealFiles), &dir.path().join("log"), options);
        let fatal: crate::Fatal = Arc::new(|line| panic!("{line}"));
        let shared = shared(dir.path());
        let log = LogStore::new(log.expect("opens"), shared.snapshots().clone(), fatal, None);
        Ok((dir, log, StateMachine::new(shared)))
    }
}

#[test]
fn the_log_and_the_state_machine_pass_the_suite_of_openraft() {
    Suite::test_all(Builder).expect("passes");
}

#[test]
fn a_snapshot_that_cannot_be_written_is_not_the_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let shared = shared(dir.path());
    let snapshots = dir.path().join("snapshots");
    std::fs::remove_dir(&snapshots).expect("there are none");
    assert!(!shared.prepare_snapshot().expect("is no fault of the node"));
    std::fs::create_dir(&snapshots).expect("there is room again");
    assert!(shared.prepare_snapshot().expect("is no fault of the node"));
    assert!(std::fs::read_dir(&snapshots).expect("reads").count() > 0);
}
