//! What a command does to the replicated state. Safety lives here: whatever a leader proposes, and
//! however late or often it is committed, apply checks it against the state.
//!
//! Names and cases follow `storage/src/apply`: `leases.rs` for grants, expiry and starts,
//! `deliveries.rs` for reports, `origin.rs` for repeats.

use crate::{
    rules::{
        Clause::{
            ApplyPicks, DoneAfterAll, DoubtIsKept, ExpiryNeverResends, FirstReportWins,
            NewerClosesOlder, OldAttemptsAreOver, RepeatedUnderOneId, RepliesAreKept,
            SameLeaseAgain, SameNonceSameEpoch, SettledByNow, ThreeWaysBack,
        },
        Rules,
    },
    state::{
        Cluster, Command, Doubt, MESSAGES, Message, Over, SendResult, Stage, Start, State, Status,
        Token,
    },
};

/// Applying one command.
pub(crate) struct Apply<'s> {
    pub(crate) state: &'s mut State,
    pub(crate) rules: Rules,
}

impl Apply<'_> {
    /// Applies a command; one that does not fit changes nothing.
    pub(crate) fn run(&mut self, command: Command) {
        match command {
            Command::Register(start) => self.register(start),
            Command::Grant { to, among } => self.grant(to, among),
            Command::Report {
                message,
                attempt,
                result,
            } => {
                self.report(usize::from(message), attempt, result);
            }
            Command::Expire { message, attempt } => self.expire(usize::from(message), attempt),
            Command::CancelMailing => self.close_mailing(Over::Cancelled),
            Command::EndMailing => self.close_mailing(Over::Ended),
            Command::DeleteCustomer { message } => self.delete_customer(usize::from(message)),
            Command::Numbered { n } => self.numbered(n),
        }
    }

    /// Rule 2. The epoch itself is not needed: it is the start's as long as none is newer.
    fn register(&mut self, start: Start) {
        let name = self.state.cluster.name_of(start.postman);
        let bit = 1 << start.run;
        let registered = &mut self.state.cluster.registered[usize::from(start.postman)];
        if *registered & bit == 0 {
            *registered |= bit;
            self.state.cluster.newest[name] = Some(start);
        } else if !self.rules.hold(SameNonceSameEpoch) {
            // One more epoch, told to a call that nobody waits for any more.
            self.state.cluster.newest[name] = None;
        }
    }

    /// Rule 1. A lease of the model has no number: a postman asks for the next one only when it
    /// has heard of the last, so one whose answer is awaited is the one that is asked for.
    fn grant(&mut self, to: Start, among: u8) {
        let name = self.state.cluster.name_of(to.postman);
        let closed = self.state.cluster.newest[name] != Some(to);
        if closed && self.rules.hold(NewerClosesOlder) {
            return;
        }
        if self.is_awaited(to) {
            if self.rules.hold(SameLeaseAgain) {
                return;
            }
            self.pass_awaited(to);
        }
        if self.state.cluster.over.is_some() {
            return;
        }
        for message in (0..MESSAGES).filter(|message| among & 1 << message != 0) {
            self.grant_one(to, message, closed);
        }
    }

    fn is_awaited(&self, by: Start) -> bool {
        let awaited = |token: &Token| token.holder == Some(by) && token.stage == Stage::Awaited;
        self.state.granted().any(|(_, _, token)| awaited(token))
    }

    /// A second lease under an id takes the place of the first, of which nobody will hear.
    fn pass_awaited(&mut self, by: Start) {
        for token in self.state.tokens.as_flattened_mut() {
            if token.holder == Some(by) && token.stage == Stage::Awaited {
                token.stage = Stage::Passed;
            }
        }
    }

    fn grant_one(&mut self, to: Start, index: usize, closed: bool) {
        let message = self.state.cluster.messages[index];
        let ready = message.status.is_ready() && !message.customer_deleted;
        if message.attempt == message.attempts || !ready && self.rules.hold(ApplyPicks) {
            return;
        }
        if message.doubt == Doubt::Final {
            return self.state.cluster.set(index, Status::Unconfirmed);
        }
        let seen = &mut self.state.cluster.seen;
        seen.granted_unready |= !message.status.is_ready();
        seen.granted_to_closed |= closed;
        seen.granted_after_done |= message.told_done;
        let granted = &mut self.state.cluster.messages[index];
        granted.attempt += 1;
        (granted.reported, granted.lapsed) = (None, false);
        self.state.cluster.set(index, Status::Sending);
        let stage = if self.state.is_at_work(to) {
            Stage::Awaited
        } else {
            Stage::LostUnbegun
        };
        let token = &mut self.state.tokens[index][usize::from(message.attempt)];
        *token = Token {
            holder: Some(to),
            stage,
            ..Token::NONE
        };
    }

    /// Rule 3.
    fn expire(&mut self, index: usize, attempt: u8) {
        let message = &mut self.state.cluster.messages[index];
        if message.attempt != attempt || message.status != Status::Sending {
            return;
        }
        message.lapsed = true;
        let resends = !self.rules.hold(ExpiryNeverResends);
        let status = if resends {
            Status::Created
        } else {
            Status::Unconfirmed
        };
        self.state.cluster.set(index, status);
    }

    /// Rules 4 and 5.
    fn report(&mut self, index: usize, attempt: u8, result: SendResult) {
        let message = self.state.cluster.messages[index];
        let unreported = message.is_unreported();
        if result == SendResult::Done {
            self.state.cluster.messages[index].told_done = true;
        }
        if attempt < message.attempt {
            if self.rules.hold(OldAttemptsAreOver) {
                return self.was_taken_after_all(index, result);
            }
        } else if !unreported {
            if message.reported == Some(result) {
                return;
            }
            if self.rules.hold(FirstReportWins) {
                return self.was_taken_after_all(index, result);
            }
        }
        let first_said_done = unreported && result == SendResult::Done;
        let message = &mut self.state.cluster.messages[index];
        message.first_said_done |= first_said_done;
        message.reported = Some(result);
        self.settle(index, result);
    }

    fn settle(&mut self, index: usize, result: SendResult) {
        match result {
            SendResult::Done => self.state.cluster.set(index, Status::Done),
            SendResult::Unsure if self.rules.hold(ThreeWaysBack) => {
                self.state.cluster.messages[index].doubt = Doubt::Final;
                self.state.cluster.set(index, Status::Unconfirmed);
            }
            SendResult::HandedBack => self.give_back(index, false),
            SendResult::UnsureRepeatable if self.rules.hold(DoubtIsKept) => {
                let doubt = &mut self.state.cluster.messages[index].doubt;
                // An older one that forbids repeating stays.
                *doubt = (*doubt).max(Doubt::Repeatable);
                self.give_back(index, true);
            }
            SendResult::NotTaken
            | SendResult::NotSent
            | SendResult::Unsure
            | SendResult::UnsureRepeatable => self.give_back(index, true),
        }
    }

    /// Takes a message back that was certainly not taken, or may be repeated.
    fn give_back(&mut self, index: usize, tried: bool) {
        let message = self.state.cluster.messages[index];
        let over = self.state.cluster.verdict_when_over(index);
        if let Some(status) = over
            && self.rules.hold(SettledByNow)
        {
            return self.state.cluster.give_up(index, status);
        }
        let status = match message.doubt {
            Doubt::Final => Status::Unconfirmed,
            Doubt::None if !tried => Status::Created,
            Doubt::None | Doubt::Repeatable => Status::Failed,
        };
        self.state.cluster.set(index, status);
    }

    /// A second report that says `done` while the message could still be sent again: now, or
    /// after the present attempt comes back.
    fn was_taken_after_all(&mut self, index: usize, result: SendResult) {
        if result != SendResult::Done || !self.rules.hold(DoneAfterAll) {
            return;
        }
        let message = &mut self.state.cluster.messages[index];
        if message.status.is_ready() {
            message.doubt = Doubt::Final;
            self.state.cluster.set(index, Status::Unconfirmed);
        } else if message.is_unreported() {
            message.doubt = Doubt::Final;
        }
    }

    /// The mark, and the sweep that follows it.
    fn close_mailing(&mut self, over: Over) {
        let cluster = &mut self.state.cluster;
        if cluster.over.is_some() {
            return;
        }
        cluster.over = Some(over);
        (0..MESSAGES).for_each(|index| cluster.sweep(index));
    }

    fn delete_customer(&mut self, index: usize) {
        self.state.cluster.messages[index].customer_deleted = true;
        self.state.cluster.sweep(index);
    }

    /// Rule 6. A key of the model lives for ever.
    fn numbered(&mut self, n: u8) {
        let is_kept = self.state.cluster.executed & (1 << n) != 0;
        if is_kept && self.rules.hold(RepliesAreKept) {
            return;
        }

        self.state.cluster.executed |= 1 << n;
        // Without the clause, number 2 is what the proposer wanted under number 1.
        if n == 1 || !self.rules.hold(RepeatedUnderOneId) {
            self.state.cluster.create_message();
        }
    }
}

impl Message {
    /// Whether nobody has said yet what became of the last attempt.
    fn is_unreported(&self) -> bool {
        self.reported.is_none() && matches!(self.status, Status::Sending | Status::Unconfirmed)
    }
}

impl Cluster {
    /// Moves one message to a status, and the counts with it.
    fn set(&mut self, index: usize, to: Status) {
        let from = std::mem::replace(&mut self.messages[index].status, to);
        self.counts[from as usize] -= 1;
        self.counts[to as usize] += 1;
    }

    /// What becomes of what comes back, if the message takes no more attempts.
    fn verdict_when_over(&self, index: usize) -> Option<Status> {
        match self.over {
            _ if self.messages[index].customer_deleted => Some(Status::Cancelled),
            Some(Over::Cancelled) => Some(Status::Cancelled),
            Some(Over::Ended) => Some(Status::Expired),
            None => None,
        }
    }

    /// Moves a message to where it goes when nothing more is to be sent.
    fn give_up(&mut self, index: usize, to: Status) {
        let doubtful = self.messages[index].doubt != Doubt::None;
        self.set(index, if doubtful { Status::Unconfirmed } else { to });
    }

    /// Settles a message that waits, and takes no more attempts.
    fn sweep(&mut self, index: usize) {
        if let Some(status) = self.verdict_when_over(index)
            && self.messages[index].status.is_ready()
        {
            self.give_up(index, status);
        }
    }

    fn create_message(&mut self) {
        let absent = |message: &Message| message.status == Status::Absent;
        if let Some(index) = self.messages.iter().position(absent) {
            self.set(index, Status::Created);
        }
    }
}
