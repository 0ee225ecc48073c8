//! The mailings under way that the customers of a command come to match. Whoever writes these customers
//! learns so to whom old texts will go.

use super::audience::Audience;
use crate::{
    changes::Changes,
    index::OpenMailing,
    limits::LIVE_MAILINGS,
    model::{AudienceSpan, MailingNumber, MailingStatus, Timestamp},
};

/// The mailings that customers are counted for, the earliest first.
pub(super) struct LiveMatches(Vec<(MailingNumber, Audience, u32)>);

impl LiveMatches {
    pub(super) fn of<'m>(open: impl Iterator<Item = &'m OpenMailing>, at: Timestamp) -> Self {
        let live = open.filter(|mailing| {
            let record = &mailing.record;
            let is_active = record.status() == MailingStatus::Active && at < record.spec.end;
            is_active && !record.is_over() && record.spec.audience == AudienceSpan::UntilEnd
        });
        let live = live.take(LIVE_MAILINGS);
        let live = live.map(|mailing| {
            let audience = Audience::new(&mailing.record.spec);
            (mailing.number, audience, 0)
        });
        Self(live.collect())
    }

    /// Counts a customer as it is now.
    pub(super) fn count(&mut self, changes: &Changes<'_>, words: (u32, u32), phone: u64) {
        for (_, audience, count) in &mut self.0 {
            *count += u32::from(audience.matches(changes, words, phone));
        }
    }

    /// The mailings that somebody matches, and how many do.
    pub(super) fn counts(self) -> Vec<(MailingNumber, u32)> {
        let all = self.0.into_iter().map(|(number, _, count)| (number, count));
        all.filter(|(_, count)| *count > 0).collect()
    }
}
