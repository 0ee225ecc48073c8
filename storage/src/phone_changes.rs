//! What a command or an entry changes of the holders of phones, before memory takes it in.
//!
//! Looked up by phone, once or twice for each row of an import, so it is a hash table. Nearly every phone
//! changes for one customer. Those of a phone that changes for more stand in order, since a command may
//! give one phone to all of its customers. The order of the table reaches nothing: memory takes
//! changes of several phones in any order.

use std::collections::BTreeMap;

use hashbrown::{DefaultHashBuilder, HashMap, hash_map::Entry};

/// How a customer stands to a phone. One of the two is true at least, but where there is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// The customer has the phone.
    pub holds: bool,
    /// The customer gave the phone up, and a mailing may have a message to it from then.
    pub held: bool,
}

impl Holding {
    /// True if there is nothing to remember.
    pub fn is_nothing(self) -> bool {
        !self.holds && !self.held
    }
}

/// The ways in which customers stand to phones after the changes of a command or an entry.
#[derive(Debug, Default)]
pub struct PhoneChanges(HashMap<u64, ChangedHolders, DefaultHashBuilder>);

/// The customers of one phone that changed.
#[derive(Debug)]
enum ChangedHolders {
    One(u32, Holding),
    Several(BTreeMap<u32, Holding>),
}

impl PhoneChanges {
    /// Sets how a customer stands to a phone.
    pub fn set(&mut self, phone: u64, customer: u32, holding: Holding) {
        match self.0.entry(phone) {
            Entry::Vacant(place) => {
                place.insert(ChangedHolders::One(customer, holding));
            }
            Entry::Occupied(mut place) => place.get_mut().set(customer, holding),
        }
    }

    /// The way in which a customer stands to a phone, if it changed.
    pub fn get(&self, phone: u64, customer: u32) -> Option<Holding> {
        match self.0.get(&phone)? {
            ChangedHolders::One(only, holding) => (*only == customer).then_some(*holding),
            ChangedHolders::Several(holders) => holders.get(&customer).copied(),
        }
    }

    /// The customers of a phone that changed, in their order.
    pub fn of(&self, phone: u64) -> impl Iterator<Item = (u32, Holding)> + '_ {
        let holders = self.0.get(&phone);
        holders.into_iter().flat_map(ChangedHolders::all)
    }

    /// True if nothing of a phone changed.
    pub fn leaves(&self, phone: u64) -> bool {
        !self.0.contains_key(&phone)
    }

    /// All changes, by phone, customer and relation, in any order.
    pub fn all(&self) -> impl Iterator<Item = (u64, u32, Holding)> + '_ {
        self.0.iter().flat_map(|(phone, holders)| {
            let of_phone = holders.all();
            of_phone.map(move |(customer, holding)| (*phone, customer, holding))
        })
    }

    /// Takes all of `later`, which goes before what is here.
    pub fn absorb(&mut self, later: &mut Self) {
        if self.0.is_empty() {
            std::mem::swap(self, later);
            return;
        }
        for (phone, customer, holding) in later.all() {
            self.set(phone, customer, holding);
        }
        later.0.clear();
    }
}

impl ChangedHolders {
    fn set(&mut self, customer: u32, holding: Holding) {
        match self {
            Self::One(only, changed) if *only == customer => *changed = holding,
            Self::One(other, changed) => {
                let both = [(*other, *changed), (customer, holding)];
                *self = Self::Several(both.into());
            }
            Self::Several(holders) => {
                holders.insert(customer, holding);
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = (u32, Holding)> + '_ {
        let (one, several) = match self {
            Self::One(customer, holding) => (Some((*customer, *holding)), None),
            Self::Several(holders) => (None, Some(holders)),
        };
        let several = several.into_iter().flatten();
        let several = several.map(|(customer, holding)| (*customer, *holding));
        one.into_iter().chain(several)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLDS: Holding = Holding {
        holds: true,
        held: false,
    };
    const NOTHING: Holding = Holding {
        holds: false,
        held: false,
    };

    fn changes(all: &[(u64, u32, Holding)]) -> PhoneChanges {
        let mut changes = PhoneChanges::default();
        for (phone, customer, holding) in all {
            changes.set(*phone, *customer, *holding);
        }
        changes
    }

    #[test]
    fn the_last_change_of_a_customer_counts_and_others_of_the_phone_stay() {
        let made = changes(&[(1, 7, HOLDS), (1, 7, NOTHING), (1, 3, HOLDS), (2, 7, HOLDS)]);
        assert_eq!(made.get(1, 7), Some(NOTHING));
        assert_eq!(made.get(1, 8), None);
        let of_phone: Vec<_> = made.of(1).collect();
        assert_eq!(of_phone, [(3, HOLDS), (7, NOTHING)]);
        assert!(made.leaves(3) && !made.leaves(2));
        assert_eq!(made.all().count(), 3);
    }

    #[test]
    fn later_changes_go_before_earlier_ones() {
        let mut earlier = changes(&[(1, 7, HOLDS), (2, 8, HOLDS)]);
        let mut later = changes(&[(1, 7, NOTHING), (3, 9, HOLDS)]);
        earlier.absorb(&mut later);
        assert_eq!(later.all().count(), 0);
        assert_eq!(earlier.get(1, 7), Some(NOTHING));
        assert_eq!(earlier.get(2, 8), Some(HOLDS));
        assert_eq!(earlier.get(3, 9), Some(HOLDS));

        let mut none = PhoneChanges::default();
        none.absorb(&mut earlier);
        assert_eq!(none.all().count(), 3);
    }
}
