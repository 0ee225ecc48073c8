//! The nodes: one by itself or three, as processes that are killed, frozen and started again, each
//! time with a configuration that may differ where that is harmless.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use reqwest::Method;
use serde_json::Value;

use super::{
    dice::Dice,
    support::{Client, Process, SECRET, free_addresses},
};

/// How long a node may take until it serves; a cluster of three may have to elect twice meanwhile.
const READY: Duration = Duration::from_secs(60);

/// Configuration that may change from start to start.
#[derive(Clone, Debug)]
pub struct Tuning {
    concurrency: u64,
    lease: u64,
    compact_log_mb: u64,
    rate_limit: u64,
}

/// What stays the same.
pub struct Fixed {
    pub binary: PathBuf,
    pub dir: PathBuf,
    pub gateway: String,
    pub idempotent: bool,
    /// Journals lie beside the data, so that a restored node finds those of the life before.
    pub journals_apart: bool,
}

/// The nodes.
pub struct Fleet {
    fixed: Fixed,
    nodes: Vec<Node>,
    /// After how many restores; each has a data directory of its own.
    generation: Mutex<u32>,
}

/// A node, running or not.
struct Node {
    name: String,
    home: PathBuf,
    peer: String,
    api: String,
    client: Client,
    process: Mutex<Option<Process>>,
}

impl Tuning {
    /// A configuration for a start. Limits of the rate would make a long run longer.
    pub fn draw(dice: &mut Dice) -> Self {
        Self {
            concurrency: dice.pick(&[4, 16, 64, 128]),
            lease: dice.pick(&[10, 100, 1_000]),
            compact_log_mb: dice.pick(&[1, 2, 64]),
            rate_limit: dice.weigh(&[(9, 0), (1, 3_000)]),
        }
    }
}

impl Fleet {
    /// So many nodes, not started yet.
    pub fn new(count: usize, fixed: Fixed) -> Self {
        let addresses = free_addresses(2 * count);
        let node = |n: usize| {
            let name = format!("notty-{n}");
            let home = fixed.dir.join(&name);
            fs::create_dir_all(&home).expect("a directory");
            let api = addresses[2 * n].clone();
            let client = Client::new(&format!("http://{api}"));
            let peer = addresses[2 * n + 1].clone();
            Node {
                name,
                home,
                peer,
                api,
                client,
                process: Mutex::new(None),
            }
        };
        let nodes = (0..count).map(node).collect();
        Self {
            fixed,
            nodes,
            generation: Mutex::new(0),
        }
    }

    /// Where everything of this run lies.
    pub fn dir(&self) -> &Path {
        &self.fixed.dir
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// A node's client, whether the node runs or not.
    pub fn client(&self, n: usize) -> &Client {
        &self.nodes[n].client
    }

    /// Any node's client.
    pub fn any(&self, dice: &mut Dice) -> &Client {
        &self.nodes[dice.draw(0..self.nodes.len() as u64) as usize].client
    }

    pub fn binary(&self) -> Command {
        let mut command = Command::new(&self.fixed.binary);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).current_dir(&self.fixed.dir);
        command
    }

    /// Where a node keeps its data.
    pub fn data(&self, n: usize) -> PathBuf {
        self.nodes[n]
            .home
            .join(format!("data-{}", self.generation.lock()))
    }

    /// Where a node keeps its journal.
    pub fn journal(&self, n: usize) -> PathBuf {
        match self.fixed.journals_apart {
            true => self.nodes[n].home.join("journal"),
            false => self.data(n).join("journal"),
        }
    }

    /// Data directories of another life from now on.
    pub fn next_generation(&self) -> u32 {
        let mut generation = self.generation.lock();
        *generation += 1;
        *generation
    }

    fn config(&self, n: usize, tuning: &Tuning) -> String {
        let Tuning {
            concurrency,
            lease,
            compact_log_mb,
            rate_limit,
        } = tuning;
        let Fixed {
            gateway,
            idempotent,
            ..
        } = &self.fixed;
        let data_dir = self.data(n);
        let journal_dir = self.journal(n);
        let data = data_dir.display();
        let journal = journal_dir.display();

        let mut text = format!(
            "[node]\ndata_dir = \"{data}\"\ncompact_log_mb = {compact_log_mb}\n\
             [api]\nlisten = \"{}\"\n\
             [gateway]\nurl = \"{gateway}\"\nconcurrency = {concurrency}\n\
             rate_limit = {rate_limit}\nconnect_timeout_ms = 1000\ntimeout_ms = 3000\n\
             idempotent = {idempotent}\n\
             [postman]\njournal_dir = \"{journal}\"\n\
             [lease]\nsize = {lease}\nttl_ms = 6000\n\
             [retry]\ninitial_ms = 100\nmax_ms = 1000\n",
            self.nodes[n].api
        );
        if self.nodes.len() > 1 {
            let Node { name, peer, .. } = &self.nodes[n];
            let expect = self.nodes.len();
            text += &format!(
                "[cluster]\nlisten = \"{peer}\"\nsecret = \"{SECRET}\"\nname = \"{name}\"\n\
                 expect = {expect}\n"
            );
            for Node {
                name, peer, api, ..
            } in &self.nodes
            {
                text += &format!(
                    "[[cluster.nodes]]\nname = \"{name}\"\npeer = \"{peer}\"\n\
                     api = \"http://{api}\"\n"
                );
            }
        }
        text
    }

    /// Starts a node that does not run.
    pub fn start(&self, n: usize, tuning: &Tuning) {
        let node = &self.nodes[n];
        let mut process = node.process.lock();
        if process.is_some() {
            return;
        }
        let config = node.home.join("config.toml");
        fs::write(&config, self.config(n, tuning)).expect("written");
        let mut command = self.binary();
        command.args(["serve", "--config"]).arg(&config);
        *process = Some(Process::start_silently(&mut command));
    }

    pub fn start_all(&self, tuning: &Tuning) {
        (0..self.nodes.len()).for_each(|n| self.start(n, tuning));
    }

    /// `kill -9`, if it runs; whether it did.
    pub fn kill(&self, n: usize) -> bool {
        let process = self.nodes[n].process.lock().take();
        let Some(mut process) = process else {
            return false;
        };
        self.look_for_faults(n, &process);
        process.kill();
        true
    }

    /// SIGTERM; it must end well.
    pub async fn stop(&self, n: usize) {
        let process = self.nodes[n].process.lock().take();
        let Some(mut process) = process else {
            return;
        };
        process.signal("TERM");
        let ended = process.ended(Duration::from_secs(30)).await;
        assert!(
            ended.success(),
            "notty-{n}: {ended}: {:#?}",
            last(&process.lines())
        );
        self.look_for_faults(n, &process);
    }

    /// Stops or continues a node by a signal.
    pub fn signal(&self, n: usize, signal: &str) {
        if let Some(process) = &*self.nodes[n].process.lock() {
            process.signal(signal);
        }
    }

    /// Nothing in the logs says that something broke inside.
    fn look_for_faults(&self, n: usize, process: &Process) {
        // Among several nodes openraft calls it an error that a peer is away.
        let alone = self.nodes.len() == 1;
        let broken =
            |line: &&String| line.contains("panicked") || (alone && line.contains("ERROR"));
        if let Some(line) = process.lines().iter().find(broken) {
            panic!("notty-{n} says: {line}\n{:#?}", last(&process.lines()));
        }
    }

    /// The same of all that run.
    pub fn look_at_logs(&self) {
        for (n, node) in self.nodes.iter().enumerate() {
            if let Some(process) = &*node.process.lock() {
                self.look_for_faults(n, process);
            }
        }
    }

    /// Waits until all nodes serve and one leads.
    pub async fn ready(&self) {
        let began = Instant::now();
        for n in 0..self.nodes.len() {
            while !self.is_ready(n).await {
                if began.elapsed() > READY {
                    panic!(
                        "notty-{n} is not ready within {READY:?}: {}",
                        self.tell_all().await
                    );
                }
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
        }
    }

    async fn is_ready(&self, n: usize) -> bool {
        let Some(cluster) = self.try_get(n, "/cluster").await else {
            return false;
        };
        let all_there = cluster["nodes"].as_array().map(Vec::len) == Some(self.nodes.len());
        cluster["leader"].is_string() && all_there && self.try_get(n, "/readyz").await.is_some()
    }

    /// Which node leads, by what the others say.
    pub async fn leader(&self) -> usize {
        for n in 0..self.nodes.len() {
            let cluster = self.try_get(n, "/cluster").await.unwrap_or_default();
            let leader = cluster["leader"].as_str();
            if let Some(n) = self
                .nodes
                .iter()
                .position(|node| Some(node.name.as_str()) == leader)
            {
                return n;
            }
        }
        0
    }

    async fn try_get(&self, n: usize, path: &str) -> Option<Value> {
        let client = &self.nodes[n].client;
        let request = client
            .request(Method::GET, path)
            .timeout(Duration::from_secs(2));
        let answer = client.try_send(request).await.ok()?;
        (answer.status == 200).then(|| serde_json::from_str(&answer.text).unwrap_or(Value::Null))
    }

    /// What all nodes say of themselves, for a failure.
    pub async fn tell_all(&self) -> String {
        let mut told = String::new();
        for n in 0..self.nodes.len() {
            let cluster = self.try_get(n, "/cluster").await;
            told += &format!("\nnotty-{n}: {cluster:?}\n{}", self.log(n));
        }
        told
    }

    /// The end of a node's log.
    fn log(&self, n: usize) -> String {
        let process = self.nodes[n].process.lock();
        let lines = process.as_ref().map(Process::lines).unwrap_or_default();
        last(&lines).join("\n")
    }

    /// What the process of a node uses of its memory, in MB; none if it does not run.
    pub fn resident_mb(&self, n: usize) -> Option<u64> {
        let id = self.nodes[n].process.lock().as_ref()?.id();
        let statm =
            fs::read_to_string(Path::new("/proc").join(id.to_string()).join("statm")).ok()?;
        let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
        Some(pages * 4096 / 1_000_000)
    }
}

fn last(lines: &[String]) -> &[String] {
    &lines[lines.len().saturating_sub(30)..]
}
