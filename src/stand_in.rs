//! A postman's stand-in: it takes leases and reports every message as done at once. Nothing is
//! sent anywhere, so that what post office, log and state can do shows by itself.

use std::{sync::Arc, time::Duration};

use notty_storage::{
    command::Report,
    limits,
    model::{LeaseId, PostmanName, SendResult},
};
use tokio::task::{JoinError, JoinSet};

use crate::postman::desk::{Desk, DeskError, Parcel};

/// Leases held at once: one is asked for while others are being reported.
const LEASES: usize = 8;
/// Before an ask is made again that found nothing.
const NOTHING: Duration = Duration::from_millis(2);
/// Before a call is made again that was not answered.
const AGAIN: Duration = Duration::from_millis(100);

/// Takes leases and reports them, until the desk refuses.
pub async fn run(desk: Arc<dyn Desk>, name: PostmanName) -> Result<(), DeskError> {
    let nonce = rand::random();
    let epoch = loop {
        match desk.register(name.clone(), nonce).await {
            Err(DeskError::Unavailable(_)) => tokio::time::sleep(AGAIN).await,
            registered => break registered?,
        }
    };
    let (mut n, mut again) = (1, false);
    let mut reports = JoinSet::new();
    loop {
        match desk
            .ask(LeaseId { epoch, n }, limits::LEASE_MESSAGES, 0, again)
            .await
        {
            Ok(Some(parcel)) => {
                reports.spawn(report(desk.clone(), parcel));
                (n, again) = (n + 1, false);
            }
            Ok(None) => tokio::time::sleep(NOTHING).await,
            Err(DeskError::Unavailable(_)) => {
                again = true;
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(error),
        }
        while reports.len() >= LEASES {
            settle(reports.join_next().await)?;
        }
        while let Some(done) = reports.try_join_next() {
            settle(Some(done))?;
        }
    }
}

/// A report was acknowledged, or never will be.
fn settle(done: Option<Result<Result<(), DeskError>, JoinError>>) -> Result<(), DeskError> {
    match done {
        Some(Ok(reported)) => reported,
        Some(Err(error)) => Err(DeskError::Refused(error.to_string())),
        None => Ok(()),
    }
}

async fn report(desk: Arc<dyn Desk>, parcel: Parcel) -> Result<(), DeskError> {
    let Parcel {
        lease,
        mailing,
        runs,
        ..
    } = parcel;
    let report = Report {
        lease,
        mailing,
        gateway: 0,
        results: vec![(SendResult::Done, runs)],
    };
    loop {
        match desk.report(report.clone()).await {
            Err(DeskError::Unavailable(_)) => tokio::time::sleep(AGAIN).await,
            reported => return reported.map(drop),
        }
    }
}
