//! The disk under the state: nothing is flushed in passing, a flush that failed makes nobody wait,
//! and whatever is wrong in a file of it is found.

mod rows;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use notty_storage::{Error, Scan, Store, StoreOptions, View};
use rows::entry;

/// Far longer than anything here needs.
const SOON: Duration = Duration::from_secs(60);

fn open(dir: &Path) -> Result<Store, Error> {
    Store::open(dir, StoreOptions::default())
}

/// Applies entries of a thousand customers each.
fn fill(store: &mut Store, rounds: std::ops::Range<u64>) {
    for round in rounds {
        let applied = store.apply(&entry(round), &round.to_be_bytes());
        assert!(applied.expect("the state applies")[0].is_ok());
    }
}

/// Keys and values.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// All that a state holds.
fn contents(view: &View) -> Result<Pairs, Error> {
    let mut pairs = Vec::new();
    view.read().scan(&[], |key, value| {
        pairs.push((key.to_vec(), value.to_vec()));
        true
    })?;
    Ok(pairs)
}

/// What is in a directory as a crash now would leave it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("created");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let place = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &place),
            false => drop(fs::copy(entry.path(), place).expect("copied")),
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect();
    files.sort();
    files
}

/// Runs work that must come to an end.
fn ends<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, ended) = mpsc::channel();
    // It hangs, if it does, until the process ends.
    std::thread::spawn(move || sender.send(work()));
    ended
        .recv_timeout(SOON)
        .unwrap_or_else(|error| panic!("{what}: {error}"))
}

#[test]
fn readers_scans_and_exports_leave_what_is_not_flushed_unflushed() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let place = dir.path().join("state");
    let mut store = open(&place).expect("a new state opens");
    fill(&mut store, 0..3);
    store.flush().expect("it flushes");
    fill(&mut store, 3..5);
    let readers: Vec<_> = (0..40).map(|_| contents(&store.view())).collect();
    assert!(readers.iter().all(Result::is_ok));
    let mut export = store
        .begin_export(&dir.path().join("snapshot"))
        .expect("it begins");
    while export.copy_some().expect("there is room") {}
    store.end_export(export).expect("it ends");
    let left = dir.path().join("left");
    copy(&place, &left);
    let left = open(&left).expect("what a crash leaves opens");
    assert_eq!(left.marker(), Some(2u64.to_be_bytes().to_vec()));
}

#[test]
fn a_state_that_is_let_go_of_is_whole_on_its_disk_and_can_be_opened_again() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let mut store = open(dir.path()).expect("a new state opens");
    fill(&mut store, 0..3);
    let before = contents(&store.view()).expect("it reads");
    drop(store);
    let store = open(dir.path()).expect("its directory is free again");
    assert_eq!(contents(&store.view()).expect("it reads"), before);
}

/// Each bit may be one that nothing depends on; what comes of the others must be told.
#[test]
fn a_bit_that_flipped_anywhere_is_found_or_changes_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let place = dir.path().join("state");
    let mut store = open(&place).expect("a new state opens");
    // Flushed again and again: what lies where changes, and places are used again.
    for round in 0..12 {
        fill(&mut store, round..round + 1);
        store.flush().expect("it flushes");
    }
    let before = contents(&store.view()).expect("it reads");
    // A copy: closing writes its metadata anew.
    let whole = dir.path().join("whole");
    copy(&place, &whole);
    let (mut found, mut tried) = (0, 0);
    for file in files(&whole)
        .iter()
        .filter(|file| fs::metadata(file).is_ok_and(|m| m.len() > 0))
    {
        let bytes = fs::read(file).expect("it reads");
        for part in 0..3 {
            let at = bytes.len() * (2 * part + 1) / 6;
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            let place = dir.path().join(format!("damaged-{tried}"));
            copy(&whole, &place);
            let name = file.strip_prefix(&whole).expect("it is inside").to_owned();
            fs::write(place.join(&name), damaged).expect("written");
            let read = ends(&format!("{} at {at}", name.display()), move || {
                contents(&open(&place)?.view())
            });
            match read {
                Ok(read) => assert!(read == before, "{} at {at}", name.display()),
                Err(error) => {
                    assert!(error.is_damage(), "{} at {at}: {error}", name.display());
                    found += 1;
                }
            }
            tried += 1;
        }
    }
    assert!(found > 10, "of {tried} {found} were found");
}

/// The end of a log of metadata is not the end of what was flushed.
#[test]
fn metadata_that_were_cut_are_found() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let place = dir.path().join("state");
    let mut store = open(&place).expect("a new state opens");
    for round in 0..3 {
        fill(&mut store, round..round + 1);
        store.flush().expect("it flushes");
    }
    let is_log = |path: &PathBuf| path.to_string_lossy().contains("metadata/log_");
    let log = files(&place)
        .into_iter()
        .rfind(is_log)
        .expect("there is one");
    let name = log.strip_prefix(&place).expect("it is inside").to_owned();
    let bytes = fs::read(&log).expect("it reads");
    for cut in [1, 5, 200] {
        let place = dir.path().join(format!("cut-{cut}"));
        copy(&dir.path().join("state"), &place);
        fs::write(place.join(&name), &bytes[..bytes.len() - cut]).expect("written");
        let opened = ends("it opens or not", move || open(&place).map(drop));
        assert!(opened.expect_err("it is cut").is_damage());
    }
}
