//! Who may be connected to the API: a bound on connections, and who goes when it is reached.
//!
//! Most places are for everyone. A newcomer for whom none is left gets that of the connection that
//! its client has neglected longest: first those without a request, then those whose client takes
//! or sends nothing; of the address that has the most before others. Where nobody can be evicted it
//! gets one of a few reserved places, on which only health checks are answered: a node that is busy
//! must not look dead. One address never has all places.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use super::activity::{Activity, Source, Waits};

/// Which part of all places is reserved for health checks, and how many at most.
const RESERVED_PART: usize = 8;
const RESERVED_MOST: usize = 64;
/// Which part of the other places is for others than the address that has the most.
const OTHERS_PART: usize = 8;

/// Places by number.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    open: usize,
    reserved: usize,
    /// Open places for one address.
    share: usize,
}

/// All connections and where they sit.
#[derive(Debug)]
pub(super) struct Places {
    bounds: Bounds,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    /// By number: in the order in which they came.
    open: BTreeMap<u64, Arc<Activity>>,
    reserved: BTreeMap<u64, Arc<Activity>>,
}

/// The place of one connection; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    /// What the connection does.
    pub(super) activity: Arc<Activity>,
}

impl Places {
    /// So many in all, at least two.
    pub(super) fn new(connections: usize) -> Arc<Self> {
        let reserved = (connections / RESERVED_PART).clamp(1, RESERVED_MOST);
        let open = connections.saturating_sub(reserved).max(1);
        let share = open - open / OTHERS_PART;
        let bounds = Bounds {
            open,
            reserved,
            share,
        };
        Arc::new(Self {
            bounds,
            table: Mutex::default(),
        })
    }

    /// A place for a new connection. Where it is a reserved one and all of those are taken, the
    /// longest neglected of them is evicted.
    pub(super) fn admit(self: &Arc<Self>, source: Source) -> Place {
        let activity = Activity::new(source);
        let mut table = self.table.lock();
        table.last += 1;
        let number = table.last;
        if table.make_room(&self.bounds, source) {
            table.open.insert(number, activity.clone());
        } else {
            if table.reserved.len() >= self.bounds.reserved {
                evict(&mut table.reserved, |_| true);
            }
            table.reserved.insert(number, activity.clone());
        }
        Place {
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
    /// Whether there is an open place for an address, perhaps that of another connection.
    fn make_room(&mut self, bounds: &Bounds, source: Source) -> bool {
        let has_share = self.open.len() < bounds.share || self.count(source) < bounds.share;
        if !has_share {
            return evict(&mut self.open, |activity| activity.source == source);
        }
        if self.open.len() < bounds.open {
            return true;
        }
        let most = self.most();
        evict(&mut self.open, |activity| Some(activity.source) == most)
            || evict(&mut self.open, |_| true)
    }

    /// Open places that an address has.
    fn count(&self, source: Source) -> usize {
        self.open
            .values()
            .filter(|activity| activity.source == source)
            .count()
    }

    /// The address that has the most open places.
    fn most(&self) -> Option<Source> {
        let mut counts: BTreeMap<Source, usize> = BTreeMap::new();
        for activity in self.open.values() {
            *counts.entry(activity.source).or_default() += 1;
        }
        counts
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(source, _)| source)
    }
}

/// Evicts the connection that was neglected longest among some; false if there is none.
fn evict(among: &mut BTreeMap<u64, Arc<Activity>>, some: impl Fn(&Activity) -> bool) -> bool {
    // A connection may begin to be served while others are looked at: then the next one goes.
    loop {
        let candidates = among.iter().filter(|(_, activity)| some(activity));
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

impl Place {
    /// Whether only health checks are answered here. A connection on a reserved place moves to an
    /// open one that has become free.
    pub(super) fn is_reserved(&self) -> bool {
        let mut table = self.places.table.lock();
        if !table.reserved.contains_key(&self.number) {
            return false;
        }
        if !table.make_room(&self.places.bounds, self.activity.source) {
            return true;
        }
        let activity = table.reserved.remove(&self.number);
        table
            .open
            .extend(activity.map(|activity| (self.number, activity)));
        false
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.places.table.lock();
        table.open.remove(&self.number);
        table.reserved.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;

    use super::*;
    use crate::api::activity::Answered;

    fn source(n: usize) -> Source {
        Source::of(&format!("192.0.2.{n}:80"))
    }

    /// Places that are all taken by connections of some sources, each a moment after the other, and
    /// at work for the node.
    async fn taken(
        connections: usize,
        sources: impl Fn(usize) -> usize,
    ) -> (Arc<Places>, Vec<Place>) {
        let places = Places::new(connections);
        let mut all = Vec::new();
        for n in 0..places.bounds.open {
            let place = places.admit(source(sources(n)));
            assert!(place.activity.begin() && !place.is_reserved(), "{n}");
            all.push(place);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        (places, all)
    }

    fn is_evicted(place: &Place) -> bool {
        !place.activity.begin()
    }

    /// Its answer has ended.
    fn idle(place: &Place) {
        drop(Answered::new(Body::empty(), place.activity.clone()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_is_idle_longest_makes_room() {
        let (places, all) = taken(64, |n| n % 2).await;
        for n in [5, 3, 9] {
            idle(&all[n]);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let mut kept = Vec::new();
        for n in [5, 3, 9] {
            let new = places.admit(source(9));
            assert!(new.activity.begin() && !new.is_reserved());
            assert!(is_evicted(&all[n]), "{n}");
            kept.push(new);
        }
        assert!(places.admit(source(9)).is_reserved(), "nobody else is idle");
        assert_eq!(all.iter().filter(|place| is_evicted(place)).count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reserved_place_becomes_an_open_one_when_there_is_room() {
        let (places, mut all) = taken(64, |n| n % 2).await;
        let new = places.admit(source(9));
        assert!(new.activity.begin() && new.is_reserved());
        drop(all.pop());
        assert!(!new.is_reserved());
        assert!(places.admit(source(9)).is_reserved());
    }

    #[tokio::test(start_paused = true)]
    async fn reserved_places_never_run_out() {
        let (places, _all) = taken(64, |n| n % 2).await;
        let waiting: Vec<_> = (0..8).map(|_| places.admit(source(9))).collect();
        let health = places.admit(source(8));
        assert!(health.activity.begin() && health.is_reserved());
        assert!(is_evicted(&waiting[0]) && !is_evicted(&waiting[1]));
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_gets_its_share_and_no_more() {
        let places = Places::new(64);
        let mut all = Vec::new();
        for _ in 0..64 {
            let place = places.admit(source(1));
            assert!(place.activity.begin());
            all.push(place);
        }
        let open = all.iter().filter(|place| !place.is_reserved()).count();
        assert_eq!(open, places.bounds.share);
        let other = places.admit(source(2));
        assert!(!other.is_reserved() && other.activity.begin());
    }

    #[tokio::test(start_paused = true)]
    async fn the_address_with_the_most_connections_makes_room_first() {
        // One of source 2, which is idle longest, and many of source 1.
        let (places, all) = taken(64, |n| if n == 0 { 2 } else { 1 + 2 * (n % 8 / 7) }).await;
        for place in &all {
            idle(place);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let new = places.admit(source(3));
        assert!(!new.is_reserved() && !is_evicted(&all[0]) && is_evicted(&all[1]));
    }
}
