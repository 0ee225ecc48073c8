//! The content of a journal's file: a header that names its run and its place, and records.
//!
//! A record's checksum covers the header's and the record's place besides its bytes: one that lies in
//! another file, or elsewhere in its own, does not check out.

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    time::{SystemTime, UNIX_EPOCH},
};

use notty_storage::model::{Epoch, MailingNumber, SendResult};

use super::{RunTerms, SendToken};

/// Bytes of a record.
pub(super) const RECORD: usize = 28;
/// Bytes of a header.
pub(super) const HEADER: usize = 8 * FIELDS + 4;
/// Numbers in a header.
const FIELDS: usize = 12;
/// Begins every file; the last byte is the version of the format.
const MAGIC: u64 = u64::from_be_bytes(*b"nottyjn\x02");
/// Stands for no time in which a message may be repeated.
const NEVER: u64 = u64::MAX;

/// The file itself, as the system knows it: a copy is another file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
    /// When it was made, in nanoseconds; 0 where the file system does not say.
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
    /// The run.
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
        let Self {
            boot,
            run,
            stream,
            senders,
            page,
            oldest,
            file,
        } = *self;
        let repeat_ms = run.repeat_ms.unwrap_or(NEVER);
        let streams = stream << 32 | senders;
        let fields: [u64; FIELDS] = [
            MAGIC,
            boot,
            run.epoch.0,
            run.gateway,
            repeat_ms,
            streams,
            page,
            oldest,
            file.device,
            file.inode,
            file.born,
            run.nonce,
        ];
        let mut bytes = [0; HEADER];
        for (place, field) in bytes.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_be_bytes());
        }
        let checksum = crc32fast::hash(&bytes[..8 * FIELDS]);
        bytes[8 * FIELDS..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    pub(super) fn parse(bytes: &[u8; HEADER]) -> Option<Self> {
        let checksum = crc32fast::hash(&bytes[..8 * FIELDS]);
        if bytes[8 * FIELDS..] != checksum.to_be_bytes() {
            return None;
        }
        let (fields, _) = bytes.as_chunks::<8>();
        let fields: [u64; FIELDS] =
            std::array::from_fn(|n| fields.get(n).map_or(0, |field| u64::from_be_bytes(*field)));
        let [
            magic,
            boot,
            epoch,
            gateway,
            repeat_ms,
            streams,
            page,
            oldest,
            ..,
        ] = fields;
        let [.., device, inode, born, nonce] = fields;
        let repeat_ms = (repeat_ms != NEVER).then_some(repeat_ms);
        let header = Self {
            boot,
            run: RunTerms {
                epoch: Epoch(epoch),
                nonce,
                gateway,
                repeat_ms,
            },
            stream: streams >> 32,
            senders: streams & u64::from(u32::MAX),
            page,
            oldest,
            file: FileId {
                device,
                inode,
                born,
            },
        };
        (magic == MAGIC).then_some(header)
    }

    /// Seals the records of this file.
    pub(super) fn seal(&self) -> Seal {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.bytes());
        Seal(hasher)
    }
}

/// Checksums of one file's records.
#[derive(Clone)]
pub(super) struct Seal(crc32fast::Hasher);

impl Seal {
    /// Of the record at a place.
    fn checksum(&self, place: u64, bytes: &[u8]) -> [u8; 4] {
        let mut hasher = self.0.clone();
        hasher.update(&place.to_be_bytes());
        hasher.update(bytes);
        hasher.finalize().to_be_bytes()
    }
}

/// The meaning of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// A run of messages was leased.
    Leased = 2,
    /// A lease is closed: every report was acknowledged.
    Closed = 3,
    /// A message's request may be on its way.
    Begun = 4,
    /// A message's result is known.
    Settled = 5,
    /// Nothing comes after this; written over by the next record.
    End = 6,
    /// The stream goes on in the next file.
    Followed = 7,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JournalRecord {
    pub(super) kind: RecordKind,
    pub(super) code: u8,
    pub(super) len: u16,
    pub(super) token: SendToken,
}

impl JournalRecord {
    /// One that says no more than its kind.
    pub(super) fn bare(kind: RecordKind) -> Self {
        let token = SendToken {
            n: 0,
            mailing: MailingNumber(0),
            position: 0,
            attempt: 0,
        };
        Self {
            kind,
            code: 0,
            len: 0,
            token,
        }
    }

    pub(super) fn bytes(self, seal: &Seal, place: u64) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[0] = self.kind as u8;
        bytes[1] = self.code;
        bytes[2..4].copy_from_slice(&self.token.attempt.to_be_bytes());
        bytes[4..6].copy_from_slice(&self.len.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.token.mailing.0.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.token.position.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.token.n.to_be_bytes());
        let checksum = seal.checksum(place, &bytes[..24]);
        bytes[24..].copy_from_slice(&checksum);
        bytes
    }

    pub(super) fn parse(bytes: &[u8; RECORD], seal: &Seal, place: u64) -> Option<Self> {
        if seal.checksum(place, &bytes[..24]) != bytes[24..] {
            return None;
        }
        let kind = match bytes[0] {
            2 => RecordKind::Leased,
            3 => RecordKind::Closed,
            4 => RecordKind::Begun,
            5 => RecordKind::Settled,
            6 => RecordKind::End,
            7 => RecordKind::Followed,
            _ => return None,
        };
        let two = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let four = |at: usize| u32::from(two(at)) << 16 | u32::from(two(at + 2));
        let token = SendToken {
            n: u64::from(four(16)) << 32 | u64::from(four(20)),
            mailing: MailingNumber(four(8)),
            position: four(12),
            attempt: two(2),
        };
        Some(Self {
            kind,
            code: bytes[1],
            len: two(4),
            token,
        })
    }
}

/// The number under which a result is noted.
pub(super) fn code(result: SendResult) -> u8 {
    result.number()
}

/// The result of a number, as the run that noted it would report it.
pub(super) fn result(code: u8, pause_ms: u64, run: &RunTerms) -> Option<SendResult> {
    Some(match code {
        1 => SendResult::Done,
        2 => SendResult::Invalid,
        3 => SendResult::NotTaken { pause_ms },
        4 => SendResult::NotSent { pause_ms },
        5 => SendResult::HandedBack,
        6 => SendResult::Unsure,
        7 => SendResult::UnsureRepeatable {
            pause_ms,
            repeat_ms: run.repeat_ms?,
        },
        _ => return None,
    })
}

/// A file as it was read.
pub(super) struct JournalPage {
    pub(super) header: PageHeader,
    pub(super) records: Vec<JournalRecord>,
    /// True if the stream goes on in another.
    pub(super) is_followed: bool,
}

impl JournalPage {
    /// Reads the header alone.
    pub(super) fn header(bytes: &[u8]) -> Result<PageHeader, String> {
        let header = bytes.first_chunk::<HEADER>().and_then(PageHeader::parse);
        header.ok_or_else(|| "its header is damaged, or of another version of notty".to_owned())
    }

    /// Reads all of it. Whatever does not check out is damage: a process that is killed leaves whole
    /// records and the mark of the end after them, because the system takes both in one write.
    pub(super) fn parse(bytes: &[u8], file: FileId) -> Result<Self, String> {
        let header = Self::header(bytes)?;
        if header.file != file {
            return Err(
                "it is a copy, or came from another disk; the original may be at work".into(),
            );
        }
        let (mut records, why) = Self::records(&header, &bytes[HEADER..]);
        if let Some(why) = why {
            return Err(why);
        }
        if records
            .pop()
            .is_none_or(|last| last.kind != RecordKind::End)
        {
            return Err("its end is missing".to_owned());
        }
        let is_followed = records
            .pop_if(|last| last.kind == RecordKind::Followed)
            .is_some();
        let marks =
            |record: &JournalRecord| matches!(record.kind, RecordKind::End | RecordKind::Followed);
        match records.iter().position(marks) {
            Some(at) => Err(format!("record {at} is an end, and others follow it")),
            None => Ok(Self {
                header,
                records,
                is_followed,
            }),
        }
    }

    /// The records up to the first that does not check out, and why that does not.
    pub(super) fn records(
        header: &PageHeader,
        bytes: &[u8],
    ) -> (Vec<JournalRecord>, Option<String>) {
        let seal = header.seal();
        let (chunks, rest) = bytes.as_chunks::<RECORD>();
        let mut records = Vec::with_capacity(chunks.len());
        for (chunk, place) in chunks.iter().zip(0..) {
            match JournalRecord::parse(chunk, &seal, place) {
                Some(record) => records.push(record),
                None => return (records, Some(format!("record {place} does not check out"))),
            }
        }
        let torn = (!rest.is_empty()).then(|| format!("{} bytes follow its records", rest.len()));
        (records, torn)
    }
}

/// Names a file in an error.
pub(super) fn at(path: &std::path::Path) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
