//! A command that may be repeated is executed once: its reply is kept, and a repeat gets it.
//!
//! Replies to clients are kept up to a number. A caller gets a new key only while it has fewer than
//! are free: one by itself has at most half of all, and there is always room for one more caller.

use super::{action, import_replies};
use crate::{
    changes::Changes,
    command::{Action, Command, Origin, Outcome, Rejection},
    error::Error,
    keys::{CallerRepliesKey, ClientReplyKey, NumbersKey},
    limits::{CLIENT_KEY_MS, CLIENT_KEYS},
    records::{ClientReply, Numbers},
    source::Source,
};

/// Expired keys of clients that each new one removes, at most: more than come in, so that the
/// expired never pile up.
const EXPIRED_KEYS_AT_ONCE: usize = 8;

/// Runs a command, or answers a repeat of it.
pub(super) fn run(changes: &mut Changes<'_>, command: &Command) -> Result<Outcome, Error> {
    match command.origin {
        Origin::Itself => action::run(changes, &command.action),
        Origin::Client {
            key,
            request,
            caller,
        } => by_client(changes, command, key, request, caller),
        Origin::Import { import, n } => import_replies::run(changes, import, n, &command.action),
    }
}

fn by_client(
    changes: &mut Changes<'_>,
    command: &Command,
    key: [u8; 16],
    request: [u8; 16],
    caller: u64,
) -> Result<Outcome, Error> {
    if let Some(kept) = kept_for_client(changes, &key)? {
        let same = kept.request == request;
        return Ok(if same {
            kept.outcome
        } else {
            Err(Rejection::KeyReused)
        });
    }
    let Some(n) = next_client_key(changes, caller)? else {
        // To stop sending must not depend on how many keys were used before.
        return match is_repeatable(&command.action) {
            true => action::run(changes, &command.action),
            false => Ok(Err(Rejection::TooManyKeys)),
        };
    };
    let outcome = action::run(changes, &command.action)?;
    if outcome == Err(Rejection::CustomerBusy) {
        return Ok(outcome);
    }
    let slot = (n % CLIENT_KEYS) as u32;
    let at = changes.steady();
    let kept = ClientReply {
        key,
        request,
        caller,
        at,
        outcome: outcome.clone(),
    };
    changes.put(&ClientReplyKey(slot), &kept);
    changes.add_client_key(key, slot);
    changes.update(&CallerRepliesKey(caller), |replies| *replies += 1)?;
    changes.update(&NumbersKey, |numbers| numbers.client_keys = n + 1)?;
    changes.keep();
    Ok(outcome)
}

/// Actions that do nothing more when they are repeated, and are executed even where no reply to them
/// can be kept. Should somebody else act in between, the repeat is what its client wants now.
fn is_repeatable(action: &Action) -> bool {
    matches!(
        action,
        Action::PauseMailing(_) | Action::ResumeMailing(_) | Action::CancelMailing(_)
    )
}

/// The living reply to a key.
fn kept_for_client(changes: &Changes<'_>, key: &[u8; 16]) -> Result<Option<ClientReply>, Error> {
    let Some(slot) = changes.client_slot(key) else {
        return Ok(None);
    };
    let kept = changes.get(&ClientReplyKey(slot))?;
    Ok(kept.filter(|kept| kept.key == *key && changes.steady().since(kept.at) < CLIENT_KEY_MS))
}

/// Makes room for a key of a caller; none while it has its share.
fn next_client_key(changes: &mut Changes<'_>, caller: u64) -> Result<Option<u64>, Error> {
    let mut numbers: Numbers = changes.get_or_default(&NumbersKey)?;
    let expired_remain = free_expired(changes, &mut numbers)?;
    changes.put(&NumbersKey, &numbers);
    changes.keep();

    let free = CLIENT_KEYS - (numbers.client_keys - numbers.client_keys_from);
    let own = changes.get_or_default(&CallerRepliesKey(caller))?;
    // Expired keys count against nobody: while they are being removed, each new key gives back more
    // than it takes.
    let has_share = own < free || (expired_remain && free > 0);
    Ok(has_share.then_some(numbers.client_keys))
}

/// Forgets some expired keys; true if more of them may be left.
fn free_expired(changes: &mut Changes<'_>, numbers: &mut Numbers) -> Result<bool, Error> {
    for _ in 0..EXPIRED_KEYS_AT_ONCE {
        if numbers.client_keys_from == numbers.client_keys {
            return Ok(false);
        }
        let slot = (numbers.client_keys_from % CLIENT_KEYS) as u32;
        let oldest = changes.need(&ClientReplyKey(slot), "the oldest kept reply to a client")?;
        if changes.steady().since(oldest.at) < CLIENT_KEY_MS {
            return Ok(false);
        }
        changes.free_client_key(oldest.key, slot);
        forget_reply(changes, oldest.caller)?;
        numbers.client_keys_from += 1;
    }
    Ok(true)
}

/// One reply to a caller is not kept any more.
fn forget_reply(changes: &mut Changes<'_>, caller: u64) -> Result<(), Error> {
    let key = CallerRepliesKey(caller);
    match changes.need(&key, "the number of kept replies to a caller")? {
        0 => {
            return Err(Error::Contradiction {
                what: "a kept reply to a caller that has none",
            });
        }
        1 => changes.remove(&key),
        replies => changes.put(&key, &(replies - 1)),
    }
    Ok(())
}
