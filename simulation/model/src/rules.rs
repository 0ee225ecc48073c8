//! The rules of the protocol as switches, so that each can be taken out.
//!
//! The numbers are those of docs/rules.md. A rule has several clauses, and each clause is a switch
//! of its own: a rule that is shown to be needed only as a whole may have parts that do nothing.

/// One thing that a rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clause {
    /// Rule 1: a leader answers an ask once the grant is committed, not when it proposes it.
    CommittedFirst,
    /// Rule 1: apply picks among the messages that are ready when the grant is applied, whatever
    /// the leader saw when it proposed.
    ApplyPicks,
    /// Rule 1: the same lease id again gives the same lease.
    SameLeaseAgain,
    /// Rule 1: a postman uses one answer for each lease.
    OneAnswer,
    /// Rule 2: a newer start of a name closes the older, which gets nothing more.
    NewerClosesOlder,
    /// Rule 2: the same nonce gives the same epoch.
    SameNonceSameEpoch,
    /// Rule 3: a lease that runs out makes its messages unconfirmed, nothing else.
    ExpiryNeverResends,
    /// Rule 4: the ways back are three; that the sender is unsure is none of them.
    ThreeWaysBack,
    /// Rule 4: what comes back is settled by how mailing and customer are now.
    SettledByNow,
    /// Rule 4: a message once reported unsure keeps that mark.
    DoubtIsKept,
    /// Rule 5: the first report of a token stands.
    FirstReportWins,
    /// Rule 5: a report of an old attempt does not touch a newer one.
    OldAttemptsAreOver,
    /// Rule 5: a second report that says `done` ends a message that could still be sent again.
    DoneAfterAll,
    /// Rule 6: the reply to a command is kept, and a repeat gets it.
    RepliesAreKept,
    /// Rule 6: what was not answered is repeated with the same id only.
    RepeatedUnderOneId,
    /// Rule 9: a token is in the journal before the first byte of its request.
    NotedFirst,
    /// Rule 9: a journal that lacks something proves nothing, not that a message was never begun.
    WholeOrNothing,
}

impl Clause {
    /// All of them, by rule.
    pub const ALL: [Self; 17] = [
        Self::CommittedFirst,
        Self::ApplyPicks,
        Self::SameLeaseAgain,
        Self::OneAnswer,
        Self::NewerClosesOlder,
        Self::SameNonceSameEpoch,
        Self::ExpiryNeverResends,
        Self::ThreeWaysBack,
        Self::SettledByNow,
        Self::DoubtIsKept,
        Self::FirstReportWins,
        Self::OldAttemptsAreOver,
        Self::DoneAfterAll,
        Self::RepliesAreKept,
        Self::RepeatedUnderOneId,
        Self::NotedFirst,
        Self::WholeOrNothing,
    ];

    /// The number of the rule that it belongs to.
    pub const fn rule(self) -> u8 {
        match self {
            Self::CommittedFirst | Self::ApplyPicks | Self::SameLeaseAgain | Self::OneAnswer => 1,
            Self::NewerClosesOlder | Self::SameNonceSameEpoch => 2,
            Self::ExpiryNeverResends => 3,
            Self::ThreeWaysBack | Self::SettledByNow | Self::DoubtIsKept => 4,
            Self::FirstReportWins | Self::OldAttemptsAreOver | Self::DoneAfterAll => 5,
            Self::RepliesAreKept | Self::RepeatedUnderOneId => 6,
            Self::NotedFirst | Self::WholeOrNothing => 9,
        }
    }
}

/// Which clauses hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    out: Option<Clause>,
}

impl Rules {
    /// Every rule, whole.
    pub const ALL: Self = Self { out: None };

    /// Every rule but for one clause.
    pub const fn without(clause: Clause) -> Self {
        Self { out: Some(clause) }
    }

    /// Whether a clause holds.
    pub fn hold(self, clause: Clause) -> bool {
        self.out != Some(clause)
    }
}
