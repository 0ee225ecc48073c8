//! The rules: how each command changes the state, or why it is refused.
//!
//! `entry` runs the commands of one entry in order. Each has its own changes, dropped whole if
//! it is refused. One exhaustive match, one call per arm; each file holds one aggregate's rules.
//!
//! Nothing here knows a clock, a random number, a floating-point number, the order of a hash
//! table, a time-zone database, a Unicode table or the configuration: bounds travel in commands.

mod batches;
mod changelog;
mod customers;
mod deliveries;
mod expansion;
mod gateways;
mod leases;
mod mailings;
mod members;
mod nodes;
mod origin;
mod restored;
mod sweeps;
mod time;

pub(crate) use changelog::is_left as changes_are_left;
pub(crate) use expansion::{Audience, remembered};
pub use leases::Prospect;
pub(crate) use leases::prospect;
pub(crate) use mailings::present;
pub(crate) use members::find_member;
pub(crate) use restored::{begin_at, close_life, close_mailing};

use crate::{
    changes::Changes,
    command::{Action, Command, Outcome, Rejection, Reply},
    error::Error,
};

/// Why a command has no reply: it is refused (the same on every node), or this node is broken.
pub(crate) enum Halt {
    Refused(Rejection),
    Broken(Error),
}

impl From<Rejection> for Halt {
    fn from(rejection: Rejection) -> Self {
        Halt::Refused(rejection)
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Broken(error)
    }
}

/// What a rule answers.
pub(crate) type Applied = Result<Reply, Halt>;

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

/// Runs one action and keeps or drops its changes.
fn run(changes: &mut Changes<'_>, action: &Action) -> Result<Outcome, Error> {
    match apply(changes, action) {
        Ok(reply) => {
            changes.keep();
            Ok(Ok(reply))
        }
        Err(Halt::Refused(rejection)) => {
            changes.drop_command();
            Ok(Err(rejection))
        }
        Err(Halt::Broken(error)) => Err(error),
    }
}

fn apply(changes: &mut Changes<'_>, action: &Action) -> Applied {
    match action {
        Action::PutCustomers(put) => customers::put(changes, put),
        Action::DeleteCustomer { id } => customers::delete(changes, id),
        Action::SweepDeleted { batches } => customers::sweep_deleted(changes, *batches),
        Action::CreateMailing { id, spec } => mailings::create(changes, id, spec),
        Action::UpdateMailing { id, spec } => mailings::update(changes, id, spec),
        Action::PauseMailing { id } => mailings::pause(changes, id),
        Action::ResumeMailing {
            id,
            accept_duplicates,
        } => mailings::resume(changes, id, *accept_duplicates),
        Action::CancelMailing { id } => mailings::cancel(changes, id),
        Action::DeleteMailing { id } => mailings::delete(changes, id),
        Action::StartMailing { mailing } => mailings::start(changes, *mailing),
        Action::EndMailing { mailing } => mailings::end(changes, *mailing),
        Action::Expand {
            mailing,
            cursor,
            scan,
            limit,
        } => expansion::expand(changes, *mailing, *cursor, *scan, *limit),
        Action::SweepMailing { mailing, batches } => sweeps::sweep(changes, *mailing, *batches),
        Action::FoldMailing {
            mailing,
            batches,
            blocks,
        } => sweeps::fold(changes, *mailing, *batches, *blocks),
        Action::PurgeMailing { mailing, batches } => sweeps::purge(changes, *mailing, *batches),
        Action::RegisterPostman { name, nonce } => leases::register(changes, name, *nonce),
        Action::Grant(grant) => leases::grant(changes, grant),
        Action::Report(report) => deliveries::report(changes, report),
        Action::ExpireLease { lease } => leases::expire(changes, *lease),
        Action::TrimChanges { blocks } => changelog::trim_more(changes, *blocks),
        Action::AdmitNode { name, disk, above } => nodes::admit(changes, name, disk, *above),
        Action::DismissNode { node, name, disk } => nodes::dismiss(changes, *node, name, disk),
        Action::SetTime { to } => time::set(changes, *to),
        Action::DeclareGateway {
            postman,
            gateway,
            repeat_ms,
        } => gateways::declare(changes, *postman, *gateway, *repeat_ms),
    }
}
