//! What happens in a simulation, as the trace and the invariants are told.

use std::fmt;

use notty_raft::AppliedEntry;
use notty_storage::{Timestamp, View};

use crate::disk::DiskFault;

/// Something that happened.
pub enum Event<'a> {
    /// A machine's process runs.
    Started {
        /// Which machine.
        machine: usize,
    },
    /// A machine's process ended.
    Died {
        /// Which machine.
        machine: usize,
        /// Why.
        why: &'a str,
        /// Whether what only its memory held is gone, the journal's right to speak with it.
        power: bool,
    },
    /// A machine's disk was emptied.
    Wiped {
        /// Which machine.
        machine: usize,
    },
    /// A machine has an old copy of its disk.
    OldDisk {
        /// Which machine.
        machine: usize,
    },
    /// The journal of a machine's postman is damaged.
    JournalDamaged {
        /// Which machine.
        machine: usize,
    },
    /// A fault struck, or ended.
    Fault {
        /// What is counted; empty where it ends.
        kind: &'static str,
        /// The whole of it.
        what: &'a str,
    },
    /// A disk answered with an error.
    DiskFailed {
        /// Whose.
        machine: usize,
        /// How.
        fault: DiskFault,
    },
    /// A node leads.
    Leads {
        /// Which machine's.
        machine: usize,
        /// In which term.
        term: u64,
    },
    /// A node's vote is on its disk.
    Voted {
        /// Which machine's.
        machine: usize,
        /// Its term.
        term: u64,
    },
    /// A node applied an entry.
    Applied {
        /// Which machine's.
        machine: usize,
        /// The entry, and the state after it.
        applied: &'a AppliedEntry<'a>,
    },
    /// A node's state came from a snapshot.
    Installed {
        /// Which machine's.
        machine: usize,
        /// Where it stands.
        index: u64,
        /// Its running hash.
        hash: u64,
    },
    /// The first byte of a request to the gateway was written.
    Begun {
        /// By which machine.
        machine: usize,
        /// For which message.
        id: u64,
        /// The machine's wall clock.
        wall: Timestamp,
    },
    /// A machine read that the gateway wants no request for a while.
    AskedToWait {
        /// Which machine.
        machine: usize,
        /// For how long, in seconds.
        seconds: u64,
    },
    /// The head of the gateway's answer has come to a machine.
    Heard {
        /// The number of the machine.
        machine: usize,
        /// The id of the message.
        id: u64,
        /// The status of the answer.
        status: u16,
    },
    /// The gateway has a whole request.
    Received {
        /// For which message.
        id: u64,
        /// Whether it takes the message.
        taken: bool,
        /// Whether it knew the id, and drops it for that.
        dropped: bool,
        /// True if its answer halts.
        halts: bool,
        /// How it goes on.
        how: &'a str,
    },
    /// The gateway answered.
    Answered {
        /// For which message.
        id: u64,
        /// With which status.
        status: u16,
    },
    /// The gateway reported of a message, and got an answer after which it does not do so again.
    ReceiptAnswered {
        /// The id of the message.
        id: u64,
        /// The word that it reported.
        status: &'a str,
        /// The status of the answer.
        answer: u16,
    },
    /// A client was told something.
    Told(Told<'a>),
}

/// What a client was told.
#[derive(Clone, Debug)]
pub enum Told<'a> {
    /// What became of a write.
    Write {
        /// What was written: one client writes it, one write after the other.
        key: &'a str,
        /// What it was to hold; none: nothing.
        value: Option<&'a str>,
        /// What the client knows of it.
        outcome: Outcome,
    },
    /// What a linearizable read found.
    Read {
        /// What was read, by the client that writes it.
        key: &'a str,
        /// What it held; none: nothing.
        value: Option<&'a str>,
    },
    /// Customers were imported.
    Imported {
        /// The number of the first.
        first: u32,
        /// How many.
        count: u32,
    },
    /// A position that a node's answer reflects.
    Position {
        /// Whose.
        machine: usize,
        /// The position.
        index: u64,
        /// The highest that its answers had reflected when this one was asked for.
        floor: u64,
    },
    /// Whether a repeat under the same key got the first answer.
    Repeated {
        /// What was repeated.
        what: &'a str,
        /// Whether it got the first answer.
        same: bool,
    },
}

/// What a client knows of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was acknowledged.
    Done,
    /// It was refused, and not executed.
    Refused,
    /// It may have been executed, or may yet be.
    Unknown,
}

/// A state to look into once everything is quiet.
pub struct Final<'a> {
    /// Whose.
    pub machine: usize,
    /// The state.
    pub view: &'a View,
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Started { machine } => write!(f, "node {machine} runs"),
            Event::Died {
                machine,
                why,
                power,
            } => {
                write!(
                    f,
                    "node {machine} dies{}: {why}",
                    if *power { " with its machine" } else { "" }
                )
            }
            Event::Wiped { machine } => write!(f, "node {machine} has an empty disk"),
            Event::OldDisk { machine } => {
                write!(f, "node {machine} has an old copy of its disk")
            }
            Event::JournalDamaged { machine } => {
                write!(f, "node {machine} has a damaged journal")
            }
            Event::Fault { what, .. } => write!(f, "fault: {what}"),
            Event::DiskFailed { machine, fault } => {
                write!(f, "node {machine}'s disk fails: {fault:?}")
            }
            Event::Leads { machine, term } => write!(f, "node {machine} leads in term {term}"),
            Event::Voted { machine, term } => write!(f, "node {machine} has voted in term {term}"),
            Event::Applied { machine, applied } => {
                let at = applied.entry.map_or(0, |entry| entry.at.as_millis());
                write!(
                    f,
                    "node {machine} applies {} at {at}, {:016x}",
                    applied.index, applied.hash
                )?;
                let commands = applied.entry.iter().flat_map(|entry| &entry.commands);
                for (command, outcome) in commands.zip(applied.outcomes) {
                    write!(f, "\n{:>16}{}", "", brief(&command.action, outcome))?;
                }
                Ok(())
            }
            Event::Installed {
                machine,
                index,
                hash,
            } => {
                write!(f, "node {machine} has a snapshot of {index}, {hash:016x}")
            }
            Event::Begun { machine, id, .. } => write!(f, "node {machine} begins message {id}"),
            Event::AskedToWait { machine, seconds } => {
                write!(f, "node {machine} is asked to wait {seconds} s")
            }
            Event::Heard {
                machine,
                id,
                status,
            } => write!(f, "node {machine} hears {status} of message {id}"),
            Event::Received {
                id,
                taken,
                dropped,
                how,
                ..
            } => {
                let does = if *dropped {
                    "drops"
                } else if *taken {
                    "takes"
                } else {
                    "gets"
                };
                write!(f, "gateway {does} message {id}: {how}")
            }
            Event::Answered { id, status } => {
                write!(f, "gateway answers {status} to message {id}")
            }
            Event::ReceiptAnswered { id, status, answer } => {
                write!(
                    f,
                    "gateway reports message {id} as {status}, answered {answer}"
                )
            }
            Event::Told(told) => write!(f, "client: {told:?}"),
        }
    }
}

/// A command in one line, without the rows of an import.
fn brief(action: &notty_storage::Action, outcome: &notty_storage::Outcome) -> String {
    let what = match action {
        notty_storage::Action::PutCustomers(put) if put.rows.len() > 3 => {
            format!("PutCustomers of {} rows", put.rows.len())
        }
        other => format!("{other:?}"),
    };
    format!("{what} -> {outcome:?}")
}
