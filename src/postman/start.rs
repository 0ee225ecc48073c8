//! The start of a postman: it registers, declares its gateway, and settles what an earlier run left.

use std::collections::BTreeMap;

use notty_storage::{command::Report, model::Epoch};

use super::{
    PostmanError, PostmanOptions,
    asking::AGAIN,
    desk::{Desk, DeskError, Left},
    journal::{Journal, Past, Remains},
    reports::recovered,
};

/// Reads what an earlier run left in the journal, as far as it is believed.
pub(super) fn remains(
    journal: &Journal,
    options: &PostmanOptions,
) -> Result<Option<Remains>, PostmanError> {
    Ok(match journal.past(options.outlet.retry.initial_ms)? {
        Past::Nothing => None,
        Past::Whole(remains) => Some(remains),
        Past::Damaged(damage) => {
            tracing::error!("{damage}");
            None
        }
    })
}

/// Registers, then reports what an earlier run left, until all of it is acknowledged.
pub(super) async fn start(
    options: &PostmanOptions,
    desk: &dyn Desk,
    remains: Option<&Remains>,
    nonce: u64,
) -> Result<Epoch, PostmanError> {
    let epoch = register(options, desk, nonce).await?;
    declare(options, desk, epoch).await?;
    if let Some(remains) = remains {
        settle(desk, remains).await;
    }
    Ok(epoch)
}

async fn register(
    options: &PostmanOptions,
    desk: &dyn Desk,
    nonce: u64,
) -> Result<Epoch, PostmanError> {
    loop {
        // The same nonce again is the same start: a lost answer costs nothing.
        let registered = desk.register(options.name.clone(), nonce).await;

        match registered {
            Ok(epoch) => return Ok(epoch),
            Err(DeskError::Refused(why)) => return Err(PostmanError::Refused(why)),
            Err(error) => tracing::debug!(%error, "the postman could not register yet"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn declare(
    options: &PostmanOptions,
    desk: &dyn Desk,
    epoch: Epoch,
) -> Result<(), PostmanError> {
    let gateway = options.outlet.identity;
    let repeat_ms = options.outlet.retry.repeat_ms;

    // Before the first ask: the state decides by it which messages in doubt this start may repeat.
    loop {
        match desk.declare(epoch, gateway, repeat_ms).await {
            Ok(()) => return Ok(()),
            Err(DeskError::Refused(why)) => return Err(PostmanError::Refused(why)),
            Err(DeskError::Replaced) => return Err(PostmanError::Replaced),
            Err(DeskError::Forgotten) => return Err(PostmanError::Forgotten),
            Err(error) => tracing::debug!(%error, "the postman could not declare its gateway yet"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Settles the leases that an earlier run left open.
async fn settle(desk: &dyn Desk, remains: &Remains) {
    let left = loop {
        match desk.left(remains.run.epoch).await {
            Ok(left) => break left,
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    };
    // The state knows leases whose answer never reached the journal, and better of the others.
    let mut leases: BTreeMap<u64, Left> = BTreeMap::new();
    for left in remains.leases().cloned().chain(left) {
        leases.insert(left.lease.n, left);
    }

    for left in leases.values() {
        // One line a lease: a person may wonder where the messages of the run before are.
        let count: usize = left.runs.iter().map(|run| usize::from(run.len)).sum();
        tracing::info!(lease.id = %left.lease, count, "a lease of the run before is settled");
        report(desk, recovered(left, remains)).await;
    }
}

/// Repeats a report until it is acknowledged, or refused for good.
async fn report(desk: &dyn Desk, report: Report) {
    while let Err(error) = desk.report(report.clone()).await {
        if matches!(error, DeskError::Refused(_) | DeskError::Closed) {
            tracing::warn!(%error, lease.id = %report.lease, "a report of the run before");
            break;
        }
        tokio::time::sleep(AGAIN).await;
    }
}
