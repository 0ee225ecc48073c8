//! The holders of each phone, in memory: the customers who have it now, and those who gave it up while a
//! mailing may have a message to it from them.
//!
//! It follows from the records, so it is the same on every node: columns of customers say who holds
//! a phone, and the log of phones given up says who held it. Tables are looked up by phone only, and
//! what is found is put in the order of customers, so that the order of a hash table reaches nothing.
//!
//! Most phones have one holder, and a mailing must not look each of them up. So each customer who
//! shares a phone has a bit: expanding a mailing asks the bit first.

use std::collections::BTreeMap;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable, hash_table::Entry};
use xxhash_rust::xxh3::xxh3_64;

use crate::phone_changes::{Holding, PhoneChanges};

/// Holders of one phone that stand in the table of all; with more, they get an ordered map.
const FEW: usize = 8;
/// Holders that are left when they go back to the table of all: fewer, lest they go to and fro.
const FEWER: usize = 4;

/// A phone, a customer and how it stands to the phone, in twelve bytes: one for each customer.
#[derive(Clone, Copy, Debug)]
struct PhoneEntry([u32; 3]);

impl PhoneEntry {
    /// A phone has 15 digits at most, which take 50 bits.
    const HOLDS: u32 = 1 << 31;
    const HELD: u32 = 1 << 30;

    fn new(phone: u64, customer: u32, holding: Holding) -> Self {
        let holds = u32::from(holding.holds) * Self::HOLDS;
        let held = u32::from(holding.held) * Self::HELD;
        Self([phone as u32, (phone >> 32) as u32 | holds | held, customer])
    }

    fn phone(self) -> u64 {
        let high = self.0[1] & !(Self::HOLDS | Self::HELD);
        u64::from(high) << 32 | u64::from(self.0[0])
    }

    fn customer(self) -> u32 {
        self.0[2]
    }

    fn is_of(self, phone: u64, customer: u32) -> bool {
        self.customer() == customer && self.phone() == phone
    }

    fn holding(self) -> Holding {
        Holding {
            holds: self.0[1] & Self::HOLDS != 0,
            held: self.0[1] & Self::HELD != 0,
        }
    }
}

fn hash(phone: u64) -> u64 {
    xxh3_64(&phone.to_le_bytes())
}

/// One bit for each customer.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn contains(&self, customer: u32) -> bool {
        let word = self.0.get(customer as usize / 64).copied();
        word.unwrap_or_default() >> (customer % 64) & 1 == 1
    }

    fn set(&mut self, customer: u32, value: bool) {
        let index = customer as usize / 64;
        if self.0.len() <= index && !value {
            return;
        }
        if self.0.len() <= index {
            self.0.resize(index + 1, 0);
        }
        let bit = 1 << (customer % 64);
        if value {
            self.0[index] |= bit;
        } else {
            self.0[index] &= !bit;
        }
    }
}

/// The holders of all phones.
#[derive(Debug, Default)]
pub struct Phones {
    /// Phones with few holders.
    table: HashTable<PhoneEntry>,
    /// Phones with more: looking through them one by one for each new one would never end.
    crowded: HashMap<u64, BTreeMap<u32, Holding>, DefaultHashBuilder>,
    /// Customers whose phone somebody else holds, or held. May have bits too many, never too few.
    shared: Bits,
}

impl Phones {
    /// True if anybody else may hold a customer's phone, or have held it.
    pub fn is_shared(&self, customer: u32) -> bool {
        self.shared.contains(customer)
    }

    /// Those who hold a phone or held it, in any order.
    pub fn of(&self, phone: u64) -> impl Iterator<Item = (u32, Holding)> + '_ {
        let crowd = self.crowded.get(&phone).into_iter().flatten();
        let crowd = crowd.map(|(customer, holding)| (*customer, *holding));
        let few = self.entries(phone);
        crowd.chain(few.map(|entry| (entry.customer(), entry.holding())))
    }

    /// The way in which a customer stands to a phone.
    pub fn holding(&self, phone: u64, customer: u32) -> Holding {
        let crowd = self.crowded.get(&phone);
        let found = match crowd {
            Some(crowd) => crowd.get(&customer).copied(),
            None => {
                let is_it = |entry: &PhoneEntry| entry.is_of(phone, customer);
                let found = self.table.find(hash(phone), is_it);
                found.map(|entry| entry.holding())
            }
        };
        found.unwrap_or_default()
    }

    /// Takes in what an entry changed.
    pub fn absorb(&mut self, changes: &PhoneChanges) {
        // A customer has one bit, and it is that of the phone it holds: that comes last.
        for holds in [false, true] {
            let all = changes.all();
            for (phone, customer, holding) in all.filter(|(_, _, now)| now.holds == holds) {
                self.set(phone, customer, holding);
            }
        }
    }

    /// Sets how a customer stands to a phone. One that gives a phone up for another gives up first.
    pub fn set(&mut self, phone: u64, customer: u32, holding: Holding) {
        if self.set_first(phone, customer, holding) {
            return;
        }

        let before = self.holding(phone, customer);
        if let Some(crowd) = self.crowded.get_mut(&phone) {
            if holding.is_nothing() {
                crowd.remove(&customer);
            } else {
                crowd.insert(customer, holding);
            }
            if crowd.len() <= FEWER {
                self.disperse(phone);
            }
        } else {
            self.set_in_table(phone, customer, holding);
        }
        if before.holds && !holding.holds {
            self.shared.set(customer, false);
        }
        self.mark(phone, customer, holding);
    }

    /// Makes room for the phones of so many customers.
    pub fn reserve(&mut self, customers: usize) {
        self.table.reserve(customers, |entry| hash(entry.phone()));
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.table.allocation_size() + self.shared.0.capacity() * 8
    }

    fn entries(&self, phone: u64) -> impl Iterator<Item = PhoneEntry> + '_ {
        let found = self.table.iter_hash(hash(phone)).copied();
        found.filter(move |entry| entry.phone() == phone)
    }

    /// Sets it if nobody holds the phone or held it: the usual case, with one search and one place.
    fn set_first(&mut self, phone: u64, customer: u32, holding: Holding) -> bool {
        if self.crowded.contains_key(&phone) {
            return false;
        }

        let is_it = |entry: &PhoneEntry| entry.phone() == phone;
        let rehash = |entry: &PhoneEntry| hash(entry.phone());
        match self.table.entry(hash(phone), is_it, rehash) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                if !holding.is_nothing() {
                    place.insert(PhoneEntry::new(phone, customer, holding));
                }
                true
            }
        }
    }

    fn insert(&mut self, new: PhoneEntry) {
        if !new.holding().is_nothing() {
            let rehash = |entry: &PhoneEntry| hash(entry.phone());
            self.table.insert_unique(hash(new.phone()), new, rehash);
        }
    }

    fn set_in_table(&mut self, phone: u64, customer: u32, holding: Holding) {
        let is_it = |entry: &PhoneEntry| entry.is_of(phone, customer);
        let new = PhoneEntry::new(phone, customer, holding);
        if let Ok(mut found) = self.table.find_entry(hash(phone), is_it) {
            if holding.is_nothing() {
                found.remove();
            } else {
                *found.get_mut() = new;
            }
            return;
        }

        self.insert(new);
        if self.entries(phone).count() > FEW {
            self.crowd(phone);
        }
    }

    /// Moves the holders of a phone to a map of their own.
    fn crowd(&mut self, phone: u64) {
        let holders: BTreeMap<u32, Holding> = self.of(phone).collect();
        for customer in holders.keys() {
            self.set_in_table(phone, *customer, Holding::default());
        }
        self.crowded.insert(phone, holders);
    }

    /// Moves the holders of a phone back.
    fn disperse(&mut self, phone: u64) {
        let holders = self.crowded.remove(&phone).unwrap_or_default();
        for (customer, holding) in holders {
            self.set_in_table(phone, customer, holding);
        }
    }

    /// Keeps the bits of those who share a phone, after one of them changed.
    fn mark(&mut self, phone: u64, customer: u32, holding: Holding) {
        // In a crowd all others have their bits already.
        if self.crowded.contains_key(&phone) {
            if holding.holds {
                self.shared.set(customer, true);
            }
            return;
        }

        let (first, second) = {
            let mut entries = self.entries(phone);
            (entries.next(), entries.next())
        };
        // The usual case, which need not gather them.
        if second.is_none() {
            if let Some(only) = first.filter(|only| only.holding().holds) {
                self.shared.set(only.customer(), false);
            }
            return;
        }

        let holders: Vec<PhoneEntry> = self.entries(phone).collect();
        for entry in holders.into_iter().filter(|entry| entry.holding().holds) {
            self.shared.set(entry.customer(), true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLDS: Holding = Holding {
        holds: true,
        held: false,
    };
    const HELD: Holding = Holding {
        holds: false,
        held: true,
    };
    const NOTHING: Holding = Holding {
        holds: false,
        held: false,
    };
    /// The highest phone that there is: fifteen digits.
    const PHONE: u64 = 999_999_999_999_999;

    fn all(phones: &Phones) -> Vec<(u32, Holding)> {
        phones.of(PHONE).collect()
    }

    #[test]
    fn a_phone_of_one_holder_is_shared_by_nobody() {
        let mut phones = Phones::default();
        phones.set(PHONE, 7, HOLDS);
        phones.set(PHONE - 1, 8, HOLDS);
        assert_eq!(all(&phones), [(7, HOLDS)]);
        assert!(!phones.is_shared(7) && !phones.is_shared(8));
    }

    #[test]
    fn who_gave_a_phone_up_still_shares_it_with_its_holder() {
        let mut phones = Phones::default();
        phones.set(PHONE, 7, HOLDS);
        phones.set(PHONE, 7, HELD);
        phones.set(PHONE, 9, HOLDS);
        assert!(phones.is_shared(9) && !phones.is_shared(7));
        phones.set(PHONE, 7, NOTHING);
        assert!(!phones.is_shared(9));
        assert_eq!(all(&phones), [(9, HOLDS)]);
    }

    #[test]
    fn very_many_holders_of_one_phone_are_added_and_taken_away_in_no_time() {
        const MANY: u32 = 100_000;
        let mut phones = Phones::default();
        for customer in 0..MANY {
            phones.set(PHONE, customer, HOLDS);
        }
        assert!((0..MANY).all(|customer| phones.is_shared(customer)));
        assert_eq!(phones.of(PHONE).count(), MANY as usize);
        for customer in 1..MANY {
            phones.set(PHONE, customer, NOTHING);
        }
        assert!((0..MANY).all(|customer| !phones.is_shared(customer)));
        assert_eq!(all(&phones), [(0, HOLDS)]);
    }

    #[test]
    fn a_phone_that_is_forgotten_takes_no_mark_from_the_phone_that_is_held() {
        let mut phones = Phones::default();
        phones.set(PHONE - 1, 7, HELD);
        phones.set(PHONE, 7, HOLDS);
        phones.set(PHONE, 9, HOLDS);
        phones.set(PHONE - 1, 7, NOTHING);
        assert!(phones.is_shared(7) && phones.is_shared(9));
    }

    #[test]
    fn customers_who_swap_their_phones_share_none() {
        let mut phones = Phones::default();
        phones.set(PHONE, 7, HOLDS);
        phones.set(PHONE - 1, 8, HOLDS);
        let mut changes = PhoneChanges::default();
        changes.set(PHONE, 7, NOTHING);
        changes.set(PHONE, 8, HOLDS);
        changes.set(PHONE - 1, 7, HOLDS);
        changes.set(PHONE - 1, 8, HELD);
        phones.absorb(&changes);
        assert!(
            phones.is_shared(7),
            "who had its phone before may have a message"
        );
        assert!(!phones.is_shared(8));
        assert_eq!(all(&phones), [(8, HOLDS)]);
    }
}
