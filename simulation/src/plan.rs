//! What is drawn from a seed: everything that differs between two simulations.

mod draw;
mod halts;
mod mood;

use notty::config::{
    ApiConfig, ClusterConfig, Config, GatewayConfig, LeaseConfig, NodeConfig, PeerConfig,
    PostmanConfig, RetryConfig, Role, TokenConfig,
};
use notty_raft::log::LogOptions;

pub use halts::{HaltSpan, PROBE_PAUSES_MS, PROVIDER, PROVIDER_FILE};
pub use mood::{GatewayMix, MOOD_COUNT, Mood, USUAL_MOODS};

use crate::faults::Fault;

/// The token of the clients.
pub const TOKEN: &str = "simulated-token";

/// The address at which the gateway reports; it knows that this stands for all nodes.
pub const PUBLIC_URL: &str = "http://notty.example";

/// One simulation.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it was drawn from.
    pub seed: u64,
    /// Nodes: 3 or 5.
    pub nodes: usize,
    /// Nodes that may be taken in later: none or one.
    pub spares: usize,
    /// Postmen by themselves.
    pub postmen: usize,
    /// Whether those have one name, as if one was copied: the newest works.
    pub one_postman: bool,
    /// Clients.
    pub clients: usize,
    /// The true time when it begins.
    pub base_ms: i64,
    /// Whether the state lies on sled, in a directory, instead of in memory.
    pub sled: bool,
    /// Whether nodes begin with an older version, which does not understand the latest level, and get the
    /// present one at their first restart.
    pub upgrades: bool,
    /// True if the gateway is asked for receipts.
    pub receipts: bool,
    /// Whether the gateway drops repeated ids, and the service knows.
    pub idempotent: bool,
    /// Whether the postmen of all nodes have one name: the newest works.
    pub one_name: bool,
    /// Requests in flight from one postman.
    pub concurrency: usize,
    /// Messages of a lease, at most.
    pub lease_size: u16,
    /// How long a lease lasts.
    pub lease_ttl_ms: u64,
    /// How long connecting to the gateway may take.
    pub connect_timeout_ms: u64,
    /// How long the gateway may take.
    pub gateway_timeout_ms: u64,
    /// Pauses between tries.
    pub retry_ms: (u64, u64),
    /// How the log is kept.
    pub log: LogOptions,
    /// Customers imported at the beginning.
    pub customers: u32,
    /// Mailings, by the client that owns them in turn.
    pub mailings: Vec<MailingPlan>,
    /// How far wall clocks are off from the beginning, by node.
    pub skews_ms: Vec<i64>,
    /// What a message takes over the network.
    pub latency_ms: (u64, u64),
    /// Time that the gateway asks postmen to wait, in seconds.
    pub wait_s: u64,
    /// The gateway on a usual day.
    pub gateway: GatewayMix,
    /// The spans in which the gateway halts. Where there are any, it is one that a profile describes.
    pub halts: Vec<HaltSpan>,
    /// What strikes when, in milliseconds.
    pub faults: Vec<(u64, Fault)>,
    /// When faults and clients stop, in milliseconds.
    pub quiet_ms: u64,
}

/// A mailing and its fate; times in milliseconds of the simulation.
#[derive(Clone, Debug)]
pub struct MailingPlan {
    /// Its id.
    pub id: String,
    /// When it is created.
    pub at_ms: u64,
    /// When it starts.
    pub start_ms: u64,
    /// When it ends.
    pub end_ms: u64,
    /// Which tags it is for.
    pub tag_filter: &'static str,
    /// Its window in UTC, if it has one: minutes of the day.
    pub window: Option<(u64, u64)>,
    /// What its owner does to it.
    pub fate: Fate,
}

/// What a mailing's owner does to it, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Kept,
    /// Cancels it.
    Cancelled(u64),
    /// Deletes it.
    Deleted(u64),
    /// Pauses it, and lets it go on.
    Paused(u64, u64),
    /// Ends it sooner.
    Shortened(u64, u64),
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        draw::plan(seed)
    }

    /// How far a machine's wall clock is off when nothing strikes it.
    pub fn skew_ms(&self, machine: usize) -> i64 {
        self.skews_ms.get(machine).copied().unwrap_or_default()
    }

    /// Machines: nodes, spare ones, then postmen.
    pub fn machines(&self) -> usize {
        self.nodes + self.spares + self.postmen
    }

    /// True if a machine runs a standalone postman.
    pub fn is_postman(&self, machine: usize) -> bool {
        machine >= self.nodes + self.spares
    }

    /// What a machine is called in the network; a node, in its cluster too.
    pub fn host(&self, machine: usize) -> String {
        match machine.checked_sub(self.nodes + self.spares) {
            Some(postman) => format!("postman-{postman}"),
            None => format!("notty-{machine}"),
        }
    }

    /// What a machine's postman is called.
    pub fn postman(&self, machine: usize) -> String {
        match (self.is_postman(machine), self.one_name, self.one_postman) {
            (true, _, true) => "the-lone-postman".to_owned(),
            (false, true, _) => "the-postman".to_owned(),
            _ => self.host(machine),
        }
    }

    fn public_url(&self) -> String {
        let url = if self.receipts { PUBLIC_URL } else { "" };
        url.to_owned()
    }

    /// How a machine's process is configured.
    pub fn config(&self, machine: usize, data_dir: std::path::PathBuf) -> Config {
        let peer = |n: usize| PeerConfig {
            name: self.host(n),
            peer: format!("{}:7080", self.host(n)),
            api: format!("http://{}:8080", self.host(n)),
        };
        let founders = (0..self.nodes).map(peer);
        let spare = machine >= self.nodes && !self.is_postman(machine);
        let peers = founders.clone().map(|founder| founder.peer).collect();
        let gateways = self.providers(&data_dir);
        let nodes = founders.chain(spare.then(|| peer(machine))).collect();
        Config {
            node: NodeConfig {
                data_dir,
                public_url: self.public_url(),
                ..NodeConfig::default()
            },
            api: ApiConfig {
                listen: "0.0.0.0:8080".into(),
                tokens: vec![TokenConfig {
                    name: "client".into(),
                    token: TOKEN.into(),
                    role: Role::Admin,
                }],
            },
            gateway: GatewayConfig {
                url: "http://gateway:9090/v1/send".into(),
                concurrency: self.concurrency,
                connect_timeout_ms: self.connect_timeout_ms,
                timeout_ms: self.gateway_timeout_ms,
                idempotent: self.idempotent,
                ..GatewayConfig::default()
            },
            gateways,
            postman: PostmanConfig {
                name: self.postman(machine),
                peers,
                ..PostmanConfig::default()
            },
            lease: LeaseConfig {
                size: self.lease_size,
                ttl_ms: self.lease_ttl_ms,
            },
            retry: RetryConfig {
                initial_ms: self.retry_ms.0,
                max_ms: self.retry_ms.1,
            },
            cluster: Some(ClusterConfig {
                listen: "0.0.0.0:7080".into(),
                secret: "a secret of the simulation".into(),
                name: self.host(machine),
                expect: self.nodes as u32,
                nodes,
                ..ClusterConfig::default()
            }),
            ..Config::default()
        }
    }

    /// How far ahead of the true time a clock may be that its machine believes, in milliseconds.
    pub fn believed_ahead_ms(&self) -> i64 {
        let skews = self.faults.iter().filter_map(|(_, fault)| match fault {
            Fault::Skew { ms, .. } => Some(*ms),
            _ => None,
        });
        self.skews_ms.iter().copied().chain(skews).fold(0, i64::max)
    }

    /// The greatest difference between two wall clocks, or one and the true time, in milliseconds.
    pub fn clocks_apart_ms(&self) -> i64 {
        let jumps = self.faults.iter().filter_map(|(_, fault)| match fault {
            Fault::Skew { ms, .. } | Fault::Jump { ms, .. } => Some(*ms),
            _ => None,
        });
        let skews = self.skews_ms.iter().copied().chain(jumps);
        // The true time among them: all may be off in one direction.
        let (least, most) = skews.fold((0, 0), |(l, m), skew| (skew.min(l), skew.max(m)));
        most - least
    }
}
