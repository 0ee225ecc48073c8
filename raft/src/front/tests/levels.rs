//! Tests of nodes that understand less than their cluster.

use notty_storage::{
    Action, Rejection,
    command::{RaiseLevel, TryLevel},
    level::{FIRST_LEVEL, LEVEL, VERSION},
};
use tokio::time::timeout;

use super::intruders::{SOON, lone};
use crate::{
    outcome::ProposeError,
    peers::{call::CallError, protocol::AskStatus},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_below_the_clusters_level_is_refused_with_both_versions_and_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    let peers = lone.admitted("disk-b").await;
    let older = peers.me().at_level(FIRST_LEVEL);
    peers.become_somebody(older);
    lone.raised().await;

    let disk = lone.node.identity().disk;
    let asked = peers
        .call_member(&lone.member(&disk), AskStatus, SOON)
        .await;
    let Err(CallError::Refused { what, .. }) = asked else {
        panic!("{asked:?}");
    };
    assert!(what.contains("understands level 1"), "{what}");
    assert!(
        what.contains(&format!("level {LEVEL} since notty {VERSION}")),
        "{what}"
    );

    // A member said so: its process ends with this reason.
    let mut outdated = peers.outdated();
    let known = timeout(SOON, outdated.wait_for(Option::is_some)).await;
    assert_eq!(
        known.expect("at once").expect("peers").as_deref(),
        Some(&*what)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_withheld_until_the_cluster_stands_at_its_level() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    lone.raised().await;
    let attempt = TryLevel { nonce: 1 };
    assert!(lone.node.act(attempt.clone()).await.is_ok());

    // The same node in a cluster that has not agreed on it yet.
    let dir = tempfile::tempdir().expect("a directory");
    let older = super::intruders::lone_at_level(dir.path(), FIRST_LEVEL).await;
    let before = older.node.applied_index();
    let refused = older.node.act(attempt).await.err();
    let Some(ProposeError::Rejected { rejection, .. }) = refused else {
        panic!("{refused:?}");
    };
    let (needed, level) = (2, FIRST_LEVEL);
    assert_eq!(rejection, Rejection::LevelTooLow { needed, level });
    assert_eq!(older.node.applied_index(), before, "nothing was proposed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_is_noted_in_the_directory_and_an_older_version_does_not_open_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    lone.raised().await;
    let mut noted = lone.node.own().subscribe();
    let noting = timeout(SOON, noted.wait_for(|identity| identity.level == LEVEL)).await;
    drop(noting.expect("soon").expect("an identity"));
    lone.node.stop().await.expect("it stops");
    drop(lone);

    let refused = super::intruders::try_lone_at_level(dir.path(), FIRST_LEVEL).await;
    let text = refused.err().expect("an older version").to_string();
    assert!(
        text.contains(&format!("level {LEVEL} since notty {VERSION}")),
        "{text}"
    );
    assert!(text.contains("understands level 1"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_never_falls_back_to_a_lower_level() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    lone.raised().await;
    let (to, version) = (FIRST_LEVEL, "0.0.1".to_owned());
    let lower = Action::RaiseLevel(RaiseLevel { to, version });
    assert!(lone.node.act(lower).await.is_err());
    assert_eq!(lone.node.cluster_level(), LEVEL);
}
