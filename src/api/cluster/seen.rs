//! The wait for the node that was asked to see a change that the leader has made.

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Detail of an answer about a change whose outcome is unknown.
pub(super) const CHANGE_UNKNOWN: &str =
    "whether it was done is not known; ask again, a repeat is harmless";
/// Time for the node that was asked to see what the leader has done.
pub(super) const SEEN_TIME: Duration = Duration::from_secs(3);
/// Pause between two looks at what this node sees.
pub(super) const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// Waits until this node sees what the leader did: the next answer from here should not contradict
/// it. Gives up after a while, because the change itself is made.
pub(super) async fn await_seen(is_seen: impl Fn() -> bool) {
    let looking = async {
        while !is_seen() {
            sleep(LOOK_PAUSE).await;
        }
    };
    let _ = timeout(SEEN_TIME, looking).await;
}
