//! A cut or a flip at any byte of any file is refused, or costs the last write alone.

use std::path::PathBuf;

use super::*;
use crate::disk::files::Files;

/// Every file of the log, with its bytes.
fn all_files(files: &MemoryFiles) -> Vec<(PathBuf, Vec<u8>)> {
    let names = files.list(Path::new(DIR)).expect("lists");
    let paths = names.into_iter().map(|name| Path::new(DIR).join(name));
    paths
        .map(|path| (path.clone(), files.bytes(&path).expect("is there")))
        .collect()
}

/// The possible results of damage: the log refuses, or holds a prefix in which only the last write is
/// missing.
fn check_damaged(files: &MemoryFiles, path: &Path, what: &str) -> bool {
    match open(files, 300) {
        Err(Error::Damage { .. }) => true,
        Err(other) => panic!("{what} of {}: {other}", path.display()),
        Ok(log) => {
            let end = log.last().map_or(0, |last| last.index + 1);
            assert!(
                (21..=24).contains(&end),
                "{what} of {}: ends at {end}",
                path.display()
            );
            check_holds(&log, 0..end);
            false
        }
    }
}

#[test]
fn a_cut_at_any_byte_of_any_file_is_refused_or_loses_the_last_write_alone() {
    let whole = MemoryFiles::new();
    drop(filled(&whole));
    let mut refused = 0;
    for (path, bytes) in all_files(&whole) {
        for len in 0..bytes.len() {
            let files = copy(&whole);
            files.put(&path, bytes[..len].to_vec());
            refused += u32::from(check_damaged(&files, &path, &format!("cut at {len}")));
        }
    }
    assert!(refused > 500, "{refused}");
}

#[test]
fn a_flip_of_any_byte_of_any_file_is_refused_or_loses_the_last_write_alone() {
    let whole = MemoryFiles::new();
    drop(filled(&whole));
    let mut refused = 0;
    for (path, bytes) in all_files(&whole) {
        for at in 0..bytes.len() {
            let files = copy(&whole);
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            files.put(&path, flipped);
            refused += u32::from(check_damaged(&files, &path, &format!("flip at {at}")));
        }
    }
    assert!(refused > 500, "{refused}");
}

fn copy(files: &MemoryFiles) -> MemoryFiles {
    let copy = MemoryFiles::new();
    for (path, bytes) in all_files(files) {
        copy.put(&path, bytes);
    }
    copy
}

#[test]
fn no_byte_below_the_committed_mark_is_ever_cut() {
    let whole = MemoryFiles::new();
    let mut log = filled(&whole);
    log.save_committed(Some(id(23))).expect("is noted");
    drop(log);
    let (path, bytes) = all_files(&whole)
        .into_iter()
        .rfind(|(p, _)| p.extension().is_some_and(|e| e == "log"))
        .expect("a segment");
    for len in 0..bytes.len() {
        let files = copy(&whole);
        files.put(&path, bytes[..len].to_vec());
        assert!(
            matches!(open(&files, 300), Err(Error::Damage { .. })),
            "cut at {len}"
        );
    }
}

#[test]
fn no_byte_below_the_states_position_is_ever_cut() {
    let files = MemoryFiles::new();
    drop(filled(&files));
    let (path, bytes) = all_files(&files)
        .into_iter()
        .rfind(|(p, _)| p.extension().is_some_and(|e| e == "log"))
        .expect("a segment");
    files.put(&path, bytes[..bytes.len() - 1].to_vec());
    let options = LogOptions {
        segment_bytes: 300,
        cache_bytes: 200,
        ..LogOptions::default()
    };
    let mut log = Log::open(Arc::new(files), Path::new(DIR), options).expect("opens");
    let error = log.settle(Some(id(23))).expect_err("refused");
    assert!(error.to_string().contains("state's position"), "{error}");
}

#[test]
fn a_torn_committed_mark_gives_the_one_before() {
    let files = MemoryFiles::new();
    let mut log = filled(&files);
    for index in [20, 21, 22] {
        log.save_committed(Some(id(index))).expect("is noted");
    }
    let path = Path::new(DIR).join("committed");
    let mut bytes = files.bytes(&path).expect("is there");
    bytes[64 + 9] ^= 1;
    files.put(&path, bytes);
    assert_eq!(open(&files, 300).expect("opens").committed(), Some(id(21)));
}
