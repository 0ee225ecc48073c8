//! Waiting for something to become true, with an end to it.

use std::time::Duration;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Looks again and again until there is something; fails the test if there is nothing in time.
pub(crate) async fn eventually<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let looking = async {
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    match tokio::time::timeout(within, looking).await {
        Ok(found) => found,
        Err(_) => panic!("not within {within:?}: {what}"),
    }
}
