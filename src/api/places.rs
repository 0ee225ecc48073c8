//! The bound on connections to the API, and the choice of the connection that makes room for another.
//!
//! Most places are open to all clients. If no open place is left, a new connection gets the place of
//! the one that its client has neglected longest: first connections without a request, then those
//! whose client takes or sends nothing; connections of the address that has the most go before
//! others. If no connection can be evicted, the new one gets one of a few reserved places, on which
//! only health checks are answered: a node that is busy must not look dead. One address never has
//! all places.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use super::activity::{Activity, ClientAddress, Waits};

/// One place in so many is reserved for health checks.
const RESERVED_PART: usize = 8;
/// The most places that are reserved for health checks.
const RESERVED_MOST: usize = 64;
/// One open place in so many is kept for other addresses than the one that has the most.
const OTHERS_PART: usize = 8;

/// Numbers of places, by kind.
#[derive(Clone, Copy, Debug)]
struct PlaceLimits {
    open: usize,
    reserved: usize,
    /// The most open places that one address may have.
    share: usize,
}

/// All connections, each in its place.
#[derive(Debug)]
pub(super) struct Places {
    limits: PlaceLimits,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    /// By the number of the connection: in the order in which they came.
    open: BTreeMap<u64, Arc<Activity>>,
    reserved: BTreeMap<u64, Arc<Activity>>,
}

/// The place of one connection, given back when it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPlace {
    places: Arc<Places>,
    number: u64,
    /// The activity of the connection.
    pub(super) activity: Arc<Activity>,
}

impl Places {
    /// Divides a number of connections into places; at least one is open and one is reserved.
    pub(super) fn new(connections: usize) -> Arc<Self> {
        let reserved = (connections / RESERVED_PART).clamp(1, RESERVED_MOST);
        let open = connections.saturating_sub(reserved).max(1);
        let limits = PlaceLimits {
            open,
            reserved,
            share: open - open / OTHERS_PART,
        };

        Arc::new(Self {
            limits,
            table: Mutex::default(),
        })
    }

    /// Gives a new connection its place. If only a reserved one is left and all of those are taken,
    /// the longest neglected of them is evicted.
    pub(super) fn admit(self: &Arc<Self>, source: ClientAddress) -> ConnectionPlace {
        let activity = Activity::new(source);
        let mut table = self.table.lock();

        // Numbers rise, so that the table is in the order of arrival.
        table.last += 1;
        let number = table.last;

        if table.make_room(&self.limits, source) {
            table.open.insert(number, activity.clone());
        } else {
            if table.reserved.len() >= self.limits.reserved {
                evict(&mut table.reserved, |_| true);
            }
            table.reserved.insert(number, activity.clone());
        }

        ConnectionPlace {
            places: self.clone(),
            number,
            activity,
        }
    }

    /// Evicts the connection that was neglected longest, if there is one.
    pub(super) fn evict_one(&self) {
        evict(&mut self.table.lock().open, |_| true);
    }
}

impl Table {
    /// Finds an open place for an address, if need be by evicting another connection. Returns false
    /// if there is none.
    fn make_room(&mut self, limits: &PlaceLimits, source: ClientAddress) -> bool {
        let has_share = self.open.len() < limits.share || self.count(source) < limits.share;
        if !has_share {
            // The address takes from itself, so that it cannot push out others.
            return evict(&mut self.open, |activity| activity.source == source);
        }
        if self.open.len() < limits.open {
            return true;
        }

        let most = self.most();
        evict(&mut self.open, |activity| Some(activity.source) == most)
            || evict(&mut self.open, |_| true)
    }

    /// Number of open places that an address has.
    fn count(&self, source: ClientAddress) -> usize {
        self.open
            .values()
            .filter(|activity| activity.source == source)
            .count()
    }

    /// The address that has the most open places.
    fn most(&self) -> Option<ClientAddress> {
        let mut counts: BTreeMap<ClientAddress, usize> = BTreeMap::new();
        for activity in self.open.values() {
            *counts.entry(activity.source).or_default() += 1;
        }
        counts
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(source, _)| source)
    }
}

/// Evicts the connection that was neglected longest, among those that a condition selects. Returns
/// false if there is none.
fn evict(
    among: &mut BTreeMap<u64, Arc<Activity>>,
    is_candidate: impl Fn(&Activity) -> bool,
) -> bool {
    // A connection may get a request while others are compared: then the next one goes.
    loop {
        let candidates = among.iter().filter(|(_, activity)| is_candidate(activity));
        let waiting =
            candidates.filter_map(|(number, activity)| Some((activity.waits()?, *number)));
        let Some((waits, number)) = waiting.min() else {
            return false;
        };

        if evict_as_seen(among, number, waits) {
            return true;
        }
    }
}

fn evict_as_seen(among: &mut BTreeMap<u64, Arc<Activity>>, number: u64, seen: Waits) -> bool {
    let evicted = among
        .get(&number)
        .is_some_and(|activity| activity.evict(seen));
    if evicted {
        among.remove(&number);
    }
    evicted
}

impl ConnectionPlace {
    /// True if only health checks are answered here. A connection on a reserved place moves to an
    /// open one as soon as there is room.
    pub(super) fn is_reserved(&self) -> bool {
        let mut table = self.places.table.lock();
        if !table.reserved.contains_key(&self.number) {
            return false;
        }

        // All open places are in use, and none of their connections may be evicted for this one.
        if !table.make_room(&self.places.limits, self.activity.source) {
            return true;
        }

        let activity = table.reserved.remove(&self.number);
        table
            .open
            .extend(activity.map(|activity| (self.number, activity)));
        false
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut table = self.places.table.lock();
        table.open.remove(&self.number);
        table.reserved.remove(&self.number);
    }
}

#[cfg(test)]
mod tests;
