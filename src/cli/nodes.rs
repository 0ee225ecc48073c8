//! One node or three, as processes of this same binary: for the demo and the benchmarks.

use std::{
    fs::File,
    net::TcpListener,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::{
    client::Client,
    process::{Cost, Own},
};

/// Time limit for the nodes to form a cluster.
const READY: Duration = Duration::from_secs(30);
/// Between two looks at who leads.
const LOOK: Duration = Duration::from_millis(50);
/// Ports of nodes: below those that the system gives out by itself (Linux: from 32768). Any connection
/// could come by one of those while its node starts, or is down.
const PORTS: Range<u16> = 10_000..30_000;

/// The address at which gateways report.
#[derive(Clone, Copy, Debug)]
pub(super) enum ReportAddress {
    /// They are not asked to.
    None,
    /// The API of the node that sends.
    OwnApi,
    /// This one, for all nodes.
    At(&'static str),
}

/// Number and configuration of the nodes.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Number of nodes: 1 or 3.
    pub(super) count: usize,
    /// Host and port of the gateway.
    pub(super) gateway: String,
    /// The section of a provider, in the place of that gateway.
    pub(super) provider: Option<String>,
    /// Requests in flight of each.
    pub(super) concurrency: usize,
    /// `true` if only the last node sends.
    pub(super) one_sends: bool,
    /// The command that runs one; `--config FILE` is added.
    pub(super) command: &'static [&'static str],
    /// Address at which gateways report what became of messages.
    pub(super) reports: ReportAddress,
    /// More of the configuration.
    pub(super) more: &'static str,
    /// Secret of the cluster.
    pub(super) secret: String,
}

impl Plan {
    /// So many ordinary nodes that all send.
    pub(super) fn new(count: usize, gateway: &str, concurrency: usize) -> Self {
        let (gateway, secret) = (gateway.to_owned(), uuid::Uuid::new_v4().to_string());
        let (one_sends, command, more) = (false, ["serve"].as_slice(), "");
        Self {
            count,
            gateway,
            provider: None,
            concurrency,
            one_sends,
            command,
            reports: ReportAddress::None,
            more,
            secret,
        }
    }

    fn gateway_section(&self) -> String {
        let own = || {
            let (gateway, each) = (&self.gateway, self.concurrency);
            format!("[gateway]\nurl = \"http://{gateway}/v1/send\"\nconcurrency = {each}\n")
        };
        self.provider.clone().unwrap_or_else(own)
    }

    /// A line only where it is needed: binaries of before do not know the key.
    fn public_url_line(&self, api: &str) -> String {
        match self.reports {
            ReportAddress::None => String::new(),
            ReportAddress::OwnApi => format!("public_url = \"http://{api}\"\n"),
            ReportAddress::At(url) => format!("public_url = {url:?}\n"),
        }
    }

    /// The configuration of one of them.
    fn config(&self, n: usize, home: &Path, addresses: &[(String, String)]) -> String {
        let (peer, api) = &addresses[n];
        let node = format!(
            "[node]\ndata_dir = {data:?}\n{public_url}[api]\nlisten = \"{api}\"\n{gateway}[postman]\n\
             enabled = {sends}\n{more}",
            data = home.join("data").display().to_string(),
            public_url = self.public_url_line(api),
            gateway = self.gateway_section(),
            more = self.more,
            sends = !self.one_sends || n + 1 == self.count,
        );

        if self.count == 1 {
            return node;
        }

        let members = addresses.iter().enumerate().map(|(n, (peer, api))| {
            let name = name(n);
            format!(
                "[[cluster.nodes]]\nname = \"{name}\"\npeer = \"{peer}\"\napi = \"http://{api}\"\n"
            )
        });
        let (name, count, members) = (name(n), self.count, members.collect::<String>());
        let secret = &self.secret;
        format!(
            "{node}[cluster]\nlisten = \"{peer}\"\nsecret = \"{secret}\"\nname = \"{name}\"\n\
             expect = {count}\n{members}"
        )
    }
}

fn name(n: usize) -> String {
    format!("notty-{n}")
}

/// Nodes that run, or can run again.
pub(super) struct Nodes {
    pub(super) nodes: Vec<Node>,
}

/// A node, and its process while it runs.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) api: String,
    pub(super) client: Client,
    config: PathBuf,
    command: &'static [&'static str],
    process: Option<Own>,
}

impl Nodes {
    /// Starts them with their data below a directory, and waits until they are ready.
    pub(super) async fn start(dir: &Path, plan: &Plan) -> anyhow::Result<Self> {
        let addresses = free_addresses(plan.count)?;
        let mut nodes = Vec::new();
        for (n, (_, api)) in addresses.iter().enumerate() {
            let home = dir.join(name(n));
            std::fs::create_dir(&home)?;
            let config = home.join("config.toml");
            std::fs::write(&config, plan.config(n, &home, &addresses))?;
            let api = format!("http://{api}");
            let client = Client::new(&api)?;
            let command = plan.command;
            nodes.push(Node {
                name: name(n),
                api,
                client,
                config,
                command,
                process: None,
            });
        }

        // All start before any is awaited: a cluster forms when all are there.
        let mut nodes = Self { nodes };
        for node in &mut nodes.nodes {
            node.start()?;
        }
        for node in &nodes.nodes {
            node.client.await_ready(READY).await?;
        }
        Ok(nodes)
    }

    /// Returns the index of the leader, as the running nodes see it.
    pub(super) async fn leader(&self) -> anyhow::Result<usize> {
        self.leader_but(self.nodes.len()).await
    }

    /// The same, once it is another than before.
    pub(super) async fn leader_but(&self, before: usize) -> anyhow::Result<usize> {
        let until = tokio::time::Instant::now() + READY;
        while tokio::time::Instant::now() < until {
            for node in self.nodes.iter().filter(|node| node.process.is_some()) {
                let told = node.client.get("/cluster").await.unwrap_or_default();
                let name = told
                    .get("leader")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let found = self.nodes.iter().position(|node| node.name == name);
                if let Some(found) = found.filter(|n| *n != before) {
                    return Ok(found);
                }
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("the nodes have no leader after {} s", READY.as_secs())
    }

    /// Waits until all say the same of something; whether they do.
    pub(super) async fn agree(&self, path: &str, at_most: Duration) -> bool {
        let until = tokio::time::Instant::now() + at_most;
        while tokio::time::Instant::now() < until {
            let asked = self.nodes.iter().map(|node| node.client.get(path));
            let told = futures_util::future::join_all(asked).await;
            let told: Vec<_> = told.into_iter().flatten().collect();
            if told.len() == self.nodes.len() && told.iter().all(|one| *one == told[0]) {
                return true;
            }
            tokio::time::sleep(LOOK).await;
        }
        false
    }
}

impl Node {
    /// Starts it; what it logs goes to a file beside its configuration.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        let config = self
            .config
            .to_str()
            .context("the directory's name is no UTF-8")?;
        let log = self.config.with_file_name("log");
        let log = File::options().create(true).append(true).open(&log)?;
        self.process = Some(Own::start_node(
            &[self.command, &["--config", config]].concat(),
            log,
        )?);
        Ok(())
    }

    /// CPU time and memory of the process; zeros while it does not run.
    pub(super) fn cost(&self) -> Cost {
        self.process.as_ref().map_or_else(Cost::default, Own::cost)
    }

    /// The directory of its configuration, data and log.
    pub(super) fn home(&self) -> &Path {
        self.config.parent().unwrap_or(&self.config)
    }

    /// Kills the process (`kill -9`).
    pub(super) fn kill(&mut self) {
        self.process = None;
    }
}

/// A peer's and an API's address for each node, free a moment ago.
pub(super) fn free_addresses(count: usize) -> anyhow::Result<Vec<(String, String)>> {
    // Processes that run at once begin apart.
    let begin = std::process::id() as usize * 997 % PORTS.len();
    let ports = PORTS.cycle().skip(begin).take(PORTS.len());

    // Held together, so that none is given twice.
    let held = ports.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let held: Vec<TcpListener> = held.take(2 * count).collect();
    let needed = 2 * count;
    ensure!(
        held.len() == needed,
        "127.0.0.1: the nodes need {needed} free ports from {} to {}, and only {} are free",
        PORTS.start,
        PORTS.end - 1,
        held.len()
    );

    let addresses = held.iter().map(|held| Ok(held.local_addr()?.to_string()));
    let addresses: Vec<String> = addresses.collect::<std::io::Result<_>>()?;
    Ok(addresses
        .chunks_exact(2)
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect())
}
