//! What can happen next: to the postmen, the leaders, the proposer, the network and the gateway.
//!
//! Nothing is ever due: a crash, an answer, an end or an expiry may come at any moment or never. No
//! clock is part of the safety argument, so the model has none, and its postmen write to the
//! gateway even when their lease is long over.

use crate::{
    TokenModel,
    apply::Apply,
    bounds::{Bounds, Closing},
    rules::{
        Clause::{CommittedFirst, NotedFirst, OneAnswer, WholeOrNothing},
        Rules,
    },
    state::{
        ATTEMPTS, Command, LEADERS, MESSAGES, POSTMEN, Phase, Request, SendResult, Stage, Start,
        State, Status, Stray, Token,
    },
};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A leader proposes a command: a call reached it, or its clock says so.
    Propose {
        /// Which leader.
        leader: usize,
        /// What.
        command: Command,
    },
    /// What a leader proposed is committed and applied.
    Commit {
        /// Which leader.
        leader: usize,
    },
    /// A leader crashes, or what it proposed is cut off the log. It may be proposed again.
    Lose {
        /// Which leader.
        leader: usize,
    },
    /// A command is proposed, committed and applied.
    Apply(Command),
    /// A leader answers an ask before the grant is committed. Only without its clause of rule 1.
    AnswerEarly {
        /// Which leader.
        leader: usize,
        /// The message that it wrongly gives.
        message: usize,
    },
    /// A postman hears of its grant.
    HearGrant {
        /// Which postman.
        postman: usize,
    },
    /// A postman is told that the lease it asks for is closed.
    HearClosed {
        /// Which postman.
        postman: usize,
    },
    /// A postman uses an answer once more. Only without its clause of rule 1.
    HearAgain {
        /// The message that it sends once more.
        message: usize,
    },
    /// A postman hears of its epoch.
    HearEpoch {
        /// Which postman.
        postman: usize,
    },
    /// A postman's process dies and starts again.
    Crash {
        /// Which postman.
        postman: usize,
    },
    /// A postman does something about a token that it holds.
    Step {
        /// The message.
        message: usize,
        /// The attempt.
        attempt: u8,
        /// What.
        step: Step,
    },
    /// A request under no token arrives.
    StrayArrives,
    /// The proposer sends its next command; it may know nothing of the one before.
    ProposerSends,
}

/// What happens to one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The postman writes it to the journal.
    Note,
    /// The postman writes the request, or part of it.
    Write,
    /// The gateway gets the request and takes the message, or knows it.
    Take,
    /// The gateway gets the request and does not take the message.
    Refuse,
    /// The postman reports it.
    Say(SendResult),
    /// The next run of the postman reports what the journal proves.
    Recover,
}

/// Gathers what can happen in a state.
pub(crate) struct Choices<'c> {
    pub(crate) state: &'c State,
    pub(crate) model: &'c TokenModel,
    pub(crate) actions: &'c mut Vec<Action>,
}

impl Choices<'_> {
    /// All of it.
    pub(crate) fn gather(&mut self) {
        self.commands();
        self.leaders();
        (0..POSTMEN).for_each(|postman| self.postman(postman));
        for message in 0..MESSAGES {
            for attempt in 1..=ATTEMPTS as u8 {
                self.token(message, attempt);
            }
        }
        if self.state.stray.is_some_and(|stray| !stray.arrived) {
            self.actions.push(Action::StrayArrives);
        }
        if self.state.numbers_sent < self.model.bounds.numbered {
            self.actions.push(Action::ProposerSends);
        }
    }

    /// Whatever was ever said to the cluster may be proposed. A leader of its own waits with it,
    /// and meanwhile it may lose its sense, so only what would have an effect now is proposed: no
    /// rule lets the rest gain one later that it would not then be proposed for.
    fn commands(&mut self) {
        let mut commands = Vec::with_capacity(32);
        proposable(self.state, self.model, &mut commands);
        if !self.model.bounds.leaders {
            self.actions.extend(commands.into_iter().map(Action::Apply));
            return;
        }
        commands.retain(|command| applied(self.state, self.model, *command) != *self.state);
        let idle = (0..LEADERS).filter(|leader| self.state.leaders[*leader].is_none());
        for leader in idle {
            let propose = |command: &Command| Action::Propose {
                leader,
                command: *command,
            };
            self.actions.extend(commands.iter().map(propose));
        }
    }

    fn leaders(&mut self) {
        for leader in 0..LEADERS {
            let Some(proposal) = self.state.leaders[leader] else {
                continue;
            };
            self.actions
                .extend([Action::Commit { leader }, Action::Lose { leader }]);
            let Command::Grant { among, .. } = proposal else {
                continue;
            };
            if self.state.stray.is_none() && !self.model.rules.hold(CommittedFirst) {
                let given = (0..MESSAGES).filter(|message| among & 1 << message != 0);
                self.actions
                    .extend(given.map(|message| Action::AnswerEarly { leader, message }));
            }
        }
    }

    fn postman(&mut self, index: usize) {
        let postman = self.state.postmen[index];
        let start = Start {
            postman: index as u8,
            run: postman.run,
        };
        let registered = self.state.cluster.registered[index] & 1 << postman.run != 0;
        if postman.phase == Phase::Starting && registered {
            self.actions.push(Action::HearEpoch { postman: index });
        }
        if postman.crashes_left > 0 {
            self.actions.push(Action::Crash { postman: index });
        }
        let awaited = |&(_, _, token): &(usize, u8, &Token)| {
            token.holder == Some(start) && token.stage == Stage::Awaited
        };
        if self.state.granted().any(|granted| awaited(&granted)) {
            self.actions.push(Action::HearGrant { postman: index });
            let open = self
                .state
                .granted()
                .filter(awaited)
                .any(|(message, attempt, _)| {
                    let message = &self.state.cluster.messages[message];
                    message.attempt == attempt && message.status == Status::Sending
                });
            if !open {
                self.actions.push(Action::HearClosed { postman: index });
            }
        }
    }

    fn token(&mut self, message: usize, attempt: u8) {
        let token = self.state.tokens[message][usize::from(attempt) - 1];
        let Some(holder) = token.holder else {
            return;
        };
        let mut step = |step| {
            self.actions.push(Action::Step {
                message,
                attempt,
                step,
            })
        };
        if token.request == Request::OnItsWay {
            step(Step::Take);
            step(Step::Refuse);
        }
        match token.stage {
            Stage::Held => {
                step(Step::Note);
                step(Step::Say(SendResult::HandedBack));
            }
            Stage::Noted => {
                step(Step::Write);
                step(Step::Say(SendResult::NotSent));
            }
            Stage::Written | Stage::GaveUp => {
                match token.request {
                    Request::Taken | Request::Known => step(Step::Say(SendResult::Done)),
                    Request::Refused => step(Step::Say(SendResult::NotTaken)),
                    Request::None | Request::OnItsWay => {}
                }
                if token.stage == Stage::Written {
                    step(Step::Say(unsure(&self.model.bounds)));
                }
            }
            Stage::LostUnbegun | Stage::LostBegun => {
                let postman = self.state.postmen[usize::from(holder.postman)];
                if postman.run > holder.run && postman.phase == Phase::Running {
                    step(Step::Recover);
                }
            }
            // It may be told what it missed.
            Stage::Passed => step(Step::Say(SendResult::HandedBack)),
            Stage::None | Stage::Awaited | Stage::Settled => {}
        }
        let used = !matches!(token.stage, Stage::None | Stage::Awaited);
        if used && self.state.stray.is_none() && !self.model.rules.hold(OneAnswer) {
            self.actions.push(Action::HearAgain { message });
        }
    }
}

/// What a postman says that has waited long enough for an answer.
fn unsure(bounds: &Bounds) -> SendResult {
    if bounds.idempotent {
        SendResult::UnsureRepeatable
    } else {
        SendResult::Unsure
    }
}

/// What a leader may propose: whatever was ever said to one, and whatever its clock may bring.
fn proposable(state: &State, model: &TokenModel, commands: &mut Vec<Command>) {
    for (postman, now) in (0..).zip(state.postmen) {
        for run in 0..=now.run {
            let start = Start { postman, run };
            commands.push(Command::Register(start));
            let is_asking = run < now.run || now.phase != Phase::Starting;
            if is_asking && state.cluster.registered[usize::from(postman)] & 1 << run != 0 {
                let among = (1..1 << MESSAGES).filter(|among| are_ready(state, *among));
                commands.extend(among.map(|among| Command::Grant { to: start, among }));
            }
        }
    }
    for (index, attempt, token) in state.granted() {
        let message = index as u8;
        commands.push(Command::Expire { message, attempt });
        let said = SendResult::ALL
            .into_iter()
            .filter(|result| token.said & result.bit() != 0);
        commands.extend(said.map(|result| Command::Report {
            message,
            attempt,
            result,
        }));
    }
    for closing in model.bounds.closings {
        match closing {
            Closing::Cancel => commands.push(Command::CancelMailing),
            Closing::End => commands.push(Command::EndMailing),
            Closing::Delete => {
                let deletions =
                    (0..MESSAGES as u8).map(|message| Command::DeleteCustomer { message });
                commands.extend(deletions);
            }
        }
    }
    commands.extend((1..=state.numbers_sent).map(|n| Command::Numbered { n }));
}

/// Whether all messages of some bits are ready.
fn are_ready(state: &State, among: u8) -> bool {
    let mut named = (0..MESSAGES).filter(|message| among & 1 << message != 0);
    named.all(|message| state.cluster.messages[message].status.is_ready())
}

fn applied(state: &State, model: &TokenModel, command: Command) -> State {
    let mut next = *state;
    Apply {
        state: &mut next,
        rules: model.rules,
    }
    .run(command);
    next
}

/// The state after an action.
pub(crate) fn next(state: &State, model: &TokenModel, action: Action) -> State {
    let mut next = *state;
    match action {
        Action::Propose { leader, command } => next.leaders[leader] = Some(command),
        Action::Commit { leader } => {
            if let Some(command) = next.leaders[leader].take() {
                next = applied(&next, model, command);
            }
        }
        Action::Lose { leader } => next.leaders[leader] = None,
        Action::Apply(command) => next = applied(&next, model, command),
        Action::AnswerEarly { message, .. } | Action::HearAgain { message } => {
            next.stray = Some(Stray {
                message: message as u8,
                arrived: false,
            });
        }
        Action::HearGrant { postman } => next.hear(postman, Stage::Held),
        Action::HearClosed { postman } => next.hear(postman, Stage::Passed),
        Action::HearEpoch { postman } => next.postmen[postman].phase = Phase::Running,
        Action::Crash { postman } => next.crash(postman, model.rules),
        Action::Step {
            message,
            attempt,
            step,
        } => {
            let taken = next.taken(message) > 0;
            let token = &mut next.tokens[message][usize::from(attempt) - 1];
            token.step(step, taken && model.bounds.idempotent);
        }
        Action::StrayArrives => {
            if let Some(stray) = &mut next.stray {
                stray.arrived = true;
            }
        }
        Action::ProposerSends => next.numbers_sent += 1,
    }
    next
}

impl State {
    fn hear(&mut self, postman: usize, stage: Stage) {
        let start = Start {
            postman: postman as u8,
            run: self.postmen[postman].run,
        };
        for token in self.tokens.as_flattened_mut() {
            if token.holder == Some(start) && token.stage == Stage::Awaited {
                token.stage = stage;
            }
        }
    }

    /// What the process knew is gone; what it wrote to its journal stays.
    fn crash(&mut self, postman: usize, rules: Rules) {
        let start = Start {
            postman: postman as u8,
            run: self.postmen[postman].run,
        };
        for token in self.tokens.as_flattened_mut() {
            if token.holder == Some(start) {
                token.lose(rules);
            }
        }
        let process = &mut self.postmen[postman];
        process.run += 1;
        process.crashes_left -= 1;
        process.phase = Phase::Starting;
    }
}

impl Token {
    fn step(&mut self, step: Step, known: bool) {
        match step {
            Step::Note => self.stage = Stage::Noted,
            Step::Write => (self.stage, self.request) = (Stage::Written, Request::OnItsWay),
            Step::Take => {
                self.request = if known {
                    Request::Known
                } else {
                    Request::Taken
                }
            }
            Step::Refuse => self.request = Request::Refused,
            Step::Say(result) => {
                self.said |= result.bit();
                let unsure = matches!(result, SendResult::Unsure | SendResult::UnsureRepeatable);
                self.stage = if unsure {
                    Stage::GaveUp
                } else {
                    Stage::Settled
                };
            }
            Step::Recover => {
                let unbegun = self.stage == Stage::LostUnbegun;
                let result = if unbegun {
                    SendResult::HandedBack
                } else {
                    SendResult::Unsure
                };
                self.said |= result.bit();
                self.stage = Stage::Settled;
            }
        }
    }

    /// The process dies. A result may have been said and not yet be in the journal. What is damaged
    /// since is in no journal either; a next run that believes it all the same hands back what was begun.
    fn lose(&mut self, rules: Rules) {
        let shows = rules.hold(NotedFirst) && rules.hold(WholeOrNothing);
        let begun = if shows {
            Stage::LostBegun
        } else {
            Stage::LostUnbegun
        };
        let proven = SendResult::HandedBack.bit() | SendResult::Unsure.bit();
        self.stage = match self.stage {
            Stage::Awaited | Stage::Held | Stage::Passed => Stage::LostUnbegun,
            Stage::Noted | Stage::Written => begun,
            Stage::GaveUp | Stage::Settled if self.said & proven == 0 => begun,
            Stage::GaveUp => Stage::Settled,
            stage => stage,
        };
    }
}
