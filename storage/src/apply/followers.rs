//! All that follows customers when rows are written: who holds a phone, mailings that look at changes,
//! mailings for those who matched at their start, and the count of whom mailings come to reach.
//!
//! The open mailings are read at the first row that makes a difference: most writes of single customers make
//! none.

use super::{
    at_start::{AllUndecided, FormerCustomer},
    changelog,
    customer_blocks::CustomerWords,
    live::LiveMatches,
    phones,
};
use crate::{
    changes::Changes,
    error::Error,
    model::{MailingNumber, Seq},
};

/// The open mailings, as far as they follow customers.
struct OpenFollowers {
    are_phones_remembered: bool,
    undecided: AllUndecided,
    live: LiveMatches,
}

impl OpenFollowers {
    fn load(changes: &Changes<'_>) -> Self {
        let open = changes.open_mailings();
        Self {
            are_phones_remembered: phones::are_remembered(open.iter()),
            undecided: AllUndecided::of(open.iter()),
            live: LiveMatches::of(open.iter(), changes.at()),
        }
    }
}

/// All that follows the customers of one command.
pub(super) struct Followers {
    /// True if it is counted whom mailings come to reach.
    counts_live: bool,
    asked: Option<OpenFollowers>,
    /// Customers whose change mailings must notice.
    changed: Vec<u32>,
}

impl Followers {
    pub(super) fn new(counts_live: bool) -> Self {
        Self {
            counts_live,
            asked: None,
            changed: Vec::new(),
        }
    }

    /// A customer is new.
    pub(super) fn created(
        &mut self,
        changes: &mut Changes<'_>,
        customer: Seq,
        (words, phone): (CustomerWords, u64),
    ) {
        phones::take_as_new(changes, customer, phone);
        self.count(changes, words, phone);
    }

    /// A deleted customer is back.
    pub(super) fn revived(
        &mut self,
        changes: &mut Changes<'_>,
        customer: Seq,
        (words, phone): (CustomerWords, u64),
    ) -> Result<(), Error> {
        phones::take(changes, customer, phone);
        let asked = self
            .asked
            .get_or_insert_with(|| OpenFollowers::load(changes));
        asked.undecided.decide(changes, customer, None)?;
        self.changed.push(customer.0);
        self.count(changes, words, phone);
        Ok(())
    }

    /// A customer has changed.
    pub(super) fn changed(
        &mut self,
        changes: &mut Changes<'_>,
        (customer, before): (Seq, FormerCustomer),
        (words, phone): (CustomerWords, u64),
    ) -> Result<(), Error> {
        let asked = self
            .asked
            .get_or_insert_with(|| OpenFollowers::load(changes));
        if before.phone != phone {
            phones::give_up(changes, customer, before.phone, asked.are_phones_remembered)?;
            phones::take(changes, customer, phone);
        }
        asked.undecided.decide(changes, customer, Some(before))?;
        self.changed.push(customer.0);
        self.count(changes, words, phone);
        Ok(())
    }

    fn count(&mut self, changes: &Changes<'_>, words: CustomerWords, phone: u64) {
        if self.counts_live {
            let asked = self
                .asked
                .get_or_insert_with(|| OpenFollowers::load(changes));
            asked
                .live
                .count(changes, (words.tag, words.operator), phone);
        }
    }

    /// Writes what was learnt; which mailings the customers come to match, and how many of them.
    pub(super) fn write(
        self,
        changes: &mut Changes<'_>,
    ) -> Result<Vec<(MailingNumber, u32)>, Error> {
        changelog::note(changes, &self.changed)?;
        let Some(asked) = self.asked else {
            return Ok(Vec::new());
        };
        asked.undecided.write(changes)?;
        Ok(asked.live.counts())
    }
}
