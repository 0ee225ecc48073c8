//! What is wrong with this disk or these bytes. Never a business outcome: those are
//! [`Rejection`](crate::Rejection)s, the same on every node and part of the reply.

mod decoding;

use std::{
    io::{self, ErrorKind},
    path::PathBuf,
};

pub use decoding::DecodeError;

/// How errors end whose number says nothing of the data: too many open files, in the system and in
/// the process. sled keeps no more of them than their text.
const SYSTEM_ERRORS: [&str; 2] = ["(os error 23)", "(os error 24)"];

/// The end of an error about bytes that another version has written.
const NEWER: &str = concat!(
    ": a newer notty wrote it, and this is notty ",
    env!("CARGO_PKG_VERSION"),
    ". Use the version that wrote it, or a later one"
);

/// A fault of this node's storage. The node stops; another node need not have it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// sled could not read or write.
    #[error("state: {context}: {source}")]
    Sled {
        /// What was being done.
        context: &'static str,
        /// What sled said.
        source: io::Error,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record does not start with the format byte of this version.
    #[error(
        "record of format {found:?}, this version reads format {known}{}",
        if self.is_newer() { NEWER } else { "" }
    )]
    Format {
        /// The format that this version reads.
        known: u8,
        /// The byte found, none for an empty record.
        found: Option<u8>,
    },
    /// A record does not decode.
    #[error(
        "record does not decode: {source}{}",
        if source.is_newer() { NEWER } else { "" }
    )]
    Record {
        /// What the decoder said.
        source: Box<DecodeError>,
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
    /// The state, or an entry for it, needs a higher level than this notty understands.
    #[error(
        "{what} needs level {needed} ({by}), and this is notty {}, which understands level {known}: use \
         that version, or a later one",
        env!("CARGO_PKG_VERSION")
    )]
    Level {
        /// The state, or one of its entries.
        what: &'static str,
        /// The level that it needs.
        needed: u32,
        /// The level that this node understands.
        known: u32,
        /// The version that wrote it, as far as it is known.
        by: String,
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
        matches!(self, Error::Sled { source, .. } if source.kind() == io::ErrorKind::WouldBlock)
    }

    /// True if a newer version wrote what this one does not know. That is no damage: whatever it holds
    /// is right, and must not be rebuilt or cut.
    pub fn is_newer(&self) -> bool {
        match self {
            Error::Record { source } => source.is_newer(),
            Error::Format { known, found } => found.is_some_and(|found| found > *known),
            Error::Level { .. } => true,
            _ => false,
        }
    }

    /// Whether the state itself does not check out, so that it must be rebuilt: whatever is said of
    /// its data other than that the disk has no room, cannot be written, or that too many files are
    /// open.
    pub fn is_damage(&self) -> bool {
        use Error::{
            Contradiction, File, Format, Level, NoNumbersLeft, Record, Sled, Snapshot, Trailing,
        };
        match self {
            Format { .. } | Record { .. } if self.is_newer() => false,
            Format { .. } | Record { .. } | Trailing { .. } | Contradiction { .. } => true,
            // A flush reads as well, what it moves.
            Sled {
                context: "flush",
                source,
            } => {
                matches!(
                    source.kind(),
                    ErrorKind::InvalidData | ErrorKind::UnexpectedEof
                )
            }
            Sled { source, .. } => !is_of_the_system(source),
            File { .. } | Snapshot { .. } | Level { .. } | NoNumbersLeft => false,
        }
    }

    pub(crate) fn sled(context: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Sled { context, source }
    }
}

/// Whether an error tells of the system around the data rather than of the data.
fn is_of_the_system(error: &io::Error) -> bool {
    use ErrorKind::{
        FileTooLarge, Interrupted, OutOfMemory, PermissionDenied, QuotaExceeded,
        ReadOnlyFilesystem, StorageFull, WouldBlock,
    };
    let known = matches!(
        error.kind(),
        StorageFull
            | QuotaExceeded
            | FileTooLarge
            | ReadOnlyFilesystem
            | PermissionDenied
            | WouldBlock
            | OutOfMemory
            | Interrupted
    );
    known
        || SYSTEM_ERRORS
            .iter()
            .any(|end| error.to_string().contains(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(context: &'static str, source: io::Error) -> bool {
        // As sled passes errors on: with their kind and their text, and no number.
        let source = io::Error::new(source.kind(), format!("sled:src/heap.rs:1 -> {source}"));
        Error::sled(context)(source).is_damage()
    }

    #[test]
    fn whatever_is_said_of_the_data_is_damage_and_what_is_said_of_the_disk_is_not() {
        let (enospc, emfile, enfile, erofs, eio) = (28, 24, 23, 30, 5);
        for number in [enospc, emfile, enfile, erofs] {
            for context in ["read", "scan", "write", "remove", "open", "flush"] {
                let error = io::Error::from_raw_os_error(number);
                assert!(!said(context, error), "{context}: {number}");
            }
        }
        for kind in [ErrorKind::InvalidData, ErrorKind::UnexpectedEof] {
            for context in ["read", "scan", "write", "remove", "open", "flush"] {
                assert!(said(context, kind.into()), "{context}: {kind}");
            }
        }
        assert!(
            said("read", io::Error::from_raw_os_error(eio)),
            "it cannot be read"
        );
        assert!(
            !said("flush", io::Error::from_raw_os_error(eio)),
            "it cannot be written"
        );
    }
}
