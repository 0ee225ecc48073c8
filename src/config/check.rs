//! The checks of values, by what the process needs: a node, or a postman by itself.
//!
//! A type excludes what it can; here is the rest: limits, and values that contradict each other. The
//! first fault is returned. The section `[cluster]` is checked in [`check_cluster`].
//!
//! [`check_cluster`]: super::check_cluster

use std::{net::SocketAddr, ops::RangeInclusive};

use jiff::tz::TimeZone;
use notty_storage::{
    limits,
    model::{PostmanName, ZoneName},
};

use super::{Config, ConfigError, TokenConfig, check_cluster};

/// The part of a lease beyond the time of one request that is needed for waiting and for the report,
/// in milliseconds.
const LEASE_SPARE_MS: u64 = 2_000;
/// The shortest token of the API, in bytes.
const TOKEN_BYTES: usize = 8;

impl Config {
    /// Checks the configuration as a node needs it; or as a postman by itself does, if it is for one
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
        check_timezone(&self.node.timezone)?;

        if self.node.data_dir.as_os_str().is_empty() {
            let fault = "must name a directory, like `data`";
            return Err(ConfigError::at("node.data_dir", fault));
        }
        within("node.compact_log_mb", self.node.compact_log_mb, 1..=65_536)?;

        self.check_api()?;
        if let Some(cluster) = &self.cluster {
            check_cluster::check(cluster)?;
        }
        // After both, because it compares two addresses that are valid by themselves.
        self.check_ports()?;
        self.check_retention()?;
        self.check_sending()
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

    /// Checks the configuration as a postman by itself needs it.
    pub fn check_postman(&self) -> Result<(), ConfigError> {
        self.check_peers()?;

        // No default: the cluster takes a newer postman of the same name for a replacement, and the older
        // one sends nothing more.
        let name = &self.postman.name;
        if name.is_empty() {
            let fault = "`notty postman` needs a name that no other postman and no node has; in a \
                         container use the host name (NOTTY_POSTMAN__NAME)";
            return Err(ConfigError::at("postman.name", fault));
        }

        let Some(cluster) = &self.cluster else {
            let fault = "set cluster.postman_secret or cluster.secret to the value of the nodes, or set \
                         cluster.tls";
            return Err(ConfigError::at("cluster.secret", fault));
        };
        check_cluster::check_postman_name(cluster, name)?;
        check_cluster::check_postman_secrets(cluster)?;
        self.check_sending()
    }

    fn check_peers(&self) -> Result<(), ConfigError> {
        let peers = &self.postman.peers;
        if peers.is_empty() {
            let fault = "`notty postman` needs peer addresses of its cluster's nodes, like \
                         [\"10.0.0.1:7080\"]; a node without a [cluster] section has no peer address: \
                         give it one that names only itself, with expect = 1";
            return Err(ConfigError::at("postman.peers", fault));
        }
        for (n, peer) in peers.iter().enumerate() {
            check_host_and_port(&format!("postman.peers[{n}]"), peer)?;
        }
        Ok(())
    }

    /// Checks what every postman needs, on a node or by itself.
    fn check_sending(&self) -> Result<(), ConfigError> {
        self.check_gateway()?;
        self.check_lease()?;
        self.check_retry()?;

        let name = &self.postman.name;
        if !name.is_empty() {
            PostmanName::parse(name)
                .map_err(|invalid| ConfigError::at("postman.name", invalid.detail))?;
        }
        Ok(())
    }

    fn check_gateway(&self) -> Result<(), ConfigError> {
        let gateway = &self.gateway;
        let concurrency = gateway.concurrency as u64;
        within("gateway.concurrency", concurrency, 1..=10_000)?;
        let connect_ms = gateway.connect_timeout_ms;
        within("gateway.connect_timeout_ms", connect_ms, 1..=60_000)?;
        within("gateway.timeout_ms", gateway.timeout_ms, 1..=300_000)?;
        let idle_ms = gateway.idle_timeout_ms;
        within("gateway.idle_timeout_ms", idle_ms, 0..=3_600_000)?;

        let hours = gateway.idempotent_hours;
        within("gateway.idempotent_hours", hours, 1..=8_760)?;
        self.check_unsure_statuses()
    }

    /// Rejects a number that no answer can have. The status that was meant would be missing, and an answer
    /// with it would count as not taken: the message would be sent again.
    fn check_unsure_statuses(&self) -> Result<(), ConfigError> {
        let is_status = |status: &u16| (100..600).contains(status);
        let mut statuses = self.gateway.unsure_statuses.iter();
        let Some(wrong) = statuses.find(|status| !is_status(status)) else {
            return Ok(());
        };
        let fault = format!("{wrong} is not an HTTP status, which has three digits");
        Err(ConfigError::at("gateway.unsure_statuses", fault))
    }

    fn check_lease(&self) -> Result<(), ConfigError> {
        let size = u64::from(self.lease.size);
        within("lease.size", size, 1..=limits::LEASE_MESSAGES.into())?;
        let ttl_ms = self.lease.ttl_ms;
        within("lease.ttl_ms", ttl_ms, 1_000..=limits::LEASE_TTL_MS)?;
        self.check_lease_has_time()
    }

    /// Rejects a lease that is too short for one request: a postman begins nothing that might not end
    /// within the lease, and so would never send.
    fn check_lease_has_time(&self) -> Result<(), ConfigError> {
        let ttl_ms = self.lease.ttl_ms;
        let request_ms = self.gateway.connect_timeout_ms + self.gateway.timeout_ms;
        let needed = request_ms + LEASE_SPARE_MS;
        if ttl_ms >= needed {
            return Ok(());
        }
        let fault = format!(
            "{ttl_ms} is too short: it must be at least gateway.connect_timeout_ms + \
             gateway.timeout_ms + 2000, which is {needed}"
        );
        Err(ConfigError::at("lease.ttl_ms", fault))
    }

    fn check_retry(&self) -> Result<(), ConfigError> {
        let initial_ms = self.retry.initial_ms;
        within("retry.initial_ms", initial_ms, 1..=limits::RETRY_PAUSE_MS)?;
        let range = initial_ms..=limits::RETRY_PAUSE_MS;
        within("retry.max_ms", self.retry.max_ms, range)
    }

    /// Rejects one port for both peers and clients.
    fn check_ports(&self) -> Result<(), ConfigError> {
        let listen = self.cluster.as_ref().map(|cluster| &cluster.listen);
        let Some(peers) = listen.and_then(|listen| listen.parse::<SocketAddr>().ok()) else {
            return Ok(());
        };
        let api = self.api_address()?;

        // With port 0 the system chooses a free one.
        if peers.port() == 0 || peers.port() != api.port() || !shares_address(peers, api) {
            return Ok(());
        }
        let fault = format!("{peers} conflicts with api.listen, {api}; use another port for peers");
        Err(ConfigError::at("cluster.listen", fault))
    }

    fn check_api(&self) -> Result<(), ConfigError> {
        let listen = &self.api.listen;
        let address: SocketAddr = listen.parse().map_err(|_| {
            let fault = format!("`{listen}` is not an IP address and port, like 127.0.0.1:8080");
            ConfigError::at("api.listen", fault)
        })?;

        // Without tokens only the Host of a request is checked, which any program can set as it likes.
        if self.api.tokens.is_empty() && !address.ip().is_loopback() {
            let fault = format!(
                "{listen} can be reached from other machines, but the API has no token; set \
                 api.tokens, or listen on 127.0.0.1"
            );
            return Err(ConfigError::at("api.listen", fault));
        }

        check_tokens(&self.api.tokens)
    }
}

/// True if the same port cannot be taken at both. An address like 0.0.0.0 stands for all addresses of
/// the machine.
fn shares_address(one: SocketAddr, other: SocketAddr) -> bool {
    one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified()
}

fn check_tokens(tokens: &[TokenConfig]) -> Result<(), ConfigError> {
    for (n, token) in tokens.iter().enumerate() {
        // The faults name the entry, and never the token: they end up in logs.
        let key = format!("api.tokens[{n}].token");
        if token.token.expose().len() < TOKEN_BYTES {
            let fault = format!("a token must have at least {TOKEN_BYTES} characters");
            return Err(ConfigError::at(&key, fault));
        }

        // A token is all that shows the caller's name and role.
        if tokens[..n].iter().any(|other| other.token == token.token) {
            let fault = "an earlier entry has the same token; each needs its own";
            return Err(ConfigError::at(&key, fault));
        }
    }
    Ok(())
}

fn check_timezone(name: &str) -> Result<(), ConfigError> {
    // The state takes fewer characters than the time zone database.
    if ZoneName::parse(name).is_ok() && TimeZone::get(name).is_ok() {
        return Ok(());
    }
    let fault = format!("`{name}` is not an IANA time zone, like Europe/Moscow");
    Err(ConfigError::at("node.timezone", fault))
}

/// Rejects an address without a host or a port. The host need not be known yet.
pub(super) fn check_host_and_port(key: &str, address: &str) -> Result<(), ConfigError> {
    let parts = address.rsplit_once(':');
    if parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) {
        return Ok(());
    }
    let fault = format!("`{address}` is not a host and port, like 10.0.0.1:7080");
    Err(ConfigError::at(key, fault))
}

fn within(key: &str, value: u64, range: RangeInclusive<u64>) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    let fault = format!("{value} is not between {least} and {most}");
    Err(ConfigError::at(key, fault))
}
