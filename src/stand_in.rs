//! A stand-in for a postman: it takes leases and reports every message as done at once.
//!
//! Nothing is sent anywhere, so that a benchmark shows what post office, log and state can do.

use std::{sync::Arc, time::Duration};

use notty_storage::{
    command::Report,
    limits,
    model::{Epoch, LeaseId, PostmanName, SendResult},
};
use tokio::task::{JoinError, JoinSet};

use crate::postman::desk::{Desk, DeskError, Parcel, SendableWork};

/// Leases at the same time: one is asked for while others are being reported.
const LEASES: usize = 8;
/// Pause after an ask that found nothing.
const NOTHING: Duration = Duration::from_millis(2);
/// Pause before a call that was not answered is repeated.
const AGAIN: Duration = Duration::from_millis(100);

/// Takes leases and reports them, until the desk refuses.
pub async fn run(desk: Arc<dyn Desk>, name: PostmanName) -> Result<(), DeskError> {
    let mut lease = LeaseId {
        epoch: register(&*desk, name).await?,
        n: 1,
    };
    let mut is_repeat = false;
    let mut reports = JoinSet::new();
    loop {
        let work = SendableWork {
            gateway: 0,
            unwanted: Vec::new(),
        };
        match desk
            .ask(lease, limits::LEASE_MESSAGES, work, is_repeat)
            .await
        {
            Ok(Some(parcel)) => {
                reports.spawn(report(desk.clone(), parcel));
                lease.n += 1;
                is_repeat = false;
            }
            Ok(None) => tokio::time::sleep(NOTHING).await,
            // The lease may have been granted: it is asked for again under the same id.
            Err(DeskError::Unavailable(_)) => {
                is_repeat = true;
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(error),
        }

        while reports.len() >= LEASES {
            check_report(reports.join_next().await)?;
        }
        while let Some(ended) = reports.try_join_next() {
            check_report(Some(ended))?;
        }
    }
}

async fn register(desk: &dyn Desk, name: PostmanName) -> Result<Epoch, DeskError> {
    // The same nonce gives the same epoch, so that a repeat is harmless.
    let nonce = rand::random();
    loop {
        match desk.register(name.clone(), nonce).await {
            Err(DeskError::Unavailable(_)) => tokio::time::sleep(AGAIN).await,
            registered => return registered,
        }
    }
}

/// Fails if a report was refused, or ended without an answer.
fn check_report(ended: Option<Result<Result<(), DeskError>, JoinError>>) -> Result<(), DeskError> {
    match ended {
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
