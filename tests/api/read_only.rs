//! Read-only fields in a replace.

use serde_json::json;

use crate::support::{Setup, mailing, minutes_from_now};

#[tokio::test]
async fn a_read_only_field_with_another_value_is_refused_and_with_the_present_one_is_taken() {
    let node = Setup::new().start().await;
    let plan = mailing("plan", json!({ "start": minutes_from_now(30) }));
    let present = node.client.post("/mailings", &plan).await.expect(201);
    let path = "/mailings/plan";
    assert_eq!(node.client.put(path, &present).await.expect(200), present);

    for (field, value) in [
        ("status", json!("active")),
        ("status", json!(1)),
        ("caught_up", json!(true)),
        ("created_at", json!("2020-01-01T00:00:00Z")),
        ("created_at", json!("yesterday")),
    ] {
        let mut other = present.clone();
        other[field] = value.clone();
        let refused = node.client.put(path, &other).await;
        let wanted = [format!("{field} read_only")];
        assert_eq!(refused.faults(), wanted, "{value}");
    }
    assert_eq!(node.client.get(path).await.expect(200), present);

    // Null is no value, and one time has many forms.
    let mut same = present.clone();
    same["status"] = json!(null);
    let created = present["created_at"].as_str().expect("a time");
    same["created_at"] = json!(created.replace('Z', "+00:00"));
    assert_eq!(node.client.put(path, &same).await.expect(200), present);

    let mut both = present.clone();
    both["status"] = json!("paused");
    both["text"] = json!("");
    let faults = node.client.put(path, &both).await.faults();
    assert_eq!(faults, ["status read_only", "text empty_text"]);
}

#[tokio::test]
async fn a_repeat_under_its_key_gets_the_first_answer_although_the_status_has_changed() {
    let node = Setup::new().start().await;
    let plan = mailing("plan", json!({ "start": minutes_from_now(30) }));
    let present = node.client.post("/mailings", &plan).await.expect(201);
    let send = async || {
        let request = node
            .client
            .request(reqwest::Method::POST, "/sub/plan")
            .header("idempotency-key", "change-1")
            .json(&present);
        node.client.send(request).await
    };
    let first = send().await.expect(200);
    node.client.poke("/mailings/plan/cancel").await.expect(200);
    assert_eq!(send().await.expect(200), first);
    node.client
        .put("/mailings/plan", &present)
        .await
        .problem(400, "read_only");
}
