//! The checks of values, by what the process needs: a node, or a standalone postman.
//!
//! A type excludes what it can; here is the rest: limits, and values that contradict each other. All
//! faults are returned. The larger sections have files of their own: [`check_api`], [`check_cluster`] and
//! [`check_gateway`].
//!
//! [`check_api`]: super::check_api
//! [`check_cluster`]: super::check_cluster
//! [`check_gateway`]: super::check_gateway

use std::{collections::BTreeMap, net::SocketAddr};

use jiff::tz::TimeZone;
use notty_storage::{
    limits,
    model::{PostmanName, ZoneName},
};

use super::{
    Config, ConfigError, FaultList, check_api, check_cluster, check_gateway, check_gateways,
    upkeep,
    values::{check_peer_address, within},
};
use crate::address::HttpUrl;

/// The part of a lease beyond the time of one request that is needed for waiting and for the report,
/// in milliseconds.
const LEASE_SPARE_MS: u64 = 2_000;

impl Config {
    /// Checks the configuration as a node needs it; or as a standalone postman does, if it is for one
    /// and cannot be for a node.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.is_for_postman() {
            self.check_postman()
        } else {
            self.check_node()
        }
    }

    fn is_for_postman(&self) -> bool {
        let Some(cluster) = &self.cluster else {
            return false;
        };
        !self.postman.peers.is_empty() && cluster.listen.is_empty() && cluster.nodes.is_empty()
    }

    /// Checks the configuration as a node needs it.
    pub fn check_node(&self) -> Result<(), ConfigError> {
        let mut faults = FaultList::default();
        faults.take(check_timezone(&self.node.timezone));

        if self.node.data_dir.as_os_str().is_empty() {
            faults.add("node.data_dir", "must name a directory, like `data`");
        }
        let compact_mb = self.node.compact_log_mb;
        faults.take(within("node.compact_log_mb", compact_mb, 1..=65_536));

        faults.take(check_public_url(&self.node.public_url));

        faults.take(check_api::check(&self.api));
        if let Some(cluster) = &self.cluster {
            faults.take(check_cluster::check(cluster, &self.postman.name));
        }
        faults.take(self.check_ports());
        faults.take(self.check_retention());
        if let Some(backup) = &self.backup {
            faults.take(upkeep::check_backup(backup));
        }

        // A node may have peers for `notty postman` in its file; they must be right all the same.
        faults.take(check_peers(&self.postman.peers));
        faults.take(self.check_sending());
        faults.finish()
    }

    fn check_retention(&self) -> Result<(), ConfigError> {
        let days = self.retention.finished_days;
        // Rejects `nan` too, which TOML takes for a number: no range contains it.
        if (0.0..=36_500.0).contains(&days) {
            return Ok(());
        }
        let fault = format!("{days} is not between 0 and 36500");
        Err(ConfigError::at("retention.finished_days", fault))
    }

    /// Checks the configuration as a standalone postman needs it.
    pub fn check_postman(&self) -> Result<(), ConfigError> {
        let mut faults = FaultList::default();
        if self.postman.peers.is_empty() {
            let fault = "`notty postman` needs peer addresses of its cluster's nodes, like \
                         [\"10.0.0.1:7080\"]; a node without a [cluster] section has no peer address: \
                         give it one that names only itself, with expect = 1";
            faults.add("postman.peers", fault);

            // A file without any key for a postman is for something else: one fault says so.
            if self.postman.name.is_empty() && self.cluster.is_none() {
                return faults.finish();
            }
        }
        faults.take(check_peers(&self.postman.peers));

        // No default: the cluster takes a newer postman of the same name for a replacement, and the older
        // one sends nothing more.
        let name = &self.postman.name;
        if name.is_empty() {
            let fault = "`notty postman` needs a name that no other postman and no node has; in a \
                         container use the host name (NOTTY_POSTMAN__NAME)";
            faults.add("postman.name", fault);
        }

        if let Some(cluster) = &self.cluster {
            faults.take(check_cluster::check_postman_name(cluster, name));
            faults.take(check_cluster::check_postman_secrets(cluster));
        } else {
            let fault = "set cluster.postman_secret or cluster.secret to the value of the nodes, or set \
                         cluster.tls";
            faults.add("cluster.secret", fault);
        }
        faults.take(self.check_sending());
        faults.finish()
    }

    /// Checks what every postman needs, on a node or by itself.
    fn check_sending(&self) -> Result<(), ConfigError> {
        let mut faults = FaultList::default();
        faults.take(check_gateway::check(&self.gateway));
        faults.take(check_gateways::check(&self.gateways));
        faults.take(self.check_lease());
        faults.take(self.check_retry());

        let name = &self.postman.name;
        if !name.is_empty() {
            let parsed = PostmanName::parse(name);
            faults.take(parsed.map_err(|invalid| ConfigError::at("postman.name", invalid.detail)));
        }
        faults.finish()
    }

    fn check_lease(&self) -> Result<(), ConfigError> {
        let mut faults = FaultList::default();
        let size = u64::from(self.lease.size);
        faults.take(within(
            "lease.size",
            size,
            1..=limits::LEASE_MESSAGES.into(),
        ));

        let ttl_ms = self.lease.ttl_ms;
        let in_range = within("lease.ttl_ms", ttl_ms, 1_000..=limits::LEASE_TTL_MS);
        if faults.take(in_range).is_some() {
            faults.take(self.check_lease_has_time());
        }
        faults.finish()
    }

    /// Rejects a lease that is too short for one request: a postman begins nothing that might not end
    /// within the lease, and so would never send.
    fn check_lease_has_time(&self) -> Result<(), ConfigError> {
        let ttl_ms = self.lease.ttl_ms;
        let terms = self.gateway_terms();
        let request_ms = terms.connect_ms.saturating_add(terms.answer_ms);
        let needed = request_ms.saturating_add(LEASE_SPARE_MS);

        // Timeouts that are out of range themselves have their own faults.
        if ttl_ms >= needed || self.check_timeouts().is_err() {
            return Ok(());
        }
        let section = self.gateway_section();
        let fault = format!(
            "{ttl_ms} is too short: it must be at least {section}.connect_timeout_ms + \
             {section}.timeout_ms + 2000, which is {needed}"
        );
        Err(ConfigError::at("lease.ttl_ms", fault))
    }

    fn check_timeouts(&self) -> Result<(), ConfigError> {
        match self.gateways.first() {
            Some(gateway) => check_gateways::check_timeouts(gateway, self.gateway_section()),
            None => check_gateway::check_timeouts(&self.gateway),
        }
    }

    fn check_retry(&self) -> Result<(), ConfigError> {
        let mut faults = FaultList::default();
        let most = limits::RETRY_PAUSE_MS;
        let initial_ms = self.retry.initial_ms;
        let initial = within("retry.initial_ms", initial_ms, 1..=most);

        // A first pause that is out of range is no measure for the longest one.
        let least = if initial.is_ok() { initial_ms } else { 1 };
        faults.take(initial);
        faults.take(within("retry.max_ms", self.retry.max_ms, least..=most));
        faults.finish()
    }

    /// Rejects one port for both peers and clients.
    fn check_ports(&self) -> Result<(), ConfigError> {
        let listen = self.cluster.as_ref().map(|cluster| &cluster.listen);
        let peers = listen.and_then(|listen| listen.parse::<SocketAddr>().ok());
        let Some((peers, api)) = peers.zip(self.api_address().ok()) else {
            // An address that cannot be read has a fault of its own.
            return Ok(());
        };

        // With port 0 the system chooses a free one.
        if peers.port() == 0 || peers.port() != api.port() || !shares_address(peers, api) {
            return Ok(());
        }
        let fault = format!("{peers} conflicts with api.listen, {api}; use another port for peers");
        Err(ConfigError::at("cluster.listen", fault))
    }
}

/// True if the same port cannot be taken at both. An address like 0.0.0.0 stands for all addresses of
/// the machine.
fn shares_address(one: SocketAddr, other: SocketAddr) -> bool {
    one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified()
}

/// Checks the address that gateways are told. They may reach it through a proxy, with a path before it.
fn check_public_url(url: &str) -> Result<(), ConfigError> {
    if url.is_empty() {
        return Ok(());
    }
    let fault = match HttpUrl::parse(url) {
        Ok(_) => return Ok(()),
        // A password in it must not be shown.
        Err(fault) if url.contains('@') => format!("the URL {fault}"),
        Err(fault) => format!("`{url}` {fault}"),
    };
    Err(ConfigError::at("node.public_url", fault))
}

fn check_timezone(name: &str) -> Result<(), ConfigError> {
    // The state takes fewer characters than the time zone database.
    if ZoneName::parse(name).is_ok() && TimeZone::get(name).is_ok() {
        return Ok(());
    }
    let fault = format!("`{name}` is not an IANA time zone, like Europe/Moscow");
    Err(ConfigError::at("node.timezone", fault))
}

/// Checks the addresses under which a standalone postman looks for the cluster.
fn check_peers(peers: &[String]) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    let mut seen = BTreeMap::new();
    for (n, peer) in peers.iter().enumerate() {
        let key = format!("postman.peers[{n}]");
        let Some(address) = faults.take(check_peer_address(&key, peer)) else {
            continue;
        };
        if let Some(first) = seen.insert((address.host, address.port), n) {
            faults.add(
                &key,
                format!("`{peer}` is postman.peers[{first}] once more"),
            );
        }
    }
    faults.finish()
}
