//! The sections of the configuration with their defaults, in the order of `config.toml.example`.
//!
//! A default has its value here and in the example; a test compares the two. The limits of values are
//! in [`check`](super::check).

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::Secret;
use crate::gateway::GatewayOptions;

/// `[node]`: the node itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Directory of the log, the state and the journal.
    pub data_dir: PathBuf,
    /// The time zone of customers without one of their own, an IANA name.
    pub timezone: String,
    /// Length of the log since the last snapshot at which a new one is written, in MiB.
    pub compact_log_mb: u64,
    /// Base of the URL at which gateways reach the cluster with receipts; empty: none are asked for.
    pub public_url: String,
}

impl NodeConfig {
    /// Length of the log at which a snapshot is written, in bytes.
    pub fn compact_bytes(&self) -> u64 {
        self.compact_log_mb * 1024 * 1024
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            data_dir: "data".into(),
            timezone: "UTC".into(),
            compact_log_mb: 64,
            public_url: String::new(),
        }
    }
}

/// `[api]`: the HTTP API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Address and port that the API listens on.
    pub listen: String,
    /// Tokens of callers; without any, the API is open, and may listen on loopback only.
    pub tokens: Vec<TokenConfig>,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            tokens: Vec::new(),
        }
    }
}

/// One token of the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Name of its owner, which appears in logs.
    pub name: String,
    /// The token itself, a secret.
    pub token: Secret,
    /// The role that it gives.
    pub role: Role,
}

/// The role of a token. Each role may do all that the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May read everything but backups.
    Reader,
    /// May also write customers and mailings.
    Operator,
    /// May also make backups and change the cluster.
    Admin,
}

impl Role {
    /// The name of the role, as in `[api] tokens`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// `[gateway]`: the SMS gateway, and how it is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Base of the URL: a message is sent to `{url}/{id}`.
    pub url: String,
    /// Token that is sent as `Authorization: Bearer {token}`.
    pub token: Secret,
    /// The most requests that one postman has in flight.
    pub concurrency: usize,
    /// Messages a second over the whole cluster; 0 means no limit.
    pub rate_limit: u32,
    /// Time for connecting, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Time from the first byte written to the complete answer, in milliseconds.
    pub timeout_ms: u64,
    /// Longest idle time of a connection that is used again, in milliseconds; 0: none is.
    pub idle_timeout_ms: u64,
    /// Statuses of answers that do not show if the message was taken.
    pub unsure_statuses: Vec<u16>,
    /// True if the gateway drops a message id that it has seen before.
    pub idempotent: bool,
    /// Hours for which an idempotent gateway remembers an id.
    pub idempotent_hours: u64,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:9090/v1/send".into(),
            token: Secret::default(),
            concurrency: 256,
            rate_limit: 0,
            connect_timeout_ms: 2_000,
            timeout_ms: 10_000,
            idle_timeout_ms: 30_000,
            unsure_statuses: vec![408, 502, 504, 520, 521, 522, 523, 524, 598, 599],
            idempotent: false,
            idempotent_hours: 24,
        }
    }
}

impl GatewayConfig {
    /// The options of the gateway's client.
    pub fn options(&self) -> GatewayOptions {
        GatewayOptions {
            url: self.url.clone(),
            token: self.token.expose().to_owned(),
            connect_timeout: Duration::from_millis(self.connect_timeout_ms),
            timeout: Duration::from_millis(self.timeout_ms),
            idle_timeout: Duration::from_millis(self.idle_timeout_ms),
            unsure_statuses: self.unsure_statuses.clone(),
        }
    }
}

/// `[postman]`: sending from this process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostmanConfig {
    /// True if this node also sends.
    pub enabled: bool,
    /// Name of the postman; empty means that of the node.
    pub name: String,
    /// Directory of the journal; empty means one in the data directory.
    pub journal_dir: PathBuf,
    /// Peer addresses of the cluster, for a standalone postman.
    pub peers: Vec<String>,
}

impl Default for PostmanConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            name: String::new(),
            journal_dir: PathBuf::new(),
            peers: Vec::new(),
        }
    }
}

/// `[lease]`: size and length of leases.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeaseConfig {
    /// The most messages of one lease.
    pub size: u16,
    /// Length of a lease, in milliseconds.
    pub ttl_ms: u64,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self {
            size: 1_000,
            ttl_ms: 30_000,
        }
    }
}

/// `[retry]`: pauses between tries of a message.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// The first pause, in milliseconds; each further one is twice as long.
    pub initial_ms: u64,
    /// The longest pause, in milliseconds.
    pub max_ms: u64,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            initial_ms: 1_000,
            max_ms: 300_000,
        }
    }
}

/// `[retention]`: the time for which messages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days for which messages of finished mailings are kept.
    pub finished_days: f64,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            finished_days: 90.0,
        }
    }
}

impl RetentionConfig {
    /// Time for which messages of finished mailings are kept, in milliseconds.
    pub fn finished_ms(&self) -> i64 {
        (self.finished_days * 86_400_000.0) as i64
    }
}

/// `[moderation]`: the check for explicit language.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModerationConfig {
    /// True if texts with explicit language are rejected.
    pub enabled: bool,
    /// File with further roots of words, one a line; empty means none.
    pub words_file: PathBuf,
}

impl Default for ModerationConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            words_file: PathBuf::new(),
        }
    }
}

/// `[cluster]`: the cluster that this node or postman belongs to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterConfig {
    /// Address and port that the node listens on for its peers.
    pub listen: String,
    /// Secret by which nodes prove that they belong to the cluster.
    pub secret: Secret,
    /// Secret for standalone postmen, which opens less; empty means that they need `secret`.
    pub postman_secret: Secret,
    /// Name of this node.
    pub name: String,
    /// Least number of nodes that form the cluster; all that are listed must be there.
    pub expect: u32,
    /// Certificates for mutual TLS between peers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<PeerTlsConfig>,
    /// The nodes of the cluster.
    pub nodes: Vec<PeerConfig>,
}

/// `[cluster.tls]`: certificates for mutual TLS between peers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerTlsConfig {
    /// File with this node's certificate.
    pub cert: PathBuf,
    /// File with the certificate's key.
    pub key: PathBuf,
    /// File with the certificate of the authority that signs all peers.
    pub ca: PathBuf,
}

/// `[[cluster.nodes]]`: one node of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// Name of the node.
    pub name: String,
    /// Address for its peers: host and port.
    pub peer: String,
    /// URL for its clients.
    pub api: String,
}
