//! The head of a journal's file: its run, its place there, and the seal of its records.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt,
    time::{SystemTime, UNIX_EPOCH},
};

use notty_storage::model::Epoch;

use super::RunTerms;

/// Bytes of a header.
pub(super) const HEADER: usize = 8 * FIELDS + 4;
/// Numbers in a header, those for later versions among them.
const FIELDS: usize = 16;
/// Numbers that this version knows. The others are 0, and stand for what an older run did not know.
const KNOWN: usize = 13;
/// Begins every file; the last byte is the version of the format. It changes only if the numbers that are
/// left do not suffice.
const MAGIC: u64 = u64::from_be_bytes(*b"nottyjn\x03");
/// The form of the records that this version writes. A version that adds a kind of record, or a field
/// to one, raises it: an older version then knows that it cannot tell what was begun.
const RECORDS: u64 = 1;
/// Stands for no time in which a message may be repeated.
const NEVER: u64 = u64::MAX;

/// The file itself, as the system knows it: a copy is another file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
    /// The time at which it was made, in nanoseconds; 0 where the file system does not keep it.
    born: u64,
}

impl FileId {
    pub(super) fn of(file: &Metadata) -> Self {
        let since = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let born = file.created().map_or(0, |at| since(at).as_nanos() as u64);
        Self {
            device: file.dev(),
            inode: file.ino(),
            born,
        }
    }
}

/// The run that a file belongs to, and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageHeader {
    /// A hash of the machine's boot and the cluster.
    pub(super) boot: u64,
    /// The run that wrote the file.
    pub(super) run: RunTerms,
    /// 0: the postman's own; above, those of its senders.
    pub(super) stream: u64,
    /// The run's senders: each has a stream.
    pub(super) senders: u64,
    /// The file's number in its stream.
    pub(super) page: u64,
    /// The first file of the stream that is still needed.
    pub(super) oldest: u64,
    /// The file that this was written into.
    pub(super) file: FileId,
}

impl PageHeader {
    pub(super) fn bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        for (place, field) in bytes.chunks_exact_mut(8).zip(self.fields()) {
            place.copy_from_slice(&field.to_be_bytes());
        }

        // The checksum comes last, and covers everything before it.
        let checksum = checksum(&bytes);
        bytes[8 * FIELDS..].copy_from_slice(&checksum);
        bytes
    }

    /// The numbers of a header. Their order is the format of the file: [`PageHeader::of`] has it too.
    fn fields(&self) -> [u64; FIELDS] {
        [
            MAGIC,
            self.boot,
            self.run.epoch.0,
            self.run.gateway,
            self.run.repeat_ms.unwrap_or(NEVER),
            // Both are far below 32 bits.
            self.stream << 32 | self.senders,
            self.page,
            self.oldest,
            self.file.device,
            self.file.inode,
            self.file.born,
            self.run.nonce,
            RECORDS,
            0,
            0,
            0,
        ]
    }

    /// Reads a header. Fails if it is damaged, or if a newer version wrote it: what that version may have
    /// noted besides is not known then, so that its files prove nothing here.
    pub(super) fn parse(bytes: &[u8; HEADER]) -> Result<Self, String> {
        const DAMAGED: &str = "its header is damaged, or of another version of notty";
        if bytes[8 * FIELDS..] != checksum(bytes) {
            return Err(DAMAGED.to_owned());
        }

        let (numbers, _) = bytes.as_chunks::<8>();
        let number = |n| numbers.get(n).map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let fields: [u64; FIELDS] = std::array::from_fn(number);
        if fields[0] != MAGIC {
            return Err(DAMAGED.to_owned());
        }

        let form = fields[KNOWN - 1];
        if form > RECORDS || fields[KNOWN..].iter().any(|field| *field != 0) {
            return Err(format!(
                "a newer notty wrote it (form {form} of records), and this is notty {}, which knows form \
                 {RECORDS}",
                env!("CARGO_PKG_VERSION")
            ));
        }
        Ok(Self::of(fields))
    }

    /// The header of these numbers, in the order of [`PageHeader::fields`].
    fn of(fields: [u64; FIELDS]) -> Self {
        let [
            // Of the magic, which `parse` has looked at.
            _,
            boot,
            epoch,
            gateway,
            repeat_ms,
            streams,
            page,
            oldest,
            device,
            inode,
            born,
            nonce,
            // The form of the records, and those that are left: `parse` has looked at them.
            ..,
        ] = fields;

        let run = RunTerms {
            epoch: Epoch(epoch),
            nonce,
            gateway,
            repeat_ms: (repeat_ms != NEVER).then_some(repeat_ms),
        };

        Self {
            boot,
            run,
            stream: streams >> 32,
            senders: streams & u64::from(u32::MAX),
            page,
            oldest,
            file: FileId {
                device,
                inode,
                born,
            },
        }
    }

    /// Seals the records of this file.
    pub(super) fn seal(&self) -> Seal {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.bytes());
        Seal(hasher)
    }
}

/// The checksum of a header's numbers.
fn checksum(bytes: &[u8; HEADER]) -> [u8; 4] {
    crc32fast::hash(&bytes[..8 * FIELDS]).to_be_bytes()
}

/// Checksums of one file's records. They cover the header and the record's place besides its bytes: a
/// record that lies in another file, or elsewhere in its own, does not check out.
#[derive(Clone)]
pub(super) struct Seal(crc32fast::Hasher);

impl Seal {
    /// The checksum of the record at a place.
    pub(super) fn checksum(&self, place: u64, bytes: &[u8]) -> [u8; 4] {
        let mut hasher = self.0.clone();
        hasher.update(&place.to_be_bytes());
        hasher.update(bytes);
        hasher.finalize().to_be_bytes()
    }
}
