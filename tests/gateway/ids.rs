//! Ids of messages at a gateway that several clusters share, or one cluster that was set up anew.

use std::collections::BTreeSet;

use serde_json::json;

use super::quick;
use crate::support::Gateway;

#[tokio::test]
async fn two_new_clusters_give_a_gateway_no_id_twice() {
    let gateway = Gateway::start();
    // A gateway that drops repeated ids would swallow the messages of the second one.
    for _ in 0..2 {
        let node = quick(&gateway).start().await;
        node.import(3).await;
        node.mail("one", json!({})).await;
        node.until("one", json!({ "done": 3 })).await;
    }

    assert_eq!(gateway.count("duplicates").await, 0);
    let taken: BTreeSet<u64> = gateway.taken().await.into_iter().collect();
    let mailings: BTreeSet<u64> = taken.iter().map(|id| id >> 32).collect();
    assert_eq!((taken.len(), mailings.len()), (6, 2), "{taken:?}");
    assert!(taken.iter().all(|id| (1..=1 << 30).contains(&(id >> 32))));
}
