//! The bytes of a log record, and the damage that may be a torn write.
//!
//! A record is `length, crc, write, part, parts` and its payload. Records that went to the disk
//! together share a write number, which rises by one. So a reader can decide whether bytes that do
//! not check out belong to the last write, which was never acknowledged, or to an earlier one, which
//! was synced and must not be lost.

/// Bytes before a record's payload.
pub(crate) const HEAD_BYTES: usize = 20;
/// Bytes of one payload, at most: an entry within its budget is far below.
const PAYLOAD_BYTES: usize = 64 * 1024 * 1024;

/// A record's number: its write, and its part of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordPlace {
    /// Number of the write that brought the record.
    pub(crate) write: u64,
    /// The record's place within that write, from 0.
    pub(crate) part: u16,
    /// The number of records in that write.
    pub(crate) parts: u16,
}

impl RecordPlace {
    /// True if it is the last record of its write.
    pub(crate) fn is_last(self) -> bool {
        self.part + 1 == self.parts
    }

    /// The write that must come next after this record: its own, as long as that lacks records.
    fn next_write(self) -> u64 {
        if self.is_last() {
            self.write + 1
        } else {
            self.write
        }
    }
}

/// A record that checks out.
#[derive(Debug)]
pub(crate) struct LogRecord<'a> {
    pub(crate) place: RecordPlace,
    /// Empty for the mark that a truncation leaves.
    pub(crate) payload: &'a [u8],
}

impl LogRecord<'_> {
    /// Its length in the file.
    pub(crate) fn bytes(&self) -> usize {
        HEAD_BYTES + self.payload.len()
    }
}

/// Appends a record to bytes that go to the disk.
pub(crate) fn put(bytes: &mut Vec<u8>, place: RecordPlace, payload: &[u8]) {
    let start = bytes.len();

    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    // The checksum covers what follows it too, and is filled in last.
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&place.write.to_be_bytes());
    bytes.extend_from_slice(&place.part.to_be_bytes());
    bytes.extend_from_slice(&place.parts.to_be_bytes());
    bytes.extend_from_slice(payload);

    let crc = checksum(&bytes[start..]);
    bytes[start + 4..start + 8].copy_from_slice(&crc.to_be_bytes());
}

/// The checksum of a record: over all of it but the checksum itself.
fn checksum(record: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&record[..4]);
    crc.update(&record[8..]);
    crc.finalize()
}

/// The record at the start of some bytes, if there is one that checks out.
pub(crate) fn get(bytes: &[u8]) -> Option<LogRecord<'_>> {
    let head = bytes.get(..HEAD_BYTES)?;
    let len = u32::from_be_bytes(head[..4].try_into().ok()?) as usize;
    let crc = u32::from_be_bytes(head[4..8].try_into().ok()?);
    let place = RecordPlace {
        write: u64::from_be_bytes(head[8..16].try_into().ok()?),
        part: u16::from_be_bytes(head[16..18].try_into().ok()?),
        parts: u16::from_be_bytes(head[18..20].try_into().ok()?),
    };

    // Numbers that no write has: spares the checksum over a length that is damage itself.
    if len > PAYLOAD_BYTES || place.part >= place.parts || place.write == 0 {
        return None;
    }

    let record = bytes.get(..HEAD_BYTES + len)?;
    (checksum(record) == crc).then_some(LogRecord {
        place,
        payload: &record[HEAD_BYTES..],
    })
}

/// True if bytes that do not check out can be a torn write: the one after `last`, or the rest of
/// the one that `last` belongs to. They cannot if a later write is found behind them.
pub(crate) fn can_be_torn(last: Option<RecordPlace>, rest: &[u8]) -> bool {
    let is_of_torn_write = |place: RecordPlace| match last {
        // The log's first write of this file may have any number.
        None => place.part > 0,
        Some(last) => place.write == last.next_write(),
    };

    // The damage hides the length of the record, so that the next one may begin at any byte.
    (1..rest.len())
        .filter_map(|at| get(&rest[at..]))
        .all(|record| is_of_torn_write(record.place))
}
