//! A postman by itself, put together: no node, no storage but its journal; it leases from a cluster
//! over the peer protocol, and sends.

use std::sync::Arc;

use notty_storage::model::PostmanName;
use tokio::sync::watch;

use crate::{
    config::{Config, ConfigError},
    desk::{RemoteDesk, RemoteDeskOptions},
    gateway::Gateway,
    metrics::SendingMetrics,
    postman::{Postman, PostmanParts},
    server,
    surroundings::Surroundings,
};

/// Works until told to stop.
pub async fn run(
    config: &Config,
    surroundings: Surroundings,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    config.check_postman()?;
    let gateway = server::gateway(config, &surroundings)?;
    let credentials = server::credentials(config)?
        .ok_or_else(|| ConfigError("cluster.secret: it is required".to_owned()))?;
    let name = PostmanName::parse(&config.postman.name)
        .map_err(|invalid| ConfigError(format!("postman.name: {}", invalid.detail)))?;
    let options = RemoteDeskOptions {
        name,
        credentials,
        peers: config.postman.peers.clone(),
        transport: surroundings.transport.clone(),
    };
    let (desk, cluster) = tokio::select! {
        found = RemoteDesk::find(options) => found,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    let identity = gateway.identity(&cluster);
    let options = server::postman_options(config, &cluster, identity, surroundings.sender_threads);
    tracing::info!(
        cluster.id = cluster,
        "postman `{}` sends for the cluster of {}, journal in {}",
        config.postman.name,
        config.postman.peers.join(", "),
        options.journal_dir.display()
    );
    let parts = PostmanParts {
        desk,
        gateway: Arc::new(gateway),
        clock: surroundings.clock,
        metrics: SendingMetrics::default(),
        fatal: surroundings.fatal,
    };
    Ok(Postman::run(options, parts, stop).await?)
}
