//! A node that understands less than its cluster stops before it does anything wrong.

use notty_storage::{
    Action, Entry, Error, Store, StoreOptions, Timestamp,
    command::{RaiseLevel, TryLevel},
    level::{FIRST_LEVEL, LEVEL},
    query::level::cluster_level,
};

fn open(dir: &std::path::Path, level: u32) -> Result<Store, Error> {
    let options = StoreOptions {
        level,
        ..StoreOptions::default()
    };
    Store::open(dir, options)
}

fn entry(action: impl Into<Action>) -> Entry {
    Entry {
        at: Timestamp::from_millis(1),
        commands: vec![action.into().into()],
    }
}

#[test]
fn an_entry_of_a_higher_level_changes_nothing_and_names_both_versions() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), FIRST_LEVEL).expect("an empty state");
    let before = store.hash();
    let refused = store
        .apply(&entry(TryLevel { nonce: 1 }), b"1")
        .expect_err("an entry of the second level");
    assert!(refused.is_newer() && !refused.is_damage(), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("needs level 2"), "{text}");
    assert!(text.contains(env!("CARGO_PKG_VERSION")), "{text}");
    assert_eq!((store.hash(), store.marker()), (before, None));
}

#[test]
fn a_state_of_a_higher_level_does_not_open_and_is_not_damage() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path(), LEVEL).expect("an empty state");
    let version = "9.8.7".to_owned();
    let raise = RaiseLevel { to: LEVEL, version };
    let outcomes = store.apply(&entry(raise), b"1").expect("applied");
    assert!(outcomes[0].is_ok());
    let agreed = cluster_level(&store.view().read()).expect("reads");
    assert_eq!((agreed.level(), agreed.version.as_str()), (LEVEL, "9.8.7"));
    store.flush().expect("flushes");
    drop(store);

    let refused = open(dir.path(), FIRST_LEVEL).err().expect("a higher level");
    assert!(!refused.is_damage(), "it would be rebuilt: {refused}");
    let text = refused.to_string();
    assert!(
        text.contains("9.8.7") && text.contains(env!("CARGO_PKG_VERSION")),
        "{text}"
    );
    assert!(open(dir.path(), LEVEL).is_ok());
}
