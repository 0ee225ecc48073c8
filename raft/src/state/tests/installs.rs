//! Tests of snapshots that are installed: what is written meanwhile, what is there when the process
//! dies meanwhile, and what names they may have.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use notty_storage::{
    Action, Command, Entry, Store, StoreOptions, Timestamp,
    command::{CustomerRow, PutCustomers, PutMode},
    import_snapshot,
    model::{CustomerId, Phone},
};
use openraft::{CommittedLeaderId, EntryPayload, storage::RaftLogStorage};

use crate::{
    NodeOptions, Peer, SystemClock,
    disk::data_dir::DataDir,
    disk::files::{Files, RealFiles},
    log::log_store::LogStore,
    open::stores,
    state::position::Position,
    state::snapshots::{KeptSnapshot, Snapshots, check_received},
    state::{
        node_state::{NodeState, StateParts},
        state_dir::StateDir,
    },
    types::{LogEntry, LogId, Snapshot, SnapshotFile, Vote},
};

/// Far longer than anything here needs.
const SOON: Duration = Duration::from_secs(20);
/// Entries of a thousand customers each: writing them takes longer than installing one row.
const ENTRIES: u64 = 20;

fn shared(dir: &Path) -> Arc<NodeState> {
    let options = StoreOptions::default();
    let state_dir = StateDir::open(&dir.join("state")).expect("opens");
    let store = Store::open(&state_dir.current().expect("a place"), options.clone());
    let snapshots = Snapshots::open(&dir.join("snapshots")).expect("opens");
    let fatal = Arc::new(|line: &str| panic!("{line}"));
    NodeState::new(
        store.expect("opens"),
        StateParts {
            snapshots,
            state_dir,
            options,
            fatal,
            onlooker: None,
            watch: Arc::default(),
        },
    )
    .expect("opens")
}

/// An entry that writes so many customers.
fn entry(index: u64, count: u64) -> LogEntry {
    let row = |n: u64| CustomerRow {
        id: CustomerId::parse(&format!("customer-{n}")).expect("an id"),
        by_phone: false,
        name: format!("Name of customer {n}"),
        phone: Some(Phone::from_digits(79_160_000_000 + n)),
        tag: 0,
        operator: 0,
        zone: None,
        kept: Default::default(),
    };
    let word = || vec![("word".to_owned(), "word".to_owned())];
    let rows = (index * 1_000..index * 1_000 + count).map(row).collect();
    let (tags, operators, zones) = (word(), word(), Vec::new());
    let put = PutCustomers {
        mode: PutMode::Upsert,
        tags,
        operators,
        zones,
        rows,
    };
    let commands = vec![Command::new(Action::PutCustomers(put))];
    let entry = Entry {
        at: Timestamp::from_millis(1),
        commands,
    };
    let log_id = LogId::new(CommittedLeaderId::new(1, 1), index);
    LogEntry {
        log_id,
        payload: EntryPayload::Normal(Arc::new(entry)),
    }
}

/// A state that takes a while to write.
fn filled(dir: &Path) -> Arc<NodeState> {
    let shared = shared(dir);
    for index in 1..=ENTRIES {
        shared.apply(vec![entry(index, 1_000)]).expect("is applied");
    }
    shared
}

/// As if it had just come from a leader.
fn received(of: &Snapshot, by: &NodeState) -> SnapshotFile {
    let file = by.snapshots().receiving();
    std::fs::copy(&of.snapshot.path, &file.path).expect("copied");
    file
}

/// Waits until a snapshot is being written.
fn await_writing(dir: &Path) {
    let began = Instant::now();
    let is_new = |name: &String| name.ends_with(".new");
    while !RealFiles
        .list(&dir.join("snapshots"))
        .expect("lists")
        .iter()
        .any(is_new)
    {
        assert!(began.elapsed() < SOON, "none is written");
        std::thread::yield_now();
    }
}

#[test]
fn a_snapshot_that_is_installed_while_one_is_written_is_what_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    let leader = shared(&dir.path().join("leader"));
    leader
        .apply(vec![entry(ENTRIES + 1, 1)])
        .expect("is applied");
    let sent = leader.build_snapshot().expect("is written");
    let place = dir.path().join("follower");
    let follower = filled(&place);
    let file = received(&sent, &follower);
    let writer = follower.clone();
    let writing = std::thread::spawn(move || writer.build_snapshot());
    await_writing(&place);
    follower.install(&sent.meta, &file).expect("is installed");
    writing
        .join()
        .expect("no panic")
        .expect("is written, before or after");
    let kept = follower
        .snapshots()
        .latest()
        .expect("reads")
        .expect("is there");
    assert_eq!(kept.position.applied, sent.meta.last_log_id);
    let kept_file = follower.snapshots().file(&kept);
    let read = import_snapshot(&kept_file, &place.join("read"), StoreOptions::default());
    let read = read.expect("is whole");
    let position = Position::from_marker(read.marker().as_deref()).expect("decodes");
    assert_eq!((position, read.hash()), (kept.position, leader.hash()));
    assert_eq!(follower.hash(), leader.hash());
}

#[test]
fn a_snapshot_that_is_written_is_kept_before_another_is_installed() {
    let dir = tempfile::tempdir().expect("a directory");
    let shared = filled(dir.path());
    let writer = shared.clone();
    let writing = std::thread::spawn(move || writer.build_snapshot());
    await_writing(dir.path());
    shared.wait_exported();
    assert!(shared.snapshots().latest().expect("reads").is_some());
    writing.join().expect("no panic").expect("is written");
}

fn options() -> NodeOptions {
    NodeOptions {
        commit: String::new(),
        exercises_levels: false,
        cluster: None,
        peer: Peer::default(),
        store: StoreOptions::default(),
        log: Default::default(),
        files: Arc::new(RealFiles),
        onlooker: None,
        clock: Arc::new(SystemClock),
        fatal: Arc::new(|line| panic!("{line}")),
    }
}

#[tokio::test]
async fn a_node_that_dies_before_a_snapshot_is_installed_has_the_log_and_the_state_it_had() {
    let dir = tempfile::tempdir().expect("a directory");
    let data_dir = DataDir::open(dir.path()).expect("opens");
    let (mut log, shared) = stores::open(&data_dir, &options()).expect("opens");
    log.save_vote(Vote::new(1, 1)).expect("is saved");
    for index in 0..=3 {
        let unsynced = log.append(vec![entry(index, 1)]).expect("is appended");
        unsynced.expect("something was").sync().expect("is synced");
        shared.apply(vec![entry(index, 1)]).expect("is applied");
    }
    let fatal = Arc::new(|line: &str| panic!("{line}"));
    let mut store = LogStore::new(log, shared.snapshots().clone(), fatal, None);
    let reached = LogId::new(CommittedLeaderId::new(1, 1), 10);
    store.purge(reached).await.expect("is purged");
    let state = store.get_log_state().await.expect("reads");
    assert_eq!(
        (state.last_purged_log_id, state.last_log_id),
        (Some(reached), Some(reached))
    );
    let had = shared.hash();
    drop((store, shared));
    let (log, rebuilt) = stores::open(&data_dir, &options()).expect("opens again");
    assert_eq!(
        (log.purged(), log.last().map(|last| last.index)),
        (None, Some(3))
    );
    // A state that was not closed is built anew, here from the log alone.
    assert_eq!(rebuilt.applied().borrow().index(), None);
    rebuilt
        .apply(log.read(..).expect("reads"))
        .expect("is applied");
    assert_eq!(rebuilt.applied().borrow().index(), Some(3));
    assert_eq!(rebuilt.hash(), had);
}

#[test]
fn a_state_is_built_from_a_snapshot_that_was_kept_and_not_installed_any_more() {
    let dir = tempfile::tempdir().expect("a directory");
    let leader = shared(&dir.path().join("leader"));
    leader.apply(vec![entry(9, 1)]).expect("is applied");
    let sent = leader.build_snapshot().expect("is written");
    let data_dir = DataDir::open(&dir.path().join("follower")).expect("opens");
    let (log, shared) = stores::open(&data_dir, &options()).expect("opens");
    shared.apply(vec![entry(1, 1)]).expect("is applied");
    let file = received(&sent, &shared);
    let kept = leader
        .snapshots()
        .latest()
        .expect("reads")
        .expect("is there");
    let name = sent.meta.snapshot_id.clone();
    shared
        .snapshots()
        .keep_from(&file.path, KeptSnapshot { name, ..kept })
        .expect("is kept");
    drop((log, shared));
    let (_, shared) = stores::open(&data_dir, &options()).expect("opens again");
    assert_eq!(shared.applied().borrow().index(), Some(9));
    assert_eq!(shared.hash(), leader.hash());
}

#[test]
fn a_snapshot_names_no_file_but_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let shared = shared(dir.path());
    shared.apply(vec![entry(1, 1)]).expect("is applied");
    let Snapshot { mut meta, snapshot } = shared.build_snapshot().expect("is written");
    check_received(&meta, &snapshot.path).expect("it has a name of its own");
    for name in ["", "..", "../x", "/x", "a/b", "x.meta", &"x".repeat(65)] {
        meta.snapshot_id = name.to_owned();
        assert!(check_received(&meta, &snapshot.path).is_err(), "{name}");
    }
}
