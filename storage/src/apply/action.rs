//! One action: its rule is found by its type, and its changes are kept or dropped as a whole.

use super::{
    changelog, customers, deliveries, expansion, gateways, leases, level, mailings, nodes, postmen,
    receipts,
    ruled::{Halt, Ruled},
    sweeps, time,
};
use crate::{
    changes::Changes,
    command::{Action, Intent, Outcome, Reply},
    error::Error,
};

/// Runs one action and keeps or drops its changes.
pub(super) fn run(changes: &mut Changes<'_>, action: &Action) -> Result<Outcome, Error> {
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

/// The rule of each action: one call an arm.
fn apply(changes: &mut Changes<'_>, action: &Action) -> Ruled<Reply> {
    match action {
        Action::PutCustomers(put) => by(changes, put, customers::put),
        Action::PutCustomer(put) => by(changes, put, customers::put_one),
        Action::DeleteCustomer(delete) => by(changes, delete, customers::delete),
        Action::SweepDeleted(sweep) => by(changes, sweep, customers::sweep_deleted),
        Action::CreateMailing(create) => by(changes, create, mailings::create),
        Action::UpdateMailing(update) => by(changes, update, mailings::update),
        Action::PauseMailing(pause) => by(changes, pause, mailings::pause),
        Action::ResumeMailing(resume) => by(changes, resume, mailings::resume),
        Action::CancelMailing(cancel) => by(changes, cancel, mailings::cancel),
        Action::DeleteMailing(delete) => by(changes, delete, mailings::delete),
        Action::StartMailing(start) => by(changes, start, mailings::start),
        Action::EndMailing(end) => by(changes, end, mailings::end),
        Action::Expand(expand) => by(changes, expand, expansion::expand),
        Action::SweepMailing(sweep) => by(changes, sweep, sweeps::sweep),
        Action::FoldMailing(fold) => by(changes, fold, sweeps::fold),
        Action::PurgeMailing(purge) => by(changes, purge, sweeps::purge),
        Action::RegisterPostman(register) => by(changes, register, postmen::register),
        Action::Grant(grant) => by(changes, grant, leases::grant),
        Action::Report(report) => by(changes, report, deliveries::report),
        Action::ExpireLease(expire) => by(changes, expire, leases::expire),
        Action::TrimChanges(trim) => by(changes, trim, changelog::trim_more),
        Action::AdmitNode(admit) => by(changes, admit, nodes::admit),
        Action::DismissNode(dismiss) => by(changes, dismiss, nodes::dismiss),
        Action::SetTime(set) => by(changes, set, time::set),
        Action::DeclareGateway(declare) => by(changes, declare, gateways::declare),
        Action::RaiseLevel(raise) => by(changes, raise, level::raise),
        Action::TryLevel(attempt) => by(changes, attempt, level::try_it),
        Action::TakeReceipts(take) => by(changes, take, receipts::take),
        Action::SetReceiptSecret(set) => by(changes, set, receipts::set_secret),
    }
}

/// Applies a rule, which must have the reply that its action has: the compiler refuses another.
fn by<A: Intent>(
    changes: &mut Changes<'_>,
    action: &A,
    rule: fn(&mut Changes<'_>, &A) -> Ruled<A::Reply>,
) -> Ruled<Reply> {
    Ok(rule(changes, action)?.into())
}
