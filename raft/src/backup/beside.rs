//! A copy of a data directory, made before a start changes something in it for good.
//!
//! A migration that cannot be undone calls [`copy_beside`] first, while nothing of the directory is open.
//! No version has such a migration yet (docs/decisions/049-own-backups.md).
//! The copy has all that counts on a disk: identity, log and snapshots. The state is rebuilt from them.
//! To go back, a person starts the older notty with the copy as its data directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    disk::{
        data_dir::DataDir,
        files::{Files, RealFiles},
    },
    error::Error,
};

/// Parts of a data directory that a copy has; each may be missing.
const PARTS: [&str; 5] = ["clock", "restored", "log", "snapshots", "identity"];

/// Copies a data directory to `before-{label}` in it, reads the copy back, and returns its path. `None` if
/// the directory belongs to no node yet. A copy of this label that is there already stays: it is from a
/// start that ended before its migration did.
pub fn copy_beside(dir: &Path, label: &str) -> Result<Option<PathBuf>, Error> {
    let held = DataDir::open(dir)?;
    if !dir.join("identity").exists() {
        return Ok(None);
    }
    let whole = dir.join(format!("before-{label}"));
    if whole.exists() {
        return Ok(Some(whole));
    }

    // Under another name until it is whole: a copy that was cut off must not count.
    let aside = dir.join(format!("before-{label}.new"));
    let copied = copy_parts(dir, &aside);
    if let Err(error) = copied {
        // It takes the room that the next try needs.
        let _ = fs::remove_dir_all(&aside);
        return Err(error);
    }
    RealFiles
        .rename(&aside, &whole)
        .map_err(Error::file(&whole))?;
    held.sync()?;
    Ok(Some(whole))
}

fn copy_parts(from: &Path, to: &Path) -> Result<(), Error> {
    if to.exists() {
        fs::remove_dir_all(to).map_err(Error::file(to))?;
    }
    make_dir(to)?;
    for part in PARTS {
        let (old, new) = (from.join(part), to.join(part));
        if old.is_dir() {
            copy_dir(&old, &new)?;
        } else if old.exists() {
            copy_file(&old, &new)?;
        }
    }
    RealFiles.sync_dir(to).map_err(Error::file(to))
}

/// Copies a directory of files: log and snapshots have no directories in them.
fn copy_dir(from: &Path, to: &Path) -> Result<(), Error> {
    make_dir(to)?;
    for name in RealFiles.list(from).map_err(Error::file(from))? {
        let old = from.join(&name);
        if old.is_file() {
            copy_file(&old, &to.join(&name))?;
        }
    }
    RealFiles.sync_dir(to).map_err(Error::file(to))
}

fn make_dir(dir: &Path) -> Result<(), Error> {
    RealFiles.create_dir(dir).map_err(Error::file(dir))
}

/// Copies a file, syncs the copy, and compares it with the original.
fn copy_file(from: &Path, to: &Path) -> Result<(), Error> {
    fs::copy(from, to).map_err(Error::file(to))?;
    let copy = fs::File::open(to).map_err(Error::file(to))?;
    copy.sync_all().map_err(Error::file(to))?;

    let original = fs::File::open(from).map_err(Error::file(from))?;
    let is_same = same_bytes(original, copy).map_err(Error::file(to))?;
    if is_same {
        return Ok(());
    }
    Err(Error::damage(
        to,
        0,
        "it reads otherwise than it was written",
    ))
}

/// True if two files have the same bytes.
fn same_bytes(one: fs::File, other: fs::File) -> io::Result<bool> {
    use io::BufRead;

    let mut one = io::BufReader::new(one);
    let mut other = io::BufReader::new(other);
    loop {
        let left = one.fill_buf()?;
        let right = other.fill_buf()?;
        let count = left.len().min(right.len());
        if left[..count] != right[..count] {
            return Ok(false);
        }
        // At the end of one the other must end too.
        if count == 0 {
            return Ok(left.is_empty() && right.is_empty());
        }
        one.consume(count);
        other.consume(count);
    }
}
