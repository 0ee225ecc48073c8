//! The mailings that are being sent and that customers of an import now match: whoever imports must
//! learn that old texts are about to go out.

use std::collections::BTreeMap;

use notty_storage::{Error, Reader, model::MailingNumber, query};
use serde::Serialize;
use utoipa::ToSchema;

/// An active mailing that some of the imported customers match now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::api) struct LiveMailing {
    /// Id of the mailing.
    #[schema(example = "spring-sale")]
    id: String,
    /// Number of new or changed customers that match it. Customers who have its message already get no second one.
    #[schema(example = 1960)]
    matches: u64,
}

/// The counts of an import so far.
#[derive(Default)]
pub(super) struct LiveCounts(BTreeMap<MailingNumber, u64>);

impl LiveCounts {
    /// Adds those of one command.
    pub(super) fn add(&mut self, live: &[(MailingNumber, u32)]) {
        for (number, matches) in live {
            *self.0.entry(*number).or_default() += u64::from(*matches);
        }
    }

    /// The mailings by their ids, without those that were deleted meanwhile.
    pub(super) fn named(&self, reader: &Reader<'_>) -> Result<Vec<LiveMailing>, Error> {
        let mut named = Vec::new();
        for (number, matches) in &self.0 {
            let record = query::work::record(reader, *number)?;
            let record = record.filter(|record| record.deleted_at.is_none());
            named.extend(record.map(|record| LiveMailing {
                id: record.id.as_str().to_owned(),
                matches: *matches,
            }));
        }
        Ok(named)
    }
}
