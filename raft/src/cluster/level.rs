//! Raising the level of the cluster, which its leader does once all members understand a higher one.

use std::sync::Arc;

use notty_storage::{
    command::{RaiseLevel, TryLevel},
    level::VERSION,
};

use crate::{
    cluster::survey::Surveyor,
    consensus::{levels::Levels, proposals::Proposals},
    outcome::ProposeError,
};

/// Raises the level, on the leader.
pub(crate) struct LevelKeeper {
    pub(crate) levels: Arc<Levels>,
    pub(crate) surveyor: Arc<Surveyor>,
    pub(crate) proposals: Arc<Proposals>,
}

impl LevelKeeper {
    /// Raises the level if this node and all members, learners too, understand a higher one.
    pub(crate) async fn raise(&self) -> Result<(), ProposeError> {
        let agreed = self.levels.agreed().level();
        if self.levels.own <= agreed {
            return Ok(());
        }

        let members = self.surveyor.survey().await;
        let to = common(members.iter().map(|seen| seen.level));
        if to <= agreed {
            return Ok(());
        }
        let version = VERSION.to_owned();
        let raise = RaiseLevel { to, version };
        self.proposals.act_as_leader(raise).await?;
        tracing::info!(
            "all nodes understand level {to}: it is the level of the cluster from now on"
        );
        Ok(())
    }

    /// Proposes a command that changes nothing and needs the second level: for tests and simulations.
    pub(crate) async fn exercise(&self, nonce: u64) -> Result<(), ProposeError> {
        self.proposals.act_as_leader(TryLevel { nonce }).await?;
        Ok(())
    }
}

/// The highest level that all members understand; 0 while one does not answer.
fn common(levels: impl Iterator<Item = u32>) -> u32 {
    levels.min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_common_if_every_member_understands_it_and_answers() {
        let of = |levels: &[u32]| common(levels.iter().copied());
        assert_eq!(of(&[2, 3, 2]), 2);
        assert_eq!(of(&[3, 1, 3]), 1);
        assert_eq!(of(&[3, 0, 3]), 0);
        assert_eq!(of(&[]), 0);
    }
}
