//! A restore over what an earlier one left.

use std::fs;

use super::{
    data_dir::{DataDir, EMPTY},
    files::{Files, RealFiles},
    restoring::RESTORED_ASIDE,
};

#[test]
fn a_restore_is_repeated_over_whatever_another_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let begun = DataDir::open_for_restore(dir.path()).expect("it is empty");
    begun.begin_restore().expect("begins");
    for name in ["log", "snapshots", "state"] {
        fs::create_dir(dir.path().join(name)).expect("created");
    }
    for name in ["identity.new", RESTORED_ASIDE] {
        fs::write(dir.path().join(name), b"half").expect("written");
    }
    drop(begun);

    let again = DataDir::open_for_restore(dir.path()).expect("it is a restore's");
    again.begin_restore().expect("begins");
    again.clear_restore().expect("clears");
    let left = RealFiles.list(dir.path()).expect("lists");
    assert!(
        left.iter().all(|name| EMPTY.contains(&name.as_str())),
        "{left:?}"
    );
}
