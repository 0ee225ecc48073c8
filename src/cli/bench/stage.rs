//! The setting of a benchmark: nodes and the practice gateway as processes of their own, customers and
//! mailings in them, and the cost of all of it.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{
    super::{
        client::{Client, count},
        nodes::{Node, Nodes, Plan},
        process::{Cost, Own, disk_bytes},
        sample,
    },
    record::Record,
};

/// Time limit of every wait.
const AT_MOST: Duration = Duration::from_secs(3_600);
/// The command of a node with stand-ins for postmen.
const OFFICE: &[&str] = &["bench", "office"];

/// The practice gateway, by itself.
pub(super) struct Taker(Own);

impl Taker {
    pub(super) fn start(latency_ms: u64) -> anyhow::Result<Self> {
        let latency = latency_ms.to_string();
        let args = [
            "gateway",
            "--listen",
            "127.0.0.1:0",
            "--latency-ms",
            &latency,
        ];
        Ok(Self(Own::start(&args, &[], false)?))
    }

    pub(super) fn address(&self) -> &str {
        &self.0.address
    }

    pub(super) fn cpu_micros(&self) -> u64 {
        self.0.cost().cpu_micros
    }

    /// Messages that it took, and its rate from the first to the last; a duplicate is an error.
    pub(super) async fn rate(&self) -> anyhow::Result<(u64, f64)> {
        let tally = Client::new(&format!("http://{}", self.address()))?
            .get("/stats")
            .await?;
        anyhow::ensure!(
            count(&tally, "duplicates") == 0,
            "the gateway saw duplicates: {tally}"
        );
        let messages = count(&tally, "messages");
        Ok((
            messages,
            messages as f64 / (count(&tally, "span_ms").max(1) as f64 / 1e3),
        ))
    }
}

/// Nodes at work, their data below a directory that goes with them.
pub(super) struct Stage {
    pub(super) nodes: Nodes,
    /// Index of the leader in `nodes`.
    pub(super) leader: usize,
    before: Vec<Cost>,
    _dir: tempfile::TempDir,
}

impl Stage {
    /// Starts nodes as planned.
    pub(super) async fn start(plan: &Plan) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("notty-bench-").tempdir()?;
        let mut nodes = Nodes::start(dir.path(), plan).await?;
        let last = plan.count - 1;
        let mut leader = nodes.leader().await?;
        while plan.one_sends && plan.count > 1 && leader == last {
            nodes.nodes[last].kill();
            leader = nodes.leader_but(last).await?;
            nodes.nodes[last].start()?;
            nodes.nodes[last].client.await_ready(AT_MOST).await?;
        }
        Ok(Self {
            nodes,
            leader,
            before: Vec::new(),
            _dir: dir,
        })
    }

    /// Nodes whose messages are taken by stand-ins: nothing is sent.
    pub(super) async fn office(count: usize) -> anyhow::Result<Self> {
        Self::office_with(count, "").await
    }

    /// The same, with more of the configuration.
    pub(super) async fn office_with(count: usize, more: &'static str) -> anyhow::Result<Self> {
        let plan = Plan {
            command: OFFICE,
            more,
            ..Plan::new(count, "127.0.0.1:9", 1)
        };
        Self::start(&plan).await
    }

    pub(super) fn leads(&self) -> &Node {
        &self.nodes.nodes[self.leader]
    }

    /// A client of the leader's API.
    pub(super) fn client(&self) -> &Client {
        &self.leads().client
    }

    /// The address of the leader's API.
    pub(super) fn address(&self) -> &str {
        self.leads().api.trim_start_matches("http://")
    }

    /// Imports sample customers; rows a second.
    pub(super) async fn import(&self, customers: u64) -> anyhow::Result<f64> {
        let began = Instant::now();
        let rows = sample::stream(customers);
        let told = self
            .client()
            .upload("/customers/import", "text/csv", rows)
            .await?;
        let written = count(&told, "created") + count(&told, "updated");
        anyhow::ensure!(
            written == customers,
            "{customers} rows were sent up: {told}"
        );
        Ok(customers as f64 / began.elapsed().as_secs_f64())
    }

    /// Creates a mailing from now on, to all whose phone matches.
    pub(super) async fn mail(&self, id: &str, phones: &str, seconds: i64) -> anyhow::Result<()> {
        self.client()
            .post("/mailings", &Self::mailing(id, phones, seconds)?)
            .await?;
        Ok(())
    }

    /// The body that creates a mailing from now on, to all whose phone matches.
    pub(super) fn mailing(id: &str, phones: &str, seconds: i64) -> anyhow::Result<Value> {
        let now = jiff::Timestamp::now();
        let end = now.checked_add(jiff::Span::new().seconds(seconds))?;
        Ok(
            json!({ "id": id, "text": "Hello from the benchmark!", "phone_filter": phones,
            "start": now.to_string(), "end": end.to_string() }),
        )
    }

    /// Creates so many mailings to all customers, from now on.
    pub(super) async fn mail_all(&self, mailings: u64) -> anyhow::Result<()> {
        for n in 1..=mailings {
            self.mail(&format!("bench-{n}"), "%", 3_600).await?;
        }
        Ok(())
    }

    /// The id of a mailing's first message; the cluster's numbers begin anywhere.
    pub(super) async fn first_message(&self, id: &str) -> anyhow::Result<u64> {
        let path = format!("/messages?mailing={id}&limit=1");
        let page = self.client().get(&path).await?;
        let first = page.pointer("/items/0/id").and_then(Value::as_str);
        let first = first.and_then(|first| first.parse().ok());
        first.with_context(|| format!("mailing {id} has no message yet: {page}"))
    }

    /// Returns `true` if the mailing has reached all customers that it matches.
    pub(super) async fn is_caught_up(&self, id: &str) -> anyhow::Result<bool> {
        let mailing = self.client().get(&format!("/mailings/{id}")).await?;
        Ok(mailing.get("caught_up").and_then(Value::as_bool) == Some(true))
    }

    /// Returns `true` if all mailings of [`Self::mail_all`] have. `from` is the first one that was not yet
    /// caught up, so that no mailing is requested again.
    pub(super) async fn are_caught_up(
        &self,
        from: &mut u64,
        mailings: u64,
    ) -> anyhow::Result<bool> {
        while *from <= mailings {
            if !self.is_caught_up(&format!("bench-{from}")).await? {
                return Ok(false);
            }
            *from += 1;
        }
        Ok(true)
    }

    /// Waits until a mailing has reached all that it matches.
    pub(super) async fn await_caught_up(&self, id: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        while !self.is_caught_up(id).await? {
            anyhow::ensure!(began.elapsed() < AT_MOST, "mailing {id} is not caught up");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// From now on costs count.
    pub(super) fn begin(&mut self) {
        self.before = self.nodes.nodes.iter().map(Node::cost).collect();
    }

    /// Adds what the nodes cost for so many of something since the beginning: CPU for each, the
    /// leader's first, the most memory, and what lies on the disk.
    pub(super) fn add_costs(&self, record: &mut Record, count: u64) {
        let (mut followers, mut peak, mut disk) = (1, 0, 0);
        for (n, node) in self.nodes.nodes.iter().enumerate() {
            let cost = node.cost();
            let before = self.before.get(n).map_or(0, |before| before.cpu_micros);
            let each = (cost.cpu_micros - before) as f64 / count.max(1) as f64;
            if self.nodes.nodes.len() == 1 {
                record.add("node_cpu_micros", each);
            } else if n == self.leader {
                record.add("leader_cpu_micros", each);
            } else {
                record.add(format!("follower_{followers}_cpu_micros"), each);
                followers += 1;
            }
            peak = peak.max(cost.peak_bytes);
            disk = disk.max(disk_bytes(node.home()));
        }
        record.add("peak_memory_mb", peak as f64 / 1e6);
        record.add("disk_mb", disk as f64 / 1e6);
    }
}
