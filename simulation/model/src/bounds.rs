//! How large a world is checked. Within its bounds every history is gone through.

use crate::state::{ATTEMPTS, Cluster, MESSAGES, Message, POSTMEN, Phase, Postman, Seen, Start};
use crate::state::{LEADERS, State, Status, Token};

/// What a world has, and how much of it.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Attempts of each message, at most.
    pub attempts: [u8; MESSAGES],
    /// How often each postman may crash and start again. A crash without a return needs no bound:
    /// it is a postman that does nothing more.
    pub crashes: [u8; POSTMEN],
    /// Whether both postmen have the same name, and the second starts while the first works.
    pub one_name: bool,
    /// Whether the gateway takes a message it has no second time.
    pub idempotent: bool,
    /// How the sending may be closed while it goes on.
    pub closings: &'static [Closing],
    /// Whether proposals wait with two leaders. Otherwise whatever may be proposed may be
    /// committed at once.
    pub leaders: bool,
    /// Numbered commands of a proposer, the first of which makes a message; 0: two messages are
    /// there from the start.
    pub numbered: u8,
}

/// How the sending may be closed while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The mailing may be cancelled.
    Cancel,
    /// The mailing's end may come.
    End,
    /// A customer may be deleted.
    Delete,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            attempts: [2; MESSAGES],
            crashes: [0; POSTMEN],
            one_name: false,
            idempotent: false,
            closings: &[],
            leaders: false,
            numbered: 0,
        }
    }
}

impl Bounds {
    /// The state in which every history begins.
    pub(crate) fn first_state(&self) -> State {
        let [one, other] = self.attempts;
        assert!(
            usize::from(one.max(other)) <= ATTEMPTS,
            "a state has no room for more attempts"
        );
        let status = if self.numbered > 0 {
            Status::Absent
        } else {
            Status::Created
        };
        let mut counts = [0; Status::COUNT];
        counts[status as usize] = MESSAGES as u8;
        let start = |postman| Start { postman, run: 0 };
        let newest = [
            Some(start(0)),
            if self.one_name { None } else { Some(start(1)) },
        ];
        let second = if self.one_name {
            Phase::Starting
        } else {
            Phase::Running
        };
        State {
            cluster: Cluster {
                messages: self.attempts.map(|attempts| Message::new(status, attempts)),
                counts,
                over: None,
                registered: [1, u8::from(!self.one_name)],
                one_name: self.one_name,
                newest,
                executed: 0,
                seen: Seen::default(),
            },
            postmen: [
                Postman {
                    run: 0,
                    crashes_left: self.crashes[0],
                    phase: Phase::Running,
                },
                Postman {
                    run: 0,
                    crashes_left: self.crashes[1],
                    phase: second,
                },
            ],
            tokens: [[Token::NONE; ATTEMPTS]; MESSAGES],
            leaders: [None; LEADERS],
            stray: None,
            numbers_sent: 0,
        }
    }
}
