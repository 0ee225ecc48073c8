//! A command that may be repeated is executed once: its reply is kept, and a repeat gets it.
//!
//! Replies to clients are kept up to a number. A caller gets a new key only while it has fewer than
//! are free: one by itself has at most half of all, and there is always room for one more caller.

use super::{Applied, run as run_action};
use crate::{
    changes::Changes,
    command::{Action, Command, Origin, Outcome, Rejection, Reply},
    error::Error,
    keys::{CallerRepliesKey, ClientReplyKey, NodeReplyKey, NumbersKey, ProposersKey},
    limits::{CLIENT_KEY_MS, CLIENT_KEYS, PROPOSER_LIVES, PROPOSER_WINDOW, PROPOSERS},
    records::{ClientReply, NodeReply, Numbers, Proposer},
    source::Source,
};

/// Expired keys of clients that each new one removes, at most: more than come in, so that the
/// expired never pile up.
const EXPIRED_KEYS_AT_ONCE: usize = 8;

/// Runs a command, or answers a repeat of it.
pub(super) fn run(changes: &mut Changes<'_>, command: &Command) -> Result<Outcome, Error> {
    match command.origin {
        Origin::Itself => run_action(changes, &command.action),
        Origin::Client {
            key,
            request,
            caller,
        } => by_client(changes, command, key, request, caller),
        Origin::Node {
            node,
            incarnation,
            n,
        } => by_node(changes, command, node, incarnation, n),
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
            true => run_action(changes, &command.action),
            false => Ok(Err(Rejection::TooManyKeys)),
        };
    };
    let outcome = run_action(changes, &command.action)?;
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
        Action::PauseMailing { .. } | Action::ResumeMailing { .. } | Action::CancelMailing { .. }
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

fn by_node(
    changes: &mut Changes<'_>,
    command: &Command,
    node: u64,
    incarnation: u64,
    n: u64,
) -> Result<Outcome, Error> {
    let proposers = changes.get_or_default(&ProposersKey)?;
    let found = proposers.proposers.iter().find(|p| p.node == node);
    let Some(proposer) = found.filter(|p| p.incarnation == incarnation) else {
        return Ok(Err(Rejection::Forgotten));
    };
    if proposer.last >= PROPOSER_WINDOW && n <= proposer.last - PROPOSER_WINDOW {
        return Ok(Err(Rejection::Forgotten));
    }
    let key = NodeReplyKey(node, (n % PROPOSER_WINDOW) as u32);
    if let Some(kept) = changes.get(&key)?
        && kept.incarnation == incarnation
        && kept.n == n
    {
        return Ok(kept.outcome);
    }
    let outcome = run_action(changes, &command.action)?;
    let at = changes.steady();
    // Read again: the command itself may have registered a proposer.
    changes.update(&ProposersKey, |record| {
        let mut proposers = record.proposers.iter_mut();
        if let Some(proposer) = proposers.find(|p| p.node == node && p.incarnation == incarnation) {
            proposer.last = proposer.last.max(n);
            proposer.at = at;
        }
    })?;
    changes.put(
        &key,
        &NodeReply {
            incarnation,
            n,
            outcome: outcome.clone(),
        },
    );
    changes.keep();
    Ok(outcome)
}

/// A node starts to propose: its earlier life is forgotten, and refused from now on.
pub(super) fn register(changes: &mut Changes<'_>, node: u64, incarnation: u64) -> Applied {
    let mut record = changes.get_or_default(&ProposersKey)?;
    let proposers = &mut record.proposers;
    let mut before = Vec::new();
    if let Some(at) = proposers.iter().position(|p| p.node == node) {
        if proposers[at].incarnation == incarnation {
            return Ok(Reply::Done);
        }
        if proposers[at].before.contains(&incarnation) {
            return Err(Rejection::Forgotten.into());
        }
        let older = proposers.remove(at);
        before.push(older.incarnation);
        before.extend(older.before);
        before.truncate(PROPOSER_LIVES);
    }
    if proposers.len() >= PROPOSERS
        && let Some(oldest) = (0..proposers.len()).min_by_key(|at| proposers[*at].at)
    {
        proposers.remove(oldest);
    }
    proposers.push(Proposer {
        node,
        incarnation,
        last: 0,
        at: changes.steady(),
        before,
    });
    proposers.sort_by_key(|p| p.node);
    changes.put(&ProposersKey, &record);
    Ok(Reply::Done)
}
