//! One message a phone: who of those that a mailing expands shares a phone with somebody who has its
//! message already.
//!
//! Most phones have one holder, and a bit of memory says so; only members whose phone somebody else
//! holds, or held while the mailing ran, are looked up. What counts is the phone that a message was
//! expanded with. A message that was cancelled went to nobody and never will, so it does not count.

use std::collections::BTreeSet;

use super::members::Finder;
use crate::{
    changes::Changes,
    error::Error,
    keys::{ColumnsKey, MembersKey},
    model::MailingNumber,
    records::{Columns, Members, Progress},
    source::Source,
};

/// Holders of a phone from which on it is remembered who has the message: to ask all of them for each of
/// them would never end.
const CROWD: usize = 8;

/// The members of one batch, as far as phones are concerned.
struct Messages {
    batch: u32,
    phones: Vec<u64>,
    /// Those that went to nobody and never will.
    unused: Vec<bool>,
}

/// The phones of one expansion.
pub(super) struct Duplicates<'p> {
    mailing: MailingNumber,
    is_asked: bool,
    finder: Finder<'p>,
    messages: Option<Messages>,
    /// Shared phones that this expansion has met.
    met: BTreeSet<u64>,
}

impl<'p> Duplicates<'p> {
    /// For a mailing that stands where it stood before the expansion.
    pub(super) fn new(mailing: MailingNumber, progress: &'p Progress, is_asked: bool) -> Self {
        Self {
            mailing,
            is_asked,
            finder: Finder::new(mailing, progress),
            messages: None,
            met: BTreeSet::new(),
        }
    }

    /// True if the mailing has a message to a phone, or makes one in this expansion, from somebody else
    /// than a customer that it is being expanded to.
    pub(super) fn contains(
        &mut self,
        changes: &Changes<'_>,
        customer: u32,
        phone: u64,
    ) -> Result<bool, Error> {
        if !self.is_asked || !changes.may_share(phone, customer) {
            return Ok(false);
        }
        if !self.met.insert(phone) {
            return Ok(true);
        }
        self.has_message(changes, customer, phone)
    }

    fn has_message(
        &mut self,
        changes: &Changes<'_>,
        customer: u32,
        phone: u64,
    ) -> Result<bool, Error> {
        let is_crowd = changes.holdings(phone).nth(CROWD).is_some();
        let reached = &changes.index().reached;
        if is_crowd
            && let Some(known) = reached.get(self.mailing, phone)
            && self.is_reached(changes, known, phone)?
        {
            return Ok(true);
        }

        let others = changes.holdings(phone).map(|(other, _)| other);
        let others: BTreeSet<u32> = others.filter(|other| *other != customer).collect();
        for other in others {
            if self.is_reached(changes, other, phone)? {
                if is_crowd {
                    reached.set(self.mailing, phone, other);
                }
                return Ok(true);
            }
        }
        // This one will be.
        if is_crowd {
            reached.set(self.mailing, phone, customer);
        }
        Ok(false)
    }

    /// True if a customer has a message of the mailing to a phone.
    fn is_reached(
        &mut self,
        changes: &Changes<'_>,
        customer: u32,
        phone: u64,
    ) -> Result<bool, Error> {
        let Some((batch, index)) = self.finder.find(changes, customer)? else {
            return Ok(false);
        };
        let messages = self.messages(changes, batch)?;
        let counts = messages.unused.get(index) == Some(&false);
        Ok(counts && messages.phones.get(index) == Some(&phone))
    }

    fn messages(&mut self, changes: &Changes<'_>, batch: u32) -> Result<&Messages, Error> {
        let messages = match self.messages.take() {
            Some(messages) if messages.batch == batch => messages,
            _ => Messages::read(changes, self.mailing, batch)?,
        };
        Ok(self.messages.insert(messages))
    }
}

impl Messages {
    fn read(changes: &Changes<'_>, mailing: MailingNumber, batch: u32) -> Result<Self, Error> {
        let members = MembersKey(mailing, batch);
        let phones = changes.read_part(&members, "members of a batch", Members::phones_in)?;
        let columns = ColumnsKey(mailing, batch);
        let unused = changes.read_part(&columns, "columns of a batch", Columns::unused_in)?;
        Ok(Self {
            batch,
            phones,
            unused,
        })
    }
}
