//! Commands of an import: each is executed once, also if the import repeats it.
//!
//! An import loses an outcome when the leader changes. It repeats the command under the same number, and
//! gets the reply of the first execution if there was one, so that its counts are right and an older row
//! is not written over a newer one. Two imports can share a slot, and then push out each other's replies:
//! a repeat is executed again then, which writes the same rows.

use super::action;
use crate::{
    changes::Changes,
    command::{Action, Outcome, Rejection},
    error::Error,
    keys::ImportRepliesKey,
    limits::{IMPORT_REPLIES, IMPORT_SLOTS},
    records::ImportReplies,
    source::Source,
};

/// Runs the command of an import, or answers a repeat of it.
pub(super) fn run(
    changes: &mut Changes<'_>,
    import: [u8; 16],
    n: u32,
    action: &Action,
) -> Result<Outcome, Error> {
    let key = ImportRepliesKey(u32::from(import[0]) % IMPORT_SLOTS);
    let found: ImportReplies = changes.get_or_default(&key)?;
    let mut kept = if found.import == import {
        found
    } else {
        ImportReplies {
            import,
            replies: Vec::new(),
        }
    };
    if let Some((_, outcome)) = kept.replies.iter().find(|(other, _)| *other == n) {
        return Ok(outcome.clone());
    }

    if kept.newest().is_some_and(|newest| is_too_old(n, newest)) {
        let what = format!("a repeat among the last {IMPORT_REPLIES} commands of an import");
        return Ok(Err(Rejection::OutOfBounds { what }));
    }

    let outcome = action::run(changes, action)?;
    // Nothing was written, and the import repeats it until something is.
    if outcome == Err(Rejection::CustomerBusy) {
        return Ok(outcome);
    }
    kept.replies.push((n, outcome.clone()));
    let newest = kept.newest().unwrap_or(n);
    kept.replies
        .retain(|(other, _)| !is_too_old(*other, newest));
    changes.put(&key, &kept);
    changes.keep();
    Ok(outcome)
}

/// True for a command whose reply is not remembered any more.
fn is_too_old(n: u32, newest: u32) -> bool {
    newest.saturating_sub(n) >= IMPORT_REPLIES
}
