//! The composition root: puts node, post office, postman and API together, and takes them apart.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use notty_raft::{
    ClusterOptions, Credentials, Fatal, Node, NodeOptions, Peer, Service, TlsFiles, TransferError,
    Transport, log::LogOptions,
};
use notty_storage::model::PostmanName;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    api::{self, ApiParts, SendingCapacity, ServedRoutes, Tokens},
    config::{ClusterConfig, Config, ConfigError, PeerConfig, PeerTlsConfig, Secret},
    desk::NodeDesk,
    gateway::{Gateway, HttpGateway},
    metrics::Metrics,
    moderation::Moderation,
    post_office::{PostOffice, PostOfficeOptions},
    postman::{
        OutletOptions, Postman, PostmanError, PostmanOptions, PostmanParts, retry::RetryPolicy,
    },
    surroundings::Surroundings,
};

/// The name of a node by itself.
const ALONE: &str = "notty-0";
/// How long stopping waits for the postman.
const POSTMAN_STOP: Duration = Duration::from_secs(18);

/// A running service.
pub struct Server {
    node: Arc<Node>,
    /// Answers peers for as long as it is kept.
    desk: Arc<NodeDesk>,
    address: SocketAddr,
    /// Told to stop first: what takes work in.
    stop_work: watch::Sender<bool>,
    /// Told to stop when no work is left.
    stop_office: watch::Sender<bool>,
    postman: Option<JoinHandle<()>>,
    api: JoinHandle<()>,
    office: JoinHandle<()>,
}

impl Server {
    /// Binds, opens and starts everything.
    pub async fn start(config: &Config, surroundings: Surroundings) -> anyhow::Result<Self> {
        // What only the configuration decides comes before anything is taken.
        let moderation = moderation(config)?;
        let gateway = gateway(config, &surroundings)?;
        let credentials = credentials(config)?;
        let address = config.api_address()?;
        let listener = surroundings.transport.listen(&address.to_string()).await;
        let listener =
            listener.with_context(|| format!("api.listen: cannot listen on {address}"))?;
        let address = listener
            .address()
            .context("api.listen")?
            .parse()
            .context("api.listen")?;
        let (stop_work, work_stopped) = watch::channel(false);
        // Alive from now on, whatever the node still waits for.
        let routes = ServedRoutes::default();
        let serve = api::serve(
            surroundings.connections,
            listener,
            routes.clone(),
            work_stopped.clone(),
        );
        let serve = until_told(serve, work_stopped.clone());
        let api = watched(
            "the API",
            serve,
            work_stopped.clone(),
            surroundings.fatal.clone(),
        );
        let node = open_node(config, address, credentials, &surroundings).await?;
        let metrics = Arc::new(Metrics::default());
        let rounds = metrics.apply_rounds.clone();
        node.observe_applying(move |took| rounds.observe(took.as_secs_f64()));
        let (stop_office, office_stopped) = watch::channel(false);
        let office = PostOffice::new(
            node.clone(),
            surroundings.clock.clone(),
            post_office_options(config),
        );
        let desk = NodeDesk::new(node.clone(), office.clone(), &config.node.timezone);
        let service: Arc<dyn Service> = desk.clone();
        node.open_service(&service);
        let postman = config.postman.enabled.then(|| {
            let parts = PostmanParts {
                desk: desk.clone(),
                gateway: Arc::new(gateway),
                clock: surroundings.clock.clone(),
                metrics: metrics.sending.clone(),
                fatal: surroundings.fatal.clone(),
            };
            let cluster = &node.identity().cluster;
            let gateway = parts.gateway.identity(cluster);
            let options = postman_options(config, cluster, gateway, surroundings.sender_threads);
            let post = post(options, parts, node.clone(), work_stopped.clone());
            watched(
                "the postman",
                post,
                work_stopped.clone(),
                surroundings.fatal.clone(),
            )
        });
        let office = until_told(office.run(office_stopped.clone()), office_stopped.clone());
        let office = watched(
            "the post office",
            office,
            office_stopped,
            surroundings.fatal.clone(),
        );
        let parts = ApiParts {
            node: node.clone(),
            clock: surroundings.clock,
            tokens: Tokens::new(config.api.tokens.clone()),
            moderation,
            metrics,
            capacity: SendingCapacity {
                rate_limit: config.gateway.rate_limit,
                concurrency: config.gateway.concurrency,
            },
        };
        routes.set(api::router(parts));
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

    /// Where the API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The node.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Where postmen of this process ask.
    pub fn desk(&self) -> Arc<NodeDesk> {
        self.desk.clone()
    }

    /// Stops leasing, lets requests on their way end, hands back the rest, and closes cleanly.
    pub async fn stop(self) -> anyhow::Result<()> {
        // While the others go on under another leader, this node's own work ends.
        let handing_over = async {
            match self.node.transfer_leader(None).await {
                Ok(name) => tracing::info!("leadership was transferred to `{name}`"),
                Err(TransferError::NotLeader | TransferError::Alone) => {}
                Err(error) => tracing::warn!("leadership was not transferred: {error}"),
            }
        };
        self.stop_work.send_replace(true);
        let ending = async {
            let Some(postman) = self.postman else {
                return;
            };
            let ended = tokio::time::timeout(POSTMAN_STOP, postman).await;
            if ended.is_err() {
                tracing::warn!(
                    "the postman did not stop within {} s; its leases will expire",
                    POSTMAN_STOP.as_secs()
                );
            }
        };
        tokio::join!(handing_over, ending);
        let _ = self.api.await;
        self.stop_office.send_replace(true);
        let _ = self.office.await;
        self.node
            .stop()
            .await
            .context("the node did not close cleanly")
    }
}

/// Checks what only starting would find out, without starting: the gateway's URL, the words file,
/// the certificates.
pub fn check(config: &Config) -> anyhow::Result<()> {
    config.check()?;
    let surroundings = Surroundings::real();
    gateway(config, &surroundings)?;
    credentials(config)?;
    moderation(config)?;
    Ok(())
}

/// What this process proves itself to peers with, if it is to have any: certificates where they are
/// configured, and the secrets.
pub(crate) fn credentials(config: &Config) -> Result<Option<Credentials>, ConfigError> {
    let Some(cluster) = &config.cluster else {
        return Ok(None);
    };
    let given =
        |secret: &Secret| Some(secret.expose().as_bytes().to_vec()).filter(|s| !s.is_empty());
    let (secret, postmen) = (given(&cluster.secret), given(&cluster.postman_secret));
    let credentials = match &cluster.tls {
        Some(tls) => by_certificates(cluster, tls, secret.as_deref())?,
        // A postman by itself may know no other secret than that of postmen.
        None => Credentials::by_secret(&secret.or_else(|| postmen.clone()).unwrap_or_default()),
    };
    Ok(Some(match postmen {
        Some(postmen) => credentials.with_postman_secret(&postmen),
        None => credentials,
    }))
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
    let me = cluster.nodes.iter().find(|node| node.name == cluster.name);
    let host = me.and_then(|node| Some(node.peer.rsplit_once(':')?.0));
    let credentials = Credentials::by_certificates(&files, host, secret);
    credentials.map_err(|error| ConfigError(format!("cluster.tls.{error}")))
}

pub(crate) fn gateway(
    config: &Config,
    surroundings: &Surroundings,
) -> Result<HttpGateway, ConfigError> {
    HttpGateway::new(config.gateway.options(), surroundings.connector.clone())
        .map_err(|(key, error)| ConfigError(format!("gateway.{key}: {error}")))
}

/// Runs a part of the node and ends the process if that part ends before it was told to: a node
/// that answers as if all were well, and does nothing, is worse than none. An end that is in order
/// is `Ok`; a panic never is.
fn watched(
    what: &'static str,
    part: impl Future<Output = Result<(), String>> + Send + 'static,
    stop: watch::Receiver<bool>,
    fatal: Fatal,
) -> JoinHandle<()> {
    let part = tokio::spawn(part);
    tokio::spawn(async move {
        let ended = part.await.unwrap_or_else(|error| Err(error.to_string()));
        let told = is_told(&stop);
        match ended {
            Ok(()) => {}
            Err(reason) if told => tracing::error!("{what} failed during the stop: {reason}"),
            Err(reason) => {
                fatal(&format!("{what} ended unexpectedly: {reason}"));
            }
        }
    })
}

/// Whether a part was told to end, or what would have told it is gone: the start failed.
fn is_told(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

/// A part that must not end before it is told to.
async fn until_told(
    part: impl Future<Output = ()>,
    stop: watch::Receiver<bool>,
) -> Result<(), String> {
    part.await;
    if is_told(&stop) {
        Ok(())
    } else {
        Err("it returned".to_owned())
    }
}

/// Runs the postman, but while the node is about to be taken out of the cluster: then it hands back
/// what it has. That a newer one has its name is in order: there is one that sends.
async fn post(
    options: PostmanOptions,
    parts: PostmanParts<impl Gateway>,
    node: Arc<Node>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let mut may_work = node.may_work();
    while !is_told(&stop) {
        let (stop_run, run_stopped) = watch::channel(false);
        node.set_at_work(true);
        let mut run = std::pin::pin!(Postman::run(options.clone(), parts.clone(), run_stopped));
        let ended = tokio::select! {
            ended = &mut run => Some(ended),
            _ = stop.wait_for(|stop| *stop) => None,
            _ = may_work.wait_for(|may_work| !may_work) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                stop_run.send_replace(true);
                run.await
            }
        };
        node.set_at_work(false);
        match ended {
            Ok(()) if is_told(&stop) => return Ok(()),
            Ok(()) if *may_work.borrow() => return Err("it returned".to_owned()),
            Ok(()) => {}
            Err(error @ PostmanError::Replaced) => {
                tracing::error!("{error}; this node sends nothing until it is restarted");
                return Ok(());
            }
            Err(PostmanError::Forgotten) => {
                tracing::info!(
                    "the registration of this postman expired while it was idle; it registers again"
                );
            }
            Err(error) => return Err(error.to_string()),
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            _ = may_work.wait_for(|may_work| *may_work) => {}
        }
    }
    Ok(())
}

/// The cluster that is configured.
fn cluster_options(
    config: &ClusterConfig,
    credentials: Credentials,
    transport: Arc<dyn Transport>,
) -> ClusterOptions {
    let peer = |node: &PeerConfig| Peer {
        name: node.name.clone(),
        peer: node.peer.clone(),
        api: node.api.clone(),
        disk: String::new(),
    };
    ClusterOptions {
        listen: config.listen.clone(),
        credentials,
        expect: config.expect as usize,
        nodes: config.nodes.iter().map(peer).collect(),
        transport,
    }
}

/// What a node is called.
fn node_name(config: &Config) -> &str {
    config
        .cluster
        .as_ref()
        .map_or(ALONE, |cluster| &cluster.name)
}

async fn open_node(
    config: &Config,
    address: SocketAddr,
    credentials: Option<Credentials>,
    surroundings: &Surroundings,
) -> anyhow::Result<Arc<Node>> {
    let name = node_name(config);
    let transport = surroundings.transport.clone();
    let cluster = config.cluster.as_ref().zip(credentials);
    let cluster =
        cluster.map(|(config, credentials)| cluster_options(config, credentials, transport));
    let mut configured = cluster.iter().flat_map(|cluster| &cluster.nodes);
    let peer = configured
        .find(|peer| peer.name == name)
        .cloned()
        .unwrap_or_else(|| Peer {
            name: name.to_owned(),
            api: format!("http://{address}"),
            ..Peer::default()
        });
    let options = NodeOptions {
        peer,
        cluster,
        store: surroundings.store.clone(),
        log: surroundings
            .log
            .unwrap_or_else(|| LogOptions::compacting(config.node.compact_bytes())),
        files: surroundings.files.clone(),
        onlooker: surroundings.onlooker.clone(),
        clock: surroundings.clock.clone(),
        fatal: surroundings.fatal.clone(),
    };
    Ok(Node::open(&config.node.data_dir, options).await?)
}

fn post_office_options(config: &Config) -> PostOfficeOptions {
    PostOfficeOptions {
        lease_size: config.lease.size,
        lease_ttl_ms: config.lease.ttl_ms,
        rate_limit: config.gateway.rate_limit,
        retention_ms: config.retention.finished_ms(),
        timezone: config.node.timezone.clone(),
    }
}

/// How a postman works in a cluster.
pub(crate) fn postman_options(
    config: &Config,
    cluster: &str,
    gateway_identity: u64,
    threads: usize,
) -> PostmanOptions {
    let gateway = &config.gateway;
    let name = if config.postman.name.is_empty() {
        node_name(config)
    } else {
        &config.postman.name
    };
    let journal_dir = match config.postman.journal_dir.as_os_str().is_empty() {
        true => config.node.data_dir.join("journal"),
        false => config.postman.journal_dir.clone(),
    };
    PostmanOptions {
        name: PostmanName::parse(name).expect("the configuration was checked"),
        journal_dir,
        cluster: cluster.to_owned(),
        threads: threads.min(gateway.concurrency),
        lease_size: config.lease.size,
        outlet: outlet_options(config, gateway_identity),
    }
}

/// The settings of the gateway, for a postman.
fn outlet_options(config: &Config, identity: u64) -> OutletOptions {
    let gateway = &config.gateway;
    // Half of the gateway's memory: the last repeat must arrive while it still remembers.
    let repeat_ms = gateway.idempotent_hours * 3_600_000 / 2;
    OutletOptions {
        identity,
        concurrency: gateway.concurrency,
        retry: RetryPolicy {
            initial_ms: config.retry.initial_ms,
            max_ms: config.retry.max_ms,
            repeat_ms: gateway.idempotent.then_some(repeat_ms),
        },
        connect_time: Duration::from_millis(gateway.connect_timeout_ms),
        answer_time: Duration::from_millis(gateway.timeout_ms),
    }
}

fn moderation(config: &Config) -> Result<Option<Moderation>, ConfigError> {
    if !config.moderation.enabled {
        return Ok(None);
    }
    let file = &config.moderation.words_file;
    let words = match file.as_os_str().is_empty() {
        true => String::new(),
        false => std::fs::read_to_string(file).map_err(|error| {
            ConfigError(format!(
                "moderation.words_file: {}: {error}",
                file.display()
            ))
        })?,
    };
    let words = words.lines().map(str::trim);
    let words: Vec<_> = words
        .filter(|w| !w.is_empty() && !w.starts_with('#'))
        .collect();
    let words: Vec<_> = words.into_iter().map(str::to_owned).collect();
    Ok(Some(Moderation::new(&words)))
}

#[cfg(test)]
mod tests {
    use notty_storage::{
        command::RegisterPostman,
        limits,
        model::{Epoch, PostmanName, Status},
        query,
    };

    use super::*;
    use crate::post_office::tests::{SOON, customers, mailing};

    /// The line that ended the process, if one did, after a part ended.
    async fn line_of(
        part: impl Future<Output = Result<(), String>> + Send + 'static,
        told: bool,
    ) -> Option<String> {
        let said = Arc::new(std::sync::Mutex::new(None));
        let heard = said.clone();
        let fatal: Fatal =
            Arc::new(move |line| *heard.lock().expect("no panic") = Some(line.to_owned()));
        let (stop, stopped) = watch::channel(told);
        watched("the postman", part, stopped, fatal)
            .await
            .expect("no panic");
        drop(stop);
        said.lock().expect("no panic").take()
    }

    #[tokio::test]
    async fn a_part_that_dies_ends_the_process_and_says_why() {
        let panics = async {
            assert!(std::hint::black_box(false), "a bad day");
            Ok(())
        };
        let line = line_of(panics, false).await.expect("a line");
        assert!(
            line.contains("the postman") && line.contains("a bad day"),
            "{line}"
        );
        let line = line_of(async { Err("no disk".to_owned()) }, false)
            .await
            .expect("a line");
        assert!(line.contains("no disk"), "{line}");
    }

    #[tokio::test]
    async fn a_part_that_was_told_to_end_or_was_replaced_ends_nothing_else() {
        assert_eq!(
            line_of(async { Err("it returned".to_owned()) }, true).await,
            None
        );
        assert_eq!(line_of(async { Ok(()) }, false).await, None);
    }
    /// The epoch of the node's own postman, if the state knows it.
    fn own_epoch(server: &Server) -> Option<Epoch> {
        let postmen = query::leases::postmen(&server.node.view().read()).expect("reads");
        let own = postmen
            .iter()
            .find(|postman| postman.name.as_str() == ALONE);
        own.map(|own| own.epoch)
    }

    async fn until<T>(what: impl Fn() -> Option<T>) -> T {
        let waiting = async {
            loop {
                match what() {
                    Some(found) => return found,
                    None => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::time::timeout(SOON, waiting).await.expect("in time")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_nodes_own_postman_that_was_forgotten_registers_anew_and_sends() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut config = Config::default();
        config.node.data_dir = dir.path().join("data");
        config.postman.journal_dir = dir.path().join("journal");
        config.api.listen = "127.0.0.1:0".to_owned();
        let server = Server::start(&config, Surroundings::real())
            .await
            .expect("it starts");
        let before = until(|| own_epoch(&server)).await;
        let register = |n: usize| {
            let name = PostmanName::parse(&format!("another-{n}")).expect("a name");
            server.node.act(RegisterPostman { name, nonce: 1 })
        };
        let others = futures_util::future::join_all((0..limits::POSTMEN).map(register)).await;
        assert!(others.iter().all(Result::is_ok));
        assert_eq!(own_epoch(&server), None);
        server.node.act(customers(10)).await.expect("written");
        server.node.act(mailing()).await.expect("created");
        let again = until(|| own_epoch(&server)).await;
        assert!(again > before);
        // A lease may be over before anybody looks; that a message was tried stays.
        let tried = || {
            let counts = query::stats::overall(&server.node.view().read()).expect("reads");
            (counts.total() > counts.of(Status::Created)).then_some(())
        };
        until(tried).await;
        server.stop().await.expect("it stops");
    }
}
