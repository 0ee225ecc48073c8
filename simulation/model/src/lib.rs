//! The protocol of grants, sends and reports as a model, gone through exhaustively within bounds.
//!
//! The rest of the project shows that the code does what it should in many histories. This shows
//! that the protocol which the code follows is safe in every one, as far as its [`worlds`] reach:
//! two postmen, two leaders, two messages, any loss, repetition and reordering of calls, a crash at
//! any step. And it shows that each rule is needed: taken out, it leaves a history in which
//! somebody gets a message twice, or one that is lost sight of.
//!
//! # The protocol in a page
//!
//! A message is sent under a *token*, which is (message, attempt). It goes through these hands:
//!
//! ```text
//!   postman            leader (one of two)         the log: apply             gateway
//!      │ ask, again and again │                          │                       │
//!      ├─────────────────────►│ propose Grant            │                       │
//!      │                      ├─────────────────────────►│ created, failed       │
//!      │◄─────────────────────┴── answer, once committed ┤     ─► sending        │
//!      │ note the token in the journal                   │     a new attempt     │
//!      ├── the request, once ─────────────────────────────────────────────────►  │ takes it,
//!      │◄─────────────────────────── an answer, or none ──────────────────────── │ or not
//!      │ report, again and again                         │                       │
//!      ├─────────────────────►│ propose Report           │ ─► done               │
//!      │                      ├─────────────────────────►│ ─► created or failed  │
//!      │                      │                          │ ─► unconfirmed        │
//! ```
//!
//! - **Rule 1.** Apply itself picks the messages, and the postman hears of them once that is
//!   committed. The same lease id again is the same lease, and a postman uses one answer for each.
//! - **Rule 2.** A start of a postman registers with a nonce and gets an epoch, the same for the
//!   same nonce. A newer start of its name closes it: it may report, and gets nothing more.
//! - **Rule 3.** A lease that runs out makes its messages `unconfirmed`, and does nothing else.
//! - **Rule 4.** Back from `sending` or `unconfirmed` leads only what the holder says: nothing was
//!   written, the gateway did not take it, or the gateway is idempotent and may get it again (the
//!   message then keeps a mark). Where to depends on whether more may be sent now.
//! - **Rule 5.** The first report of a token stands. Reports of old attempts touch nothing, but one
//!   that says `done` keeps the message from being sent again.
//! - **Rule 6.** A command without an answer may have been executed. It is repeated under the same
//!   number, and executed at most once, because its reply is kept.
//! - **Rule 9.** A postman's next run hands back what its journal shows was never begun, and says
//!   that it is unsure of the rest.
//!
//! # How it is modelled
//!
//! - **Calls.** What was once said may arrive at any later time, any number of times, or never. So
//!   there are no queues, and no bound on repeats ([`state`]).
//! - **Leaders.** With [`Bounds::leaders`] each of two leaders holds one proposal, which it chose by
//!   the state of that moment. It may be committed at any time (the other one's go first), or be
//!   lost with its leader and proposed again by either: a deposed leader that still acts. Nothing
//!   that a leader knows is needed for safety; so in the other worlds whatever may be proposed may
//!   be committed at once, which allows the same histories in fewer states.
//! - **Time.** There is none. Leases run out at any moment, and postmen write when theirs are long
//!   over. The checks before the first byte (rule 8) only make `unconfirmed` rare.
//! - **Postmen** are worse than the real ones: one that said that it is unsure reports a late answer
//!   all the same, and a crash may lose any result from the journal (never what was begun).
//! - **Leases** have no numbers: a postman asks for the next when it has heard of the last, so the
//!   one that it asks for is the one whose answer it awaits. A lease may run out for one of its
//!   messages and not for another.
//!
//! What is left out: the pause before a retry and the time for which an idempotent gateway
//! remembers (both are times), `invalid` (as final as `done`), expansion, several mailings. Nothing
//! but care holds `apply` and `storage/src/apply` together: who changes one reads the other.
//!
//! # Reading order
//!
//! [`state`], `apply`, [`actions`], [`properties`]; [`rules`] are the switches and [`worlds`] what
//! is checked. `tests/rules_in.rs` goes through every small world, `cargo run -p notty-model` through
//! the large ones too; `tests/rules_out.rs` takes out each clause of each rule, and
//! `tests/leaders.rs` shows that leaders with proposals of their own add nothing.

pub mod state;

pub mod actions;
mod apply;
pub mod bounds;
pub mod properties;
pub mod rules;
mod symmetry;
pub mod worlds;

use stateright::{Model, Property};

pub use self::{
    actions::Action,
    bounds::{Bounds, Closing},
    rules::{Clause, Rules},
    state::State,
};

/// A world of some bounds under some rules.
#[derive(Clone, Debug)]
pub struct TokenModel {
    /// The rules that hold.
    pub rules: Rules,
    /// What there is.
    pub bounds: Bounds,
}

impl Model for TokenModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.bounds.first_state()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions::Choices {
            state,
            model: self,
            actions,
        }
        .gather();
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let next = actions::next(state, self, action);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }
}
