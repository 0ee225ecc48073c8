//! Hints at who has a mailing's message to a phone that very many customers share.
//!
//! A hint spares a search and decides nothing: whoever follows it looks whether it is right, and searches
//! where it is not. So it need be the same on no two nodes, and may be forgotten at any time.

use hashbrown::{DefaultHashBuilder, HashMap};
use parking_lot::Mutex;

use crate::model::MailingNumber;

/// Hints that are kept, at most; then all are forgotten.
const HINTS: usize = 10_000;

/// The hints, by mailing and phone.
#[derive(Debug, Default)]
pub struct Reached(Mutex<HashMap<(MailingNumber, u64), u32, DefaultHashBuilder>>);

impl Reached {
    /// The customer who may have a mailing's message to a phone.
    pub fn get(&self, mailing: MailingNumber, phone: u64) -> Option<u32> {
        self.0.lock().get(&(mailing, phone)).copied()
    }

    /// Notes who has, or is about to have, a mailing's message to a phone.
    pub fn set(&self, mailing: MailingNumber, phone: u64, customer: u32) {
        let mut hints = self.0.lock();
        if hints.len() >= HINTS {
            hints.clear();
        }
        hints.insert((mailing, phone), customer);
    }
}
