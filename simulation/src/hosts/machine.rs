//! A machine: its disk, its clocks, and how its process dies.

use std::{
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use notty::config::{Config, Secret};
use notty_raft::{Clock, Node};
use notty_storage::{
    MemoryStates, StoreOptions, Timestamp,
    level::{FIRST_LEVEL, LEVEL},
};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::node::Order;
use crate::{
    clock::NodeClock,
    disk::{DiskFault, SimDisk},
    event::Event,
    plan::{PROVIDER, PROVIDER_FILE},
    stage::Stage,
};

/// How a process ended.
#[derive(Clone, Debug)]
pub struct Death {
    /// Why.
    pub why: String,
    /// Whether the machine lost its power with it.
    pub power: bool,
}

/// A machine that runs a node, or a standalone postman.
pub struct Machine {
    /// Which.
    pub number: usize,
    /// Its name, in the network and the cluster.
    pub name: String,
    /// Where everything is told.
    pub stage: Arc<Stage>,
    /// Its clocks.
    pub clock: Arc<NodeClock>,
    /// Where its log lies.
    pub disk: SimDisk,
    /// Where its state lies, unless that is on sled.
    pub memory: MemoryStates,
    dir: TempDir,
    death: Arc<Mutex<Option<Death>>>,
    node: Mutex<Weak<Node>>,
    orders: Mutex<Option<mpsc::UnboundedSender<Order>>>,
    /// Steps of sending until it dies; 0: it does not.
    steps: AtomicU64,
    /// Starts of a process here.
    starts: AtomicU64,
    /// Accounts that it had at the gateway before the present one.
    accounts: AtomicU64,
}

impl Machine {
    /// An empty one.
    pub fn new(number: usize, stage: Arc<Stage>) -> std::io::Result<Arc<Self>> {
        let death = Arc::new(Mutex::new(None));
        let (dying, told) = (death.clone(), stage.clone());
        let disk = SimDisk::new(Arc::new(move |fault| {
            told.tell(&Event::DiskFailed {
                machine: number,
                fault,
            });
            if fault == DiskFault::Power {
                let why = "in the middle of an operation of its disk".to_owned();
                dying.lock().get_or_insert(Death { why, power: true });
            }
        }));
        let shm = PathBuf::from("/dev/shm");
        let dir = if shm.is_dir() {
            tempfile::tempdir_in(shm)
        } else {
            tempfile::tempdir()
        }?;
        std::fs::write(dir.path().join(PROVIDER_FILE), PROVIDER)?;
        Ok(Arc::new(Self {
            number,
            name: stage.plan.host(number),
            clock: NodeClock::new(number, stage.plan.base_ms),
            stage,
            disk,
            memory: MemoryStates::new(),
            dir,
            death,
            node: Mutex::default(),
            orders: Mutex::default(),
            steps: AtomicU64::new(0),
            starts: AtomicU64::new(0),
            accounts: AtomicU64::new(0),
        }))
    }

    /// Where its data directory lies.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The level that its version understands. A spare machine is set up while others run, and so with
    /// the present version.
    fn level(&self) -> u32 {
        let plan = &self.stage.plan;
        let is_spare = (plan.nodes..plan.nodes + plan.spares).contains(&self.number);
        let was_upgraded = self.starts.load(Ordering::Relaxed) > 1;

        if plan.upgrades && !was_upgraded && !is_spare {
            FIRST_LEVEL
        } else {
            LEVEL
        }
    }

    /// Notes that a process starts here.
    pub fn starts(&self) {
        self.starts.fetch_add(1, Ordering::Relaxed);
    }

    /// How its state is kept.
    pub fn store_options(&self) -> StoreOptions {
        let memory = (!self.stage.plan.sled).then(|| self.memory.clone());
        StoreOptions {
            cache_bytes: 4 * 1024 * 1024,
            flush_bytes: 64 * 1024,
            memory,
            level: self.level(),
        }
    }

    /// The wall clock.
    pub fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    /// The process ends here and now; what it would still do has no effect.
    pub fn die(&self, why: &str, power: bool) {
        // Where it lies on this computer is another each time.
        let why = why.replace(&*self.dir.path().to_string_lossy(), "");
        self.death.lock().get_or_insert(Death { why, power });
    }

    /// Whether the process has ended.
    pub fn is_dead(&self) -> bool {
        self.death.lock().is_some()
    }

    /// How it ended, once.
    pub fn take_death(&self) -> Option<Death> {
        self.death.lock().take()
    }

    /// The next start has another account at the gateway.
    pub fn open_account(&self) {
        self.accounts.fetch_add(1, Ordering::Relaxed);
    }

    /// A configuration with the present account.
    pub fn with_account(&self, mut config: Config) -> Config {
        let account = self.accounts.load(Ordering::Relaxed);
        let token: Secret = format!("account-{account}").as_str().into();
        for gateway in &mut config.gateways {
            gateway.secrets.insert("token".to_owned(), token.clone());
        }
        config.gateway.token = token;
        config
    }

    /// Waits for ever if the process has ended.
    pub async fn hang_if_dead(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// From now on, the n-th step of sending is the process's last.
    pub fn die_at_step(&self, steps: u64) {
        self.steps.store(steps, Ordering::Relaxed);
    }

    /// A step of sending: connecting, before and after a request, an answer.
    pub fn sending_step(&self, step: &str) {
        let left = self.steps.load(Ordering::Relaxed);
        if left == 0 {
            return;
        }
        self.steps.store(left - 1, Ordering::Relaxed);
        if left == 1 {
            self.die(&format!("killed at a step of sending: {step}"), false);
        }
    }

    /// The node, if it runs.
    pub fn node(&self) -> Option<Arc<Node>> {
        self.node.lock().upgrade()
    }

    /// A node runs here now.
    pub fn runs(&self, node: &Arc<Node>) {
        *self.node.lock() = Arc::downgrade(node);
    }

    /// A process works here now that takes orders.
    pub fn obeys(&self, orders: mpsc::UnboundedSender<Order>) {
        *self.orders.lock() = Some(orders);
    }

    /// True while a process works here: a node, or a standalone postman.
    pub fn is_up(&self) -> bool {
        self.orders.lock().is_some()
    }

    /// Nothing runs here now.
    pub fn runs_no_more(&self) {
        *self.node.lock() = Weak::new();
        *self.orders.lock() = None;
        self.steps.store(0, Ordering::Relaxed);
    }

    /// Has the process do something by itself; false if none runs.
    pub fn order(&self, order: Order) -> bool {
        self.orders
            .lock()
            .as_ref()
            .is_some_and(|orders| orders.send(order).is_ok())
    }
}
