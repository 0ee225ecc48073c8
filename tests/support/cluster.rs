//! Three nodes as processes, each with a configuration file.

use std::{path::PathBuf, process::Command, sync::Arc, time::Duration};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    Client, Gateway, Network, Process, Release, eventually, free_addresses, in_namespace,
    node::SOON,
};

/// What all nodes of a test know.
pub const SECRET: &str = "a secret of the tests only";

/// The token of APIs that do not listen on loopback.
const TOKEN: &str = "token-of-the-tests";

/// Some nodes of one cluster.
pub struct Cluster {
    pub members: Vec<Member>,
    dir: Arc<TempDir>,
    /// Peer and API address of each member.
    places: Vec<(String, String)>,
}

/// A node of it, running or not.
pub struct Member {
    pub name: String,
    pub client: Client,
    /// Where its peers reach it.
    pub peer: String,
    process: Option<Process>,
    config: PathBuf,
    home: PathBuf,
    /// The network namespace that it runs in.
    namespace: Option<String>,
    environment: Vec<(String, String)>,
    /// The version that its next start is of.
    release: Release,
}

/// How a cluster is configured.
#[derive(Clone, Copy)]
pub struct Shape<'a> {
    /// Where messages go.
    pub gateway: &'a str,
    /// Requests in flight from each node.
    pub concurrency: usize,
    /// More lines of each configuration.
    pub more: &'a str,
}

impl Default for Shape<'_> {
    fn default() -> Self {
        // Port 9 discards: nothing listens there.
        Self {
            gateway: "http://127.0.0.1:9/v1/send",
            concurrency: 32,
            more: "",
        }
    }
}

impl Cluster {
    /// Three nodes, not started yet.
    pub fn new(shape: Shape<'_>) -> Self {
        Self::of(3, shape)
    }

    /// So many nodes, not started yet.
    pub fn of(count: usize, shape: Shape<'_>) -> Self {
        let addresses = free_addresses(2 * count);
        let (peers, apis) = addresses.split_at(count);
        Self::at_places(
            peers.iter().cloned().zip(apis.iter().cloned()).collect(),
            shape,
        )
    }

    /// Nodes on a network of their own, not started yet.
    pub fn over(network: &Network, shape: Shape<'_>) -> Self {
        let token = format!(
            "{}[[api.tokens]]\nname = \"test\"\ntoken = \"{TOKEN}\"\nrole = \"admin\"\n",
            shape.more
        );
        let mut cluster = Self::at_places(
            network.places(),
            Shape {
                more: &token,
                ..shape
            },
        );
        for (n, member) in cluster.members.iter_mut().enumerate() {
            member.client = member.client.with_token(TOKEN);
            member.namespace = Some(network.namespace(n));
        }
        cluster
    }

    fn at_places(places: Vec<(String, String)>, shape: Shape<'_>) -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let count = places.len();
        let mut cluster = Self {
            members: Vec::new(),
            dir,
            places,
        };
        cluster.members = (0..count)
            .map(|n| cluster.member(n, count, shape))
            .collect();
        cluster
    }

    /// One more node, not started yet; it knows of all that there are.
    pub fn newcomer(&mut self, shape: Shape<'_>) -> usize {
        let (n, addresses) = (self.members.len(), free_addresses(2));
        self.places
            .push((addresses[0].clone(), addresses[1].clone()));
        let member = self.member(n, n + 1, shape);
        self.members.push(member);
        n
    }

    /// Where a member's peers reach it.
    pub fn peer_address(&self, n: usize) -> &str {
        &self.places[n].0
    }

    /// The part of a configuration that makes a node member `n` of `count`.
    pub fn section(&self, n: usize, count: usize) -> String {
        let listen = &self.places[n].0;
        let mut text = format!(
            "[cluster]\nlisten = \"{listen}\"\nsecret = \"{SECRET}\"\nname = \"notty-{n}\"\n\
             expect = {count}\n"
        );
        for (n, (peer, api)) in self.places.iter().enumerate() {
            text += &format!(
                "[[cluster.nodes]]\nname = \"notty-{n}\"\npeer = \"{peer}\"\n\
                 api = \"http://{api}\"\n"
            );
        }
        text
    }

    fn member(&self, n: usize, count: usize, shape: Shape<'_>) -> Member {
        let name = format!("notty-{n}");
        let api = &self.places[n].1;
        let home = self.dir.path().join(&name);
        std::fs::create_dir(&home).expect("a directory");
        let config = home.join("config.toml");
        let Shape {
            gateway,
            concurrency,
            more,
        } = shape;
        let text = format!(
            "[node]\ndata_dir = \"data\"\n[api]\nlisten = \"{api}\"\n[gateway]\n\
             url = \"{gateway}\"\nconcurrency = {concurrency}\n{more}\n{}",
            self.section(n, count)
        );
        std::fs::write(&config, text).expect("written");
        let client = Client::new(&format!("http://{api}"));
        let peer = self.places[n].0.clone();
        Member {
            name,
            client,
            peer,
            process: None,
            config,
            home,
            namespace: None,
            environment: Vec::new(),
            release: Release::default(),
        }
    }

    /// Three nodes that have formed a cluster and can serve.
    pub async fn start(shape: Shape<'_>) -> Self {
        let mut cluster = Self::new(shape);
        cluster.start_all();
        cluster.ready(SOON).await;
        cluster
    }

    /// With a gateway.
    pub async fn at(gateway: &Gateway) -> Self {
        Self::start(Shape {
            gateway: &gateway.url(),
            ..Shape::default()
        })
        .await
    }

    pub fn start_all(&mut self) {
        self.members.iter_mut().for_each(Member::start);
    }

    /// Waits until all that run can serve.
    pub async fn ready(&self, within: Duration) {
        for member in self.members.iter().filter(|member| member.runs()) {
            if !member.comes_ready(within).await {
                let mut said = Vec::new();
                for member in &self.members {
                    said.push((
                        &member.name,
                        member.try_get("/cluster").await,
                        member.lines(),
                    ));
                }
                panic!("{} is not ready within {within:?}: {said:#?}", member.name);
            }
        }
    }

    /// Which member leads, as those of the members that run say who know of the latest election.
    pub async fn leader(&self) -> usize {
        self.leader_but(None).await
    }

    /// The same, once it is another than before.
    pub async fn leader_but(&self, before: Option<usize>) -> usize {
        eventually("there is a leader", SOON, async || {
            let running = self.members.iter().filter(|member| member.runs());
            let told = join_all(running.map(|member| member.try_get("/cluster"))).await;

            // Whoever has not heard of the last election yet still names the leader before.
            let known = told
                .iter()
                .flatten()
                .filter(|told| !told["leader"].is_null());
            let latest = known.max_by_key(|told| told["term"].as_u64())?;
            let is_leader = |member: &Member| latest["leader"] == member.name.as_str();
            let found = self.members.iter().position(is_leader);
            found.filter(|found| Some(*found) != before)
        })
        .await
    }

    /// A member that does not lead.
    pub async fn follower(&self) -> &Member {
        &self.members[(self.leader().await + 1) % 3]
    }

    /// Waits until all nodes say the same of a mailing, and that it is settled; what they say.
    pub async fn agree(&self, mailing: &str, within: Duration) -> Value {
        let path = format!("/stats/mailings/{mailing}");
        let mut last = Vec::new();
        let agreeing = eventually("all nodes agree", within * 2, async || {
            last.clear();
            for member in self.members.iter().filter(|member| member.runs()) {
                last.push(member.try_get(&path).await?);
            }
            let open: u64 = ["created", "sending", "failed"]
                .iter()
                .map(|status| last[0][status].as_u64().expect("a count"))
                .sum();
            let same = last.iter().all(|stats| *stats == last[0]);
            (same && open == 0 && super::total(&last[0]) > 0).then(|| last[0].clone())
        });
        let agreed = tokio::time::timeout(within, agreeing).await;
        agreed.unwrap_or_else(|_| panic!("not within {within:?}: the nodes agree: {last:#?}"))
    }

    /// Where peers reach the members.
    pub fn peers(&self) -> Vec<String> {
        self.members
            .iter()
            .map(|member| member.peer.clone())
            .collect()
    }

    /// A directory that goes with the test.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }
}

impl Member {
    /// The command that starts it.
    pub fn command(&self) -> Command {
        let mut command = match &self.namespace {
            Some(namespace) => in_namespace(namespace),
            None => self.release.command(),
        };
        command
            .current_dir(&self.home)
            .args(["serve", "--config"])
            .arg(&self.config);
        command.envs(self.environment.iter().cloned());
        command
    }

    /// Its next start is of this version.
    pub fn become_release(&mut self, release: Release) {
        self.release = release;
    }

    /// Sets variables of its environment.
    pub fn set(&mut self, variables: &[(&str, String)]) {
        let owned = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        self.environment.extend(owned);
    }

    pub fn start(&mut self) {
        self.process = Some(Process::start_silently(&mut self.command()));
    }

    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    /// Waits until it ends by itself; its exit status.
    pub async fn ended(&mut self, within: Duration) -> Option<i32> {
        let ended = self.process().ended(within).await;
        self.process = None;
        ended.code()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    /// Where it keeps its data.
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Changes its configuration.
    pub fn reconfigure(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(&self.config).expect("read");
        assert!(text.contains(from), "{text}");
        std::fs::write(&self.config, text.replace(from, to)).expect("written");
    }

    /// The line of its configuration that begins so.
    pub fn line(&self, begins: &str) -> String {
        let text = std::fs::read_to_string(&self.config).expect("read");
        let line = text.lines().find(|line| line.starts_with(begins));
        line.unwrap_or_else(|| panic!("no `{begins}` in {text}"))
            .to_owned()
    }

    /// A JSON answer, if there is one with status 200 soon.
    pub async fn try_get(&self, path: &str) -> Option<Value> {
        let request = self
            .client
            .request(Method::GET, path)
            .timeout(Duration::from_secs(2));
        let answer = self.client.try_send(request).await.ok()?;
        (answer.status == 200).then(|| answer.json())
    }

    /// Waits until it can serve.
    pub async fn ready(&self, within: Duration) {
        let ready = self.comes_ready(within).await;
        assert!(
            ready,
            "{} is not ready within {within:?}: {:#?}",
            self.name,
            self.lines()
        );
    }

    async fn comes_ready(&self, within: Duration) -> bool {
        let looking = eventually("the node is ready", within * 2, async || {
            self.try_get("/readyz").await.map(drop)
        });
        tokio::time::timeout(within, looking).await.is_ok()
    }

    /// What it has said since it was started, if it runs.
    pub fn lines(&self) -> Vec<String> {
        self.process
            .as_ref()
            .map(Process::lines)
            .unwrap_or_default()
    }

    /// How many lines of its log hold something.
    pub fn count_lines(&self, what: &str) -> usize {
        self.lines()
            .iter()
            .filter(|line| line.contains(what))
            .count()
    }

    /// Waits until it says something in its log.
    pub async fn says(&self, what: &str) {
        let saying = eventually(what, SOON * 2, async || {
            (self.count_lines(what) > 0).then_some(())
        });
        if tokio::time::timeout(SOON, saying).await.is_err() {
            panic!("{} does not say `{what}`: {:#?}", self.name, self.lines());
        }
    }
}
