//! Commands gathered into entries, and these proposed.
//!
//! openraft waits for the disk after each proposal, so one entry carries all commands that came in
//! while the entries before it were being written: that is the group commit. An entry has a
//! budget; what does not fit waits for the next one.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use notty_storage::{Command, Cost, Entry, Outcome, limits};
use openraft::{RaftMetrics, error::ClientWriteError, raft::ClientWriteResponse};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::{
    outcome::{Applied, ProposeError},
    time::stamp::Stamp,
    types::{NodeId, Peer, Raft, TypeConfig},
};

/// Entries on their way at once: while one is applied, the next is written.
const ENTRIES_IN_FLIGHT: usize = 2;
/// Longest wait for an entry of a leader that leads no more: the next leader may bring it about yet.
const AFTERMATH: Duration = Duration::from_secs(2);
/// Commands that may wait for an entry before more are turned away.
pub(crate) const WAITING_COMMANDS: usize = 8_192;

type Answer = Result<Applied, ProposeError>;

/// A command that waits for its entry.
pub(crate) struct Waiting {
    pub(crate) command: Command,
    /// Length of the encoded command, at most.
    pub(crate) bytes: usize,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// Takes commands until the channel closes, and proposes them.
pub(crate) async fn gather(raft: Raft, stamp: Stamp, mut inbox: mpsc::Receiver<Waiting>) {
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

        // Commands that come in meanwhile share the next entry: that is the group commit.
        if in_flight.len() >= ENTRIES_IN_FLIGHT {
            in_flight.join_next().await;
            continue;
        }

        let (commands, answers) = fill(&mut waiting);
        let Some(term) = leads_in(&raft) else {
            // Never proposed: what openraft turns away is then what it had taken before.
            answer_all(answers, &ProposeError::NoLeader);
            continue;
        };

        let entry = Arc::new(Entry {
            at: stamp.now().await,
            commands,
        });
        match raft.client_write_ff(entry).await {
            Ok(receiver) => {
                in_flight.spawn(answer(receiver, led_no_more(raft.clone(), term), answers));
            }
            Err(_) => answer_all(answers, &ProposeError::Stopped),
        }
    }

    // What was proposed gets its answer, also where the node stops.
    while in_flight.join_next().await.is_some() {}
}

/// The term that this node leads in, if it leads.
fn leads_in(raft: &Raft) -> Option<u64> {
    let watched = raft.metrics();
    let metrics = watched.borrow();
    (metrics.current_leader == Some(metrics.id)).then_some(metrics.current_term)
}

/// Waits until this node has not led in a term for a while.
async fn led_no_more(raft: Raft, term: u64) {
    let mut metrics = raft.metrics();
    let is_over = |now: &RaftMetrics<NodeId, Peer>| {
        now.current_leader != Some(now.id) || now.current_term != term
    };
    // It fails where raft has ended.
    let _ = metrics.wait_for(is_over).await;
    tokio::time::sleep(AFTERMATH).await;
}

/// Takes as many commands as one entry may hold, at least one.
fn fill(waiting: &mut VecDeque<Waiting>) -> (Vec<Command>, Vec<oneshot::Sender<Answer>>) {
    let mut commands = Vec::new();
    let mut answers = Vec::new();
    let mut total = Cost::default();
    while let Some(next) = waiting.front() {
        let cost = next.command.cost();
        total += Cost {
            bytes: cost.bytes.max(next.bytes),
            ..cost
        };
        let fits = fits_an_entry(&total) && commands.len() < limits::ENTRY_COMMANDS;
        // A command beyond every budget goes alone, or it would wait for ever.
        if !fits && !commands.is_empty() {
            break;
        }

        let next = waiting.pop_front().expect("it was just looked at");
        commands.push(next.command);
        answers.push(next.answer);
    }
    (commands, answers)
}

fn fits_an_entry(total: &Cost) -> bool {
    total.bytes <= limits::ENTRY_BYTES
        && total.customers <= limits::ENTRY_CUSTOMERS
        && total.batches <= limits::ENTRY_BATCHES
}

type Receiver =
    oneshot::Receiver<Result<ClientWriteResponse<TypeConfig>, ClientWriteError<NodeId, Peer>>>;

/// Waits for an entry and gives each of its commands its outcome. openraft answers once the entry is
/// applied or cut off the log; for one whose place a snapshot took, it never does.
async fn answer(
    receiver: Receiver,
    is_over: impl Future<Output = ()>,
    answers: Vec<oneshot::Sender<Answer>>,
) {
    let written = tokio::select! {
        biased;
        written = receiver => written,
        () = is_over => return answer_all(answers, &ProposeError::Unknown),
    };

    match written {
        Ok(Ok(response)) => {
            let index = response.log_id.index;
            for (answer, outcome) in answers.into_iter().zip(response.data) {
                // Whoever asked may have gone away; the command was executed all the same.
                let _ = answer.send(outcome_at(index, outcome));
            }
        }
        // Turned away at once, or cut off the log by another leader: another node may hold it still.
        Ok(Err(_)) | Err(_) => answer_all(answers, &ProposeError::Unknown),
    }
}

fn outcome_at(index: u64, outcome: Outcome) -> Answer {
    match outcome {
        Ok(reply) => Ok(Applied { index, reply }),
        Err(rejection) => Err(ProposeError::Rejected { rejection, index }),
    }
}

fn answer_all(answers: Vec<oneshot::Sender<Answer>>, error: &ProposeError) {
    for answer in answers {
        let _ = answer.send(Err(error.clone()));
    }
}

#[cfg(test)]
mod tests {
    use notty_storage::{
        Action,
        command::{Expand, Report, SweepMailing},
        model::{Epoch, LeaseId, MailingNumber, Run, SendResult},
        records::Cursor,
    };

    use super::*;

    /// A command that scans customers; `mark` tells it from others.
    fn scan(mark: u32, scan: u32) -> Action {
        Action::Expand(Expand {
            mailing: MailingNumber(mark),
            cursor: Cursor::default(),
            scan,
            limit: 1,
        })
    }

    fn sweep(mark: u32, batches: u32) -> Action {
        Action::SweepMailing(SweepMailing {
            mailing: MailingNumber(mark),
            batches,
        })
    }

    /// A command of about so many bytes.
    fn report(mark: u32, bytes: usize) -> Action {
        let run = Run {
            first: 0,
            len: 1,
            attempt: 1,
        };
        Action::Report(Report {
            lease: LeaseId {
                epoch: Epoch(1),
                n: 1,
            },
            mailing: MailingNumber(mark),
            gateway: 1,
            results: vec![(SendResult::Done, vec![run; bytes / 12])],
        })
    }

    fn queue(actions: impl IntoIterator<Item = Action>) -> VecDeque<Waiting> {
        let waiting = |action: Action| Waiting {
            command: action.into(),
            bytes: 0,
            answer: oneshot::channel().0,
        };
        actions.into_iter().map(waiting).collect()
    }

    fn mark(command: &Command) -> u32 {
        match &command.action {
            Action::Expand(Expand { mailing, .. })
            | Action::SweepMailing(SweepMailing { mailing, .. })
            | Action::Report(Report { mailing, .. }) => mailing.0,
            other => panic!("{other:?} is not of these tests"),
        }
    }

    /// Fills entries until nothing waits; the marks of each.
    fn entries(actions: impl IntoIterator<Item = Action>) -> Vec<Vec<u32>> {
        let mut waiting = queue(actions);
        let mut entries = Vec::new();
        while !waiting.is_empty() {
            let (commands, answers) = fill(&mut waiting);
            assert_eq!(commands.len(), answers.len());
            entries.push(commands.iter().map(mark).collect());
        }
        entries
    }

    #[test]
    fn small_commands_share_an_entry_in_the_order_they_came() {
        assert_eq!(
            entries((0..40).map(|n| scan(n, 10))),
            [(0..40).collect::<Vec<_>>()]
        );
    }

    #[test]
    fn an_entry_scans_no_more_customers_than_its_budget() {
        let most = limits::ENTRY_CUSTOMERS;
        let filled = entries([
            scan(1, most / 2),
            scan(2, most / 2),
            scan(3, 1),
            scan(4, most),
        ]);
        assert_eq!(filled, [vec![1, 2], vec![3], vec![4]]);
    }

    #[test]
    fn an_entry_touches_no_more_batches_than_its_budget() {
        let most = limits::ENTRY_BATCHES;
        let filled = entries([sweep(1, most - 1), sweep(2, 1), sweep(3, 1), sweep(4, most)]);
        assert_eq!(filled, [vec![1, 2], vec![3], vec![4]]);
    }

    #[test]
    fn an_entry_holds_no_more_bytes_than_its_budget() {
        let third = limits::ENTRY_BYTES / 3;
        let filled = entries((0..5).map(|n| report(n, third - 200)));
        assert_eq!(filled, [vec![0, 1, 2], vec![3, 4]]);
    }

    #[test]
    fn what_a_command_has_counts_also_where_its_cost_says_less() {
        let mut waiting = queue((0..5).map(|n| sweep(n, 0)));
        waiting
            .iter_mut()
            .for_each(|waiting| waiting.bytes = limits::ENTRY_BYTES / 2);
        assert_eq!(fill(&mut waiting).0.len(), 2);
    }

    #[test]
    fn an_entry_holds_no_more_commands_than_its_budget() {
        let count = limits::ENTRY_COMMANDS as u32;
        let filled = entries((0..count + 1).map(|n| sweep(n, 0)));
        assert_eq!(filled, [(0..count).collect::<Vec<_>>(), vec![count]]);
    }

    #[test]
    fn a_command_beyond_every_budget_goes_alone() {
        let large = sweep(2, limits::ENTRY_BATCHES * 2);
        assert_eq!(
            entries([sweep(1, 1), large, sweep(3, 1)]),
            [vec![1], vec![2], vec![3]]
        );
        let large = scan(2, u32::MAX);
        assert_eq!(
            entries([scan(1, 1), large, scan(3, 1)]),
            [vec![1], vec![2], vec![3]]
        );
        let large = report(2, limits::ENTRY_BYTES * 2);
        assert_eq!(
            entries([report(1, 9), large, report(3, 9)]),
            [vec![1], vec![2], vec![3]]
        );
    }

    #[test]
    fn a_small_command_does_not_overtake_one_that_has_to_wait() {
        let most = limits::ENTRY_CUSTOMERS;
        let filled = entries([scan(1, most / 2), scan(2, most), sweep(3, 1), scan(4, 1)]);
        assert_eq!(filled, [vec![1], vec![2, 3], vec![4]]);
    }
}
