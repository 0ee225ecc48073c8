//! The things that all handlers share, and the ways in which handlers read and write the state.
//!
//! Reads that look at little run in place. Reads that look at much run on a thread of their own, a
//! few at a time, and release the state between their parts, so that entries never wait for long.

use std::{sync::Arc, time::Duration};

use notty_raft::{Applied, Clock, Node, ProposeError};
use notty_storage::{
    Command, Error, Intent, Reader,
    query::{self, Page},
};
use tokio::{runtime::RuntimeFlavor, sync::Semaphore};

use super::{ApiError, Code, Tokens};
use crate::{desk::NodeDesk, metrics::Metrics, moderation::Moderation, receipts::Reception};

/// Time for a write, after which its outcome counts as unknown.
pub(super) const WRITE_TIME: Duration = Duration::from_secs(10);

/// Long reads at the same time, in the whole process. The log writes on threads of the same pool,
/// and its writes must never queue behind lists.
static SCANS: Semaphore = Semaphore::const_new(16);

/// The most parts of the state that are searched for one page.
const PARTS: usize = 50;

/// The parts of the service that handlers work with.
pub struct ApiParts {
    /// The node whose state is read, and which proposes commands.
    pub node: Arc<Node>,
    /// The desk of the node, which knows the standalone postmen.
    pub desk: Arc<NodeDesk>,
    /// The clocks of this machine.
    pub clock: Arc<dyn Clock>,
    /// Tokens of callers; without any, the API is open on this machine.
    pub tokens: Tokens,
    /// True if the metrics need no token.
    pub metrics_are_open: bool,
    /// The check for explicit language; `None` if it is switched off.
    pub moderation: Option<Moderation>,
    /// Counters of requests, and of the postman of this node.
    pub metrics: Arc<Metrics>,
    /// The place where receipts of gateways are taken.
    pub reception: Reception,
    /// Limits of sending, for the duration that a preview estimates.
    pub capacity: SendingCapacity,
}

/// The configured limits of sending, from which a preview estimates its duration.
#[derive(Clone, Copy, Debug)]
pub struct SendingCapacity {
    /// Messages a second over the whole cluster; 0 means no limit.
    pub rate_limit: u32,
    /// Requests to the gateway that one postman has in flight.
    pub concurrency: usize,
}

/// The parts as every handler gets them.
pub(crate) type Api = Arc<ApiParts>;

impl ApiParts {
    /// The position of the log that the state here reflects. Taken before the state is read: an answer
    /// that carries it is never older than it says.
    pub(super) fn position(&self) -> u64 {
        self.node.applied_index()
    }

    /// Asks the state something that takes little time.
    pub(super) fn ask<T>(
        &self,
        question: impl FnOnce(&Reader<'_>) -> Result<T, Error>,
    ) -> Result<T, ApiError> {
        let view = self.node.view();
        let answer = self.node.checked(question(&view.read()))?;
        Ok(answer)
    }

    /// Asks the state for a thing, which is answered with 404 if it is not there.
    pub(super) fn find<T>(
        &self,
        thing: &str,
        question: impl FnOnce(&Reader<'_>) -> Result<Option<T>, Error>,
    ) -> Result<T, ApiError> {
        let found = self.ask(question)?;
        found.ok_or_else(|| ApiError::not_found(thing))
    }

    /// Gathers a page in parts, so that the state is released between them. Ends early, with fewer items
    /// and a `next`, when it has searched as much as one answer may.
    pub(super) fn gather<T, C: Copy>(
        &self,
        limit: usize,
        mut from: C,
        part: impl Fn(&Reader<'_>, C, usize) -> Result<Page<T, C>, Error>,
    ) -> Result<Page<T, C>, ApiError> {
        let mut items = Vec::new();
        let mut next = None;
        for _ in 0..PARTS {
            let wanted = limit - items.len();
            let found = self.ask(|reader| part(reader, from, wanted))?;
            items.extend(found.items);
            next = found.next;

            // Entries are applied between two parts.
            match found.next {
                Some(place) if items.len() < limit => from = place,
                _ => break,
            }
        }

        Ok(Page { items, next })
    }

    /// Counts something large in parts, between which entries are applied. All parts read the state
    /// of one position, which a pin keeps.
    pub(super) fn count<C: query::Parts>(
        &self,
        begin: impl Fn(&Reader<'_>) -> Result<C, Error>,
    ) -> Result<C, ApiError> {
        let view = self.node.view();
        let (pin, count) = view.pin(&begin);
        let mut count = self.node.checked(count)?;

        // Between two parts there is no reader, and entries are applied.
        while let Some(reader) = pin.read() {
            if !self.node.checked(count.part(&reader))? {
                return Ok(count);
            }
        }

        // The pin was lost: more changed meanwhile than it may keep. Counted again under one reader,
        // the count is right, and entries wait for it this once.
        let reader = view.read();
        let mut recount = self.node.checked(begin(&reader))?;
        while self.node.checked(recount.part(&reader))? {}
        Ok(recount)
    }

    /// Runs a read that looks at much on a thread that nobody else waits for. The work should
    /// release its reader soon and often, so that entries never wait for long.
    pub(super) async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = SCANS.acquire().await;
        let api = self.clone();

        // A simulation runs everything on one thread, so that a seed repeats exactly.
        if tokio::runtime::Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
            return work(&api);
        }

        let worked = tokio::task::spawn_blocking(move || {
            // Held until the work has ended, even if the client has gone and nobody waits for it.
            let _permit = permit;
            work(&api)
        });
        worked.await.unwrap_or_else(|_| {
            let detail = "the work on this answer ended early; the node's log says why";
            Err(ApiError::new(Code::StorageFault, detail))
        })
    }

    /// Proposes a command, with the first poll of this future, and waits so long for its outcome. After
    /// that the outcome is unknown: the command may still be executed.
    pub(super) async fn propose<A: Intent>(
        &self,
        command: Command<A>,
        time: Duration,
    ) -> Result<Applied<A::Reply>, ProposeError> {
        let proposed = tokio::time::timeout(time, self.node.propose(command)).await;
        proposed.unwrap_or(Err(ProposeError::Unknown))
    }

    /// Proposes a command and waits until it is applied. If that takes too long, the outcome is
    /// unknown: the command may still be executed later.
    pub(super) async fn write<A: Intent>(
        &self,
        command: Command<A>,
    ) -> Result<Applied<A::Reply>, ApiError> {
        Ok(self.propose(command, WRITE_TIME).await?)
    }
}
