//! Send windows as mailings take them: two times of the day, which may cross midnight.

use serde_json::{Value, json};

use crate::support::{Node, Setup, mailing, minutes_from_now};

async fn create(node: &Node, window: Value) -> crate::support::Answer {
    let fields = json!({ "send_window": window, "start": minutes_from_now(30) });
    node.client
        .post("/mailings", &mailing("window", fields))
        .await
}

#[tokio::test]
async fn a_send_window_is_two_different_times_of_the_day() {
    let node = Setup::new().start().await;
    for (from, to) in [
        ("09:00", "21:00"),
        ("22:00", "06:00"),
        ("00:00", "23:59"),
        ("23:59", "00:00"),
        ("12:00", "12:01"),
    ] {
        let window = json!({ "from": from, "to": to });
        assert_eq!(
            create(&node, window.clone()).await.expect(201)["send_window"],
            window
        );
        let read = node.client.get("/mailings/window").await.expect(200);
        assert_eq!(read["send_window"], window);
        node.client.delete("/mailings/window").await.expect(204);
    }
    for window in [
        json!({ "from": "09:00", "to": "09:00" }),
        json!({ "from": "09:00", "to": "24:00" }),
        json!({ "from": "9:00", "to": "21:00" }),
        json!({ "from": "09:60", "to": "21:00" }),
        json!({ "from": "09:00:00", "to": "21:00" }),
        json!({ "from": "09.00", "to": "21.00" }),
        json!({ "from": "-1:00", "to": "21:00" }),
        json!({ "from": "09:00 ", "to": "21:00" }),
        json!({ "from": "٠٩:٠٠", "to": "21:00" }),
        json!({ "from": "", "to": "" }),
        json!({ "from": 9, "to": 21 }),
        json!({ "from": null, "to": "21:00" }),
        json!({ "from": "09:00" }),
        json!({ "to": "21:00" }),
        json!({}),
    ] {
        let answer = create(&node, window.clone()).await;
        assert_eq!(
            answer.faults(),
            ["send_window invalid_send_window"],
            "{window}"
        );
        answer.problem(400, "invalid_send_window");
    }
    for window in [
        json!("09:00-21:00"),
        json!(["09:00", "21:00"]),
        json!(9),
        json!(true),
    ] {
        assert_eq!(
            create(&node, window.clone()).await.faults(),
            ["send_window wrong_type"]
        );
    }
    let window = json!({ "from": "09:00", "to": "21:00", "zone": "UTC" });
    assert_eq!(
        create(&node, window).await.faults(),
        ["send_window.zone unknown_field"]
    );
    node.client
        .get("/mailings/window")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn an_absent_or_null_window_is_the_whole_day() {
    let node = Setup::new().start().await;
    let mut body = mailing("window", json!({ "start": minutes_from_now(30) }));
    body["send_window"] = Value::Null;
    let created = node.client.post("/mailings", &body).await.expect(201);
    assert_eq!(created.get("send_window"), None);
    body["send_window"] = json!({ "from": "09:00", "to": "21:00" });
    node.client.put("/mailings/window", &body).await.expect(200);
    body["send_window"] = Value::Null;
    let changed = node.client.put("/mailings/window", &body).await.expect(200);
    assert_eq!(changed.get("send_window"), None);
}
