//! What the model knows at one moment: the replicated state, the postmen, the leaders, the
//! gateway and a proposer of numbered commands, with all that was ever said between them.
//!
//! Everything is small and `Copy`, because millions of these are compared. Calls and answers have
//! no queues of their own. What was once said may arrive at any later time, any number of times or
//! never, so it is enough to know that it was said: loss, repetition and reordering are the same
//! thing.

/// Messages, each of a customer of its own.
pub const MESSAGES: usize = 2;
/// Postmen at work at one time.
pub const POSTMEN: usize = 2;
/// Leaders: one that was elected, and one that was deposed and does not know.
pub const LEADERS: usize = 2;
/// Attempts of a message, at most.
pub const ATTEMPTS: usize = 3;

/// The whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    /// What every node agrees on.
    pub cluster: Cluster,
    /// Who sends.
    pub postmen: [Postman; POSTMEN],
    /// What became of each attempt of each message outside the replicated state.
    pub tokens: [[Token; ATTEMPTS]; MESSAGES],
    /// What each leader has proposed and not yet seen committed.
    pub leaders: [Option<Command>; LEADERS],
    /// A request under no token of its own; only a broken rule makes one.
    pub stray: Option<Stray>,
    /// The highest number that the proposer has given to a command.
    pub numbers_sent: u8,
}

/// The replicated state. It changes only by commands that are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cluster {
    /// The messages.
    pub messages: [Message; MESSAGES],
    /// How many messages are in each status, carried along with every change.
    pub counts: [u8; Status::COUNT],
    /// Whether the mailing takes no more attempts.
    pub over: Option<Over>,
    /// The starts that have registered, as bits, by postman.
    pub registered: [u8; POSTMEN],
    /// Whether both postmen have the same name.
    pub one_name: bool,
    /// The start that holds the newest epoch of each name; with one name, only the first is used.
    pub newest: [Option<Start>; POSTMEN],
    /// The numbers of the proposer's that were executed, as bits: their replies are kept.
    pub executed: u8,
    /// What was seen that must never be.
    pub seen: Seen,
}

/// Things that leave no other trace in the state; all `false` while the rules hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seen {
    /// A message was granted that was neither created nor failed.
    pub granted_unready: bool,
    /// A postman that a newer one had closed was granted a message.
    pub granted_to_closed: bool,
    /// A message was granted after a report had said that the gateway took it.
    pub granted_after_done: bool,
}

/// One message of the replicated state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Message {
    /// What has become of it.
    pub status: Status,
    /// The attempt that was granted last; 0 before the first.
    pub attempt: u8,
    /// How many it may have.
    pub attempts: u8,
    /// The first report of that attempt.
    pub reported: Option<SendResult>,
    /// Whether a gateway may have it.
    pub doubt: Doubt,
    /// Whether its customer was deleted.
    pub customer_deleted: bool,
    /// Whether the lease of the present attempt ran out.
    pub lapsed: bool,
    /// Whether any report ever said that the gateway took it.
    pub told_done: bool,
    /// Whether the first report of any of its tokens said so.
    pub first_said_done: bool,
}

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Not made yet.
    Absent,
    /// Waits for its turn.
    Created,
    /// Leased to a postman.
    Sending,
    /// The gateway took it.
    Done,
    /// Certainly not taken, or may be repeated; will be tried again.
    Failed,
    /// The mailing ended first.
    Expired,
    /// Mailing cancelled or customer deleted before it was sent.
    Cancelled,
    /// It may have been taken.
    Unconfirmed,
}

impl Status {
    /// How many there are.
    pub const COUNT: usize = 8;

    /// Whether a grant may take the message.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Created | Self::Failed)
    }
}

/// Whether a gateway may have a message that nobody confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doubt {
    /// No.
    None,
    /// Perhaps, but the gateway is idempotent: it may get it again.
    Repeatable,
    /// Perhaps: it may not get it again.
    Final,
}

/// Why a mailing takes no more attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Over {
    /// It was cancelled.
    Cancelled,
    /// Its end has passed.
    Ended,
}

/// One start of a postman: what its nonce, and then its epoch, stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Start {
    /// Which postman.
    pub postman: u8,
    /// Which of its starts.
    pub run: u8,
}

/// A postman's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Postman {
    /// Which start it is.
    pub run: u8,
    /// How often it may still crash and start again.
    pub crashes_left: u8,
    /// How far it has come.
    pub phase: Phase,
}

/// How far a postman's process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It has sent its registration, and has no answer.
    Starting,
    /// It knows its epoch: it asks, sends and reports.
    Running,
}

/// One attempt of one message, outside the replicated state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// Whose lease it is in; none before it is granted.
    pub holder: Option<Start>,
    /// What its holder has done with it.
    pub stage: Stage,
    /// Where its request is.
    pub request: Request,
    /// Reports of it that are on their way, or were, as bits by [`SendResult`].
    pub said: u8,
}

/// What the holder of a token has done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Not granted.
    None,
    /// Granted, and the answer is on its way to the postman.
    Awaited,
    /// The postman holds it.
    Held,
    /// It is in the journal, and nothing is written to the gateway.
    Noted,
    /// Bytes were written to the gateway.
    Written,
    /// The postman gave up waiting and said that it is unsure; the answer may still come.
    GaveUp,
    /// It has its result.
    Settled,
    /// The postman was told that its lease is closed, and uses the next number.
    Passed,
    /// The process died before the token was in the journal.
    LostUnbegun,
    /// The process died after that, and no result was in the journal.
    LostBegun,
}

impl Stage {
    /// Whether a request under the token may still start.
    pub fn may_begin(self) -> bool {
        matches!(self, Self::Awaited | Self::Held | Self::Noted)
    }
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Request {
    /// None was written.
    None,
    /// On its way, perhaps for ever.
    OnItsWay,
    /// The gateway took the message.
    Taken,
    /// The gateway did not take it, and says so.
    Refused,
    /// The gateway, being idempotent, knew the message, and says that it has it.
    Known,
}

/// A request under no token of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stray {
    /// Whose message is sent.
    pub message: u8,
    /// Whether the gateway has it.
    pub arrived: bool,
}

/// What a postman says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SendResult {
    /// The gateway took it.
    Done,
    /// The gateway answered that it did not.
    NotTaken,
    /// Nothing was written to the gateway, though it was tried.
    NotSent,
    /// It was not begun.
    HandedBack,
    /// It may have been taken.
    Unsure,
    /// It may have been taken, and the gateway may get it again.
    UnsureRepeatable,
}

impl SendResult {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Done,
        Self::NotTaken,
        Self::NotSent,
        Self::HandedBack,
        Self::Unsure,
        Self::UnsureRepeatable,
    ];

    /// Its bit among what was said of a token.
    pub fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What a leader may propose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Command {
    /// A start of a postman wants an epoch.
    Register(Start),
    /// A start of a postman asks for messages, and the leader chose among which.
    Grant {
        /// Who asks.
        to: Start,
        /// Bits of the messages that the leader saw ready, as many as it wants to give.
        among: u8,
    },
    /// A postman says what became of a token.
    Report {
        /// The message.
        message: u8,
        /// The attempt.
        attempt: u8,
        /// What it says.
        result: SendResult,
    },
    /// The lease that holds a token has run out.
    Expire {
        /// The message.
        message: u8,
        /// The attempt.
        attempt: u8,
    },
    /// The mailing is cancelled.
    CancelMailing,
    /// The mailing's end has come.
    EndMailing,
    /// A message's customer is deleted.
    DeleteCustomer {
        /// The message.
        message: u8,
    },
    /// The proposer's command of this number. Number 1 makes a mailing of one message, number 2
    /// changes something else. The proposer is a client, the number is its key.
    Numbered {
        /// Its number.
        n: u8,
    },
}

impl Message {
    /// A message in a status that was never granted, for so many attempts.
    pub const fn new(status: Status, attempts: u8) -> Self {
        Self {
            status,
            attempt: 0,
            attempts,
            reported: None,
            doubt: Doubt::None,
            customer_deleted: false,
            lapsed: false,
            told_done: false,
            first_said_done: false,
        }
    }
}

impl Token {
    /// One that was not granted.
    pub const NONE: Self = Self {
        holder: None,
        stage: Stage::None,
        request: Request::None,
        said: 0,
    };
}

impl Cluster {
    /// Where the name of a postman is kept.
    pub fn name_of(&self, postman: u8) -> usize {
        if self.one_name {
            0
        } else {
            usize::from(postman)
        }
    }
}

impl State {
    /// Every message and attempt (from 1) that was granted, with its token.
    pub fn granted(&self) -> impl Iterator<Item = (usize, u8, &Token)> {
        self.tokens
            .iter()
            .enumerate()
            .flat_map(|(message, tokens)| {
                let attempts = (1..)
                    .zip(tokens)
                    .filter(|(_, token)| token.holder.is_some());
                attempts.map(move |(attempt, token)| (message, attempt, token))
            })
    }

    /// Whether a start of a postman is a process at work.
    pub fn is_at_work(&self, start: Start) -> bool {
        let postman = self.postmen[usize::from(start.postman)];
        postman.run == start.run && postman.phase == Phase::Running
    }

    /// How often the gateway took a message.
    pub fn taken(&self, message: usize) -> usize {
        let taken = |token: &&Token| token.request == Request::Taken;
        let stray = |stray: Stray| stray.arrived && usize::from(stray.message) == message;
        self.tokens[message].iter().filter(taken).count()
            + usize::from(self.stray.is_some_and(stray))
    }
}
