//! What a node does about a state that is damaged, or that cannot be flushed.

use std::{sync::Arc, time::Duration};

use notty_raft::{Error, Node, NodeOptions, Peer, SystemClock, disk::files::RealFiles};
use notty_storage::{
    Flushes, MemoryStates, Scan, StoreOptions, View, command::RegisterPostman, model::PostmanName,
    query,
};
use parking_lot::Mutex;
use tempfile::TempDir;

type Result<T = (), E = anyhow::Error> = std::result::Result<T, E>;

/// Far longer than anything here needs.
const SOON: Duration = Duration::from_secs(30);

/// A node whose state lies in memory, and what it said when it had to end.
struct Frail {
    dir: TempDir,
    states: MemoryStates,
    said: Arc<Mutex<Vec<String>>>,
}

impl Frail {
    fn new() -> Result<Self> {
        let (dir, states) = (tempfile::tempdir()?, MemoryStates::new());
        Ok(Self {
            dir,
            states,
            said: Arc::default(),
        })
    }

    async fn open(&self) -> Result<Arc<Node>> {
        let opening = async {
            loop {
                match self.try_open().await {
                    // Whoever had it before lets go of it a moment later.
                    Err(error) if error.to_string().contains("in use") => {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    opened => return opened,
                }
            }
        };
        let node = tokio::time::timeout(SOON, opening).await??;
        anyhow::ensure!(node.ready().await);
        Ok(node)
    }

    async fn try_open(&self) -> Result<Arc<Node>, Error> {
        let said = self.said.clone();
        let options = NodeOptions {
            peer: Peer {
                name: "notty-0".into(),
                ..Peer::default()
            },
            commit: String::new(),
            exercises_levels: false,
            cluster: None,
            store: StoreOptions {
                memory: Some(self.states.clone()),
                flush_bytes: 20_000,
                ..StoreOptions::default()
            },
            log: Default::default(),
            files: Arc::new(RealFiles),
            onlooker: None,
            clock: Arc::new(SystemClock),
            fatal: Arc::new(move |line| said.lock().push(line.to_owned())),
        };
        Node::open(self.dir.path(), options).await
    }

    /// Waits until the node has said why it ends.
    async fn line(&self) -> Result<String> {
        let waiting = async {
            loop {
                if let Some(line) = self.said.lock().first() {
                    return line.clone();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        Ok(tokio::time::timeout(SOON, waiting).await?)
    }

    fn suspect(&self) -> bool {
        self.dir.path().join("state/SUSPECT").exists()
    }
}

fn register(name: &str) -> RegisterPostman {
    let name = PostmanName::parse(name).expect("a name");
    RegisterPostman { name, nonce: 7 }
}

async fn fill(node: &Node, from: usize) -> Result {
    for n in from..from + 30 {
        node.act(register(&format!("p{n}"))).await?;
    }
    Ok(())
}

fn postmen(node: &Node) -> usize {
    query::leases::postmen(&node.view().read())
        .expect("readable")
        .len()
}

/// Reads everything.
fn read_all(view: &View) -> Result<u64, notty_storage::Error> {
    let mut pairs = 0;
    view.read().scan(&[], |_, _| {
        pairs += 1;
        true
    })?;
    Ok(pairs)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_meets_damage_ends_the_process_and_the_next_start_rebuilds_the_state()
-> Result {
    for per_mille in [0, 300, 600, 1_000] {
        let frail = Frail::new()?;
        let node = frail.open().await?;
        fill(&node, 0).await?;
        frail.states.damage(per_mille);
        assert!(node.checked(read_all(&node.view())).is_err());
        let line = frail.line().await?;
        assert!(
            line.contains("damaged leaf") && line.contains("rebuilds"),
            "{line}"
        );
        assert!(frail.suspect(), "{line}");
        // Whoever stops it, or kills it.
        let _ = node.stop().await;
        drop(node);
        frail.said.lock().clear();
        let node = frail.open().await?;
        assert_eq!(postmen(&node), 30);
        assert!(node.checked(read_all(&node.view()))? > 0);
        fill(&node, 30).await?;
        assert!(frail.said.lock().is_empty() && !frail.suspect());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_meets_damage_ends_the_process_and_the_next_start_rebuilds_the_state()
-> Result {
    let frail = Frail::new()?;
    let node = frail.open().await?;
    fill(&node, 0).await?;
    // Few keys are so far in a leaf or two, and each entry writes some of them.
    frail.states.damage(0);
    let written = fill(&node, 30).await;
    assert!(written.is_err());
    assert!(frail.line().await?.contains("damaged leaf") && frail.suspect());
    let _ = node.stop().await;
    drop(node);
    frail.said.lock().clear();
    let node = frail.open().await?;
    assert!(postmen(&node) >= 30);
    fill(&node, 40).await?;
    assert!(frail.said.lock().is_empty() && !frail.suspect());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_a_start_meets_is_no_crash_loop() -> Result {
    let frail = Frail::new()?;
    let node = frail.open().await?;
    fill(&node, 0).await?;
    node.stop().await?;
    drop(node);
    frail.states.damage(0);
    let node = frail.open().await?;
    assert_eq!(postmen(&node), 30);
    assert!(frail.said.lock().is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_fails_ends_the_process_at_once_and_does_not_mark_the_state() -> Result {
    let frail = Frail::new()?;
    let node = frail.open().await?;
    frail.states.set_flushes(Flushes::Fail);
    // Until enough is unflushed; the process ends meanwhile.
    for round in 0..40 {
        if fill(&node, round * 30).await.is_err() || !frail.said.lock().is_empty() {
            break;
        }
    }
    assert!(frail.line().await?.contains("flush failed"));
    assert!(!frail.suspect());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_meets_damage_ends_the_process() -> Result {
    let frail = Frail::new()?;
    let node = frail.open().await?;
    fill(&node, 0).await?;
    // Nobody else reads what comes last.
    frail.states.damage(1_000);
    let copier = node.clone();
    let copied = tokio::task::spawn_blocking(move || copier.back_up("test").map(drop)).await?;
    assert!(copied.is_err());
    let line = frail.said.lock().first().cloned().expect("it has ended");
    assert!(line.contains("rebuilds") && frail.suspect(), "{line}");
    Ok(())
}

/// In the runtime of a simulation, whose time passes at once.
#[tokio::test(start_paused = true)]
async fn a_flush_that_does_not_end_ends_the_process() -> Result {
    let frail = Frail::new()?;
    let node = frail.open().await?;
    frail.states.set_flushes(Flushes::Hang);
    for round in 0..10 {
        fill(&node, round * 30).await?;
    }
    assert!(
        frail.said.lock().is_empty(),
        "it goes on as long as it may come to its end"
    );
    tokio::time::sleep(Duration::from_secs(90)).await;
    let line = frail.said.lock().first().cloned().expect("it has ended");
    assert!(
        line.contains("flushing the state has stood still"),
        "{line}"
    );
    Ok(())
}
