//! The configuration: a mirror of `config.toml.example`, its defaults, and the limits of its values.
//!
//! Every key is optional. A key may be overridden by an environment variable: `NOTTY_` and its path
//! in capitals, with `__` between levels. Errors name the key by its path.
//!
//! [`sections`] has the keys. [`settings`] reads a file and the environment: [`parse`] and [`environment`]
//! try each value in its place in the [`shape`], and [`sources`] remembers the place that it came from.
//! [`check`] rejects values that a type cannot exclude, and [`advice`] names those that work but should be changed. All faults are found at once.

pub mod sections;

mod advice;
mod check;
mod check_api;
mod check_cluster;
mod check_gateway;
pub(crate) mod check_gateways;
mod environment;
mod fault;
pub mod gateways;
mod parse;
mod path;
mod placeholder;
mod secret;
mod settings;
mod shape;
mod sources;
mod terms;
pub mod upkeep;
mod values;
mod wording;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub(crate) use self::fault::FaultList;
pub use self::{
    environment::NamedValue,
    fault::ConfigError,
    gateways::{ProviderConfig, SpanLimitConfig},
    secret::Secret,
    sections::{
        ApiConfig, ClusterConfig, GatewayConfig, LeaseConfig, ModerationConfig, NodeConfig,
        PeerConfig, PeerTlsConfig, PostmanConfig, RetentionConfig, RetryConfig, Role, TokenConfig,
    },
    settings::{Settings, stray_variables},
    terms::GatewayTerms,
    upkeep::{BackupConfig, MetricsConfig},
};

/// The file that is read if none is named and this one exists.
pub const DEFAULT_FILE: &str = "config.toml";

/// The whole configuration of a node, or of a standalone postman.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Directory, time zone and log of the node.
    pub node: NodeConfig,
    /// Address and tokens of the HTTP API.
    pub api: ApiConfig,
    /// The SMS gateway, and how it is used.
    pub gateway: GatewayConfig,
    /// Gateways at providers, instead of `[gateway]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<ProviderConfig>,
    /// Sending from this process.
    pub postman: PostmanConfig,
    /// Size and length of leases.
    pub lease: LeaseConfig,
    /// Pauses between tries of a message.
    pub retry: RetryConfig,
    /// Time for which messages are kept.
    pub retention: RetentionConfig,
    /// The check for explicit language.
    pub moderation: ModerationConfig,
    /// Access to the metrics.
    pub metrics: MetricsConfig,
    /// Backups by themselves; absent on a node that makes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupConfig>,
    /// The cluster; absent on a node by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterConfig>,
}

impl Config {
    /// The address that the API listens on.
    pub fn api_address(&self) -> Result<SocketAddr, ConfigError> {
        let listen = &self.api.listen;
        listen
            .parse()
            .map_err(|_| ConfigError::at("api.listen", format!("`{listen}` is not an address")))
    }
}
