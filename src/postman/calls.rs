//! Calls of the desk that are under way, and the events that their answers are.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use notty_storage::{
    command::Report,
    model::{Epoch, LeaseId},
};

use super::{
    asking::NextAsk,
    desk::{ClusterLook, Desk, DeskError, HeldLease, Left, Parcel, SendableWork},
    looking::LOOK,
};

/// Longest time for a look: an older view is of no use.
const LOOK_TIME: Duration = LOOK.saturating_mul(4);

/// An answer of the desk.
pub(super) enum DeskEvent {
    /// An ask for a lease, with the time of the first one under its number.
    Asked(Duration, Result<Option<Parcel>, DeskError>),
    /// A wait for something to ask for, with the position of the state.
    Woken(Result<u64, DeskError>),
    /// A search for the messages of a lease that ran out before its answer came.
    Traced(Result<Vec<Left>, DeskError>),
    /// A report of a lease, with the count of conflicts.
    Reported(u64, Result<usize, DeskError>),
    /// A look, with the time at which it began.
    Looked(Duration, Result<ClusterLook, DeskError>),
}

/// The calls of one postman.
pub(super) struct DeskCalls {
    desk: Arc<dyn Desk>,
    epoch: Epoch,
    under_way: FuturesUnordered<BoxFuture<'static, DeskEvent>>,
}

impl DeskCalls {
    /// Calls under an epoch; none is under way.
    pub(super) fn new(desk: Arc<dyn Desk>, epoch: Epoch) -> Self {
        Self {
            desk,
            epoch,
            under_way: FuturesUnordered::new(),
        }
    }

    /// The next answer; never returns while no call is under way.
    pub(super) async fn next(&mut self) -> DeskEvent {
        match self.under_way.next().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// The epoch that the postman registered for.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn push(&self, call: impl Future<Output = DeskEvent> + Send + 'static) {
        self.under_way.push(Box::pin(call));
    }

    pub(super) fn ask(&self, ask: NextAsk, room: u16, work: SendableWork) {
        let lease = LeaseId {
            epoch: self.epoch,
            n: ask.n,
        };
        let desk = self.desk.clone();
        self.push(async move {
            let answer = desk.ask(lease, room, work, ask.again).await;
            DeskEvent::Asked(ask.first_asked, answer)
        });
    }

    pub(super) fn wait(&self, work: SendableWork, seen: Option<u64>) {
        let desk = self.desk.clone();
        let epoch = self.epoch;
        self.push(async move { DeskEvent::Woken(desk.wait(epoch, work, seen).await) });
    }

    pub(super) fn trace(&self, after: Duration) {
        let desk = self.desk.clone();
        let epoch = self.epoch;
        self.push(async move {
            pause(after).await;
            DeskEvent::Traced(desk.left(epoch).await)
        });
    }

    pub(super) fn report(&self, report: Report, after: Duration) {
        let desk = self.desk.clone();
        self.push(async move {
            pause(after).await;
            DeskEvent::Reported(report.lease.n, desk.report(report).await)
        });
    }

    pub(super) fn look(&self, held: Vec<HeldLease>, now: Duration) {
        let desk = self.desk.clone();
        self.push(async move {
            let looked = tokio::time::timeout(LOOK_TIME, desk.look(held)).await;
            let late = || Err(DeskError::Unavailable("no answer in time".into()));
            DeskEvent::Looked(now, looked.unwrap_or_else(|_| late()))
        });
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
