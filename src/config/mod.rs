//! The configuration: a mirror of `config.toml.example`, its defaults, and the limits of its values.
//!
//! Every key is optional. A key may be overridden by an environment variable: `NOTTY_` and its path
//! in capitals, with `__` between levels. Errors name the key by its path.
//!
//! [`sections`] has the keys, [`parse`] makes a configuration of a file and the environment, and
//! [`check`] rejects values that a type cannot exclude.

pub mod sections;

mod check;
mod check_cluster;
mod environment;
mod parse;
mod placeholder;
mod secret;
pub mod upkeep;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, path::Path};

use serde::{Deserialize, Serialize};

pub use self::{
    secret::Secret,
    sections::{
        ApiConfig, ClusterConfig, GatewayConfig, LeaseConfig, ModerationConfig, NodeConfig,
        PeerConfig, PeerTlsConfig, PostmanConfig, RetentionConfig, RetryConfig, Role, TokenConfig,
    },
    upkeep::{BackupConfig, MetricsConfig},
};

/// The file that is read if none is named and this one exists.
pub const DEFAULT_FILE: &str = "config.toml";

/// A fault of a configuration, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl ConfigError {
    /// A fault of one key, which is given by its path.
    fn at(key: &str, fault: impl AsRef<str>) -> Self {
        Self(format!("{key}: {}", fault.as_ref()))
    }
}

/// The whole configuration of a node, or of a postman by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Directory, time zone and log of the node.
    pub node: NodeConfig,
    /// Address and tokens of the HTTP API.
    pub api: ApiConfig,
    /// The SMS gateway, and how it is used.
    pub gateway: GatewayConfig,
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
    /// Reads a file, or else `config.toml` if it exists, applies the environment, and checks all.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let config = Self::read(file)?;
        config.check()?;
        Ok(config)
    }

    /// Loads the configuration of a postman by itself, which needs less.
    pub fn load_postman(file: Option<&Path>) -> Result<Self, ConfigError> {
        let config = Self::read(file)?;
        config.check_postman()?;
        Ok(config)
    }

    fn read(file: Option<&Path>) -> Result<Self, ConfigError> {
        let default = Path::new(DEFAULT_FILE);
        let path = file.unwrap_or(default);
        // A file that was named must exist; the default one need not.
        let text = if file.is_some() || default.exists() {
            read_text(path)?
        } else {
            String::new()
        };
        Self::from_parts(&path.display().to_string(), &text, std::env::vars())
    }

    /// The address that the API listens on.
    pub fn api_address(&self) -> Result<SocketAddr, ConfigError> {
        let listen = &self.api.listen;
        listen
            .parse()
            .map_err(|_| ConfigError::at("api.listen", format!("`{listen}` is not an address")))
    }
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|error| ConfigError::at(&path.display().to_string(), error.to_string()))
}
