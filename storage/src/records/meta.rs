//! The state's own position, its counters of numbers, and the dictionary's words.

use serde::{Deserialize, Serialize};

use crate::{
    limits::{
        MAILING_NUMBERS, RESTORED_EPOCH_BITS, RESTORED_EPOCHS, RESTORED_MAILINGS, RESTORED_PART,
        RESTORED_WINDOW,
    },
    model::{MailingNumber, Timestamp},
};

/// Where the state stands. Rewritten with every entry, in the same sled batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Opaque position of the entry that was applied last; storage knows nothing of its form.
    pub marker: Vec<u8>,
    /// Running hash over everything written so far.
    pub hash: u64,
    /// The time of the entry that was applied last.
    pub at: Timestamp,
    /// How the time was set by people.
    pub set: TimeSetting,
}

/// How often and how far people set the time, after clocks that were wrong.
///
/// The *steady time* is the time less all that it was set by: setting the time does not change it, so
/// it never goes back. Whatever is an age or a pause (leases, retries, kept replies, retention) is
/// measured in it; what people see (a mailing's start and end, days) is in the time itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeSetting {
    /// Milliseconds by which the time was set, in all.
    pub shift_ms: i64,
    /// How often it was set.
    pub count: u64,
    /// The steady time when it was set last.
    pub steady: Timestamp,
    /// The time that it was set to last.
    pub to: Timestamp,
}

impl TimeSetting {
    /// The steady time at a time.
    pub fn steady(&self, at: Timestamp) -> Timestamp {
        at.plus_millis(self.shift_ms.saturating_neg())
    }

    /// The time at a steady time.
    pub fn time(&self, steady: Timestamp) -> Timestamp {
        steady.plus_millis(self.shift_ms)
    }

    /// Whether the time was set since a steady time, or just then: how much time has really passed
    /// since is not known.
    pub fn came_after(&self, steady: Timestamp) -> bool {
        self.count > 0 && steady <= self.steady
    }

    /// Sets the time that is `at` now.
    pub fn set(&mut self, at: Timestamp, to: Timestamp) {
        self.steady = self.steady(at);
        self.shift_ms = self.shift_ms.saturating_add(to.since(at));
        self.count += 1;
        self.to = to;
    }
}

/// Random numbers that a restore draws, from all there are. They are drawn outside of the state,
/// which stays a function of what it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draw {
    /// For the numbers of mailings.
    pub mailings: u64,
    /// For the epochs of postmen.
    pub epochs: u64,
}

/// Numbers given so far. Each only rises.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// Customers ever created: the next one's number.
    pub customers: u32,
    /// Customers deleted at present.
    pub deleted: u32,
    /// Mailings ever created: the last one's number.
    pub mailings: u32,
    /// The last postman's epoch.
    pub epoch: u64,
    /// Changes of existing customers ever noted: the next one's number.
    pub changes: u64,
    /// Changes below this number have been passed by every open mailing and are gone.
    pub changes_from: u64,
    /// Clients' keys ever taken: the next one's slot is this modulo the bound.
    pub client_keys: u64,
    /// The oldest client's key that still lives.
    pub client_keys_from: u64,
    /// Second reports of a token that said something else than the first.
    pub conflicts: u64,
    /// Epochs up to this one were given before a restore: they speak for nothing any more.
    pub closed_epochs: u64,
    /// The first and the last number of a mailing that the cluster's beginning and each restore passed
    /// over.
    pub passed_over: Vec<(u32, u32)>,
}

impl Numbers {
    /// The number itself, or the first after those that a restore passed over.
    pub fn mailing_from(&self, number: u32) -> u32 {
        self.passed_over
            .iter()
            .fold(number, |number, (first, last)| {
                if (*first..=*last).contains(&number) {
                    last + 1
                } else {
                    number
                }
            })
    }

    /// Lets the mailings of a new cluster begin at a number. Nothing changes once one was given.
    pub fn begin_at(&mut self, first: u32) {
        if self.mailings == 0 && first > 1 {
            self.passed_over.push((1, first - 1));
            self.mailings = first - 1;
        }
    }

    /// The next mailing's number; none once all were given.
    pub fn next_mailing(&mut self) -> Option<MailingNumber> {
        if self.mailings >= MAILING_NUMBERS {
            return None;
        }
        self.mailings += 1;
        Some(MailingNumber(self.mailings))
    }

    /// Passes over so many numbers that another restore of the same state, which draws otherwise,
    /// gives none of those that follow; false if too few are left for that.
    pub fn begin_anew(&mut self, draw: Draw) -> bool {
        let left = MAILING_NUMBERS.saturating_sub(self.mailings);
        let window = left / RESTORED_PART;
        let epochs = RESTORED_EPOCHS + (draw.epochs >> RESTORED_EPOCH_BITS);
        let Some(epoch) = self.epoch.checked_add(epochs) else {
            return false;
        };
        if window < RESTORED_WINDOW {
            return false;
        }

        // The upper half of the product is evenly spread below the window.
        let drawn = (u128::from(draw.mailings) * u128::from(window)) >> u64::BITS;
        let last = self.mailings + RESTORED_MAILINGS + drawn as u32;
        self.passed_over.push((self.mailings + 1, last));
        self.mailings = last;
        (self.epoch, self.closed_epochs) = (epoch, epoch);
        true
    }
}

/// What a dictionary holds. Tags and operators are anything that people write: their uses are
/// counted, and what nothing uses any more is forgotten. Zones are those of the time zone database, a
/// few hundred, and stay: a grant names them by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum WordKind {
    /// Tags of customers.
    Tag = 0,
    /// Operators of customers.
    Operator = 1,
    /// Time zones of customers; number 0 means none.
    Zone = 2,
}

impl WordKind {
    /// The kinds whose words are forgotten once nothing uses them.
    pub const COUNTED: [Self; 2] = [Self::Tag, Self::Operator];
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Tag, Self::Operator, Self::Zone];
}

/// How often the 128 words of a block are used: by a customer who exists, by a member of a batch that
/// is not purged, by a facet. A word is there as long as it is used, and its number is given to
/// another word only after that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordUses {
    /// In the order of numbers; shorter than the block where the rest is not used.
    pub uses: Vec<u64>,
}

impl WordUses {
    /// Adds to the uses of one word, or takes from them: how many there were, and how many there are.
    /// None if more were taken than there were.
    pub fn add(&mut self, offset: usize, change: i64) -> Option<(u64, u64)> {
        if self.uses.len() <= offset {
            self.uses.resize(offset + 1, 0);
        }
        let before = self.uses[offset];
        let after = before.checked_add_signed(change)?;
        self.uses[offset] = after;
        while self.uses.last() == Some(&0) {
            self.uses.pop();
        }
        Some((before, after))
    }
}

/// A word of a dictionary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordRecord {
    /// As it was written first.
    pub text: String,
    /// With its case folded by the proposer.
    pub folded: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anew(numbers: &Numbers, mailings: u64) -> Numbers {
        let mut anew = numbers.clone();
        assert!(anew.begin_anew(Draw {
            mailings,
            epochs: mailings
        }));
        anew
    }

    #[test]
    fn restores_of_one_backup_are_spread_over_a_sixteenth_of_what_is_left() {
        let before = Numbers {
            mailings: 3,
            epoch: 9,
            ..Numbers::default()
        };
        let (lowest, highest) = (anew(&before, 0), anew(&before, u64::MAX));
        assert_eq!(lowest.mailings, 3 + RESTORED_MAILINGS);
        assert_eq!(
            highest.mailings - lowest.mailings,
            (MAILING_NUMBERS - 3) / 16 - 1
        );
        assert_eq!(lowest.closed_epochs, 9 + RESTORED_EPOCHS);
        assert_eq!(highest.epoch - lowest.epoch, (1 << 48) - 1);
        assert_eq!(highest.mailing_from(4), highest.mailings + 1);
        assert_eq!(highest.mailing_from(3), 3);
    }

    #[test]
    fn only_the_first_number_of_a_cluster_is_drawn() {
        let mut numbers = Numbers::default();
        numbers.begin_at(1_000);
        assert_eq!(numbers.next_mailing(), Some(MailingNumber(1_000)));
        numbers.begin_at(5_000);
        assert_eq!(numbers.next_mailing(), Some(MailingNumber(1_001)));
        assert_eq!(numbers.mailing_from(1), 1_000);

        let mut numbers = Numbers::default();
        numbers.begin_at(0);
        assert_eq!(numbers.next_mailing(), Some(MailingNumber(1)));
    }

    #[test]
    fn seventy_restores_in_a_row_find_room_and_the_first_that_does_not_is_refused() {
        let mut numbers = Numbers::default();
        let highest = Draw {
            mailings: u64::MAX,
            epochs: u64::MAX,
        };
        let mut restores = 0;
        while numbers.begin_anew(highest) {
            restores += 1;
        }
        assert!((70..80).contains(&restores), "{restores}");
        let refused = numbers.clone();
        assert!(!numbers.begin_anew(Draw::default()));
        assert_eq!(numbers, refused, "a refusal changes nothing");
        assert!(
            numbers.next_mailing().is_some(),
            "mailings can still be created"
        );
        numbers.mailings = MAILING_NUMBERS;
        assert_eq!(numbers.next_mailing(), None);
    }
}
