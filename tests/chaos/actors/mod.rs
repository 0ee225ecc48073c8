//! Who acts at once in a round: clients that write and read, and the gateway's moods.

pub mod customers;
pub mod imports;
pub mod mailings;
pub mod moods;
pub mod readers;

use std::time::Duration;

/// A pause after a request that nobody answered: the node is away.
pub(super) async fn pause() {
    tokio::time::sleep(Duration::from_millis(25)).await;
}
