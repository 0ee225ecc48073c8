//! What a restored backup closes of the life before it: what that life did after the backup is not
//! known, and its postmen may still be at work.
//!
//! Not commands: a backup may hold more than one entry may touch. The state is changed in bounded
//! parts before its new life begins, the same way on whichever machine does it. Nothing is sent, and
//! no mailing goes on by itself; what people may do then is the rule of `resume`.

use super::{batches::MailingEdit, sweeps::find_batches};
use crate::{
    changes::Changes,
    error::Error,
    index::OpenMailing,
    keys::{NumbersKey, OpenLeasesKey, PostmenKey, UnheardLeasesKey},
    limits::ENTRY_BATCHES,
    model::{MailingNumber, Status, Timestamp},
    records::{Draw, LeaseList, Postmen},
    source::Source,
};

/// The time that a restored state begins with, that of the machine which restores it. Where the backup
/// stands later, its time had run ahead, and is set back.
pub(crate) fn begin_at(changes: &mut Changes<'_>, at: Timestamp) {
    if at < changes.at() {
        changes.set_time(at);
    } else {
        changes.pass_to(at);
    }
}

/// Holds an open mailing, and makes `unconfirmed` what is not final in some of its batches; whether
/// there is more of that.
pub(crate) fn close_mailing(
    changes: &mut Changes<'_>,
    number: MailingNumber,
) -> Result<bool, Error> {
    hold(changes, number)?;
    let at = changes.steady();
    let mut edit = MailingEdit::open(changes, number)?;
    let most = ENTRY_BATCHES as usize;
    for batch in find_batches(changes, &mut edit, most, |counts| counts.open() > 0)? {
        let Some(mut batch) = edit.batch(changes, batch)? else {
            continue;
        };
        for index in 0..batch.columns.statuses.len() {
            if !batch.columns.status(index).is_final() {
                batch.set(index, Status::Unconfirmed, at);
            }
        }
        edit.close(changes, batch)?;
    }
    // No postman holds anything in the new life.
    edit.progress.early = 0;
    let more = edit.progress.counts.open() > 0;
    edit.save(changes)?;
    Ok(more)
}

/// It looks at nobody any more: not by itself, and not to list who was not reached at its end, for
/// the life before may have reached them.
fn hold(changes: &mut Changes<'_>, number: MailingNumber) -> Result<(), Error> {
    let open = changes.open_mailing(number);
    let OpenMailing {
        record, progress, ..
    } = open.ok_or(Error::Contradiction {
        what: "an open mailing",
    })?;
    let mut record = (*record).clone();
    if let Some((_, bounds)) = &mut record.ended {
        *bounds = progress.cursor;
    } else if !record.is_over() {
        (record.paused, record.held) = (true, true);
    }
    changes.put_mailing(number, record);
    Ok(())
}

/// Closes everyone who could still speak for the life before, and passes over the numbers that it,
/// or another life that began with the same backup, may have given since. Replies to clients stay:
/// to a repeat of theirs they are still the answer.
pub(crate) fn close_life(changes: &mut Changes<'_>, draw: Draw) -> Result<(), Error> {
    changes.put(&OpenLeasesKey, &LeaseList::default());
    changes.put(&UnheardLeasesKey, &LeaseList::default());
    changes.put(&PostmenKey, &Postmen::default());
    let has_room = changes.update(&NumbersKey, |numbers| numbers.begin_anew(draw))?;
    if has_room {
        Ok(())
    } else {
        Err(Error::NoNumbersLeft)
    }
}
