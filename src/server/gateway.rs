//! The gateway of the configuration, of whichever kind: one that speaks the service's own protocol, or one
//! at a provider. The kind is asked for once, at the start; from then on each has its own code.

use std::path::Path;

use crate::{
    config::{Config, ConfigError, ProviderConfig, check_gateways},
    gateway::{
        Gateway, HttpGateway,
        http::provider::{ProviderGateway, ProviderOptions},
        profile::{Profile, built_in, receipts::ReceiptForm},
    },
    receipts::{CallLanguage, DEFAULT_GATEWAY, ReceiptCaller},
    surroundings::Surroundings,
};

/// The gateway that a postman of this process sends to.
pub(crate) enum ConfiguredGateway {
    /// The gateway of the section `[gateway]`.
    Own(Box<HttpGateway>),
    /// The one of `[[gateways]]`.
    Provider {
        gateway: Box<ProviderGateway>,
        /// Requests in flight that the provider allows, from all postmen together.
        concurrency: Option<usize>,
        /// The calls that it makes to the addresses of messages; `None` if it is told none.
        receipts: Option<Box<ReceiptForm>>,
    },
}

impl ConfiguredGateway {
    /// The number of the gateway and the account in a cluster.
    pub(crate) fn identity(&self, cluster: &str) -> u64 {
        match self {
            Self::Own(gateway) => gateway.identity(cluster),
            Self::Provider { gateway, .. } => gateway.identity(cluster),
        }
    }

    /// The gateway as one that calls the addresses of messages; `None` if it has no receipts.
    pub(crate) fn caller(&self, config: &Config) -> Option<ReceiptCaller> {
        let language = match self {
            Self::Own(_) => CallLanguage::Own,
            Self::Provider { receipts, .. } => CallLanguage::Profile(receipts.clone()?),
        };
        let named = config.gateways.first();
        let name = named.map_or(DEFAULT_GATEWAY, |gateway| gateway.name.as_str());
        Some(ReceiptCaller {
            name: name.to_owned(),
            language,
        })
    }

    /// The configuration with no more requests in flight than are this postman's share of what the provider
    /// allows, of so many postmen. Nodes know each other by the configuration alone, and none knows standalone
    /// postmen.
    pub(crate) fn within_profile(&self, config: &Config, postmen: usize) -> Config {
        let mut config = config.clone();
        let Self::Provider {
            concurrency: Some(allowed),
            ..
        } = self
        else {
            return config;
        };

        if *allowed < postmen {
            tracing::warn!(
                "gateway `{}`: the provider allows {allowed} requests at once, and the configuration has \
                 {postmen} that send, each of them one request: the provider may decline some",
                config.gateways[0].name
            );
        }
        let share = (allowed / postmen).max(1);
        let wanted = config.gateway_terms().concurrency;
        if share < wanted {
            tracing::info!(
                "gateway `{}`: {share} requests at once, not {wanted}: the provider allows {allowed} in \
                 all, and the configuration has {postmen} that send",
                config.gateways[0].name
            );
        }
        config.lower_concurrency(share);
        config
    }
}

/// The number of postmen that the configuration of a node shows: the nodes.
pub(crate) fn of_nodes(config: &Config) -> usize {
    listed_nodes(config).max(1)
}

/// The number of postmen that the configuration of a standalone postman shows: the nodes, and itself.
pub(crate) fn of_nodes_and_one(config: &Config) -> usize {
    listed_nodes(config).max(config.postman.peers.len()) + 1
}

fn listed_nodes(config: &Config) -> usize {
    let cluster = config.cluster.as_ref();
    cluster.map_or(0, |cluster| cluster.nodes.len())
}

/// Makes the gateway of a configuration.
pub(crate) fn configured(
    config: &Config,
    surroundings: &Surroundings,
) -> Result<ConfiguredGateway, ConfigError> {
    if let Some(entry) = config.gateways.first() {
        return provider(entry, surroundings);
    }
    let (connector, clock) = (surroundings.connector.clone(), surroundings.clock.clone());
    let gateway = HttpGateway::new(config.gateway.options(), connector, clock);
    let gateway = gateway.map_err(|(key, error)| ConfigError(format!("gateway.{key}: {error}")))?;
    Ok(ConfiguredGateway::Own(Box::new(gateway)))
}

fn provider(
    entry: &ProviderConfig,
    surroundings: &Surroundings,
) -> Result<ConfiguredGateway, ConfigError> {
    let section = check_gateways::section(0);
    let profile = profile(entry, &section)?;
    let concurrency = profile.concurrency();
    let receipts = profile.receipts().filter(|_| profile.asks_receipts());
    let receipts = receipts.cloned().map(Box::new);
    let options = ProviderOptions {
        profile_name: entry.profile_name(),
        profile,
        account: entry.account(&section),
        times: entry.times(),
    };

    let (connector, clock) = (surroundings.connector.clone(), surroundings.clock.clone());
    let gateway = ProviderGateway::of_profile(options, connector, clock)?;
    Ok(ConfiguredGateway::Provider {
        gateway: Box::new(gateway),
        concurrency,
        receipts,
    })
}

fn profile(entry: &ProviderConfig, section: &str) -> Result<Profile, ConfigError> {
    if !entry.profile_file.as_os_str().is_empty() {
        return read_profile(&entry.profile_file, &format!("{section}.profile_file"));
    }
    built_in::find(&entry.profile)
        .map_err(|error| ConfigError::at(&format!("{section}.profile"), error.0))
}

/// Reads a profile of a user's own, which `key` names. Each fault has the file and the line.
fn read_profile(file: &Path, key: &str) -> Result<Profile, ConfigError> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| ConfigError::at(key, format!("{name}: {error}")))?;
    Profile::parse(&text).map_err(|faults| {
        // The file is a part of each key: of several faults with one key, only the first is shown.
        let lines = faults.0.lines().map(|fault| format!("{name}, {fault}"));
        ConfigError(lines.collect::<Vec<_>>().join("\n"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClusterConfig, PeerConfig};

    #[test]
    fn a_standalone_postman_counts_itself_beside_the_nodes() {
        let alone = Config::default();
        assert_eq!((of_nodes(&alone), of_nodes_and_one(&alone)), (1, 1));
        let mut config = Config::default();
        config.postman.peers = vec!["h:1".to_owned(); 2];
        assert_eq!(of_nodes_and_one(&config), 3);

        config.cluster = Some(ClusterConfig {
            nodes: vec![PeerConfig::default(); 3],
            ..ClusterConfig::default()
        });
        assert_eq!((of_nodes(&config), of_nodes_and_one(&config)), (3, 4));
    }
}
