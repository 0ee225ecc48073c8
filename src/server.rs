//! The composition root: puts node, post office, postman and API together, and takes them apart.
//!
//! It is the only module of a node that knows all others. [`options`] makes the options of each part
//! of the configuration, [`supervision`] ends the process if a part fails, and [`own_postman`] runs
//! the node's own postman. [`gateway`] makes the gateway; [`credential_files`]
//! knows which files only systemd's unit can read.

pub(crate) mod gateway;
pub(crate) mod options;

mod credential_files;
mod own_postman;
mod supervision;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use notty_raft::{Clock, Credentials, Listener, Node, Service, TransferError, WaitingReason};
use tokio::{sync::watch, task::JoinHandle};

pub use self::credential_files::unchecked_parts;
use self::{gateway::ConfiguredGateway, supervision::Supervisor};
use crate::{
    api::{self, ApiParts, SendingCapacity, ServedRoutes, Tokens},
    backup::automatic::AutomaticBackups,
    config::{Config, ConfigError, FaultList},
    desk::{self, NodeDesk},
    gateway::Gateway,
    metrics::Metrics,
    post_office::PostOffice,
    postman::PostmanParts,
    receipts::{ReceiptCaller, ReceiptGatherer, Reception, WantedReceipts},
    surroundings::Surroundings,
};

/// Time for the postman to end its requests and to hand back the rest.
const POSTMAN_STOP: Duration = Duration::from_secs(18);

/// A running service, with all its parts.
pub struct Server {
    node: Arc<Node>,
    /// Answers peers for as long as it is kept.
    desk: Arc<NodeDesk>,
    address: SocketAddr,
    /// Stops API and postman, which bring in work; set first.
    stop_work: watch::Sender<bool>,
    /// Stops the post office; set when no work is left.
    stop_office: watch::Sender<bool>,
    postman: Option<JoinHandle<()>>,
    api: JoinHandle<()>,
    office: JoinHandle<()>,
}

impl Server {
    /// Binds, opens and starts all parts.
    pub async fn start(config: &Config, surroundings: Surroundings) -> anyhow::Result<Self> {
        // Faults of the configuration come first, before a port or a directory is taken.
        let moderation = options::moderation(config)?;
        let gateway = gateway::configured(config, &surroundings)?;
        let config = &gateway.within_profile(config, gateway::of_nodes(config));
        let credentials = options::credentials(config)?;
        let certificate = credentials.as_ref();
        let expires_at = certificate.and_then(Credentials::certificate_expires_at);

        // Health checks are answered from now on, however long the node waits for its cluster.
        let (listener, address) = listen(config, &surroundings).await?;
        let (stop_work, work_stopped) = watch::channel(false);
        let work = Supervisor::new(work_stopped, surroundings.fatal.clone());
        let waiting = WaitingReason::default();
        let routes = ServedRoutes::waiting(waiting.clone());
        let connections = surroundings.connections;
        let serve = api::serve(connections, listener, routes.clone(), work.stop());
        let api = work.spawn_endless("the API", serve);

        let node_options = options::node(config, address, credentials, &surroundings);
        let data_dir = &config.node.data_dir;
        let opened = Node::open_with_reason(data_dir, node_options, &waiting).await;
        let node = opened.map_err(|error| of_directory(data_dir, error.into()))?;
        let mut metrics = Metrics::of_node(data_dir);
        metrics.register_certificate(expires_at);
        start_backups(config, &node, &surroundings.clock, &mut metrics, &work);
        let metrics = Arc::new(metrics);
        let rounds = metrics.apply_rounds.clone();
        node.observe_applying(move |took| rounds.observe(took.as_secs_f64()));

        let office = PostOffice::new(
            node.clone(),
            surroundings.clock.clone(),
            options::post_office(config),
        );
        let desk = NodeDesk::new(node.clone(), office.clone(), &config.node.timezone);
        let caller = gateway.caller(config);
        ask_for_receipts(config, &desk, caller.as_ref());
        if config.postman.enabled {
            desk.send_to(gateway.identity(&node.identity().cluster));
        }
        tokio::spawn(desk::follow_postmen(Arc::downgrade(&desk)));
        let service: Arc<dyn Service> = desk.clone();
        node.open_service(&service);

        let postman = config.postman.enabled.then(|| {
            let parts = PostmanParts {
                desk: desk.clone(),
                gateway: Arc::new(()),
                clock: surroundings.clock.clone(),
                metrics: metrics.sending.clone(),
                fatal: surroundings.fatal.clone(),
            };
            let threads = surroundings.sender_threads;
            match gateway {
                ConfiguredGateway::Own(gateway) => {
                    start_postman(config, &node, parts.at(*gateway), &work, threads)
                }
                ConfiguredGateway::Provider { gateway, .. } => {
                    start_postman(config, &node, parts.at(*gateway), &work, threads)
                }
            }
        });

        // The post office stops later than the rest: reports of the last requests still come in.
        let (stop_office, office_stopped) = watch::channel(false);
        let last = Supervisor::new(office_stopped, surroundings.fatal.clone());
        let office = last.spawn_endless("the post office", office.run(last.stop()));

        let (gatherer, gathered) = ReceiptGatherer::new();
        let stopping = work.stop();
        work.spawn_endless("the receipts", gathered.run(node.clone(), stopping));
        let callers = caller.into_iter().collect();
        let reception = Reception::new(callers, gatherer, metrics.receipts.clone());

        let terms = config.gateway_terms();
        // With everything in place, the provisional routes give way to the real ones.
        routes.set(api::router(ApiParts {
            node: node.clone(),
            desk: desk.clone(),
            clock: surroundings.clock,
            tokens: Tokens::new(config.api.tokens.clone()),
            metrics_are_open: config.metrics.open,
            moderation,
            metrics,
            reception,
            capacity: SendingCapacity {
                rate_limit: terms.rate_limit,
                concurrency: terms.concurrency,
            },
        }));
        Ok(Self {
            node,
            desk,
            address,
            stop_work,
            stop_office,
            postman,
            api,
            office,
        })
    }

    /// The address that the API listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The node of this service.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The desk that postmen of this process ask.
    pub fn desk(&self) -> Arc<NodeDesk> {
        self.desk.clone()
    }

    /// Stops leasing, lets requests in progress end, hands back the rest, and closes cleanly.
    pub async fn stop(self) -> anyhow::Result<()> {
        // The cluster goes on under another leader while this node's own work ends.
        self.stop_work.send_replace(true);
        tokio::join!(hand_over(&self.node), end_postman(self.postman));
        let _ = self.api.await;

        // Nothing is left that needs the post office.
        self.stop_office.send_replace(true);
        let _ = self.office.await;
        self.node
            .stop()
            .await
            .context("the node could not close cleanly")
    }
}

/// Has the desk ask for receipts, if gateways can reach this cluster and the gateway sends any.
fn ask_for_receipts(config: &Config, desk: &NodeDesk, caller: Option<&ReceiptCaller>) {
    let public_url = config.node.public_url.clone();
    let caller = caller.filter(|_| !public_url.is_empty());
    let wanted = caller.map(|caller| WantedReceipts {
        public_url,
        gateway: caller.name.clone(),
    });
    if let Some(wanted) = wanted {
        desk.ask_for_receipts(wanted);
    }
}

/// Starts the backups by themselves, if they are configured.
fn start_backups(
    config: &Config,
    node: &Arc<Node>,
    clock: &Arc<dyn Clock>,
    metrics: &mut Metrics,
    work: &Supervisor,
) {
    if let Some(config) = &config.backup {
        let counters = metrics.register_backups();
        let backups = AutomaticBackups::new(config, node.clone(), clock.clone(), counters);
        work.spawn_endless("the backups", backups.run(work.stop()));
    }
}

/// Checks a configuration for a node or a standalone postman, and finds the faults too that otherwise only
/// a start would find, without starting.
pub fn check(config: &Config) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    faults.take(config.check());
    faults.take(credential_files::check_variables(config));
    let checkable = credential_files::without_unseen(config);
    faults.take(options::check_files(&checkable));
    faults.finish()
}

/// The same for a node.
pub fn check_node(config: &Config) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    faults.take(config.check_node());
    faults.take(credential_files::check_variables(config));
    faults.take(options::check_files(config));
    faults.finish()
}

/// The same for a standalone postman.
pub fn check_postman(config: &Config) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    faults.take(config.check_postman());
    faults.take(credential_files::check_variables(config));
    faults.take(options::check_files(config));
    faults.finish()
}

/// Listens for clients of the API. Returns the address too, whose port the system may have chosen.
async fn listen(
    config: &Config,
    surroundings: &Surroundings,
) -> anyhow::Result<(Box<dyn Listener>, SocketAddr)> {
    let wanted = config.api_address()?;
    let listening = surroundings.transport.listen(&wanted.to_string()).await;
    let listener =
        listening.with_context(|| {
            format!(
                "api.listen: {wanted} cannot be listened on; stop what listens there, or choose another \
                 address with --listen"
            )
        })?;
    let bound = listener.address().context("api.listen")?;
    let address = bound.parse().context("api.listen")?;
    Ok((listener, address))
}

/// An error of opening, which names the way out where the directory cannot even be made.
fn of_directory(directory: &Path, error: anyhow::Error) -> anyhow::Error {
    if directory.exists() {
        return error;
    }
    error.context(
        "node.data_dir: the directory cannot be made; name one that can be written, like --data-dir DIR",
    )
}

fn start_postman(
    config: &Config,
    node: &Arc<Node>,
    parts: PostmanParts<impl Gateway>,
    work: &Supervisor,
    threads: usize,
) -> JoinHandle<()> {
    let cluster = &node.identity().cluster;
    let gateway = parts.gateway.identity(cluster);
    let options = options::postman(config, cluster, gateway, threads);
    let run = own_postman::run(options, parts, node.clone(), work.stop());
    work.spawn("the postman", run)
}

async fn hand_over(node: &Node) {
    match node.transfer_leader(None).await {
        Ok(name) => tracing::info!("leadership was transferred to `{name}`"),
        Err(TransferError::NotLeader | TransferError::Alone) => {}
        Err(error) => tracing::warn!("leadership was not transferred: {error}"),
    }
}

async fn end_postman(postman: Option<JoinHandle<()>>) {
    let Some(postman) = postman else {
        return;
    };
    let ended = tokio::time::timeout(POSTMAN_STOP, postman).await;
    if ended.is_err() {
        tracing::warn!("the postman did not end in time; its leases will run out");
    }
}
