//! Snapshots on the disk: replaced, received twice, and left half by a crash.

use std::fs;

use crate::{
    disk::files::{Files, RealFiles},
    state::{
        position::Position,
        snapshots::{KeptSnapshot, Snapshots},
    },
};

fn kept(name: &str) -> KeptSnapshot {
    KeptSnapshot {
        name: name.to_owned(),
        position: Position::default(),
        hash: 7,
        bytes: 5,
    }
}

#[test]
fn the_latest_is_found_while_it_is_replaced() {
    let dir = tempfile::tempdir().expect("a directory");
    let snapshots = Snapshots::open(dir.path()).expect("opens");
    let keep = |n: u32| {
        let file = snapshots.receiving();
        fs::write(&file.path, b"whole").expect("written");
        snapshots
            .keep_from(&file.path, kept(&n.to_string()))
            .expect("is kept");
    };
    keep(0);
    std::thread::scope(|scope| {
        let keeping = scope.spawn(|| (1..300).for_each(keep));
        while !keeping.is_finished() {
            assert!(snapshots.latest().expect("reads").is_some());
        }
    });
}

#[test]
fn a_half_that_a_fault_or_a_crash_left_is_dropped() {
    let dir = tempfile::tempdir().expect("a directory");
    let snapshots = Snapshots::open(dir.path()).expect("opens");
    let keep = |name: &str| {
        let file = snapshots.receiving();
        fs::write(&file.path, b"whole").expect("written");
        snapshots.keep_from(&file.path, kept(name))
    };
    keep("x").expect("is kept");
    // What stands in the way of its meta.
    fs::create_dir(dir.path().join("y.meta")).expect("made");
    assert!(keep("y").is_err() && !dir.path().join("y.snap").exists());
    fs::remove_dir(dir.path().join("y.meta")).expect("removed");
    fs::write(dir.path().join("z.meta"), b"").expect("written");
    let snapshots = Snapshots::open(dir.path()).expect("opens");
    assert_eq!(
        snapshots.latest().expect("reads").expect("is there").name,
        "x"
    );
}

#[test]
fn one_that_is_received_twice_at_once_is_kept_whole_and_nothing_else_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    let snapshots = Snapshots::open(dir.path()).expect("opens");
    let (first, second) = (snapshots.receiving(), snapshots.receiving());
    fs::write(&first.path, b"whole").expect("written");
    fs::write(&second.path, b"ha").expect("written");
    let position = Position::default();
    let kept = KeptSnapshot {
        name: "x".to_owned(),
        position,
        hash: 7,
        bytes: 5,
    };
    let kept = snapshots.keep_from(&first.path, kept).expect("is kept");
    fs::write(&second.path, b"half").expect("written");
    drop((first, second));
    assert_eq!(fs::read(snapshots.file(&kept)).expect("reads"), b"whole");
    assert_eq!(
        snapshots.latest().expect("reads").expect("is there").hash,
        7
    );
    assert_eq!(
        RealFiles.list(dir.path()).expect("lists"),
        ["x.meta", "x.snap"]
    );
}
