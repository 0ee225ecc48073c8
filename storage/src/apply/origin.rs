//! A command that may be repeated is executed once: its reply is kept, and a repeat gets it.

use super::{Applied, run as run_action};
use crate::{
    changes::Changes,
    command::{Command, Origin, Outcome, Rejection, Reply},
    error::Error,
    keys::{ClientReplyKey, NodeReplyKey, NumbersKey, ProposersKey},
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
        Origin::Client { key, request } => by_client(changes, command, key, request),
        Origin::Node { node, incarnation, n } => by_node(changes, command, node, incarnation, n),
    }
}

fn by_client(
    changes: &mut Changes<'_>,
    command: &Command,
    key: [u8; 16],
    request: [u8; 16],
) -> Result<Outcome, Error> {
    if let Some(kept) = kept_for_client(changes, &key)? {
        let same = kept.request == request;
        return Ok(if same { kept.outcome } else { Err(Rejection::KeyReused) });
    }
    let Some(n) = next_client_key(changes)? else {
        return Ok(Err(Rejection::TooManyKeys));
    };
    let outcome = run_action(changes, &command.action)?;
    if outcome == Err(Rejection::CustomerBusy) {
        return Ok(outcome);
    }
    let slot = (n % CLIENT_KEYS) as u32;
    let at = changes.steady();
    let kept = ClientReply { key, request, at, outcome: outcome.clone() };
    changes.put(&ClientReplyKey(slot), &kept);
    changes.add_client_key(key, slot);
    changes.update(&NumbersKey, |numbers| numbers.client_keys = n + 1)?;
    changes.keep();
    Ok(outcome)
}

/// The living reply to a key.
fn kept_for_client(changes: &Changes<'_>, key: &[u8; 16]) -> Result<Option<ClientReply>, Error> {
    let Some(slot) = changes.client_slot(key) else {
        return Ok(None);
    };
    let kept = changes.get(&ClientReplyKey(slot))?;
    Ok(kept.filter(|kept| kept.key == *key && changes.steady().since(kept.at) < CLIENT_KEY_MS))
}

/// Makes room for one key; none while as many live as may.
fn next_client_key(changes: &mut Changes<'_>) -> Result<Option<u64>, Error> {
    let mut numbers: Numbers = changes.get_or_default(&NumbersKey)?;
    for _ in 0..EXPIRED_KEYS_AT_ONCE {
        if numbers.client_keys_from == numbers.client_keys {
            break;
        }
        let slot = (numbers.client_keys_from % CLIENT_KEYS) as u32;
        let oldest = changes.need(&ClientReplyKey(slot), "the oldest kept reply to a client")?;
        if changes.steady().since(oldest.at) < CLIENT_KEY_MS {
            break;
        }
        changes.free_client_key(oldest.key, slot);
        numbers.client_keys_from += 1;
    }
    changes.put(&NumbersKey, &numbers);
    changes.keep();
    let living = numbers.client_keys - numbers.client_keys_from;
    Ok((living < CLIENT_KEYS).then_some(numbers.client_keys))
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
    changes.put(&key, &NodeReply { incarnation, n, outcome: outcome.clone() });
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
    proposers.push(Proposer { node, incarnation, last: 0, at: changes.steady(), before });
    proposers.sort_by_key(|p| p.node);
    changes.put(&ProposersKey, &record);
    Ok(Reply::Done)
}
