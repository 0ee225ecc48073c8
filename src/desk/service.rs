//! Calls that reach a node's desk from elsewhere: from other nodes' desks, and from standalone postmen.
//!
//! A standalone postman may make the calls below and no others: the commands that they become are made
//! here. It may speak of its own leases only, and no call is longer than a lease can make it.

use futures_util::future::BoxFuture;
use notty_raft::{Caller, ProposeError, Service};
use notty_storage::{
    codec,
    command::Report,
    limits,
    model::{Epoch, PostmanName, Run},
    query,
};

use super::{
    calls::{Call, CallResult},
    node::{Asked, NodeDesk},
};
use crate::{
    post_office::Ask,
    postman::desk::{Desk, DeskError, HeldLease, NOT_UNDERSTOOD, SendableWork, UNWANTED},
};

/// True if one lease can have these messages. Every run counts: also one of nothing takes room.
fn fit_a_lease<'r>(runs: impl Iterator<Item = &'r Run>) -> bool {
    runs.map(|run| usize::from(run.len).max(1)).sum::<usize>() <= limits::LEASE_MESSAGES.into()
}

/// True if a postman can hold so much.
fn is_within_bounds(held: &[HeldLease]) -> bool {
    held.len() <= limits::POSTMAN_LEASES && held.iter().all(|held| fit_a_lease(held.runs.iter()))
}

/// True if one lease can have these results.
fn can_be_of_a_lease(report: &Report) -> bool {
    report.results.len() <= limits::LEASE_MESSAGES.into()
        && fit_a_lease(report.results.iter().flat_map(|(_, runs)| runs))
}

/// The starts of postmen that a call speaks of; `None` if it cannot speak of any.
fn epochs(call: &Call) -> Option<Vec<Epoch>> {
    Some(match call {
        Call::Ask { lease, .. } => vec![lease.epoch],
        Call::Report(report) => vec![report.lease.epoch],
        Call::Look(held) => held.iter().map(|held| held.lease.epoch).collect(),
        Call::Left(epoch) => vec![*epoch],
        Call::Declare { postman, .. } | Call::Wait { postman, .. } => vec![*postman],
        // A start that is being registered has no epoch yet.
        Call::Register { .. } | Call::CompareGateway(_) => return None,
        Call::Grant(_) | Call::Postmen(_) => return None,
    })
}

/// The answer to a call that a postman may not make, or that is not understood.
fn not_for_postmen() -> Vec<u8> {
    let why = NOT_UNDERSTOOD.to_owned();
    codec::encode(&CallResult::<()>::Err(DeskError::Refused(why)))
}

impl Service for NodeDesk {
    fn call(&self, caller: Caller, request: Vec<u8>) -> BoxFuture<'_, Vec<u8>> {
        Box::pin(async move {
            let call = codec::decode::<Call>(&request);
            match (caller, call) {
                (Caller::Node, Ok(Call::Grant(ask))) => codec::encode(&self.grant(ask).await),
                (Caller::Node, Ok(Call::Postmen(sights))) => {
                    codec::encode(&self.answer_roll(sights))
                }
                // Of another version of notty: to the node that calls, as good as a lost answer.
                (Caller::Node, _) => codec::encode(&Asked::Err(ProposeError::Unknown)),
                (Caller::Postman(name), Ok(call)) => self.answer(&name, call).await,
                (Caller::Postman(_), Err(_)) => not_for_postmen(),
            }
        })
    }

    /// Nobody misses the answer to a wait.
    fn may_be_dropped(&self, request: &[u8]) -> bool {
        matches!(codec::decode::<Call>(request), Ok(Call::Wait { .. }))
    }
}

impl NodeDesk {
    async fn grant(&self, ask: Ask) -> Asked {
        self.post_office.ask(ask).await
    }

    /// Registers a standalone postman, unless its name may not be had.
    async fn admit(&self, caller: &str, name: PostmanName, nonce: u64) -> CallResult<Epoch> {
        self.may_register(caller, &name)
            .map_err(DeskError::Refused)?;
        self.register(name, nonce).await
    }

    /// Answers a call of a standalone postman.
    async fn answer(&self, caller: &str, call: Call) -> Vec<u8> {
        if let Err(why) = self.may_speak_of(caller, &call) {
            return codec::encode(&CallResult::<()>::Err(why));
        }
        self.presence.note(caller, &call);

        match call {
            Call::Register { name, nonce } => codec::encode(&self.admit(caller, name, nonce).await),
            Call::Ask {
                lease,
                room,
                gateway,
                again,
                unwanted,
            } if unwanted.len() <= UNWANTED => {
                let work = SendableWork { gateway, unwanted };
                codec::encode(&self.ask(lease, room, work, again).await)
            }

            // Bounds first: a call of any length would be work for the log, or for every look.
            Call::Report(report) if can_be_of_a_lease(&report) => {
                codec::encode(&self.report(report).await)
            }
            Call::Look(held) if is_within_bounds(&held) => codec::encode(&self.look(held).await),
            Call::Left(epoch) => codec::encode(&self.left(epoch).await),
            Call::Declare {
                postman,
                gateway,
                repeat_ms,
            } => codec::encode(&self.declare(postman, gateway, repeat_ms).await),
            Call::Wait {
                postman,
                gateway,
                seen,
                unwanted,
            } if unwanted.len() <= UNWANTED => {
                let work = SendableWork { gateway, unwanted };
                codec::encode(&self.wait(postman, work, seen).await)
            }

            Call::CompareGateway(gateway) => {
                codec::encode(&CallResult::Ok(self.is_own_gateway(gateway)))
            }

            // A call of a node, or one that no lease could make so long.
            Call::Grant(_)
            | Call::Postmen(_)
            | Call::Report(_)
            | Call::Look(_)
            | Call::Ask { .. }
            | Call::Wait { .. } => not_for_postmen(),
        }
    }

    /// Refuses a call about leases of another: a postman must not report on, or take, what a node's
    /// postman or another one holds. Epochs that the state here does not know yet, or no more, are for
    /// the state machine to judge.
    fn may_speak_of(&self, caller: &str, call: &Call) -> Result<(), DeskError> {
        let Some(epochs) = epochs(call) else {
            return Ok(());
        };

        // Earlier starts count too: their leases may still be open.
        let postmen = self.read(|reader| query::leases::postmen(reader))?;
        let mut others = postmen
            .iter()
            .filter(|postman| postman.name.as_str() != caller);
        match others.find(|other| epochs.iter().any(|epoch| other.has_had(*epoch))) {
            Some(other) => Err(DeskError::Refused(format!(
                "`{caller}` speaks of a lease of the postman `{}`",
                other.name.as_str()
            ))),
            None => Ok(()),
        }
    }

    /// Refuses a name that a standalone postman may not have: a node's own postman would end by it.
    fn may_register(&self, caller: &str, name: &PostmanName) -> Result<(), String> {
        if name.as_str() != caller {
            return Err(format!("`{caller}` cannot register as `{}`", name.as_str()));
        }
        PostmanName::parse(caller).map_err(|invalid| invalid.detail)?;

        // Whoever knows the postmen's secret could end the postman of a node otherwise.
        let members = self.node.status().members;
        if members.iter().any(|member| member.peer.name == caller) {
            return Err(format!(
                "`{caller}` is a node of the cluster, and its own postman has that name: set \
                 postman.name to another"
            ));
        }
        Ok(())
    }
}
