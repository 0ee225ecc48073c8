//! News of the leader: who leads now, and that nobody does, in the log; and the count of changes.
//!
//! An election takes a second or two, and is no news by itself: only its result is.

use std::{
    sync::{Weak, atomic::Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{Node, readiness::NotReady};

/// Between two looks at the leader.
const LOOK: Duration = Duration::from_millis(200);
/// Time without a leader that is worth a warning: longer than an election takes.
const LEADERLESS: Duration = Duration::from_secs(5);

/// The leader as it was logged last.
#[derive(Debug, Default)]
struct LeaderNews {
    /// Name and term of the leader in the log.
    logged: Option<(String, u64)>,
    /// The moment since which there is no leader.
    without: Option<Instant>,
    has_warned: bool,
}

/// A change that an operator wants to know of.
#[derive(Debug, PartialEq, Eq)]
enum Headline {
    /// Another leader, or another term of the same one.
    Leads,
    /// The leader from before is there again, after a warning.
    LeadsAgain,
    /// There has been no leader for a while.
    Nobody,
}

impl LeaderNews {
    /// False until the first leader is known, which is no change.
    fn knows_a_leader(&self) -> bool {
        self.logged.is_some()
    }

    /// Takes in the leader and its term as they are now.
    fn note(&mut self, now: Instant, leader: Option<(&str, u64)>) -> Option<Headline> {
        let Some((name, term)) = leader else {
            let since = *self.without.get_or_insert(now);
            let is_long = now - since >= LEADERLESS;
            let is_news = is_long && !std::mem::replace(&mut self.has_warned, is_long);
            return is_news.then_some(Headline::Nobody);
        };

        self.without = None;
        let had_warned = std::mem::replace(&mut self.has_warned, false);
        let is_same = self
            .logged
            .as_ref()
            .is_some_and(|(before, since)| before == name && *since == term);
        self.logged = Some((name.to_owned(), term));
        match (is_same, had_warned) {
            (false, _) => Some(Headline::Leads),
            (true, true) => Some(Headline::LeadsAgain),
            (true, false) => None,
        }
    }
}

/// Logs the news for as long as the node lives. A node by itself has none.
pub(super) async fn run(node: Weak<Node>) {
    let mut news = LeaderNews::default();
    loop {
        sleep(LOOK).await;
        let Some(node) = node.upgrade() else {
            return;
        };
        if !node.me.has_peers {
            return;
        }

        let known = node.consensus.leader_with_term();
        let leader = known.as_ref().map(|(name, term)| (name.as_str(), *term));
        let is_first = !news.knows_a_leader();
        if let Some(headline) = news.note(Instant::now(), leader) {
            if headline == Headline::Leads && !is_first {
                node.leader_changes.fetch_add(1, Ordering::Relaxed);
            }
            log(&node, &headline, leader);
        }
    }
}

fn log(node: &Node, headline: &Headline, leader: Option<(&str, u64)>) {
    let (name, term) = leader.unwrap_or_default();
    let mine = if name == node.me.peer.name {
        " (this node)"
    } else {
        ""
    };
    match headline {
        Headline::Leads => tracing::info!(term, "`{name}`{mine} leads the cluster now"),
        Headline::LeadsAgain => tracing::info!(term, "`{name}`{mine} leads the cluster again"),
        Headline::Nobody => {
            let reason = NotReady::NoLeader(node.readiness.why_no_leader());
            tracing::warn!("{reason}; writes are refused and nothing is sent meanwhile");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_leader_is_news_once() {
        let mut news = LeaderNews::default();
        let now = Instant::now();
        assert_eq!(news.note(now, None), None);
        assert_eq!(news.note(now, Some(("a", 1))), Some(Headline::Leads));
        assert_eq!(news.note(now, Some(("a", 1))), None);
        assert_eq!(news.note(now, None), None);
        assert_eq!(news.note(now, Some(("a", 1))), None);
        assert_eq!(news.note(now, Some(("b", 2))), Some(Headline::Leads));
        assert_eq!(news.note(now, Some(("b", 3))), Some(Headline::Leads));
    }

    #[test]
    fn a_lack_of_leaders_is_news_once_it_lasts() {
        let mut news = LeaderNews::default();
        let now = Instant::now();
        news.note(now, Some(("a", 1)));
        assert_eq!(news.note(now, None), None);
        assert_eq!(news.note(now + LEADERLESS, None), Some(Headline::Nobody));
        assert_eq!(news.note(now + LEADERLESS * 2, None), None);

        let back = news.note(now + LEADERLESS * 3, Some(("a", 1)));
        assert_eq!(back, Some(Headline::LeadsAgain));
        assert_eq!(news.note(now + LEADERLESS * 4, None), None);
    }
}
