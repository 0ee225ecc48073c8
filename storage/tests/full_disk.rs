//! An export that finds no room fails by itself: entries are applied as if it were not there.

use std::{fs::File, path::Path, process::Command};

use notty_storage::{
    Action, Entry, Store, StoreOptions, Timestamp,
    command::{CustomerRow, PutCustomers, PutMode},
    model::{CustomerId, Phone},
};

/// A thousand customers with long names.
fn customers(round: u64) -> Entry {
    let row = |n: u64| CustomerRow {
        id: CustomerId::parse(&format!("c-{round}-{n}")).expect("an id"),
        by_phone: false,
        name: "n".repeat(200),
        phone: Some(Phone::from_digits(79_160_000_000 + n)),
        tag: 0,
        operator: 0,
        zone: None,
        kept: Default::default(),
    };
    let word = || vec![(String::new(), String::new())];
    let rows = (0..1_000).map(row).collect();
    let (tags, operators, zones) = (word(), word(), Vec::new());
    let put = PutCustomers {
        mode: PutMode::Create,
        tags,
        operators,
        zones,
        rows,
    };
    let commands = vec![Action::PutCustomers(put).into()];
    Entry {
        at: Timestamp::from_millis(1),
        commands,
    }
}

#[test]
fn an_export_without_room_is_told_and_applying_goes_on() {
    let full = Path::new("/dev/full");
    let Ok(file) = File::options().write(true).open(full) else {
        eprintln!("skipped: there is no /dev/full here");
        return;
    };
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let mut store = Store::open(dir.path(), StoreOptions::default()).expect("a new state opens");
    let mut export = store.begin_export_into(file, full).expect("it begins");
    for round in 0..4u64 {
        let applied = store.apply(&customers(round), &round.to_be_bytes());
        assert!(applied.expect("the state applies")[0].is_ok());
    }
    let told = export.copy_some().expect_err("there is no room");
    assert!(told.to_string().contains("/dev/full"), "{told}");
    store.abandon_export();
    let path = dir.path().join("snapshot");
    let mut export = store.begin_export(&path).expect("another begins");
    while export.copy_some().expect("there is room") {}
    store.end_export(export).expect("it ends");
}

/// Mounts a small filesystem for as long as `work` takes; none where that is not allowed.
fn on_a_small_disk<T>(place: &Path, work: impl FnOnce() -> T) -> Option<T> {
    std::fs::create_dir_all(place).expect("created");
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16m", "none"])
        .arg(place)
        .output();
    if !mount.is_ok_and(|mounted| mounted.status.success()) {
        return None;
    }
    let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    let unmounted = Command::new("umount").arg("-l").arg(place).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    Some(worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// Others write to the disk meanwhile, and must not find it full.
#[test]
fn an_export_gives_up_while_there_is_still_room_for_others() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let mut store = Store::open(&dir.path().join("state"), StoreOptions::default());
    let store = store.as_mut().expect("a new state opens");
    for round in 0..120u64 {
        store
            .apply(&customers(round), &round.to_be_bytes())
            .expect("the state applies");
    }
    let small = dir.path().join("small");
    let left = on_a_small_disk(&small, || {
        let mut export = store
            .begin_export(&small.join("snapshot"))
            .expect("it begins");
        let told = loop {
            match export.copy_some() {
                Ok(more) => assert!(more, "it is too small for that"),
                Err(error) => break error.to_string(),
            }
        };
        assert!(told.contains("bytes are free"), "{told}");
        let disk = rustix::fs::statvfs(&small).expect("it is there");
        disk.f_bavail * disk.f_frsize
    });
    match left {
        // A sixteenth, but for a chunk and what is on its way.
        Some(left) => assert!(left > 512 * 1024, "{left} bytes are left"),
        None => eprintln!("skipped: this process may not mount a small disk"),
    }
}
