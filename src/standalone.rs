//! The composition root of a postman by itself. It has no node, and stores nothing but its journal: it
//! leases from a cluster over the peer protocol, and sends.

use std::sync::Arc;

use notty_storage::model::PostmanName;
use tokio::sync::watch;

use crate::{
    config::{Config, ConfigError},
    desk::{RemoteDesk, RemoteDeskOptions},
    gateway::Gateway,
    metrics::SendingMetrics,
    postman::{Postman, PostmanParts},
    server::options,
    surroundings::Surroundings,
};

/// Sends until it is stopped.
pub async fn run(
    config: &Config,
    surroundings: Surroundings,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    config.check_postman()?;
    let gateway = options::gateway(config, &surroundings)?;
    let desk_options = desk_options(config, &surroundings)?;

    // Waits for as long as no node of the cluster answers.
    let (desk, cluster) = tokio::select! {
        found = RemoteDesk::find(desk_options) => found,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };

    let identity = gateway.identity(&cluster);
    let options = options::postman(config, &cluster, identity, surroundings.sender_threads);
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

fn desk_options(
    config: &Config,
    surroundings: &Surroundings,
) -> Result<RemoteDeskOptions, ConfigError> {
    let credentials = options::credentials(config)?
        .ok_or_else(|| ConfigError("cluster.secret: it is required".to_owned()))?;
    let name = PostmanName::parse(&config.postman.name)
        .map_err(|invalid| ConfigError(format!("postman.name: {}", invalid.detail)))?;
    Ok(RemoteDeskOptions {
        name,
        credentials,
        peers: config.postman.peers.clone(),
        transport: surroundings.transport.clone(),
    })
}
