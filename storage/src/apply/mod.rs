//! The rules: how each command changes the state, or why it is refused.
//!
//! `entry` runs the commands of one entry in order. Each has its own changes, dropped whole if
//! it is refused. `action.rs` has one exhaustive match, one call per arm; each further file holds one
//! aggregate's rules.
//!
//! Nothing here knows a clock, a random number, a floating-point number, the order of a hash
//! table, a time-zone database, a Unicode table or the configuration: bounds travel in commands.

mod action;
mod at_start;
mod audience;
mod batches;
mod changelog;
mod customer_blocks;
mod customers;
mod deleted;
mod deliveries;
mod duplicates;
mod expansion;
mod followers;
mod gateways;
mod import_replies;
mod leases;
mod level;
mod live;
mod mailings;
mod members;
mod nodes;
mod origin;
mod phones;
mod postmen;
mod receipts;
mod restored;
mod ruled;
mod search;
mod settling;
mod sweeps;
mod time;
mod unheard;

pub(crate) use audience::{Audience, remembered};
pub(crate) use changelog::is_left as changes_are_left;
pub(crate) use mailings::present;
pub(crate) use members::find_member;
pub(crate) use phones::is_left as phones_are_left;
pub(crate) use restored::{begin_at, close_life, close_mailing};
pub use search::Prospect;
pub(crate) use search::prospect;

use crate::{
    changes::Changes,
    command::{Command, Outcome},
    error::Error,
};

/// Runs the commands of one entry; an error means that this node must stop.
pub(crate) fn entry(
    changes: &mut Changes<'_>,
    commands: &[Command],
) -> Result<Vec<Outcome>, Error> {
    commands
        .iter()
        .map(|command| origin::run(changes, command))
        .collect()
}
