//! Gathers commands into entries and proposes them.
//!
//! openraft waits for the disk after each proposal, so one entry carries all commands that came in
//! while the entries before it were being written: that is the group commit. An entry has a
//! budget; what does not fit waits for the next one.

use std::{collections::VecDeque, sync::Arc};

use notty_storage::{Command, Cost, Entry, Outcome, Reply, limits};
use openraft::{error::ClientWriteError, raft::ClientWriteResponse};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::{
    clock::Clock,
    error::ProposeError,
    types::{NodeId, Peer, Raft, TypeConfig},
};

/// Entries on their way at once: while one is applied, the next is written.
const ENTRIES_IN_FLIGHT: usize = 2;
/// Commands that may wait for an entry before more are turned away.
pub(crate) const WAITING_COMMANDS: usize = 8_192;

/// A command that was executed.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The position of its entry in the log.
    pub index: u64,
    /// What it was answered.
    pub reply: Reply,
}

type Answer = Result<Applied, ProposeError>;

/// A command that waits for its entry.
pub(crate) struct Waiting {
    pub(crate) command: Command,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// Takes commands until the channel closes, and proposes them.
pub(crate) async fn gather(raft: Raft, clock: Arc<dyn Clock>, mut inbox: mpsc::Receiver<Waiting>) {
    let mut waiting = VecDeque::new();
    let mut in_flight = JoinSet::new();
    loop {
        if waiting.is_empty() {
            match inbox.recv().await {
                Some(command) => waiting.push_back(command),
                None => break,
            }
        }
        while waiting.len() < limits::ENTRY_COMMANDS
            && let Ok(command) = inbox.try_recv()
        {
            waiting.push_back(command);
        }
        if in_flight.len() >= ENTRIES_IN_FLIGHT {
            in_flight.join_next().await;
            continue;
        }
        let (commands, answers) = fill(&mut waiting);
        let entry = Arc::new(Entry { at: clock.wall(), commands });
        match raft.client_write_ff(entry).await {
            Ok(receiver) => {
                in_flight.spawn(answer(receiver, answers));
            }
            Err(_) => tell_all(answers, &ProposeError::Stopped),
        }
    }
    while in_flight.join_next().await.is_some() {}
}

/// Takes as many commands as one entry may hold, at least one.
fn fill(waiting: &mut VecDeque<Waiting>) -> (Vec<Command>, Vec<oneshot::Sender<Answer>>) {
    let (mut commands, mut answers) = (Vec::new(), Vec::new());
    let mut total = Cost::default();
    while let Some(next) = waiting.front() {
        total += next.command.cost();
        let fits = total.bytes <= limits::ENTRY_BYTES
            && total.customers <= limits::ENTRY_CUSTOMERS
            && total.batches <= limits::ENTRY_BATCHES
            && commands.len() < limits::ENTRY_COMMANDS;
        if !fits && !commands.is_empty() {
            break;
        }
        let next = waiting.pop_front().expect("it was just looked at");
        commands.push(next.command);
        answers.push(next.answer);
    }
    (commands, answers)
}

type Receiver =
    oneshot::Receiver<Result<ClientWriteResponse<TypeConfig>, ClientWriteError<NodeId, Peer>>>;

/// Waits for an entry and tells each of its commands what came of it.
async fn answer(receiver: Receiver, answers: Vec<oneshot::Sender<Answer>>) {
    match receiver.await {
        Ok(Ok(response)) => {
            let index = response.log_id.index;
            for (answer, outcome) in answers.into_iter().zip(response.data) {
                // Whoever asked may have gone away; the command was executed all the same.
                let _ = answer.send(told(index, outcome));
            }
        }
        Ok(Err(ClientWriteError::ForwardToLeader(_))) => {
            tell_all(answers, &ProposeError::NoLeader);
        }
        Ok(Err(_)) | Err(_) => tell_all(answers, &ProposeError::Unknown),
    }
}

fn told(index: u64, outcome: Outcome) -> Answer {
    match outcome {
        Ok(reply) => Ok(Applied { index, reply }),
        Err(rejection) => Err(ProposeError::Rejected { rejection, index }),
    }
}

fn tell_all(answers: Vec<oneshot::Sender<Answer>>, error: &ProposeError) {
    for answer in answers {
        let _ = answer.send(Err(error.clone()));
    }
}
