//! The last mark of a mailing: it is over, and every message is final.
//!
//! Apart from `mailings.rs`, because every edit of messages ends here.

use super::changelog;
use crate::{
    changes::Changes,
    error::Error,
    model::{MailingNumber, Timestamp},
    records::{MailingRecord, Progress, Stage},
    source::Source,
};

/// Marks a mailing as settled once it is over and every message is final.
pub(super) fn settle(
    changes: &mut Changes<'_>,
    number: MailingNumber,
    progress: &Progress,
) -> Result<(), Error> {
    if progress.counts.open() > 0 {
        return Ok(());
    }
    let record = changes.mailing(number)?;
    let record = record.ok_or(Error::Contradiction {
        what: "a mailing being edited",
    })?;
    if record.settled_at.is_some() || !record.is_over() {
        return Ok(());
    }
    let stopped = record.cancelled_at.is_some() || record.deleted_at.is_some();
    let looked = record
        .ended
        .is_some_and(|(_, bounds)| progress.has_passed(&bounds));
    if !stopped && !looked {
        return Ok(());
    }
    let record = MailingRecord {
        settled_at: Some(changes.steady()),
        ..(*record).clone()
    };
    changes.put_mailing(number, record);
    changes.put_stage(number, Stage::Settled, Timestamp::default())?;
    changelog::trim(changes)
}
