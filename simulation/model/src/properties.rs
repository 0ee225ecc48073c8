//! What must always hold, and what must be reachable so that the first is not said of nothing.

use stateright::Property;

use crate::{
    TokenModel,
    state::{Doubt, MESSAGES, Request, SendResult, Stage, State, Status, Token},
};

/// The gateway takes a message at most once.
pub const TAKEN_ONCE: &str = "the gateway takes a message at most once";
/// A request starts only under a token of its own that was committed.
pub const UNDER_A_TOKEN: &str = "a request starts only under a committed token of its own";
/// What the gateway took is accounted for.
pub const TAKEN_IS_KNOWN: &str = "what the gateway took is done, unconfirmed or sending";
/// Done means taken.
pub const DONE_IS_TAKEN: &str = "what is done the gateway took";
/// Only what is ready is granted.
pub const GRANTED_WHEN_READY: &str = "only what is created or failed is granted";
/// One token of a message at a time.
pub const ONE_TOKEN: &str = "one token of a message at a time can start a request";
/// A postman hears of its leases.
pub const HEARD_OF: &str = "a postman hears of all that it holds";
/// Closed is closed.
pub const CLOSED_GETS_NOTHING: &str = "a postman that a newer one closed gets nothing more";
/// Only a newer start closes.
pub const REPEAT_CLOSES_NOBODY: &str = "a repeated registration closes nobody";
/// Nothing waits for ever.
pub const OVER_IS_SETTLED: &str = "nothing waits when no more may be sent";
/// The first report stands.
pub const DONE_STANDS: &str = "what was first reported as done stays done";
/// Done, from whomever it comes, is the end.
pub const DONE_ENDS_IT: &str = "nothing is granted that any report called done";
/// The sums.
pub const SUMS: &str = "each message is in one status, and the counts add up";
/// A numbered command runs once.
pub const RUN_ONCE: &str = "a numbered command is executed at most once";
/// A customer is reached once, also if its mailing was asked for again.
pub const REACHED_ONCE: &str = "a customer gets a mailing's text at most once";

/// All that must hold and all that must be reachable.
pub(crate) fn all(model: &TokenModel) -> Vec<Property<TokenModel>> {
    let mut properties = safety();
    properties.extend(reachable(model));
    properties
}

fn safety() -> Vec<Property<TokenModel>> {
    type P = Property<TokenModel>;
    vec![
        P::always(TAKEN_ONCE, |_, state| {
            (0..MESSAGES).all(|message| state.taken(message) <= 1)
        }),
        P::always(UNDER_A_TOKEN, |_, state| state.stray.is_none()),
        P::always(TAKEN_IS_KNOWN, |_, state| {
            (0..MESSAGES).all(|message| state.taken(message) == 0 || is_known(state, message))
        }),
        P::always(DONE_IS_TAKEN, |_, state| {
            (0..MESSAGES).all(|m| status(state, m) != Status::Done || state.taken(m) > 0)
        }),
        P::always(GRANTED_WHEN_READY, |_, state| {
            !state.cluster.seen.granted_unready
        }),
        P::always(ONE_TOKEN, one_token),
        P::always(HEARD_OF, |_, state| {
            let passed = |token: &Token| token.stage == Stage::Passed;
            !state.granted().any(|(message, attempt, token)| {
                passed(token) && is_sending(state, message, attempt)
            })
        }),
        P::always(CLOSED_GETS_NOTHING, |_, state| {
            !state.cluster.seen.granted_to_closed
        }),
        P::always(REPEAT_CLOSES_NOBODY, |_, state| {
            let has_newest = |postman: usize| {
                let name = state.cluster.name_of(postman as u8);
                state.cluster.registered[postman] == 0 || state.cluster.newest[name].is_some()
            };
            (0..state.postmen.len()).all(has_newest)
        }),
        P::always(OVER_IS_SETTLED, |_, state| {
            let over = state.cluster.over.is_some();
            let waits = |m: &crate::state::Message| m.status.is_ready();
            !state
                .cluster
                .messages
                .iter()
                .any(|m| waits(m) && (over || m.customer_deleted))
        }),
        P::always(DONE_STANDS, |_, state| {
            let stands = |m: &crate::state::Message| !m.first_said_done || m.status == Status::Done;
            state.cluster.messages.iter().all(stands)
        }),
        P::always(DONE_ENDS_IT, |_, state| {
            !state.cluster.seen.granted_after_done
        }),
        P::always(SUMS, sums),
        P::always(RUN_ONCE, |model, state| {
            model.bounds.numbered == 0 || made(state) <= 1
        }),
        P::always(REACHED_ONCE, |model, state| {
            let taken: usize = (0..MESSAGES).map(|message| state.taken(message)).sum();
            model.bounds.numbered == 0 || taken <= 1
        }),
    ]
}

fn status(state: &State, message: usize) -> Status {
    state.cluster.messages[message].status
}

fn is_sending(state: &State, message: usize, attempt: u8) -> bool {
    state.cluster.messages[message].attempt == attempt && status(state, message) == Status::Sending
}

/// Whether a message that the gateway has is accounted for; one that an idempotent gateway may get
/// again may also wait for that, marked.
fn is_known(state: &State, message: usize) -> bool {
    let message = &state.cluster.messages[message];
    match message.status {
        Status::Done | Status::Unconfirmed | Status::Sending => true,
        Status::Failed => message.doubt == Doubt::Repeatable,
        _ => false,
    }
}

/// Whether no older token of a message can still start a request, nor one be on its way unless the
/// gateway tells repeats.
fn one_token(model: &TokenModel, state: &State) -> bool {
    state.granted().all(|(message, attempt, token)| {
        let old = attempt < state.cluster.messages[message].attempt;
        let on_its_way = token.request == Request::OnItsWay && !model.bounds.idempotent;
        !old || !(token.stage.may_begin() || on_its_way)
    })
}

fn sums(_: &TokenModel, state: &State) -> bool {
    let mut counts = [0; Status::COUNT];
    state
        .cluster
        .messages
        .iter()
        .for_each(|message| counts[message.status as usize] += 1);
    counts == state.cluster.counts
}

/// Messages that were made.
fn made(state: &State) -> u8 {
    MESSAGES as u8 - state.cluster.counts[Status::Absent as usize]
}

/// What must be reachable in a world of these bounds.
fn reachable(model: &TokenModel) -> Vec<Property<TokenModel>> {
    type P = Property<TokenModel>;
    let bounds = &model.bounds;
    let mut properties = vec![
        P::sometimes("done", |_, state| any(state, |m| m.status == Status::Done)),
        P::sometimes("unconfirmed", |_, state| {
            any(state, |m| m.status == Status::Unconfirmed)
        }),
        P::sometimes("a late report repairs what was unconfirmed", |_, state| {
            any(state, |m| m.status == Status::Done && m.lapsed)
        }),
        P::sometimes(
            "a late report brings back what was unconfirmed",
            |_, state| any(state, |m| m.status.is_ready() && m.lapsed),
        ),
        P::sometimes("done at the second attempt", |_, state| {
            any(state, |m| m.status == Status::Done && m.attempt > 1)
        }),
        P::sometimes("taken, and nobody will know", |_, state| {
            let unconfirmed = |m: usize| status(state, m) == Status::Unconfirmed;
            (0..MESSAGES).any(|m| state.taken(m) == 1 && unconfirmed(m))
        }),
        P::sometimes("handed back untried", |_, state| {
            any(state, |m| m.reported == Some(SendResult::HandedBack))
        }),
    ];
    if bounds.crashes.iter().any(|crashes| *crashes > 0) {
        properties.push(P::sometimes(
            "the next run hands back what was never begun",
            |_, state| {
                let mut first_runs = state.granted().filter(|(_, _, token)| {
                    token.holder.is_some_and(|start| {
                        state.postmen[usize::from(start.postman)].run > start.run
                    })
                });
                first_runs.any(|(message, attempt, token)| {
                    let message = &state.cluster.messages[message];
                    let handed_back = message.reported == Some(SendResult::HandedBack);
                    message.attempt == attempt && handed_back && token.stage == Stage::Settled
                })
            },
        ));
    }
    if bounds.one_name {
        properties.push(P::sometimes(
            "a closed postman still reports",
            |_, state| {
                let closed = |token: &Token| token.holder != state.cluster.newest[0];
                state.granted().any(|(message, _, token)| {
                    closed(token)
                        && state.cluster.newest[0].is_some_and(|start| start.postman == 1)
                        && status(state, message) == Status::Done
                })
            },
        ));
    }
    if bounds.idempotent {
        properties.push(P::sometimes("the gateway knows a repeat", |_, state| {
            state
                .granted()
                .any(|(_, _, token)| token.request == Request::Known)
        }));
    }
    if !bounds.closings.is_empty() {
        properties.push(P::sometimes("given up while it was away", |_, state| {
            any(state, |m| {
                let given_up = matches!(m.status, Status::Cancelled | Status::Expired);
                given_up && m.attempt > 0 && m.reported.is_some()
            })
        }));
    }
    properties
}

fn any(state: &State, is: impl Fn(&crate::state::Message) -> bool) -> bool {
    state.cluster.messages.iter().any(is)
}
