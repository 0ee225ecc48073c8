//! Texts of all scripts: what is visible, how case is folded, and ids in paths.

use serde_json::json;

use super::{customer, walk, with};
use crate::support::{Node, Setup, mailing};

async fn create(node: &Node, id: &str, tag: &str) {
    let body = customer(id, json!({ "tag": tag }));
    node.client.post("/customers", &body).await.expect(201);
}

async fn found(node: &Node, pattern: &str) -> Vec<String> {
    walk(&node.client, "/customers", &[("tag", pattern)], 10, "id").await
}

#[tokio::test]
async fn filters_fold_case_character_by_character() {
    let node = Setup::new().start().await;
    create(&node, "way", "ΟΔΟΣΑ").await;
    create(&node, "city", "İstanbul").await;
    create(&node, "street", "Straße").await;
    for (pattern, ids) in [
        ("ΟΔΟΣ%", vec!["way"]),
        ("οδος%", vec!["way"]),
        ("_stanbul", vec!["city"]),
        ("İSTANBUL", vec!["city"]),
        ("STRAẞE", vec!["street"]),
        ("stra_e", vec!["street"]),
        ("________", vec!["city"]),
    ] {
        assert_eq!(found(&node, pattern).await, ids, "{pattern}");
    }
}

#[tokio::test]
async fn a_text_in_which_nothing_is_seen_is_refused_everywhere() {
    let node = Setup::new().start().await;
    for hidden in [
        "\u{200b}", "\u{3164}", "\u{ad}", "\u{fe0f}", " \u{a0}", "\u{2800}",
    ] {
        let told = hidden.escape_unicode();
        for field in ["name", "tag", "operator"] {
            let body = customer("c", json!({ field: hidden }));
            let faults = node.client.post("/customers", &body).await.faults();
            assert_eq!(faults, [format!("{field} empty_text")], "{told}");
        }
        for field in ["text", "desc"] {
            let body = mailing("m", json!({ field: hidden }));
            let faults = node.client.post("/mailings", &body).await.faults();
            assert_eq!(faults, [format!("{field} empty_text")], "{told}");
        }
        let body = customer(hidden, json!({}));
        let faults = node.client.post("/customers", &body).await.faults();
        assert_eq!(faults, ["id invalid_id"], "{told}");
    }
}

#[tokio::test]
async fn an_id_of_any_script_is_found_by_its_path_and_where_it_was_created() {
    let node = Setup::new().start().await;
    for id in [
        "Анна-7",
        "a.b_c@example.com",
        "+79161112233",
        "客戶",
        "ग्राहक",
    ] {
        let body = customer(id, json!({ "name": "N" }));
        let answer = node.client.post("/customers", &body).await;
        answer.expect(201);
        let place = answer.header("location");
        assert!(place.is_ascii(), "{place}");
        let read = node.client.get(place).await.expect(200);
        assert_eq!(read["id"], id);

        let path = format!("/customers/{id}");
        assert_eq!(node.client.get(&path).await.expect(200), read);
        let messages = with("/messages", &[("customer", id)]);
        node.client.get(&messages).await.expect(200);
        node.client.delete(&path).await.expect(204);
    }
}
