//! Once the provider takes again, everything that is still due is sent without anybody's help, within the
//! longest pause before a probe; and the halt of a mailing stops no other.

use std::time::Duration;

use notty_storage::{
    model::{MailingId, Status},
    query,
};

use super::{Facts, Invariant, Judgement, ensure};
use crate::{
    event::{Event, Final},
    plan::{Fate, Plan},
};

/// The judge of this property.
pub(super) struct HaltsEndByThemselves {
    /// The mailings that last until everything due is sent. None where nothing halts, because the gateway alone
    /// decides there, and none where postmen may end each other.
    lasting: Vec<MailingId>,
}

impl HaltsEndByThemselves {
    pub(super) fn new(plan: &Plan) -> Self {
        let lasts = |n: usize| {
            let mailing = &plan.mailings[n];
            let is_left_alone = mailing.fate == Fate::Kept && mailing.window.is_none();
            is_left_alone && plan.sent_by_ms(n).is_some_and(|by| by <= mailing.end_ms)
        };
        // Of postmen with one name the newest ends the others: if its node leaves, nobody is there to send.
        let is_judged = !plan.halts.is_empty() && !plan.one_name;
        let lasting = (0..plan.mailings.len()).filter(|n| is_judged && lasts(*n));
        let ids = lasting.filter_map(|n| MailingId::parse(&plan.mailings[n].id).ok());
        Self {
            lasting: ids.collect(),
        }
    }
}

impl Invariant for HaltsEndByThemselves {
    fn name(&self) -> &'static str {
        "halts_end_by_themselves"
    }

    fn judge(&mut self, _event: &Event<'_>, _facts: &Facts, _now: Duration) -> Judgement {
        Ok(())
    }

    fn conclude(&mut self, end: &Final<'_>, _facts: &Facts) -> Judgement {
        let reader = end.view.read();
        let text = |error: notty_storage::Error| error.to_string();
        for id in &self.lasting {
            let Some(number) = query::mailings::number_of(&reader, id).map_err(text)? else {
                continue;
            };
            let counts = query::stats::of_mailing(&reader, number).map_err(text)?;
            let expired = counts.map_or(0, |counts| counts.of(Status::Expired));
            ensure(expired == 0, || {
                format!("mailing {id} ended {expired} messages too early for the halts to end")
            })?;
        }
        Ok(())
    }
}
