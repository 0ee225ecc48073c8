//! Backups: a copy of the state in one file, and what leads it.
//!
//! The file: magic, a sealed header (who wrote it, and how long the rest is), and a snapshot as
//! `notty_storage::snapshot` writes it, whose footer is the end of the file. Every byte is under a
//! checksum; a file that is cut, damaged or of another version is refused with what is wrong.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use notty_storage::{Contents, Timestamp, inspect_snapshot};
use serde::{Deserialize, Serialize};

use crate::{
    disk::data_dir::VERSION,
    disk::sealed::{seal, unseal},
    error::Error,
    node::Node,
    state::snapshots::Position,
};

/// Leads every backup; the last byte is the version of the framing.
const MAGIC: &[u8; 8] = b"nottybk\x01";
/// Bytes of a header, at most.
const HEADER_BYTES: u64 = 64 * 1024;

/// Who wrote a backup, and how long it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    /// The version of the layout that the state has.
    layout: u32,
    /// The version of notty that wrote it.
    notty: String,
    /// The cluster.
    cluster: String,
    /// The node that was asked.
    node: String,
    /// When, by its clock.
    at: Timestamp,
    /// Bytes of the snapshot that follows.
    bytes: u64,
}

/// A copy of a running node's state, ready to be written anywhere.
pub struct Copy {
    /// What leads the file.
    pub header: Vec<u8>,
    /// What follows, from its start; it has no name on the disk.
    pub snapshot: File,
    /// How long both are.
    pub bytes: u64,
    /// The position that it stands at.
    pub index: u64,
}

/// A backup that was checked whole.
#[derive(Clone, Debug)]
pub struct Backup {
    path: PathBuf,
    /// The version of notty that wrote it.
    pub notty: String,
    /// The position that it stands at.
    pub index: u64,
    /// Its length.
    pub bytes: u64,
    /// Where its snapshot begins.
    pub(crate) from: u64,
    /// What it holds.
    pub contents: Contents,
}

impl Node {
    /// Copies the state while everything goes on. Waits for the disk: call it where that may be.
    pub fn back_up(&self, notty: &str) -> Result<Copy, Error> {
        let (mut snapshot, summary) = self.copy_aside()?;
        let header = Header {
            layout: VERSION,
            notty: notty.to_owned(),
            cluster: self.identity().cluster.clone(),
            node: self.status().name,
            at: self.wall(),
            bytes: summary.bytes,
        };
        let header = [MAGIC.as_slice(), &seal(&header)].concat();
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
        let refuse = |what: String| Error::Backup {
            path: path.to_owned(),
            what,
        };
        let mut file = File::open(path).map_err(Error::file(path))?;
        let length = file.metadata().map_err(Error::file(path))?.len();
        let (header, from) = read_header(path, &mut file)?;
        if header.layout != VERSION {
            return Err(refuse(format!(
                "was written by notty {} with layout version {}, this notty reads version \
                 {VERSION}: restore it with the notty that wrote it",
                header.notty, header.layout
            )));
        }
        if length != from + header.bytes {
            return Err(refuse(format!(
                "has {length} bytes, and {} were written: {}",
                from + header.bytes,
                if length < from + header.bytes {
                    "it was cut"
                } else {
                    "something was added"
                }
            )));
        }
        let contents = inspect_snapshot(path, from).map_err(|error| damage(path, error))?;
        let position = Position::from_marker(Some(&contents.marker))?;
        let index = position.index().unwrap_or(0);
        let (path, notty) = (path.to_owned(), header.notty);
        Ok(Self {
            path,
            notty,
            index,
            bytes: length,
            from,
            contents,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The header, and where what follows begins.
fn read_header(path: &Path, file: &mut File) -> Result<(Header, u64), Error> {
    let refuse = |what: &str| Error::Backup {
        path: path.to_owned(),
        what: what.to_owned(),
    };
    let mut start = Vec::new();
    let read = file
        .take(MAGIC.len() as u64 + 8 + HEADER_BYTES)
        .read_to_end(&mut start);
    read.map_err(Error::file(path))?;
    let Some(sealed) = start.strip_prefix(MAGIC.as_slice()) else {
        return Err(match start.starts_with(&MAGIC[..MAGIC.len() - 1]) {
            true => refuse("a backup in a form that this notty does not read: use a newer one"),
            false => refuse("no backup of notty, or its beginning is damaged"),
        });
    };
    let header = unseal(sealed).ok_or_else(|| refuse("its header is damaged or cut"))?;
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
    Error::Backup {
        path: path.to_owned(),
        what,
    }
}
