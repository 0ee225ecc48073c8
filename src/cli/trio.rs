//! Three nodes as processes of this same binary, for the demo.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use serde_json::Value;

use super::{client::Client, process::Own};

/// How many they are.
const NODES: usize = 3;
/// How long they may take to come together.
const READY: Duration = Duration::from_secs(30);
/// Between two looks at who leads.
const LOOK: Duration = Duration::from_millis(50);

/// Three nodes.
pub(super) struct Trio {
    pub(super) nodes: Vec<Node>,
}

/// One of them.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) api: String,
    pub(super) client: Client,
    config: PathBuf,
    process: Option<Own>,
}

impl Trio {
    /// Starts three that send to a gateway, and waits until they have formed a cluster.
    pub(super) async fn start(dir: &Path, gateway: &str, each: usize) -> anyhow::Result<Self> {
        let addresses = free_addresses()?;
        let members = addresses.iter().enumerate().map(|(n, (peer, api))| {
            format!(
                "[[cluster.nodes]]\nname = \"notty-{n}\"\npeer = \"{peer}\"\napi = \"http://{api}\"\n"
            )
        });
        let members: String = members.collect();
        let secret = uuid::Uuid::new_v4();
        let mut nodes = Vec::new();
        for (n, (peer, api)) in addresses.iter().enumerate() {
            let (name, home) = (format!("notty-{n}"), dir.join(format!("notty-{n}")));
            std::fs::create_dir(&home)?;
            let config = home.join("config.toml");
            let text = format!(
                "[node]\ndata_dir = {data:?}\n[api]\nlisten = \"{api}\"\n[gateway]\n\
                 url = \"http://{gateway}/v1/send\"\nconcurrency = {each}\n[cluster]\n\
                 listen = \"{peer}\"\nsecret = \"{secret}\"\nname = \"{name}\"\nexpect = {NODES}\n\
                 {members}",
                data = home.join("data").display().to_string(),
            );
            std::fs::write(&config, text)?;
            let api = format!("http://{api}");
            let client = Client::new(&api)?;
            nodes.push(Node { name, api, client, config, process: None });
        }
        let mut trio = Self { nodes };
        for node in &mut trio.nodes {
            node.start()?;
        }
        for node in &trio.nodes {
            node.client.await_ready(READY).await?;
        }
        Ok(trio)
    }

    /// Which of them leads, by what those that run say.
    pub(super) async fn leader(&self) -> anyhow::Result<usize> {
        self.leader_but(NODES).await
    }

    /// The same, once it is another than before.
    pub(super) async fn leader_but(&self, before: usize) -> anyhow::Result<usize> {
        let until = tokio::time::Instant::now() + READY;
        while tokio::time::Instant::now() < until {
            for node in self.nodes.iter().filter(|node| node.process.is_some()) {
                let told = node.client.get("/cluster").await.unwrap_or_default();
                let name = told.get("leader").and_then(Value::as_str).unwrap_or_default();
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
            if told.len() == NODES && told.iter().all(|one| *one == told[0]) {
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
        let config = self.config.to_str().context("the directory's name is no UTF-8")?;
        let log = self.config.with_file_name("log");
        let log = File::options().create(true).append(true).open(&log)?;
        self.process = Some(Own::start_node(&["serve", "--config", config], log)?);
        Ok(())
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }
}

/// A peer's and an API's address for each node, free a moment ago.
fn free_addresses() -> anyhow::Result<Vec<(String, String)>> {
    // Held together, so that none is given twice.
    let held = (0..2 * NODES).map(|_| TcpListener::bind("127.0.0.1:0"));
    let held: Vec<TcpListener> = held.collect::<Result<_, _>>()?;
    let addresses = held.iter().map(|held| Ok(held.local_addr()?.to_string()));
    let addresses: Vec<String> = addresses.collect::<std::io::Result<_>>()?;
    Ok(addresses.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
}
