//! The bytes of a log record, and which damage may be a torn write.
//!
//! A record is `length, crc, write, part, parts` and its payload. Records that went to the disk
//! together share a write number, which rises by one: so it can be told whether what does not
//! check out belongs to the last write, which nobody was ever told about, or to an earlier one,
//! which was synced and must not be lost.

/// Bytes before a record's payload.
pub(crate) const HEAD_BYTES: usize = 20;
/// Bytes of one payload, at most: an entry within its budget is far below.
const PAYLOAD_BYTES: usize = 64 * 1024 * 1024;

/// Where a record belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The write that it came with.
    pub(crate) write: u64,
    /// Which of that write's records, from 0.
    pub(crate) part: u16,
    /// How many records that write had.
    pub(crate) parts: u16,
}

impl Place {
    /// Whether it is the last record of its write.
    pub(crate) fn is_last(self) -> bool {
        self.part + 1 == self.parts
    }
}

/// A record that checks out.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) place: Place,
    /// Empty for the mark that a truncation leaves.
    pub(crate) payload: &'a [u8],
}

/// Appends a record.
pub(crate) fn put(bytes: &mut Vec<u8>, place: Place, payload: &[u8]) {
    let start = bytes.len();
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
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
pub(crate) fn get(bytes: &[u8]) -> Option<Record<'_>> {
    let head = bytes.get(..HEAD_BYTES)?;
    let len = u32::from_be_bytes(head[..4].try_into().ok()?) as usize;
    let place = Place {
        write: u64::from_be_bytes(head[8..16].try_into().ok()?),
        part: u16::from_be_bytes(head[16..18].try_into().ok()?),
        parts: u16::from_be_bytes(head[18..20].try_into().ok()?),
    };
    if len > PAYLOAD_BYTES || place.part >= place.parts || place.write == 0 {
        return None;
    }
    let record = bytes.get(..HEAD_BYTES + len)?;
    let crc = u32::from_be_bytes(head[4..8].try_into().ok()?);
    (checksum(record) == crc).then_some(Record {
        place,
        payload: &record[HEAD_BYTES..],
    })
}

/// Whether bytes that do not check out can be a torn write: the one after `last`, or the rest of
/// the one that `last` belongs to. They can not if a later write is found behind them.
pub(crate) fn can_be_torn(last: Option<Place>, rest: &[u8]) -> bool {
    let torn = last.map_or(1, |last| {
        if last.is_last() {
            last.write + 1
        } else {
            last.write
        }
    });
    let belongs = |place: Place| match last {
        // The log's first write of this file may have any number.
        None => place.part > 0,
        Some(_) => place.write == torn,
    };
    (1..rest.len())
        .filter_map(|at| get(&rest[at..]))
        .all(|record| belongs(record.place))
}
