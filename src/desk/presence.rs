//! The standalone postmen that a node hears of: their last calls, and the gateways they send to.
//!
//! Each node knows those that call it, and tells the leader; so the leader knows all. This is for people
//! only: no rule of sending depends on it, and it is lost with the process.

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::calls::Call;

/// Time after which a postman that does not call is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(3_600);
/// The most postmen that are remembered: names are the callers' own.
const MOST: usize = 10_000;

/// A standalone postman, as a node last heard of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostmanSight {
    /// Name of the postman.
    pub name: String,
    /// Milliseconds since its last call.
    pub ago_ms: u64,
    /// Hash of the gateway and account that it sends to, once it has told.
    pub gateway: Option<u64>,
}

/// The postmen that a node has heard of.
#[derive(Default)]
pub(super) struct Presence {
    heard: Mutex<BTreeMap<String, Heard>>,
    /// Hash of the gateway that this node sends to; unset if it does not send.
    own_gateway: OnceLock<u64>,
}

#[derive(Clone, Copy)]
struct Heard {
    at: Instant,
    gateway: Option<u64>,
    /// False if only another node has told of it.
    calls_here: bool,
}

impl Presence {
    /// Notes the gateway that this node's own postman sends to.
    pub(super) fn send_to(&self, gateway: u64) {
        // Once: the gateway of a process stays the same.
        let _ = self.own_gateway.set(gateway);
    }

    /// True if a gateway is that of this node; `None` if this node does not send.
    pub(super) fn is_own(&self, gateway: u64) -> Option<bool> {
        let own = self.own_gateway.get()?;
        Some(*own == gateway)
    }

    /// Notes a call of a postman.
    pub(super) fn note(&self, name: &str, call: &Call) {
        let told = gateway_of(call);
        let mut heard = self.heard.lock();
        let before = heard.get(name).copied();
        let gateway = told.or(before.and_then(|before| before.gateway));

        let now = Heard {
            at: Instant::now(),
            gateway,
            calls_here: true,
        };
        keep(&mut heard, name, now);
        drop(heard);

        // One line for each change: it tells the same with every call.
        if before.and_then(|before| before.gateway) != gateway {
            self.warn_of_other(name, gateway);
        }
    }

    fn warn_of_other(&self, name: &str, gateway: Option<u64>) {
        if gateway.and_then(|gateway| self.is_own(gateway)) == Some(false) {
            tracing::warn!(
                "the postman `{name}` sends to another gateway or account than this node: \
                 make the URL, and the token or the profile's secrets, the same on both"
            );
        }
    }

    /// Takes in what another node has heard.
    pub(super) fn merge(&self, sights: Vec<PostmanSight>) {
        let now = Instant::now();
        let mut heard = self.heard.lock();
        for sight in sights {
            let ago = Duration::from_millis(sight.ago_ms);
            let at = now.checked_sub(ago).unwrap_or(now);
            let known = heard.get(&sight.name);
            if known.is_none_or(|known| known.at < at) {
                let other = Heard {
                    at,
                    gateway: sight.gateway,
                    calls_here: false,
                };
                keep(&mut heard, &sight.name, other);
            }
        }
    }

    /// All postmen that were heard of lately, by name.
    pub(super) fn all(&self) -> Vec<PostmanSight> {
        self.sights(|_| true)
    }

    /// Those that call this node itself.
    pub(super) fn own(&self) -> Vec<PostmanSight> {
        self.sights(|heard| heard.calls_here)
    }

    fn sights(&self, wanted: impl Fn(&Heard) -> bool) -> Vec<PostmanSight> {
        let mut heard = self.heard.lock();
        heard.retain(|_, heard| heard.at.elapsed() < FORGOTTEN);

        let found = heard.iter().filter(|(_, heard)| wanted(heard));
        found
            .map(|(name, heard)| PostmanSight {
                name: name.clone(),
                ago_ms: heard.at.elapsed().as_millis() as u64,
                gateway: heard.gateway,
            })
            .collect()
    }
}

fn keep(heard: &mut BTreeMap<String, Heard>, name: &str, now: Heard) {
    if let Some(known) = heard.get_mut(name) {
        *known = now;
    } else if heard.len() < MOST {
        heard.insert(name.to_owned(), now);
    }
}

/// The gateway that a call tells of.
fn gateway_of(call: &Call) -> Option<u64> {
    match call {
        Call::Ask { gateway, .. }
        | Call::Declare { gateway, .. }
        | Call::Wait { gateway, .. }
        | Call::CompareGateway(gateway) => Some(*gateway),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_latest_word_of_a_postman_counts_and_an_old_one_is_forgotten() {
        let presence = Presence::default();
        presence.note("p", &Call::CompareGateway(7));
        tokio::time::advance(Duration::from_secs(10)).await;
        presence.note("p", &Call::Left(notty_storage::model::Epoch(1)));
        let sight = |name: &str, ago_ms, gateway| PostmanSight {
            name: name.to_owned(),
            ago_ms,
            gateway,
        };
        assert_eq!(presence.all(), [sight("p", 0, Some(7))]);

        // Another node heard of one earlier, and of a second one.
        presence.merge(vec![sight("p", 500, Some(8)), sight("q", 500, None)]);
        let both = [sight("p", 0, Some(7)), sight("q", 500, None)];
        assert_eq!(presence.all(), both);
        assert_eq!(
            presence.own(),
            both[..1],
            "it passes on only what it heard itself"
        );

        tokio::time::advance(FORGOTTEN).await;
        assert_eq!(presence.all(), []);
        assert_eq!(presence.is_own(7), None);
        presence.send_to(7);
        assert_eq!(
            (presence.is_own(7), presence.is_own(8)),
            (Some(true), Some(false))
        );
    }
}
