//! A snapshot that cannot be written fails alone: entries go on being applied.

mod plant;

use std::path::Path;

use plant::World;

#[test]
fn an_entry_that_a_snapshot_has_no_room_for_is_applied() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let mut world = World::open(dir.path());
    let export = world.store.begin_export(Path::new("/dev/full")).expect("a file that opens");
    // More than is gathered in memory before it is written.
    world.put_customers(0..20_000, 5);
    let mailing = world.start_mailing(1, "%");
    let (bytes, sent) = world.bytes_of(|world| world.send(mailing, false));
    assert_eq!(sent.messages, 20_000);
    assert!(bytes > 256 * 1024, "{bytes} bytes may all be in memory yet");
    world.store.end_export(export).expect_err("the snapshot is not whole");
    let path = dir.path().join("snapshot");
    let mut export = world.store.begin_export(&path).expect("another begins");
    world.finish(mailing, 1);
    while export.copy_some().expect("there is room") {}
    world.purge(mailing);
    let summary = world.store.end_export(export).expect("the snapshot is whole");
    assert_eq!(summary.hash, world.store.hash());
}
