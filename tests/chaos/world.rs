//! What all actors share: the nodes, the gateway, the ledger, and when to stop.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use reqwest::Method;
use serde_json::Value;

use super::{
    dice::Dice,
    fleet::Fleet,
    gateway::Gateway,
    ledger::{Known, Ledger, Maybe},
    support::Client,
    wire::{Outcome, send},
};

/// A backup that was taken whole, and what it must hold.
pub struct Backup {
    pub file: PathBuf,
    pub known: Known,
    pub maybe: Maybe,
    /// It was restored before.
    pub used: bool,
}

/// What is under way, for faults that are to come just then.
#[derive(Default)]
pub struct UnderWay {
    pub imports: AtomicU64,
    pub backups: AtomicU64,
}

/// What all actors share.
pub struct World {
    pub seed: u64,
    /// The gateway drops repeats, so that unclear sends may be repeated.
    pub idempotent: bool,
    /// Mailings of backups are resumed with duplicates accepted, some of them.
    pub accepts: bool,
    pub fleet: Fleet,
    pub gateway: Gateway,
    pub ledger: Arc<Mutex<Ledger>>,
    pub under_way: UnderWay,
    /// Taken in this round, at this position.
    pub fresh_backups: Mutex<Vec<(PathBuf, u64)>>,
    /// Customers that actors write one by one; the others are imported.
    pub own: u32,
    pub people: u32,
    stop: AtomicBool,
    steps: AtomicU64,
}

impl World {
    pub fn new(
        (seed, idempotent, accepts): (u64, bool, bool),
        (fleet, gateway): (Fleet, Gateway),
        ledger: Arc<Mutex<Ledger>>,
        (own, people): (u32, u32),
    ) -> Arc<Self> {
        let world = Self {
            seed,
            idempotent,
            accepts,
            fleet,
            gateway,
            ledger,
            under_way: UnderWay::default(),
            fresh_backups: Mutex::default(),
            own,
            people,
            stop: AtomicBool::new(false),
            steps: AtomicU64::new(0),
        };
        Arc::new(world)
    }

    /// The actors of a round go on until it ends.
    pub fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    pub fn set_stop(&self, stop: bool) {
        self.stop.store(stop, Ordering::SeqCst);
    }

    /// One more step of an actor.
    pub fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// What was written up to here must be seen by whoever reads from now on.
    pub fn index(&self) -> u64 {
        self.ledger.lock().index
    }

    /// Reads from any node, which must have applied all that was acknowledged. None: no answer now.
    pub async fn read(&self, dice: &mut Dice, path: &str) -> Option<Outcome> {
        let client = self.fleet.any(dice);
        let outcome = self.read_from(client, path).await;
        (!matches!(outcome, Outcome::Not | Outcome::Unknown)).then_some(outcome)
    }

    async fn read_from(&self, client: &Client, path: &str) -> Outcome {
        let request = client.request(Method::GET, path);
        super::wire::call(client, request.header("Notty-Min-Index", self.index())).await
    }

    /// Reads from a node while all is at rest: there must be an answer soon.
    pub async fn need(&self, n: usize, path: &str) -> (u64, Value) {
        let mut last = Outcome::Not;
        for _ in 0..200 {
            last = self.read_from(self.fleet.client(n), path).await;
            match last {
                Outcome::Acked { index, body } => return (index, body),
                Outcome::Refused { .. } => break,
                Outcome::Not | Outcome::Unknown => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        panic!(
            "notty-{n}: GET {path}: {last:?}: {}",
            self.fleet.tell_all().await
        );
    }

    /// All items of a list, page by page, from a node.
    pub async fn all(&self, n: usize, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let join = if path.contains('?') { '&' } else { '?' };
            let (_, page) = self
                .need(n, &format!("{path}{join}limit=1000{after}"))
                .await;
            items.extend(page["items"].as_array().expect("items").iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return items,
            }
        }
    }

    /// Writes through any node.
    pub async fn write(
        &self,
        dice: &mut Dice,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Outcome {
        send(self.fleet.any(dice), method, path, body).await
    }
}
