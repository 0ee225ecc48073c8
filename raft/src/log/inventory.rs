//! The log as a start finds it on the disk: all segments, each read and checked.
//!
//! Nothing is changed here. Bytes that can be a torn write are noted, and [`Log`](super::Log) cuts
//! them once it knows that neither the committed mark nor the state's position needs them.

use std::{path::Path, sync::Arc};

use super::{
    record::RecordPlace,
    segment::{self, Segment, Torn},
    segments::SegmentRow,
};
use crate::{disk::files::Files, error::Error, types::LogId};

/// The segments on the disk, and the end that was found.
pub(super) struct Inventory {
    pub(super) segments: SegmentRow,
    /// The position of the last entry; `None` if there is none.
    pub(super) last: Option<LogId>,
    /// The number of the next write.
    pub(super) next_write: u64,
    pub(super) tail: FoundTail,
}

/// The end of the log as a start finds it.
#[derive(Clone, Default)]
pub(super) struct FoundTail {
    pub(super) torn: Option<Torn>,
    /// Offset of the last write in the last segment.
    pub(super) last_write_at: Option<u64>,
    /// True if the last write lacks some of its records.
    pub(super) ends_in_part: bool,
}

/// Reads all segments of a log whose entries were purged up to a position.
pub(super) fn read(
    files: &Arc<dyn Files>,
    dir: &Path,
    purged: Option<LogId>,
) -> Result<Inventory, Error> {
    let mut names = files.list(dir).map_err(Error::file(dir))?;
    names.retain(|name| name.ends_with(".log"));

    let mut segments = SegmentRow::new(files.clone(), dir);
    let mut last = None;
    let mut last_place: Option<RecordPlace> = None;
    let mut tail = FoundTail::default();
    for (nth, name) in names.iter().enumerate() {
        let is_last = nth + 1 == names.len();
        let scanned = segment::scan(&**files, &dir.join(name), last_place, is_last)?;

        // A file may hold no record: a crash came between its creation and the first append.
        last_place = scanned.last_place.or(last_place);
        if let Some(segment) = scanned.segment {
            check_follows(&segments, &segment, purged)?;
            last = scanned.last.or(last);
            tail.last_write_at = scanned.last_write_at;
            segments.push(segment);
        }
        tail.torn = scanned.torn;
    }

    tail.ends_in_part = last_place.is_some_and(|place| !place.is_last());
    Ok(Inventory {
        segments,
        last,
        next_write: last_place.map_or(1, |place| place.write + 1),
        tail,
    })
}

/// Refuses a segment that leaves a gap to the ones before it.
fn check_follows(
    segments: &SegmentRow,
    segment: &Segment,
    purged: Option<LogId>,
) -> Result<(), Error> {
    let wanted = match segments.last() {
        Some(before) => before.end()..=before.end(),
        // Whole segments are dropped: the first one may begin with entries that were purged.
        None => 0..=purged.map_or(0, |purged| purged.index + 1),
    };
    if wanted.contains(&segment.first) {
        return Ok(());
    }

    let missing = format!(
        "entries from {} to {} are missing",
        wanted.end(),
        segment.first
    );
    Err(Error::damage(&segment.path, 0, missing))
}
