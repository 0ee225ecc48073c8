//! What is wrong with this disk or these bytes. Never a business outcome: those are
//! [`Rejection`](crate::Rejection)s, the same on every node and part of the reply.

use std::path::PathBuf;

/// A fault of this node's storage. The node stops; another node need not have it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// sled could not read or write.
    #[error("state: {context}: {source}")]
    Sled {
        /// What was being done.
        context: &'static str,
        /// What sled said.
        source: std::io::Error,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A record does not start with the format byte of this version.
    #[error("record of format {found:?}, this version reads format {}", crate::codec::FORMAT)]
    Format {
        /// The byte found, none for an empty record.
        found: Option<u8>,
    },
    /// A record does not decode.
    #[error("record does not decode: {source}")]
    Record {
        /// What the decoder said.
        source: Box<bincode::error::DecodeError>,
    },
    /// Bytes are left over after a record.
    #[error("record has {bytes} bytes too many")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A snapshot file does not check out.
    #[error("snapshot {}: {what} at byte {at}", path.display())]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
        /// Where, in bytes from the start.
        at: u64,
    },
    /// The state contradicts itself: a record that must exist is missing.
    #[error("state contradicts itself: {what}")]
    Contradiction {
        /// What is missing or does not fit.
        what: &'static str,
    },
    /// A backup cannot be restored: it comes from too many restores in a row.
    #[error(
        "no numbers are left for mailings that no other restore may have given: begin with an empty \
         directory, and import the customers there"
    )]
    NoNumbersLeft,
}

impl Error {
    /// Whether another process, or another part of this one, has the state open.
    pub fn is_locked(&self) -> bool {
        matches!(self, Error::Sled { source, .. } if source.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Whether records do not decode or contradict each other, rather than a fault of the disk.
    pub fn is_damage(&self) -> bool {
        use Error::{Contradiction, Format, Record, Trailing};
        matches!(self, Format { .. } | Record { .. } | Trailing { .. } | Contradiction { .. })
    }

    pub(crate) fn sled(context: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        move |source| Error::Sled { context, source }
    }
}
