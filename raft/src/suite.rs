//! openraft's own storage suite, run over our log and our state machine.

use std::sync::Arc;

use notty_storage::{Store, StoreOptions};
use openraft::testing::{StoreBuilder, Suite};

use crate::{
    files::RealFiles,
    log::{Log, LogOptions},
    log_store::LogStore,
    snapshots::Snapshots,
    state_machine::{Shared, StateDir, StateMachine},
    types::{StorageError, TypeConfig},
};

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for Builder {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError> {
        let dir = tempfile::tempdir().expect("a directory");
        let options = LogOptions { segment_bytes: 256, cache_bytes: 128, ..LogOptions::default() };
        let log = Log::open(Arc::new(RealFiles), &dir.path().join("log"), options);
        let fatal: crate::Fatal = Arc::new(|line| panic!("{line}"));
        let state_dir = StateDir::open(&dir.path().join("state")).expect("opens");
        let place = state_dir.current().expect("is named");
        let store = Store::open(&place, StoreOptions::default()).expect("opens");
        let snapshots = Snapshots::open(&dir.path().join("snapshots")).expect("opens");
        let options = StoreOptions::default();
        let shared = Shared::new(store, snapshots, state_dir, options, fatal.clone(), None);
        let machine = StateMachine::new(shared.expect("is put together"));
        Ok((dir, LogStore::new(log.expect("opens"), fatal, None), machine))
    }
}

#[test]
fn the_log_and_the_state_machine_pass_the_suite_of_openraft() {
    Suite::test_all(Builder).expect("passes");
}
