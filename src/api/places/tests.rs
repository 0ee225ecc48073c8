//! Tests of the places: eviction, shares of one address, reserved places.

use std::time::Duration;

use axum::body::Body;

use super::*;
use crate::api::watched::WatchedResponse;

fn source(n: usize) -> ClientAddress {
    ClientAddress::of(&format!("192.0.2.{n}:80"))
}

/// Places that are all taken by connections of some sources, each a moment after the other, and
/// at work for the node.
async fn taken(
    connections: usize,
    sources: impl Fn(usize) -> usize,
) -> (Arc<Places>, Vec<ConnectionPlace>) {
    let places = Places::new(connections);
    let mut all = Vec::new();
    for n in 0..places.limits.open {
        let place = places.admit(source(sources(n)));
        assert!(place.activity.begin() && !place.is_reserved(), "{n}");
        all.push(place);
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    (places, all)
}

fn is_evicted(place: &ConnectionPlace) -> bool {
    !place.activity.begin()
}

/// Its answer has ended.
fn idle(place: &ConnectionPlace) {
    drop(WatchedResponse::new(Body::empty(), place.activity.clone()));
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
    assert_eq!(open, places.limits.share);
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
