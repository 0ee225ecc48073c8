//! The composition root of a standalone postman. It has no node, and stores nothing but its journal: it
//! leases from a cluster over the peer protocol, and sends.

mod page;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use notty_raft::Credentials;
use notty_storage::model::PostmanName;
use tokio::sync::watch;

use crate::{
    config::{Config, ConfigError},
    desk::{RemoteDesk, RemoteDeskOptions},
    metrics::PostmanMetrics,
    postman::{Postman, PostmanParts, desk::DeskError},
    server::{
        gateway::{self, ConfiguredGateway},
        options,
    },
    surroundings::Surroundings,
};

/// Time between two tries to compare the gateway with that of the nodes.
const COMPARE_AGAIN: Duration = Duration::from_secs(5);

/// Sends until it is stopped.
pub async fn run(
    config: &Config,
    surroundings: Surroundings,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    run_with_page(config, surroundings, None, stop).await
}

/// Sends until it is stopped, and serves health and metrics at an address, if there is one.
pub async fn run_with_page(
    config: &Config,
    surroundings: Surroundings,
    page: Option<SocketAddr>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    config.check_postman()?;
    let gateway = gateway::configured(config, &surroundings)?;
    let config = &gateway.within_profile(config, gateway::of_nodes_and_one(config));
    let credentials = credentials(config)?;
    let metrics = Arc::new(PostmanMetrics::new(credentials.certificate_expires_at()));
    let desk_options = desk_options(config, &surroundings, credentials, &metrics)?;

    // Health is answered from now on, however long no cluster is found.
    if let Some(address) = page {
        let clock = surroundings.clock.clone();
        let transport = &surroundings.transport;
        page::open(address, transport, clock, metrics.clone(), stop.clone()).await?;
    }

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

    let comparing = compare_gateway(desk.clone(), identity, config.gateway_section());
    let comparing = tokio::spawn(comparing);
    let parts = PostmanParts {
        desk,
        gateway: Arc::new(()),
        clock: surroundings.clock,
        metrics: metrics.sending.clone(),
        fatal: surroundings.fatal,
    };
    let sent = match gateway {
        ConfiguredGateway::Own(gateway) => Postman::run(options, parts.at(*gateway), stop).await,
        ConfiguredGateway::Provider { gateway, .. } => {
            Postman::run(options, parts.at(*gateway), stop).await
        }
    };
    comparing.abort();
    Ok(sent?)
}

/// Compares the gateway with that of a node once, and warns if they differ: a message in doubt at one is
/// not repeated at the other.
async fn compare_gateway(desk: Arc<RemoteDesk>, identity: u64, section: &'static str) {
    loop {
        match desk.compare_gateway(identity).await {
            Ok(Some(false)) => {
                tracing::warn!(
                    "this postman sends to another gateway or account than the nodes of its cluster: \
                     make the address and the secrets of {section} the same on both"
                );
                return;
            }
            // The same; or the node does not send, or is of a version that cannot tell.
            Ok(_) | Err(DeskError::Refused(_)) => return,
            Err(_) => tokio::time::sleep(COMPARE_AGAIN).await,
        }
    }
}

fn credentials(config: &Config) -> Result<Credentials, ConfigError> {
    options::credentials(config)?
        .ok_or_else(|| ConfigError("cluster.secret: it is required".to_owned()))
}

fn desk_options(
    config: &Config,
    surroundings: &Surroundings,
    credentials: Credentials,
    metrics: &PostmanMetrics,
) -> Result<RemoteDeskOptions, ConfigError> {
    let name = PostmanName::parse(&config.postman.name)
        .map_err(|invalid| ConfigError(format!("postman.name: {}", invalid.detail)))?;
    Ok(RemoteDeskOptions {
        name,
        credentials,
        peers: config.postman.peers.clone(),
        transport: surroundings.transport.clone(),
        standing: metrics.sending.standing.clone(),
    })
}
