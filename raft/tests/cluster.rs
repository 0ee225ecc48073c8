//! Three nodes in one process, over real sockets: what only whole processes cannot show quickly.

mod cut;
#[path = "../../tests/support/ports.rs"]
mod ports;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use cut::Cut;
use notty_raft::{
    Change, ChangeError, Clock, ClusterOptions, Credentials, Node, NodeOptions, Peer, ProposeError,
    SystemClock,
};
use notty_storage::{
    Command, Intent, StoreOptions, Timestamp,
    command::{RegisterPostman, SetTime},
    model::PostmanName,
    query,
};
use ports::free_addresses;
use tempfile::TempDir;

type Result<T = ()> = anyhow::Result<T>;

/// Far longer than anything here needs.
const SOON: Duration = Duration::from_secs(30);
/// More entries than are kept behind a snapshot for those who lag.
const MANY: usize = 1_200;

struct Trio {
    dir: TempDir,
    peers: Vec<Peer>,
    cuts: Vec<Cut>,
    clocks: Vec<ShiftedClock>,
    nodes: Vec<Option<Arc<Node>>>,
}

/// This machine's clocks, the wall clock so many milliseconds ahead.
#[derive(Clone, Default)]
struct ShiftedClock(Arc<AtomicI64>);

impl Clock for ShiftedClock {
    fn wall(&self) -> Timestamp {
        SystemClock
            .wall()
            .plus_millis(self.0.load(Ordering::SeqCst))
    }

    fn boot(&self) -> Duration {
        SystemClock.boot()
    }
}

impl ShiftedClock {
    fn set(&self, ahead_ms: i64) {
        self.0.store(ahead_ms, Ordering::SeqCst);
    }
}

impl Trio {
    async fn form() -> Result<Self> {
        let peer = |(n, peer)| Peer {
            name: format!("node-{n}"),
            peer,
            ..Peer::default()
        };
        let peers = free_addresses(3)
            .into_iter()
            .enumerate()
            .map(peer)
            .collect();
        let cuts = vec![Cut::default(), Cut::default(), Cut::default()];
        let clocks = (0..3).map(|_| ShiftedClock::default()).collect();
        let mut trio = Self {
            dir: tempfile::tempdir()?,
            peers,
            cuts,
            clocks,
            nodes: Vec::new(),
        };
        // None of them is there before all are.
        let opened = futures_util::future::join_all((0..3).map(|n| trio.open(n))).await;
        trio.nodes = opened
            .into_iter()
            .map(|node| node.map(Some))
            .collect::<Result<_>>()?;
        Ok(trio)
    }

    fn data(&self, n: usize) -> PathBuf {
        self.dir.path().join(format!("node-{n}"))
    }

    async fn open(&self, n: usize) -> Result<Arc<Node>> {
        let (me, nodes) = (self.peers[n].clone(), self.peers.clone());
        let clock = self.clocks[n].clone();
        open_node(self.data(n), me, nodes, self.cuts[n].clone(), clock).await
    }

    fn node(&self, n: usize) -> &Arc<Node> {
        self.nodes[n].as_ref().expect("it runs")
    }

    async fn leader(&self) -> Result<usize> {
        self.leader_among(&[0, 1, 2]).await
    }

    async fn leader_among(&self, some: &[usize]) -> Result<usize> {
        let looking = async {
            loop {
                let leads = |n: &usize| self.nodes[*n].as_ref().is_some_and(|n| n.leads_now());
                if let Some(found) = some.iter().copied().find(leads) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        Ok(tokio::time::timeout(SOON, looking).await?)
    }

    /// Has a node write a snapshot that reaches an entry.
    async fn snapshot(&self, n: usize, last: u64) -> Result {
        self.node(n).snapshot().await?;
        let compacted = async {
            while self.node(n).status().snapshot_index < last {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        Ok(tokio::time::timeout(SOON, compacted).await?)
    }

    /// Hands leadership over; again, where followers on a busy machine stood for it by themselves.
    async fn hand_over(&self, to: usize) -> Result {
        let began = std::time::Instant::now();
        while self.leader().await? != to {
            let from = self.leader().await?;
            match self
                .node(from)
                .transfer_leader(Some(&self.peers[to].name))
                .await
            {
                Ok(name) => assert_eq!(name, self.peers[to].name),
                Err(error) if began.elapsed() > SOON => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        Ok(())
    }

    /// Waits until a node hears what time it is from a leader who is sure of it.
    async fn hears_the_time(&self, n: usize) -> Result<Timestamp> {
        let heard = async {
            loop {
                match self.node(n).read_point().await {
                    Ok(at) if at != Timestamp::default() => return at,
                    _ => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        Ok(tokio::time::timeout(SOON, heard).await?)
    }

    async fn stop(&mut self, n: usize) -> Result {
        let node = self.nodes[n].take().expect("it runs");
        Ok(node.stop().await?)
    }
}

async fn open_node(
    data: PathBuf,
    peer: Peer,
    nodes: Vec<Peer>,
    cut: Cut,
    clock: ShiftedClock,
) -> Result<Arc<Node>> {
    let options = NodeOptions {
        commit: String::new(),
        exercises_levels: false,
        cluster: Some(ClusterOptions {
            listen: peer.peer.clone(),
            credentials: Credentials::by_secret(b"a secret of this test"),
            expect: 3,
            nodes,
            transport: Arc::new(cut),
        }),
        peer,
        store: StoreOptions::default(),
        log: Default::default(),
        files: Arc::new(notty_raft::disk::files::RealFiles),
        onlooker: None,
        clock: Arc::new(clock),
        fatal: Arc::new(|line| panic!("{line}")),
    };
    let node = Node::open(&data, options).await?;
    anyhow::ensure!(tokio::time::timeout(SOON, node.ready()).await?);
    Ok(node)
}

fn register(name: &str, nonce: u64) -> RegisterPostman {
    let name = PostmanName::parse(name).expect("a valid name");
    RegisterPostman { name, nonce }
}

/// Has an action executed. On a busy machine a leader may be given up for a moment: then nothing was
/// written.
async fn written<A: Intent + Clone>(node: &Node, action: A) -> Result<u64> {
    let began = std::time::Instant::now();
    loop {
        match node.propose(Command::new(action.clone())).await {
            Ok(written) => return Ok(written.index),
            Err(ProposeError::NoLeader) if began.elapsed() < SOON => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// So many entries, one after the other.
async fn fill(node: &Node, count: usize) -> Result<u64> {
    let mut last = 0;
    for n in 0..count {
        last = written(node, register("a", n as u64)).await?;
    }
    Ok(last)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_for_long_is_brought_up_by_a_snapshot() -> Result {
    let mut trio = Trio::form().await?;
    let leader = trio.leader().await?;
    let (away, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let had = trio.node(away).status().last_index;
    trio.stop(away).await?;
    let last = fill(trio.node(leader), MANY).await?;
    trio.snapshot(leader, last).await?;
    // The log is dropped a little later: not while some of it is on its way to somebody.
    let dropped = async {
        while trio.node(leader).status().purged_index <= had {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, dropped).await?;
    // Readers read on while their state is replaced.
    trio.nodes[away] = Some(trio.open(away).await?);
    let last = fill(trio.node(other), 10).await?;
    for n in 0..3 {
        assert!(trio.node(n).wait_applied(last, SOON).await, "node-{n}");
        assert_eq!(
            query::leases::postmen(&trio.node(n).view().read())?.len(),
            1
        );
    }
    // The hash is of what was applied: whole only where nothing else is under way.
    let hashes: Vec<_> = (0..3).map(|n| trio.node(n).state_hash()).collect();
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[1], hashes[2]);
    assert!(
        trio.node(away).status().snapshot_index >= MANY as u64,
        "it came by snapshot"
    );
    for n in 0..3 {
        trio.stop(n).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_goes_to_whom_it_is_handed() -> Result {
    let trio = Trio::form().await?;
    let leader = trio.leader().await?;
    for to in [(leader + 1) % 3, (leader + 2) % 3] {
        let from = trio.leader().await?;
        assert!(
            trio.node(to).transfer_leader(None).await.is_err(),
            "only the leader can"
        );
        assert!(
            trio.node(from)
                .transfer_leader(Some("nobody"))
                .await
                .is_err()
        );
        trio.hand_over(to).await?;
        for n in 0..3 {
            // The others hear of the new leader by and by.
            assert!(trio.node(n).ready().await);
            fill(trio.node(n), 1).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_cut_off_and_came_back_by_snapshot_leads_again() -> Result {
    let mut trio = Trio::form().await?;
    let old = trio.leader().await?;
    let others = [(old + 1) % 3, (old + 2) % 3];
    // So much that the new leader finds where they agree before it finds where they do not.
    fill(trio.node(old), 400).await?;
    trio.cuts[old].set(true);
    // As many entries as it has in flight at once, each on its way before the next.
    let mut lost = Vec::new();
    for n in 0..2 {
        let node = trio.node(old).clone();
        lost.push(tokio::spawn(
            async move { node.act(register("lost", n)).await },
        ));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let new = trio.leader_among(&others).await?;
    let last = fill(trio.node(new), MANY).await?;
    trio.snapshot(new, last).await?;
    trio.cuts[old].set(false);
    let by_snapshot = async {
        while trio.node(old).status().snapshot_index < last {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, by_snapshot).await?;
    for lost in lost {
        // A busy machine may have told it that it is cut off before it was asked.
        let answer = tokio::time::timeout(SOON, lost).await??;
        let not_written = [ProposeError::Unknown, ProposeError::NoLeader];
        assert!(
            answer
                .as_ref()
                .is_err_and(|error| not_written.contains(error)),
            "{answer:?}"
        );
    }
    trio.hand_over(old).await?;
    trio.node(old).ready().await;
    fill(trio.node(old), 1).await?;
    trio.stop(old).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_nobody_waits_for_any_more_leaves_a_node_that_can_lead() -> Result {
    let trio = Trio::form().await?;
    let old = trio.leader().await?;
    // Amid the silence in which the others' leases run out.
    let handing = trio.node(old).transfer_leader(None);
    assert!(
        tokio::time::timeout(Duration::from_millis(600), handing)
            .await
            .is_err()
    );
    let written = async {
        while trio.node(old).act(register("b", 1)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(SOON, written).await?;

    // On a busy machine another may come to lead meanwhile: that shows nothing.
    for _ in 0..5 {
        trio.hand_over(old).await?;
        if leads_on(trio.node(old)).await {
            return Ok(());
        }
    }
    anyhow::bail!("it never led for long enough: it sends no heartbeats")
}

/// True if a leader leads on for so long that the others would have elected another if they heard nothing.
async fn leads_on(node: &Node) -> bool {
    let term = node.status().term;
    // Nothing is written meanwhile: followers would take that for heartbeats.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    node.leads_now() && node.status().term == term
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_nobody_waits_for_any_more_is_made_to_its_end() -> Result {
    let trio = Trio::form().await?;
    let leader = trio.leader().await?;
    let name = trio.peers[(leader + 1) % 3].name.clone();
    let term = trio.node(leader).status().term;
    let change = trio.node(leader).change(Change::Transfer {
        to: Some(name.clone()),
    });
    assert!(
        tokio::time::timeout(Duration::from_millis(300), change)
            .await
            .is_err()
    );
    let led = async {
        while trio.node(leader).status().term == term {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // Where it was given up, nothing would move.
    tokio::time::timeout(Duration::from_secs(5), led).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_stays_whose_former_name_another_node_comes_with() -> Result {
    let trio = Trio::form().await?;
    let leader = trio.node(trio.leader().await?);
    let newcomer = |name: &str, dir: &str| {
        let (name, data) = (name.to_owned(), trio.dir.path().join(dir));
        let peer = Peer {
            name,
            peer: free_addresses(1).remove(0),
            ..Peer::default()
        };
        let opening = open_node(
            data,
            peer.clone(),
            vec![peer.clone()],
            Cut::default(),
            ShiftedClock::default(),
        );
        let add = Change::Add {
            name: peer.name,
            peer: peer.peer,
            api: String::new(),
        };
        Ok::<_, anyhow::Error>((tokio::spawn(opening), add))
    };
    let (opening, add) = newcomer("x", "fourth")?;
    while leader.change(add.clone()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    opening.await??.stop().await?;
    let (renamed, _) = newcomer("y", "fourth")?;
    let renamed = renamed.await??;
    let is_member = |name: &str| leader.status().members.iter().any(|m| m.peer.name == name);
    let known = async {
        while !is_member("y") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, known).await?;
    let (opening, add) = newcomer("x", "fifth")?;
    let refused = loop {
        match leader.change(add.clone()).await {
            Err(ChangeError::Unreachable(_)) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            answer => break answer,
        }
    };
    let (name, now) = ("x".to_owned(), "y".to_owned());
    assert_eq!(refused, Err(ChangeError::FormerName { name, now }));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(is_member("y"));
    opening.abort();
    renamed.stop().await?;
    Ok(())
}

/// It knows a former leader, and the present one looks for it where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_cut_off_has_raised_no_term_and_is_taken_up_where_it_moved() -> Result {
    let mut trio = Trio::form().await?;
    let leader = trio.leader().await?;
    let moved = (leader + 1) % 3;
    let term = trio.node(moved).status().term;
    trio.cuts[moved].set(true);
    // What it lacks: so nobody can vote for it.
    fill(trio.node(leader), 1).await?;
    let hears_nobody = async {
        while trio.node(moved).status().leader.is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, hears_nobody).await?;

    // It may try to be elected all the while.
    trio.hand_over((leader + 2) % 3).await?;
    assert_eq!(trio.node(moved).status().term, term);

    trio.stop(moved).await?;
    trio.cuts[moved].set(false);
    trio.peers[moved].peer = free_addresses(1).remove(0);
    // It is ready only once it hears of a leader.
    let node = trio.open(moved).await?;
    tokio::time::timeout(SOON, node.act(register("b", 1))).await??;
    let status = trio.node(leader).status();
    let address = &trio.peers[moved].peer;
    assert!(
        status
            .members
            .iter()
            .any(|member| member.peer.peer == *address),
        "{status:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_clock_is_wrong_tells_nobody_the_time() -> Result {
    let trio = Trio::form().await?;
    let leader = trio.leader().await?;
    for n in 0..3 {
        let apart = trio.node(n).read_point().await?.since(SystemClock.wall());
        assert!(apart.abs() < 2_000, "node-{n} hears {apart} ms");
    }
    for ahead in [10_000, -10_000] {
        trio.clocks[leader].set(ahead);
        // From the first moment, and after all have been asked what time it is.
        for wait in [0, 2_500] {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            for n in 0..3 {
                assert_eq!(
                    trio.node(n).read_point().await?,
                    Timestamp::default(),
                    "node-{n}"
                );
            }
        }
        // Not for so long that another leads.
        assert_eq!(trio.leader().await?, leader);
        trio.clocks[leader].set(0);
        trio.hears_the_time(leader).await?;
    }
    // One follower's clock says nothing of the leader's.
    trio.clocks[(leader + 1) % 3].set(10_000);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_ne!(
        trio.node((leader + 1) % 3).read_point().await?,
        Timestamp::default()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_clock_is_wrong_hands_over_to_one_whose_clock_agrees_with_most() -> Result {
    let trio = Trio::form().await?;
    let leader = trio.leader().await?;
    trio.hears_the_time(leader).await?;
    let others: Vec<_> = (0..3).filter(|n| *n != leader).collect();
    trio.clocks[leader].set(5_000);
    let next = trio.leader_among(&others).await?;
    // The new one knows what time it is, and the entries have it.
    let at = trio.hears_the_time(next).await?;
    assert!(at.since(SystemClock.wall()).abs() < 2_000);
    fill(trio.node(next), 1).await?;
    let at = query::time::at(&trio.node(next).view().read())?;
    assert!(at.since(SystemClock.wall()).abs() < 5_000, "{at:?}");
    let reasons = trio.node(leader).unready_reasons().await;
    assert!(
        reasons
            .iter()
            .any(|reason| reason.to_string().contains("in doubt")),
        "{reasons:?}"
    );
    assert_eq!(trio.node(next).unready_reasons().await, Vec::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_all_jump_give_entries_no_time_until_they_are_back_or_people_set_it() -> Result
{
    const YEAR: i64 = 365 * 86_400_000;
    let trio = Trio::form().await?;
    let leader = trio.leader().await?;
    trio.hears_the_time(leader).await?;
    let ahead = |ms| trio.clocks.iter().for_each(|clock| clock.set(ms));
    let time = || Ok::<_, anyhow::Error>(query::time::at(&trio.node(leader).view().read())?);

    ahead(YEAR);
    // They agree with each other; but each contradicts its own machine.
    for _ in 0..40 {
        let name = PostmanName::parse("p")?;
        let _ = trio
            .node(leader)
            .act(RegisterPostman { name, nonce: 1 })
            .await;
        assert!(time()?.since(SystemClock.wall()) < 1_000, "{:?}", time()?);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for n in 0..3 {
        let reasons = trio.node(n).unready_reasons().await;
        assert!(
            reasons
                .iter()
                .any(|reason| reason.to_string().contains("365 days")),
            "node-{n}: {reasons:?}"
        );
    }
    ahead(0);
    let leader = trio.leader().await?;
    trio.hears_the_time(leader).await?;

    // An admin says that they are right. It comes to all by the log.
    ahead(YEAR);
    let to = SystemClock.wall().plus_millis(YEAR);
    written(trio.node((leader + 1) % 3), SetTime { to }).await?;
    let at = trio.hears_the_time((leader + 2) % 3).await?;
    assert!(at.since(SystemClock.wall()) > YEAR - 60_000);
    ready(&trio).await?;

    // And that they are not: time goes back, in one entry.
    ahead(0);
    let to = SystemClock.wall();
    written(trio.node(leader), SetTime { to }).await?;
    let at = trio.hears_the_time(leader).await?;
    assert!(at.since(SystemClock.wall()).abs() < 5_000);
    ready(&trio).await
}

/// Waits until nothing is wrong with any node.
async fn ready(trio: &Trio) -> Result {
    let ready = async {
        for n in 0..3 {
            while !trio.node(n).unready_reasons().await.is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    Ok(tokio::time::timeout(SOON, ready).await?)
}

/// The leader came while it was away, and nothing in its log or state names it.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lags_follows_a_leader_that_it_has_never_heard_of() -> Result {
    // On a busy machine another may come to lead meanwhile, of whom it knows: that shows nothing.
    for _ in 0..5 {
        if comes_back_to_a_leader_unheard_of().await? {
            return Ok(());
        }
    }
    anyhow::bail!("the newcomer never led for long enough")
}

/// Whether the newcomer led all the time.
async fn comes_back_to_a_leader_unheard_of() -> Result<bool> {
    let mut trio = Trio::form().await?;
    let mut leader = trio.leader().await?;
    let away = (leader + 1) % 3;
    trio.stop(away).await?;
    let name = "newcomer".to_owned();
    let peer = Peer {
        name,
        peer: free_addresses(1).remove(0),
        ..Peer::default()
    };
    let (data, nodes) = (trio.dir.path().join("fourth"), vec![peer.clone()]);
    let opening = open_node(
        data,
        peer.clone(),
        nodes,
        Cut::default(),
        ShiftedClock::default(),
    );
    let opening = tokio::spawn(opening);
    let (name, peer, api) = (peer.name, peer.peer, String::new());
    let add = Change::Add {
        name: name.clone(),
        peer,
        api,
    };
    while trio.node(leader).change(add.clone()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let newcomer = opening.await??;
    let led = async {
        while !newcomer.leads_now() {
            leader = trio.leader_among(&[0, 1, 2]).await?;
            let _ = trio.node(leader).transfer_leader(Some(&name)).await;
        }
        Ok::<_, anyhow::Error>(())
    };
    tokio::time::timeout(SOON, led).await??;
    let term = newcomer.status().term;

    // What the leader before still sends to the node that was away names the newcomer.
    trio.stop(leader).await?;
    // It opens only once it has heard of a leader.
    trio.nodes[away] = Some(trio.open(away).await?);
    let last = fill(&newcomer, 1).await?;
    assert!(trio.node(away).wait_applied(last, SOON).await);
    // Another, of whom it knows, may have brought it up.
    let shown = newcomer.leads_now() && newcomer.status().term == term;
    newcomer.stop().await?;
    Ok(shown)
}
