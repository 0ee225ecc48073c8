//! The options of each part of a node, and of a standalone postman, from the configuration.
//!
//! A fault that the configuration's own checks cannot find is found here: a file that cannot be read,
//! a certificate that does not fit, a URL that is none.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notty_raft::{
    ClusterOptions, Credentials, NodeOptions, Peer, TlsFiles, Transport, log::LogOptions,
};
use notty_storage::model::PostmanName;

use super::gateway;
use crate::{
    config::{ClusterConfig, Config, ConfigError, FaultList, PeerConfig, PeerTlsConfig, Secret},
    moderation::Moderation,
    post_office::PostOfficeOptions,
    postman::{OutletOptions, PostmanOptions, retry::RetryPolicy},
    surroundings::Surroundings,
    version::COMMIT,
};

/// The name of a node by itself.
pub(super) const ALONE: &str = "notty-0";

/// The proofs of this process towards its peers: certificates if they are configured, and secrets.
/// `None` if it has no peers.
pub(crate) fn credentials(config: &Config) -> Result<Option<Credentials>, ConfigError> {
    let Some(cluster) = &config.cluster else {
        return Ok(None);
    };
    let secret = secret_bytes(&cluster.secret);
    let of_postmen = secret_bytes(&cluster.postman_secret);

    let own = match &cluster.tls {
        Some(tls) => by_certificates(cluster, tls, secret.as_deref())?,
        // A standalone postman may know no other secret than that of postmen.
        None => {
            let known = secret.or_else(|| of_postmen.clone());
            Credentials::by_secret(&known.unwrap_or_default())
        }
    };

    // Nodes check postmen by it. Only a standalone postman also proves it, by `of_postman`.
    Ok(Some(match of_postmen {
        Some(of_postmen) => own.with_postman_secret(&of_postmen),
        None => own,
    }))
}

/// The bytes of a secret; `None` if it is empty.
fn secret_bytes(secret: &Secret) -> Option<Vec<u8>> {
    let bytes = secret.expose().as_bytes();
    (!bytes.is_empty()).then(|| bytes.to_vec())
}

fn by_certificates(
    cluster: &ClusterConfig,
    tls: &PeerTlsConfig,
    secret: Option<&[u8]>,
) -> Result<Credentials, ConfigError> {
    let files = TlsFiles {
        cert: tls.cert.clone(),
        key: tls.key.clone(),
        ca: tls.ca.clone(),
    };

    // The certificate must be for the host under which the peers reach this node.
    let me = cluster.nodes.iter().find(|node| node.name == cluster.name);
    let host = me.and_then(|node| Some(node.peer.rsplit_once(':')?.0));

    Credentials::by_certificates(&files, host, secret)
        .map_err(|error| ConfigError(format!("cluster.tls.{error}")))
}

/// Finds the faults that lie outside of the configuration: in the certificates, the file of words, the
/// directories. Creates nothing.
pub(super) fn check_files(config: &Config) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    faults.take(gateway::configured(config, &Surroundings::real()));
    faults.take(credentials(config));
    faults.take(moderation(config));

    let directories = [
        ("node.data_dir", &config.node.data_dir),
        ("postman.journal_dir", &config.postman.journal_dir),
    ];
    for (key, directory) in directories {
        // A directory that is not there yet is created at the start.
        if directory.exists() && !directory.is_dir() {
            let directory = directory.display();
            faults.add(
                key,
                format!("`{directory}` is a file, but must be a directory"),
            );
        }
    }
    faults.finish()
}

/// The check for explicit language; `None` if it is switched off.
pub(super) fn moderation(config: &Config) -> Result<Option<Moderation>, ConfigError> {
    if !config.moderation.enabled {
        return Ok(None);
    }
    let further = further_words(&config.moderation.words_file)?;
    Ok(Some(Moderation::new(&further)))
}

/// The words of the configured file, beside those that are built in. An empty path means none.
fn further_words(file: &Path) -> Result<Vec<String>, ConfigError> {
    if file.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(file).map_err(|error| {
        let file = file.display();
        ConfigError(format!("moderation.words_file: {file}: {error}"))
    })?;
    Ok(words(&text))
}

/// The words of a file: one a line, without comments.
fn words(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// The name of this node.
fn node_name(config: &Config) -> &str {
    config
        .cluster
        .as_ref()
        .map_or(ALONE, |cluster| &cluster.name)
}

/// The options of the node, whose API listens on an address.
pub(super) fn node(
    config: &Config,
    address: SocketAddr,
    credentials: Option<Credentials>,
    surroundings: &Surroundings,
) -> NodeOptions {
    let configured = config.cluster.as_ref().zip(credentials);
    let cluster = configured.map(|(cluster, credentials)| {
        cluster_options(cluster, credentials, surroundings.transport.clone())
    });

    // A simulation brings options of its own: its short runs write too little for the configured size.
    let compacting = LogOptions::compacting(config.node.compact_bytes());
    NodeOptions {
        peer: peer(config, cluster.as_ref(), address),
        exercises_levels: surroundings.exercises_levels,
        cluster,
        store: surroundings.store.clone(),
        log: surroundings.log.unwrap_or(compacting),
        files: surroundings.files.clone(),
        onlooker: surroundings.onlooker.clone(),
        clock: surroundings.clock.clone(),
        fatal: surroundings.fatal.clone(),
        commit: COMMIT.to_owned(),
    }
}

/// This node's entry of the configured cluster. A node by itself has only a name and its API.
fn peer(config: &Config, cluster: Option<&ClusterOptions>, address: SocketAddr) -> Peer {
    let name = node_name(config);
    let mut nodes = cluster.into_iter().flat_map(|cluster| &cluster.nodes);
    let own = nodes.find(|peer| peer.name == name).cloned();
    own.unwrap_or_else(|| Peer {
        name: name.to_owned(),
        api: format!("http://{address}"),
        ..Peer::default()
    })
}

fn cluster_options(
    config: &ClusterConfig,
    credentials: Credentials,
    transport: Arc<dyn Transport>,
) -> ClusterOptions {
    ClusterOptions {
        listen: config.listen.clone(),
        credentials,
        expect: config.expect as usize,
        nodes: config.nodes.iter().map(configured_peer).collect(),
        transport,
    }
}

fn configured_peer(node: &PeerConfig) -> Peer {
    Peer {
        name: node.name.clone(),
        peer: node.peer.clone(),
        api: node.api.clone(),
        // Known once the node has answered.
        disk: String::new(),
    }
}

/// The options of the post office.
pub(super) fn post_office(config: &Config) -> PostOfficeOptions {
    PostOfficeOptions {
        lease_size: config.lease.size,
        lease_ttl_ms: config.lease.ttl_ms,
        rate_limit: config.gateway_terms().rate_limit,
        retention_ms: config.retention.finished_ms(),
        timezone: config.node.timezone.clone(),
    }
}

/// The options of a postman of a cluster, for the gateway of an identity.
pub(crate) fn postman(
    config: &Config,
    cluster: &str,
    gateway_identity: u64,
    threads: usize,
) -> PostmanOptions {
    let name = postman_name(config);
    PostmanOptions {
        name: PostmanName::parse(name).expect("the configuration was checked"),
        journal_dir: journal_dir(config),
        cluster: cluster.to_owned(),
        // The requests in flight are shared out over the threads: a thread without one would be idle.
        threads: threads.min(config.gateway_terms().concurrency),
        lease_size: config.lease.size,
        outlet: outlet_options(config, gateway_identity),
    }
}

/// The configured name of the postman. A node's own postman needs none: it has the name of its node.
fn postman_name(config: &Config) -> &str {
    let configured = &config.postman.name;
    if configured.is_empty() {
        node_name(config)
    } else {
        configured
    }
}

fn journal_dir(config: &Config) -> PathBuf {
    let configured = &config.postman.journal_dir;
    if configured.as_os_str().is_empty() {
        config.node.data_dir.join("journal")
    } else {
        configured.clone()
    }
}

/// The settings of one gateway, for a postman.
fn outlet_options(config: &Config, identity: u64) -> OutletOptions {
    let terms = config.gateway_terms();
    OutletOptions {
        identity,
        concurrency: terms.concurrency,
        retry: retry_policy(config),
        connect_time: Duration::from_millis(terms.connect_ms),
        answer_time: Duration::from_millis(terms.answer_ms),
    }
}

fn retry_policy(config: &Config) -> RetryPolicy {
    // Only half of the time for which the gateway remembers an id, so that no repeat comes close to
    // its end.
    let terms = config.gateway_terms();
    let repeat_ms = terms.idempotent_hours.map(|hours| hours * 3_600_000 / 2);
    RetryPolicy {
        initial_ms: config.retry.initial_ms,
        max_ms: config.retry.max_ms,
        wish_ms: terms.wish_ms,
        repeat_ms,
    }
}
