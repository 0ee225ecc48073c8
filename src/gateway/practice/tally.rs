//! Totals of the practice gateway.

use serde::Serialize;

use super::PracticeReceipts;
use crate::gateway::profile::AnswerKind;

/// Totals. `requests` is the sum of those taken, those refused and, with a profile, the halts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PracticeTally {
    /// Requests for messages that arrived whole.
    pub requests: u64,
    /// Requests whose message was taken.
    pub taken: u64,
    /// Requests that were refused, put off, or cut off before the message was taken; halts are apart.
    pub refused: u64,
    /// Requests taken whose message had been taken before: must be 0.
    pub duplicates: u64,
    /// Different messages that were taken.
    pub messages: u64,
    /// Milliseconds between the first and the last request.
    pub span_ms: u64,
    /// Requests that no profile makes, or with a wrong secret; absent without a profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub misfits: Option<u64>,
    /// The same requests by their answers; absent without a profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<PracticeAnswers>,
    /// Receipts; absent while there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipts: Option<PracticeReceipts>,
}

/// Requests for messages by the answers that they got in the place of a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PracticeAnswers {
    /// Answers that took the message.
    pub taken: u64,
    /// Answers that refused it for good.
    pub refused: u64,
    /// Answers that put it off.
    pub later: u64,
    /// Answers that halt the gateway or the mailing.
    pub halt: u64,
    /// Answers that leave open whether it was taken.
    pub unsure: u64,
    /// Requests without a whole answer.
    pub none: u64,
}

impl PracticeTally {
    /// Counts a request, and its answer where a provider is spoken for.
    pub(super) fn count(&mut self, is_taken: bool, kind: Option<AnswerKind>) {
        self.requests += 1;
        let is_halt = kind.is_some_and(AnswerKind::is_halt);
        self.taken += u64::from(is_taken);
        self.refused += u64::from(!is_taken && !is_halt);
        if let Some(answers) = &mut self.answers {
            *answers.of(kind) += 1;
        }
    }
}

impl PracticeAnswers {
    fn of(&mut self, kind: Option<AnswerKind>) -> &mut u64 {
        match kind {
            Some(AnswerKind::Taken) => &mut self.taken,
            Some(AnswerKind::Refused) => &mut self.refused,
            Some(AnswerKind::Later) => &mut self.later,
            Some(AnswerKind::Halt | AnswerKind::HaltMailing) => &mut self.halt,
            Some(AnswerKind::Unsure) => &mut self.unsure,
            None => &mut self.none,
        }
    }
}
