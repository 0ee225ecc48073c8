//! Gathers receipts that come at about the same time into one command.
//!
//! Each receipt alone would be an entry of the log. So what comes within some milliseconds is proposed
//! together, sorted by message: each batch of messages is then read and written once. Each receipt is
//! answered when its command is committed. What waits is bounded: beyond that, a gateway is asked to
//! try again.

use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};

use notty_raft::{Node, ProposeError};
use notty_storage::{
    command::{ReceiptRefusal, ReceiptsTaken, TakeReceipts},
    limits::{BATCH_STRIDE_BITS, RECEIPT_BATCHES, RECEIPTS},
    model::ReceiptNote,
};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

/// Receipts that wait for their command, at most.
const WAITING: usize = 16 * RECEIPTS;
/// Time in which further receipts join the first.
const GATHER: Duration = Duration::from_millis(4);
/// Commands under way at the same time, at most.
const COMMANDS: usize = 4;
/// Time for the answer to one receipt.
const ANSWER: Duration = Duration::from_secs(10);

/// The result of one receipt: the position of its command; or why the receipt was refused.
pub type AnsweredReceipt = Result<u64, ReceiptFault>;

/// The reason for which a receipt was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptFault {
    /// It cannot be true.
    Refused(ReceiptRefusal),
    /// Too many receipts wait already.
    TooMany,
    /// The cluster did not take the command, or did not say so in time.
    NotProposed(ProposeError),
}

/// A receipt that waits, and where its answer goes.
struct WaitingReceipt {
    receipt: ReceiptNote,
    answer: oneshot::Sender<AnsweredReceipt>,
}

/// The end at which handlers leave receipts.
#[derive(Clone)]
pub struct ReceiptGatherer(mpsc::Sender<WaitingReceipt>);

/// The receipts that handlers left; [`run`](Self::run) proposes them.
pub struct GatheredReceipts(mpsc::Receiver<WaitingReceipt>);

impl ReceiptGatherer {
    /// Makes both ends of the way.
    pub fn new() -> (Self, GatheredReceipts) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), GatheredReceipts(receiver))
    }

    /// Has a receipt taken, and waits until it is kept by the cluster.
    ///
    /// # Errors
    /// It was refused, or nobody can tell that it was taken: the gateway may send it again.
    pub async fn take(&self, receipt: ReceiptNote) -> AnsweredReceipt {
        let (answer, answered) = oneshot::channel();
        let waiting = WaitingReceipt { receipt, answer };
        self.0.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ReceiptFault::TooMany,
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })?;

        match tokio::time::timeout(ANSWER, answered).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(stopped()),
            Err(_) => Err(ReceiptFault::NotProposed(ProposeError::Unknown)),
        }
    }
}

fn stopped() -> ReceiptFault {
    ReceiptFault::NotProposed(ProposeError::Stopped)
}

/// Proposes one command; the position and the reply, once it is committed.
trait Propose: Send + Sync + 'static {
    fn propose(
        &self,
        take: TakeReceipts,
    ) -> impl Future<Output = Result<(u64, ReceiptsTaken), ProposeError>> + Send;
}

impl Propose for Node {
    async fn propose(&self, take: TakeReceipts) -> Result<(u64, ReceiptsTaken), ProposeError> {
        let applied = self.act(take).await?;
        Ok((applied.index, applied.reply))
    }
}

impl GatheredReceipts {
    /// Proposes what comes in, until it is stopped.
    pub async fn run(self, node: Arc<Node>, stop: watch::Receiver<bool>) {
        self.propose_to(node, stop).await;
    }

    async fn propose_to(mut self, proposer: Arc<impl Propose>, mut stop: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(COMMANDS));
        loop {
            let gathered = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                gathered = self.gather() => gathered,
            };
            if gathered.is_empty() {
                // Nobody is left who could bring a receipt.
                return;
            }
            for group in groups(gathered) {
                let place = places.clone().acquire_owned().await;
                let proposer = proposer.clone();
                tokio::spawn(async move {
                    propose(&*proposer, group).await;
                    drop(place);
                });
            }
        }
    }

    /// The receipts of one moment, in the order in which they came. None once nobody can bring any.
    async fn gather(&mut self) -> Vec<WaitingReceipt> {
        let mut gathered = Vec::with_capacity(RECEIPTS);
        self.0.recv_many(&mut gathered, RECEIPTS).await;
        let until = tokio::time::Instant::now() + GATHER;
        while gathered.len() < RECEIPTS {
            let room = RECEIPTS - gathered.len();
            let more = self.0.recv_many(&mut gathered, room);
            match tokio::time::timeout_at(until, more).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        gathered
    }
}

/// Groups that a command may hold, with the receipts of each batch together. Several about one message
/// stay in their order.
fn groups(mut gathered: Vec<WaitingReceipt>) -> Vec<Vec<WaitingReceipt>> {
    gathered.sort_by_key(|waiting| waiting.receipt.message);
    let (mut groups, mut batches) = (Vec::new(), BTreeSet::new());
    for waiting in gathered {
        let message = waiting.receipt.message;
        batches.insert((message.mailing, message.position >> BATCH_STRIDE_BITS));
        if groups.is_empty() || batches.len() > RECEIPT_BATCHES {
            batches.retain(|(mailing, batch)| {
                (*mailing, *batch) == (message.mailing, message.position >> BATCH_STRIDE_BITS)
            });
            groups.push(Vec::new());
        }
        groups
            .last_mut()
            .expect("a group was just begun")
            .push(waiting);
    }
    groups
}

/// Proposes a group, and answers each of its receipts.
async fn propose(proposer: &impl Propose, group: Vec<WaitingReceipt>) {
    let receipts = group
        .iter()
        .map(|waiting| waiting.receipt.clone())
        .collect();
    match proposer.propose(TakeReceipts { receipts }).await {
        Ok((index, reply)) => answer(group, index, &reply),
        Err(error) => {
            for waiting in group {
                let _ = waiting
                    .answer
                    .send(Err(ReceiptFault::NotProposed(error.clone())));
            }
        }
    }
}

/// Tells each its own. Who has gone away in the meantime is told nothing.
fn answer(group: Vec<WaitingReceipt>, index: u64, reply: &ReceiptsTaken) {
    let mut refused = reply.refused.iter().peekable();
    for (number, waiting) in (0..).zip(group) {
        let answered = match refused.next_if(|(at, _)| *at == number) {
            Some((_, why)) => Err(ReceiptFault::Refused(*why)),
            None => Ok(index),
        };
        let _ = waiting.answer.send(answered);
    }
}

#[cfg(test)]
mod tests;
