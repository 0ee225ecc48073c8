//! The file of a backup: a copy of the state behind a header.
//!
//! The file: magic, a sealed header (who wrote it, and how long the rest is), and a snapshot as
//! `notty_storage::snapshot` writes it, whose footer is the end of the file. Every byte is under a
//! checksum; a file that is cut, damaged or of another version is refused with what is wrong.

use std::{
    cmp::Ordering,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use notty_storage::{Contents, Timestamp, inspect_snapshot};
use serde::{Deserialize, Serialize};

use crate::{
    disk::data_dir::VERSION,
    error::Error,
    log::marks::{seal, unseal},
    node::Node,
    state::snapshots::Position,
};

/// Leads every backup; the last byte is the version of the framing.
const MAGIC: &[u8; 8] = b"nottybk\x01";
/// Bytes of a header, at most.
const HEADER_BYTES: u64 = 64 * 1024;

/// Origin and length of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct BackupHeader {
    /// The version of the layout that the state has.
    layout: u32,
    /// The version of notty that wrote it.
    notty: String,
    /// The id of the cluster.
    cluster: String,
    /// The node that was asked.
    node: String,
    /// The time of that node's wall clock.
    at: Timestamp,
    /// Bytes of the snapshot that follows.
    bytes: u64,
}

/// A copy of a running node's state, ready to be written anywhere.
pub struct Copy {
    /// The first bytes of the file.
    pub header: Vec<u8>,
    /// The bytes that follow, from its start; it has no name on the disk.
    pub snapshot: File,
    /// Length of both together.
    pub bytes: u64,
    /// The position of the copied state in the log.
    pub index: u64,
}

/// A backup that was checked whole.
#[derive(Clone, Debug)]
pub struct Backup {
    path: PathBuf,
    /// The version of notty that wrote it.
    pub notty: String,
    /// The position of its state in the log.
    pub index: u64,
    /// Length of the whole file.
    pub bytes: u64,
    /// Offset of its snapshot.
    pub(crate) from: u64,
    /// Counts of the records in it.
    pub contents: Contents,
}

impl Node {
    /// Copies the state while everything goes on. Waits for the disk: call it where that may be.
    pub fn back_up(&self, notty: &str) -> Result<Copy, Error> {
        let (mut snapshot, summary) = self.copy_aside()?;

        let header = BackupHeader {
            layout: VERSION,
            notty: notty.to_owned(),
            cluster: self.identity().cluster.clone(),
            node: self.status().name,
            at: self.wall(),
            bytes: summary.bytes,
        };
        let header = [MAGIC.as_slice(), &seal(&header)].concat();

        // The copy was just written: whoever reads it begins at its start.
        let position = Position::from_marker(Some(&summary.marker))?;
        snapshot
            .seek(SeekFrom::Start(0))
            .map_err(Error::file(Path::new("the copy")))?;
        let bytes = header.len() as u64 + summary.bytes;
        Ok(Copy {
            header,
            snapshot,
            bytes,
            index: position.index().unwrap_or(0),
        })
    }
}

impl Backup {
    /// Reads a file whole, and refuses it if anything in it is not as it was written.
    pub fn check(path: &Path) -> Result<Self, Error> {
        let mut file = File::open(path).map_err(Error::file(path))?;
        let length = file.metadata().map_err(Error::file(path))?.len();
        let (header, from) = read_header(path, &mut file)?;
        check_header(path, &header, length, from + header.bytes)?;

        let contents = inspect_snapshot(path, from).map_err(|error| damage(path, error))?;
        let position = Position::from_marker(Some(&contents.marker))?;
        Ok(Self {
            path: path.to_owned(),
            notty: header.notty,
            index: position.index().unwrap_or(0),
            bytes: length,
            from,
            contents,
        })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Checks that this notty reads the backup, and that all bytes of it are there.
fn check_header(
    path: &Path,
    header: &BackupHeader,
    length: u64,
    written: u64,
) -> Result<(), Error> {
    if header.layout != VERSION {
        let (notty, layout) = (&header.notty, header.layout);
        let what = format!(
            "was written by notty {notty} with layout version {layout}, this notty reads version \
             {VERSION}: restore it with the notty that wrote it"
        );
        return Err(refuse(path, what));
    }

    let how = match length.cmp(&written) {
        Ordering::Equal => return Ok(()),
        Ordering::Less => "it was cut",
        Ordering::Greater => "something was added",
    };
    let what = format!("has {length} bytes, and {written} were written: {how}");
    Err(refuse(path, what))
}

fn refuse(path: &Path, what: impl Into<String>) -> Error {
    Error::Backup {
        path: path.to_owned(),
        what: what.into(),
    }
}

/// Reads the header; returns the offset of the snapshot too.
fn read_header(path: &Path, file: &mut File) -> Result<(BackupHeader, u64), Error> {
    // No more than a header: a file of another kind may be of any length.
    let mut start = Vec::new();
    let read = file
        .take(MAGIC.len() as u64 + 8 + HEADER_BYTES)
        .read_to_end(&mut start);
    read.map_err(Error::file(path))?;

    let Some(sealed) = start.strip_prefix(MAGIC.as_slice()) else {
        let is_backup = start.starts_with(&MAGIC[..MAGIC.len() - 1]);
        let what = if is_backup {
            "a backup in a form that this notty does not read: use a newer one"
        } else {
            "no backup of notty, or its beginning is damaged"
        };
        return Err(refuse(path, what));
    };

    let header = unseal(sealed).ok_or_else(|| refuse(path, "its header is damaged or cut"))?;
    let len = sealed
        .first_chunk()
        .map_or(0, |len| u64::from(u32::from_be_bytes(*len)));
    Ok((header, MAGIC.len() as u64 + 8 + len))
}

/// A fault that was found in the snapshot of a backup, as one of the backup.
pub(crate) fn damage(path: &Path, error: notty_storage::Error) -> Error {
    let what = match error {
        notty_storage::Error::Snapshot { what, at, .. } => {
            format!("is damaged at byte {at} ({what}): use another backup")
        }
        error @ notty_storage::Error::NoNumbersLeft => format!("cannot be restored: {error}"),
        error if error.is_damage() => format!("is damaged ({error}): use another backup"),
        error => return error.into(),
    };
    refuse(path, what)
}
