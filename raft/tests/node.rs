//! A node by itself: what it acknowledged is there after it was opened again.

use std::{path::Path, sync::Arc, time::Duration};

use notty_raft::{
    Error, Node, NodeOptions, Peer, ProposeError, SystemClock, disk::files::RealFiles,
};
use notty_storage::{
    Action, Rejection, StoreOptions,
    command::{DeleteCustomer, RegisterPostman, Report},
    limits,
    model::{CustomerId, Epoch, LeaseId, MailingNumber, PostmanName, SendResult},
    query,
};

type Result<T = (), E = anyhow::Error> = std::result::Result<T, E>;

fn options() -> NodeOptions {
    NodeOptions {
        peer: Peer {
            name: "notty-0".into(),
            peer: String::new(),
            api: String::new(),
            disk: String::new(),
        },
        commit: String::new(),
        exercises_levels: false,
        cluster: None,
        store: StoreOptions::default(),
        log: Default::default(),
        files: Arc::new(RealFiles),
        onlooker: None,
        clock: Arc::new(SystemClock),
        fatal: Arc::new(|line| panic!("{line}")),
    }
}

/// Opens it as soon as whoever had it before has let go of it.
async fn open_freed(dir: &Path) -> Result<Arc<Node>, Error> {
    for _ in 0..1_000 {
        match Node::open(dir, options()).await {
            Err(error) if error.to_string().contains("in use") => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            opened => return opened,
        }
    }
    panic!("{} is never let go", dir.display());
}

async fn open(dir: &Path) -> Result<Arc<Node>> {
    let node = open_freed(dir).await?;
    anyhow::ensure!(node.ready().await);
    Ok(node)
}

/// Stops it; its directory is let go a moment later.
async fn stopped(node: Arc<Node>) -> Result {
    Ok(node.stop().await?)
}

fn register(name: &str) -> RegisterPostman {
    let name = PostmanName::parse(name).expect("a valid name");
    RegisterPostman { name, nonce: 7 }
}

fn postmen(node: &Node) -> Vec<String> {
    let postmen = query::leases::postmen(&node.view().read()).expect("readable");
    postmen
        .iter()
        .map(|postman| postman.name.as_str().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_clean_stop() -> Result {
    let dir = tempfile::tempdir()?;
    let node = open(dir.path()).await?;
    let applied = node.act(register("a")).await?;
    let hash = node.state_hash();
    stopped(node).await?;
    let node = open(dir.path()).await?;
    assert!(node.applied_index() >= applied.index);
    assert_eq!(postmen(&node), ["a"]);
    assert_ne!(hash, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_with_its_position() -> Result {
    let dir = tempfile::tempdir()?;
    let node = open(dir.path()).await?;
    let id = CustomerId::parse("nobody")?;
    let refused = node.act(DeleteCustomer { id }).await;
    let rejection = Rejection::CustomerNotFound;
    assert!(matches!(refused, Err(ProposeError::Rejected { rejection: r, .. }) if r == rejection));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_proposals_at_once_share_entries() -> Result {
    let dir = tempfile::tempdir()?;
    let node = open(dir.path()).await?;
    let before = node.applied_index();
    let proposals = (0..500).map(|n| {
        let node = node.clone();
        tokio::spawn(async move { node.act(register(&format!("p{n}"))).await })
    });
    for proposal in proposals.collect::<Vec<_>>() {
        proposal.await??;
    }
    let entries = node.applied_index() - before;
    assert!(entries < 250, "{entries} entries for 500 commands");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_lets_the_log_go_and_a_destroyed_state_is_rebuilt() -> Result {
    let dir = tempfile::tempdir()?;
    let node = open(dir.path()).await?;
    for n in 0..20 {
        node.act(register(&format!("p{n}"))).await?;
    }
    snapshot(&node).await?;
    node.act(register("later")).await?;
    let before = postmen(&node);
    stopped(node).await?;
    std::fs::remove_dir_all(dir.path().join("state"))?;
    let node = open(dir.path()).await?;
    assert_eq!(postmen(&node), before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_does_not_open_is_set_aside_and_rebuilt() -> Result {
    let dir = tempfile::tempdir()?;
    let node = open(dir.path()).await?;
    for n in 0..20 {
        node.act(register(&format!("p{n}"))).await?;
    }
    let before = postmen(&node);
    stopped(node).await?;
    let mut files = vec![dir.path().join("state")];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                std::fs::read_dir(path)?
                    .map(|e| Ok(e?.path()))
                    .collect::<Result<Vec<_>>>()?,
            );
        } else if !path.ends_with("CURRENT") {
            let bytes = std::fs::read(&path)?;
            std::fs::write(&path, bytes.iter().map(|b| b ^ 0x55).collect::<Vec<_>>())?;
        }
    }
    let node = open(dir.path()).await?;
    assert_eq!(postmen(&node), before);
    assert!(dir.path().join("state/set-aside").exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_marked_suspect_is_rebuilt() -> Result {
    let dir = tempfile::tempdir()?;
    let node = open(dir.path()).await?;
    node.act(register("a")).await?;
    node.mark_suspect();
    stopped(node).await?;
    let node = open(dir.path()).await?;
    assert_eq!(postmen(&node), ["a"]);
    assert!(!dir.path().join("state/SUSPECT").exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_above_log_and_snapshot_refuses_to_start() -> Result {
    let dir = tempfile::tempdir()?;
    let node = open(dir.path()).await?;
    node.act(register("a")).await?;
    stopped(node).await?;
    std::fs::remove_dir_all(dir.path().join("log"))?;
    let error = open_freed(dir.path()).await.err().expect("refused");
    assert!(error.to_string().contains("above the log"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_gone_is_not_begun_anew() -> Result {
    let dir = tempfile::tempdir()?;
    let node = open(dir.path()).await?;
    node.act(register("a")).await?;
    stopped(node).await?;
    // As after a crash before the state was flushed for the first time.
    std::fs::remove_dir_all(dir.path().join("log"))?;
    std::fs::remove_dir_all(dir.path().join("state"))?;
    let error = open_freed(dir.path()).await.err().expect("refused");
    assert!(error.to_string().contains("its log is gone"), "{error}");
    Ok(())
}

/// Writes a snapshot and waits for it.
async fn snapshot(node: &Node) -> Result {
    node.snapshot().await?;
    let comes = async {
        while node.status().snapshot_index == 0 {
            tokio::task::yield_now().await;
        }
    };
    Ok(tokio::time::timeout(std::time::Duration::from_secs(30), comes).await?)
}

fn damage(path: &Path) -> Result<Vec<u8>> {
    let whole = std::fs::read(path)?;
    std::fs::write(path, whole.iter().map(|b| b ^ 0x55).collect::<Vec<_>>())?;
    Ok(whole)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_fails_keeps_the_state_for_the_next_try() -> Result {
    let dir = tempfile::tempdir()?;
    let node = open(dir.path()).await?;
    node.act(register("a")).await?;
    snapshot(&node).await?;
    node.mark_suspect();
    stopped(node).await?;
    let snapshots = std::fs::read_dir(dir.path().join("snapshots"))?;
    let paths = snapshots
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    let file = paths
        .iter()
        .find(|path| path.extension().is_some_and(|e| e == "snap"));
    let file = file.expect("a snapshot");
    let whole = damage(file)?;
    for _ in 0..3 {
        let error = open_freed(dir.path()).await.err().expect("refused");
        assert!(error.to_string().contains("snapshot"), "{error}");
        let kept = std::fs::read_dir(dir.path().join("state"))?.count();
        assert!(kept >= 2, "the state and its mark are kept");
    }
    std::fs::write(file, whole)?;
    let node = open(dir.path()).await?;
    assert_eq!(postmen(&node), ["a"]);
    assert!(dir.path().join("state/set-aside").exists());
    assert!(!dir.path().join("state/SUSPECT").exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_of_a_snapshot_is_dropped() -> Result {
    let dir = tempfile::tempdir()?;
    let node = open(dir.path()).await?;
    node.act(register("a")).await?;
    snapshot(&node).await?;
    stopped(node).await?;
    let snapshots = dir.path().join("snapshots");
    for name in ["half.new", "no-meta.snap"] {
        std::fs::write(snapshots.join(name), b"half")?;
    }
    let _node = open(dir.path()).await?;
    let left = std::fs::read_dir(&snapshots)?.count();
    assert_eq!(left, 2, "the snapshot and its meta");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_serves_one_process_of_one_version() -> Result {
    let dir = tempfile::tempdir()?;
    let node = open(dir.path()).await?;
    let error = Node::open(dir.path(), options())
        .await
        .err()
        .expect("locked");
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
    stopped(node).await?;
    let identity = dir.path().join("identity");
    let mut bytes = std::fs::read(&identity)?;
    *bytes.last_mut().expect("not empty") ^= 1;
    std::fs::write(&identity, bytes)?;
    let error = open_freed(dir.path()).await.err().expect("damaged");
    assert!(error.to_string().contains("identity"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_something_else_is_refused() -> Result {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("holiday.jpg"), b"x")?;
    let error = open_freed(dir.path()).await.err().expect("refused");
    assert!(error.to_string().contains("holiday.jpg"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_could_not_be_sent_to_other_nodes_is_never_proposed() -> Result {
    let dir = tempfile::tempdir()?;
    let node = open(dir.path()).await?;
    let report = |results: usize| {
        Action::Report(Report {
            lease: LeaseId {
                epoch: Epoch(1),
                n: 1,
            },
            mailing: MailingNumber(1),
            gateway: 1,
            results: vec![(SendResult::Done, Vec::new()); results],
        })
    };
    let before = node.status().last_index;
    let refused = node.act(report(limits::COMMAND_BYTES)).await;
    let Err(ProposeError::Rejected {
        rejection: Rejection::OutOfBounds { what },
        ..
    }) = refused
    else {
        panic!("{refused:?}");
    };
    assert!(what.contains("1048576 bytes"), "{what}");
    assert_eq!(node.status().last_index, before);
    node.act(register("a")).await?;
    Ok(())
}

/// Only a state that was not closed is rebuilt.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_was_not_closed_is_rebuilt() -> Result {
    let dir = tempfile::tempdir()?;
    let node = open(dir.path()).await?;
    node.act(register("a")).await?;
    stopped(node).await?;
    let closed = dir.path().join("state/CLOSED");
    assert!(closed.exists(), "an orderly stop closes it");
    let of_sled = dir.path().join("state/state-0");
    let node = open(dir.path()).await?;
    assert_eq!(postmen(&node), ["a"]);
    assert!(of_sled.exists(), "what was closed stays what it is");
    assert!(!closed.exists(), "it counts as open from now on");
    stopped(node).await?;

    // As a kill leaves it.
    std::fs::remove_file(&closed)?;
    let node = open_freed(dir.path()).await?;
    assert_eq!(postmen(&node), ["a"]);
    assert!(!of_sled.exists(), "another state has taken its place");
    assert!(!closed.exists(), "it is open");
    stopped(node).await
}
