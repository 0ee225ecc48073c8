//! The voter that should lead instead of one whose clock is wrong.

use std::cmp::Reverse;

use futures_util::future::join_all;

use super::{comparison::offset, moment::APART_MS, stamp::Stamp};
use crate::{peers::client::Peers, types::Peer};

/// Of the other voters, one whose clock agrees with most voters', and with most of them; `None` if no
/// clock does.
pub(crate) async fn find_heir<'p>(
    peers: &Peers,
    others: &'p [Peer],
    stamp: &Stamp,
) -> Option<&'p Peer> {
    let asked = others.iter().map(|peer| offset(peers, peer, stamp));
    let offsets: Vec<_> = join_all(asked)
        .await
        .into_iter()
        .map(|offset| offset.map(|offset| offset.ahead_ms))
        .collect();
    heir(&offsets).map(|at| &others[at])
}

/// Of the others, by the offsets of their clocks from this leader's, the first one that agrees with
/// most voters, itself among them.
fn heir(offsets: &[Option<i64>]) -> Option<usize> {
    // This leader's own clock is among those compared with.
    let clocks: Vec<i64> = offsets.iter().flatten().copied().chain([0]).collect();
    let agreeing = |clock: i64| {
        let is_near = |other: &&i64| (**other - clock).abs() <= APART_MS;
        clocks.iter().filter(is_near).count()
    };

    let counted = offsets
        .iter()
        .enumerate()
        .filter_map(|(at, offset)| Some((agreeing((*offset)?), at)));
    let (most, best) = counted.max_by_key(|(agreeing, at)| (*agreeing, Reverse(*at)))?;

    // Voters that did not answer count as those that disagree.
    let majority = offsets.len().div_ceil(2) + 1;
    (most >= majority).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heir_is_one_whose_clock_agrees_with_most_voters() {
        assert_eq!(heir(&[Some(-5_000), Some(-5_100)]), Some(0));
        assert_eq!(
            heir(&[Some(-5_000), None]),
            None,
            "one of three is no majority"
        );
        assert_eq!(heir(&[Some(-5_000)]), None, "one of two");
        assert_eq!(
            heir(&[Some(-5_000), Some(9_000)]),
            None,
            "each has another time"
        );
        assert_eq!(
            heir(&[Some(100), Some(9_000)]),
            Some(0),
            "this leader's counts"
        );
        assert_eq!(
            heir(&[Some(90_000), Some(-5_000), Some(-5_000), Some(-4_000)]),
            Some(1)
        );
        assert_eq!(heir(&[Some(-5_000), Some(-5_000), None, None]), None);
        assert_eq!(heir(&[]), None);
    }
}
