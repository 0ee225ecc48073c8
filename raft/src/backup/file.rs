//! The file of a backup: a header, and a snapshot of the state.
//!
//! The file: magic, a sealed header (who wrote it, and how long the rest is), and a snapshot as
//! `notty_storage::snapshot` writes it, whose footer is the end of the file. Every byte is under a
//! checksum; a file that is cut, damaged or of another version is refused with the reason. Restoring
//! it is the work of [`super::restore`].

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use notty_storage::{Contents, Timestamp, inspect_snapshot};
use serde::{Deserialize, Serialize};

use crate::{
    disk::{
        data_dir::VERSION,
        sealed::{seal, sealed_bytes, unseal},
    },
    error::Error,
    node::Node,
    state::position::Position,
};

/// Leads every backup; the last byte is the version of the framing.
const MAGIC: &[u8; 8] = b"nottybk\x01";
/// Bytes of a sealed header, at most.
const HEADER_BYTES: u64 = 8 + 64 * 1024;

/// The origin of a backup, and its length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct BackupHeader {
    /// The version of the layout that the state has.
    layout: u32,
    /// The version of notty that wrote it.
    notty: String,
    /// The id of the cluster.
    cluster: String,
    /// The name of the node that wrote it.
    node: String,
    /// The time at the start, by that node's clock.
    at: Timestamp,
    /// Bytes of the snapshot that follows.
    bytes: u64,
}

impl BackupHeader {
    /// The header of a backup that a node writes now, with a snapshot of so many bytes.
    fn of(node: &Node, notty: &str, bytes: u64) -> Self {
        Self {
            layout: VERSION,
            notty: notty.to_owned(),
            cluster: node.identity().cluster,
            node: node.status().name,
            at: node.wall(),
            bytes,
        }
    }

    /// The beginning of a backup's file.
    fn bytes(&self) -> Vec<u8> {
        [MAGIC.as_slice(), &seal(self)].concat()
    }

    /// Refuses a layout that this notty does not read.
    fn check_layout(&self, path: &Path) -> Result<(), Error> {
        if self.layout == VERSION {
            return Ok(());
        }

        let what = format!(
            "was written by notty {} with layout version {}, this notty reads version {VERSION}: \
             restore it with the notty that wrote it",
            self.notty, self.layout
        );
        Err(Error::backup(path, what))
    }
}

/// A copy of a running node's state, ready to be written anywhere.
pub struct Copy {
    /// The beginning of the file.
    pub header: Vec<u8>,
    /// The rest of the file, to be read from its start; it has no name on the disk.
    pub snapshot: File,
    /// Bytes of both together.
    pub bytes: u64,
    /// The log position at which the state stands.
    pub index: u64,
}

/// A backup that was checked whole.
#[derive(Clone, Debug)]
pub struct Backup {
    path: PathBuf,
    /// The version of notty that wrote it.
    pub notty: String,
    /// The log position at which its state stands.
    pub index: u64,
    /// The length of the file.
    pub bytes: u64,
    /// Offset of the snapshot in the file.
    pub(crate) from: u64,
    /// A summary of the state in it.
    pub contents: Contents,
}

impl Node {
    /// Copies the state while everything goes on. Waits for the disk: call it from a thread that may
    /// wait.
    pub fn back_up(&self, notty: &str) -> Result<Copy, Error> {
        let (mut snapshot, summary) = self.copy_aside()?;
        // After the copy, because it holds the length of the snapshot.
        let header = BackupHeader::of(self, notty, summary.bytes).bytes();
        let position = Position::from_marker(Some(&summary.marker))?;

        // The export has left the file at its end.
        snapshot
            .seek(SeekFrom::Start(0))
            .map_err(Error::file(Path::new("the copy")))?;
        Ok(Copy {
            bytes: header.len() as u64 + summary.bytes,
            header,
            snapshot,
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

        // Before the snapshot is read: another layout would look like damage.
        header.check_layout(path)?;
        check_length(path, length, from + header.bytes)?;

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

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn check_length(path: &Path, found: u64, written: u64) -> Result<(), Error> {
    let fault = match found.cmp(&written) {
        std::cmp::Ordering::Less => "it was cut",
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Greater => "something was added",
    };
    let what = format!("has {found} bytes, and {written} were written: {fault}");
    Err(Error::backup(path, what))
}

/// Reads the header, and returns it with the offset of the snapshot behind it.
fn read_header(path: &Path, file: &mut File) -> Result<(BackupHeader, u64), Error> {
    let mut start = Vec::new();
    file.take(MAGIC.len() as u64 + HEADER_BYTES)
        .read_to_end(&mut start)
        .map_err(Error::file(path))?;

    let sealed = start
        .strip_prefix(MAGIC.as_slice())
        .ok_or_else(|| Error::backup(path, foreign(&start)))?;

    let header =
        unseal(sealed).ok_or_else(|| Error::backup(path, "its header is damaged or cut"))?;
    // What was read goes on into the snapshot: the header alone knows where it ends.
    let from = MAGIC.len() + sealed_bytes(sealed).unwrap_or_default();
    Ok((header, from as u64))
}

/// The fault of a file that does not begin as a backup does.
fn foreign(start: &[u8]) -> &'static str {
    // The name without the version: a newer notty wrote it.
    if start.starts_with(&MAGIC[..MAGIC.len() - 1]) {
        "a backup in a form that this notty does not read: use a newer one"
    } else {
        "no backup of notty, or its beginning is damaged"
    }
}

/// A fault that was found in the snapshot of a backup, as one of the backup.
pub(crate) fn damage(path: &Path, error: notty_storage::Error) -> Error {
    let what = match error {
        notty_storage::Error::Snapshot { what, at, .. } => {
            format!("is damaged at byte {at} ({what}): use another backup")
        }
        error @ notty_storage::Error::NoNumbersLeft => format!("cannot be restored: {error}"),
        error if error.is_damage() => format!("is damaged ({error}): use another backup"),
        // A fault of this machine's disk says nothing of the backup.
        error => return error.into(),
    };
    Error::backup(path, what)
}
