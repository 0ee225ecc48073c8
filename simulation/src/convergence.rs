//! What must be reached once nothing strikes any more: one leader, one state, every message final.

use std::{collections::BTreeSet, sync::Arc};

use notty_storage::{model::Status, query};

use crate::{hosts::Machine, plan::Plan};

/// How long after the last fault, in milliseconds, everything must have come to rest: mailings end
/// within a quarter of a minute, leases within another, and the breaker's pauses lie between.
const BOUND_MS: u64 = 120_000;
/// The same after the end of a mailing that lasts for long, in milliseconds.
const AFTER_MS: u64 = 60_000;

/// How long after the last fault, in milliseconds, whoever has something to say has said it: a call
/// that a fault swallowed is given up after ten seconds, and made again.
pub const SAID_MS: u64 = 16_000;

/// The time after the last fault, in milliseconds, by which everything of a plan must have come to rest.
pub fn bound_ms(plan: &Plan) -> u64 {
    let ends = plan.mailings.iter().map(|mailing| mailing.end_ms);
    let last = ends.max().unwrap_or_default();
    BOUND_MS.max((last + AFTER_MS).saturating_sub(plan.quiet_ms))
}

/// A machine that has it all, or what is not yet reached.
pub fn look(machines: &[Arc<Machine>]) -> Result<Arc<Machine>, String> {
    let machine = members_agree(machines)?;
    is_final(&machine)?;
    Ok(machine)
}

/// A machine of a cluster whose members all run, follow one leader and have the same state.
pub fn members_agree(machines: &[Arc<Machine>]) -> Result<Arc<Machine>, String> {
    let members = members(machines)?;
    let (mut leaders, mut stands) = (BTreeSet::new(), BTreeSet::new());
    for machine in &members {
        let node = machine
            .node()
            .ok_or_else(|| format!("node {} does not run", machine.number))?;
        let status = node.status();
        let leader = status
            .leader
            .ok_or_else(|| format!("{} knows no leader", machine.name))?;
        leaders.insert((status.term, leader));
        stands.insert((status.applied_index, node.state_hash()));
        if !node.has_caught_up() {
            return Err(format!("node {} has not caught up", machine.number));
        }
    }
    if leaders.len() != 1 {
        return Err(format!("there is not one leader: {leaders:?}"));
    }
    if stands.len() != 1 {
        return Err(format!("the states differ: {stands:x?}"));
    }
    Ok(members.first().ok_or("there is no node")?.clone())
}

/// Machines of the cluster's members, as the leader knows them; all of them vote.
fn members(machines: &[Arc<Machine>]) -> Result<Vec<Arc<Machine>>, String> {
    let leads = |machine: &&Arc<Machine>| machine.node().is_some_and(|node| node.leads_now());
    let leader = machines
        .iter()
        .find(leads)
        .and_then(|machine| machine.node());
    let status = leader.ok_or("nobody leads")?.status();
    let mut found = Vec::new();
    for member in status.members {
        let name = &member.peer.name;
        if !member.voter {
            return Err(format!("{name} does not vote"));
        }
        let machine = machines.iter().find(|machine| machine.name == *name);
        found.push(machine.ok_or_else(|| format!("{name} is nobody"))?.clone());
    }
    Ok(found)
}

fn is_final(machine: &Machine) -> Result<(), String> {
    let view = machine.node().ok_or("it is gone")?.view().past_damage();
    let reader = view.read();
    let text = |error: notty_storage::Error| error.to_string();
    let counts = query::stats::overall(&reader).map_err(text)?;
    for status in [Status::Created, Status::Sending, Status::Failed] {
        let count = counts.of(status);
        if count > 0 {
            return Err(format!("{count} messages are {}", status.name()));
        }
    }
    let open = query::leases::open(&reader).map_err(text)?;
    if let Some(lease) = open.first() {
        return Err(format!("lease {} is open", lease.id));
    }
    match query::work::open_mailings(&reader).next() {
        Some(mailing) => Err(format!("mailing {} is not settled", mailing.number.0)),
        None => Ok(()),
    }
}
