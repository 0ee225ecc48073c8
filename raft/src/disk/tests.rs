//! A restore over what an earlier one left.

use std::fs;

use super::{
    data_dir::EMPTY,
    files::{Files, RealFiles},
    restoring::{RESTORED_ASIDE, Restoring},
};

#[test]
fn a_restore_is_repeated_over_whatever_another_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let begun = Restoring::open(dir.path()).expect("it is empty");
    begun.begin().expect("begins");
    for name in ["log", "snapshots", "state"] {
        fs::create_dir(dir.path().join(name)).expect("created");
    }
    for name in ["identity.new", RESTORED_ASIDE] {
        fs::write(dir.path().join(name), b"half").expect("written");
    }
    drop(begun);

    let again = Restoring::open(dir.path()).expect("it is a restore's");
    again.begin().expect("begins");
    again.clear().expect("clears");
    let left = RealFiles.list(dir.path()).expect("lists");
    assert!(
        left.iter().all(|name| EMPTY.contains(&name.as_str())),
        "{left:?}"
    );
}
