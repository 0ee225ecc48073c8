//! A whole file of the journal, as a later run reads it.

use super::{
    header::{FileId, HEADER, PageHeader},
    record::{JournalRecord, RECORD, RecordKind},
};

/// A file that checks out.
pub(super) struct JournalPage {
    pub(super) header: PageHeader,
    pub(super) records: Vec<JournalRecord>,
    /// True if the stream goes on in another.
    pub(super) is_followed: bool,
}

impl JournalPage {
    /// Reads the header alone.
    pub(super) fn header(bytes: &[u8]) -> Result<PageHeader, String> {
        let header = bytes.first_chunk::<HEADER>();
        PageHeader::parse(header.ok_or("its header is cut")?)
    }

    /// Reads all of it. Whatever does not check out is damage: a process that is killed leaves whole
    /// records and the mark of the end after them, because the system takes both in one write.
    pub(super) fn parse(bytes: &[u8], file: FileId) -> Result<Self, String> {
        let header = Self::header(bytes)?;
        if header.file != file {
            let why = "it is a copy, or came from another disk; the original may be at work";
            return Err(why.to_owned());
        }

        let (mut records, fault) = Self::records(&header, &bytes[HEADER..]);
        if let Some(fault) = fault {
            return Err(fault);
        }

        let end = records.pop_if(|last| last.kind == RecordKind::End);
        if end.is_none() {
            return Err("its end is missing".to_owned());
        }
        let followed = records.pop_if(|last| last.kind == RecordKind::Followed);

        // Marks in the middle come from a file that was put together.
        if let Some(at) = records.iter().position(is_mark) {
            return Err(format!("record {at} is an end, and others follow it"));
        }
        Ok(Self {
            header,
            records,
            is_followed: followed.is_some(),
        })
    }

    /// The records up to the first that does not check out, and the fault of that one.
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

        // Records are written whole: a part of one is what a cut, or another program, leaves.
        let torn = (!rest.is_empty()).then(|| format!("{} bytes follow its records", rest.len()));
        (records, torn)
    }
}

fn is_mark(record: &JournalRecord) -> bool {
    matches!(record.kind, RecordKind::End | RecordKind::Followed)
}
