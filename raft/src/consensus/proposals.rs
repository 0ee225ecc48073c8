//! Has commands executed: by this node as the leader, or by the leader elsewhere. Calls to the leader's
//! service take the same way.
//!
//! A command goes to one leader, once. If the answer is lost, nobody here knows whether the command was
//! executed, and only its owner knows whether it may be repeated.

use std::{sync::Arc, time::Duration};

use notty_storage::{Action, Command, Intent, Rejection, command::SetTime, limits};
use parking_lot::Mutex;
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::JoinHandle,
};

use crate::{
    consensus::{
        gather::{self, WAITING_COMMANDS, Waiting},
        handle::{Consensus, OtherLeader},
        levels::Levels,
    },
    outcome::{Applied, ProposeError},
    peers::{
        call::CallError,
        protocol::{CallService, ProposeCommand},
    },
    state::node_state::NodeState,
    time::{stamp::Stamp, state_time::state_time},
};

/// Time limit of a call to the leader, and then of this node for applying the entry of a command that
/// was passed on.
const PASS_ON: Duration = Duration::from_secs(10);
/// Longest wait of a stopping node for its pending commands.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// The way of a command into the log.
pub(crate) struct Proposals {
    consensus: Arc<Consensus>,
    state: Arc<NodeState>,
    stamp: Stamp,
    levels: Arc<Levels>,
    /// Commands for the next entry; `None` once the node stops.
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    gatherer: Mutex<Option<JoinHandle<()>>>,
}

impl Proposals {
    /// Starts to gather commands into entries; it goes on until [`Proposals::close`].
    pub(crate) fn start(
        consensus: Arc<Consensus>,
        state: Arc<NodeState>,
        stamp: Stamp,
        levels: Arc<Levels>,
    ) -> Self {
        let (queue, inbox) = mpsc::channel(WAITING_COMMANDS);
        let gathering = gather::gather(consensus.raft().clone(), stamp.clone(), inbox);
        Self {
            consensus,
            state,
            stamp,
            levels,
            queue: Mutex::new(Some(queue)),
            gatherer: Mutex::new(Some(tokio::spawn(gathering))),
        }
    }

    /// Has a command executed, here or by the leader; returns once it is applied here.
    pub(crate) async fn propose<A: Intent>(
        &self,
        command: Command<A>,
    ) -> Result<Applied<A::Reply>, ProposeError> {
        let command = command.erase();
        // Here already: a leader of an older version could not even read it.
        self.levels.permit(&command.action)?;
        let applied = match self.consensus.leader_elsewhere() {
            None => self.propose_here(command).await,
            Some(leader) => self.pass_on(&leader, command).await,
        };
        applied?.typed::<A>()
    }

    async fn pass_on(
        &self,
        leader: &OtherLeader,
        command: Command,
    ) -> Result<Applied, ProposeError> {
        let call = ProposeCommand(command);
        let answer = self.consensus.call_leader(leader, call, PASS_ON).await;
        let proposed = answer.map_err(unanswered)?;

        let index = match &proposed {
            Ok(Applied { index, .. }) | Err(ProposeError::Rejected { index, .. }) => *index,
            // It is the leader that stops, not this node.
            Err(ProposeError::Stopped) => return Err(ProposeError::NoLeader),
            Err(_) => return proposed,
        };

        // A client that asks this node next must find what it was answered.
        if self.state.wait_applied(index, PASS_ON).await {
            proposed
        } else {
            Err(ProposeError::Unknown)
        }
    }

    /// Has a command executed by this node as the leader; never passes it on.
    pub(crate) async fn propose_here(&self, command: Command) -> Result<Applied, ProposeError> {
        let Action::SetTime(SetTime { to }) = command.action else {
            return self.enqueue(command).await;
        };

        // Entries behind this one must not carry the old time: nothing is stamped until it is set.
        let _held = self.stamp.hold();
        let before = state_time(&self.state).sets;
        let proposed = self.enqueue(command).await;

        // The repeat of an executed command gets the kept reply, and sets no time again.
        if proposed.is_ok() && state_time(&self.state).sets > before {
            self.stamp.set(to);
            let ms = to.as_millis();
            tracing::warn!("the time of the cluster was set to {ms} ms since 1970");
        }
        proposed
    }

    /// Has an action executed by this node as the leader; never passes it on.
    pub(crate) async fn act_as_leader<A: Intent>(
        &self,
        action: A,
    ) -> Result<Applied<A::Reply>, ProposeError> {
        let command = Command::new(action).erase();
        self.propose_here(command).await?.typed::<A>()
    }

    async fn enqueue(&self, command: Command) -> Result<Applied, ProposeError> {
        if self.consensus.is_handing_over() || !self.consensus.hears_majority() {
            return Err(ProposeError::NoLeader);
        }
        self.levels.permit(&command.action)?;

        let bytes = command.most_bytes();
        if bytes > limits::COMMAND_BYTES {
            let what = format!("a command has at most {} bytes", limits::COMMAND_BYTES);
            return Err(ProposeError::Rejected {
                rejection: Rejection::OutOfBounds { what },
                index: self.state.applied_index(),
            });
        }

        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            command,
            bytes,
            answer,
        };
        self.queue_up(waiting)?;
        answered.await.unwrap_or(Err(ProposeError::Unknown))
    }

    fn queue_up(&self, waiting: Waiting) -> Result<(), ProposeError> {
        let queue = self.queue.lock().clone().ok_or(ProposeError::Stopped)?;
        queue.try_send(waiting).map_err(|error| match error {
            TrySendError::Full(_) => ProposeError::Overloaded,
            TrySendError::Closed(_) => ProposeError::Stopped,
        })
    }

    /// Calls the service of the leader, which is another node.
    pub(crate) async fn ask_leader(&self, request: Vec<u8>) -> Result<Vec<u8>, ProposeError> {
        let leader = self.consensus.leader_elsewhere();
        let leader = leader.ok_or(ProposeError::NoLeader)?;
        let call = CallService(request);
        let answer = self.consensus.call_leader(&leader, call, PASS_ON).await;
        answer.map_err(unanswered)
    }

    /// Takes no more commands, and waits up to five seconds for those that are pending.
    pub(crate) async fn close(&self) {
        self.queue.lock().take();
        let gatherer = self.gatherer.lock().take();
        if let Some(gatherer) = gatherer {
            let _ = tokio::time::timeout(STOP_WAIT, gatherer).await;
        }
    }
}

/// The outcome of a call to the leader that brought no reply.
fn unanswered(error: CallError) -> ProposeError {
    match error {
        CallError::Lost { .. } => ProposeError::Unknown,
        CallError::NotSent { .. } | CallError::Refused { .. } => ProposeError::NoLeader,
    }
}
