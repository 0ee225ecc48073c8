//! Upkeep: what a node looks after by itself, every half second.
//!
//! A leader completes changes of the members, and hands over where its clock is wrong. Any other node
//! looks whether it was dismissed, and makes its address known where it has moved.

use std::{sync::Weak, time::Duration};

use notty_storage::level::FIRST_LEVEL;
use tokio::time::{Instant, sleep};

use super::Node;
use crate::{
    cluster::change::Change, disk::data_dir::Identity, runtime::blocking, time::heir::find_heir,
    types::Peer,
};

/// Between two looks at everything.
const LOOK: Duration = Duration::from_millis(500);
/// Between two tries of a node to have its new address taken up.
const ANNOUNCE: Duration = Duration::from_secs(2);
/// Between two tries of a leader with a wrong clock to hand over.
const HAND_OVER: Duration = Duration::from_secs(10);

/// Runs for as long as the node lives.
pub(super) async fn run(node: Weak<Node>) {
    let mut announced: Option<Instant> = None;
    let mut handed_over: Option<Instant> = None;
    loop {
        sleep(LOOK).await;
        let Some(node) = node.upgrade() else {
            return;
        };

        node.duty.work_on_after_a_while(node.dismissal.is_known());
        note_level(&node);
        // A leader is a member, and puts its own new address into the members as a step of its own.
        if node.leads_now() {
            if is_due(handed_over, HAND_OVER) && node.stamp.should_hand_over() {
                handed_over = Some(Instant::now());
                hand_over_for_clock(&node).await;
            }
            if let Err(error) = node.changes.complete().await {
                tracing::debug!("the next step of a change could not be made: {error}");
            }
            look_after_level(&node).await;
            continue;
        }

        // Any other node may have been removed, or have moved, without having learnt of it.
        node.dismissal.look();
        if is_due(announced, ANNOUNCE)
            && let Some(moved) = node.me.moved(&node.consensus.members())
        {
            announced = Some(Instant::now());
            if let Err(error) = node.change(Change::Move(moved)).await {
                tracing::warn!("this node's new address is not taken up yet: {error}");
            }
        }
    }
}

/// Notes the level of the cluster in this node's identity, where an older binary finds it first.
fn note_level(node: &Node) {
    let agreed = node.levels.agreed();
    if agreed.level() <= node.own.current().level.max(FIRST_LEVEL) {
        return;
    }

    let note = |identity: &mut Identity| {
        identity.level = agreed.level();
        identity.level_since = agreed.version;
    };
    if let Err(error) = blocking(|| node.own.change(note)) {
        tracing::warn!("the level of the cluster could not be noted: {error}");
    }
}

/// As the leader: raises the level where it can be.
async fn look_after_level(node: &Node) {
    if let Err(error) = node.level_keeper.raise().await {
        tracing::debug!("the level could not be raised: {error}");
    }
    if node.exercises_levels
        && let Err(error) = node.level_keeper.exercise(node.applied_index()).await
    {
        tracing::debug!("a command of the second level was not executed: {error}");
    }
}

fn is_due(last: Option<Instant>, pause: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= pause)
}

/// Hands leadership over, because this leader's clock disagrees with most voters', to one that agrees
/// with them: otherwise nothing would be sent until somebody puts the clock right.
async fn hand_over_for_clock(node: &Node) {
    let mut others = node.consensus.voters();
    others.remove(&node.me.node);
    let others: Vec<Peer> = others.into_values().collect();

    // A leader whose clock is wrong as well would change nothing.
    let Some(heir) = find_heir(&node.peers, &others, &node.stamp).await else {
        tracing::warn!("no node's clock agrees with most voters': nobody else can lead");
        return;
    };

    match node.transfer_leader(Some(&heir.name)).await {
        Ok(leader) => tracing::warn!(
            "this node's clock is more than 2 s from most voters': `{leader}` leads now; \
             correct the clock (NTP)"
        ),
        Err(error) => tracing::warn!("leadership could not be handed over: {error}"),
    }
}
