//! Stats: one count for each status, of everything, of a mailing, of a customer, and filtered.

use serde_json::{Value, json};

use super::{customer, with};
use crate::support::{Gateway, Node, Setup, eventually, total};

const STATUSES: [&str; 8] = [
    "created",
    "sending",
    "done",
    "failed",
    "invalid",
    "expired",
    "cancelled",
    "unconfirmed",
];

/// Stats that have these counts, and 0 of everything else.
fn counts(counts: Value) -> Value {
    let mut all = json!({ "delivery": { "delivered": 0, "undelivered": 0 } });
    for status in STATUSES {
        all[status] = counts.get(status).cloned().unwrap_or(json!(0));
    }
    all
}

async fn stats(node: &Node, params: &[(&str, &str)]) -> Value {
    node.client.get(&with("/stats", params)).await.expect(200)
}

#[tokio::test]
async fn stats_have_one_count_for_each_status_and_delivery_and_nothing_else() {
    let node = Setup::new().start().await;
    node.client
        .post("/customers", &customer("one", json!({})))
        .await
        .expect(201);
    node.mail(
        "later",
        json!({ "start": crate::support::minutes_from_now(9) }),
    )
    .await;
    for path in [
        "/stats",
        "/stats/mailings/later",
        "/mailings/later/stats",
        "/stats/customers/one",
        "/customers/one/stats",
        "/stats?tag=x&operator=y",
    ] {
        assert_eq!(
            node.client.get(path).await.expect(200),
            counts(json!({})),
            "{path}"
        );
    }
    for path in [
        "/stats/mailings/one",
        "/mailings/none/stats",
        "/stats/customers/later",
        "/customers/none/stats",
        "/stats/customers/a_b",
        "/stats/mailings/%00",
    ] {
        node.client.get(path).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn the_same_messages_are_counted_overall_by_mailing_and_by_customer() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    node.import(30).await;
    node.mail("all", json!({})).await;
    node.until("all", json!({ "done": 30 })).await;
    gateway
        .behave(json!({ "acts": [{ "answer": { "status": 400 } }] }))
        .await;
    node.mail("staff", json!({ "tag_filter": "staff" })).await;
    node.until("staff", json!({ "invalid": 10 })).await;
    let paths = [
        ("/stats", json!({ "done": 30, "invalid": 10 })),
        ("/stats/mailings/all", json!({ "done": 30 })),
        ("/mailings/staff/stats", json!({ "invalid": 10 })),
        (
            "/stats/customers/customer-2",
            json!({ "done": 1, "invalid": 1 }),
        ),
        ("/customers/customer-1/stats", json!({ "done": 1 })),
    ];
    for (path, wanted) in paths {
        assert_eq!(
            node.client.get(path).await.expect(200),
            counts(wanted),
            "{path}"
        );
    }
}

#[tokio::test]
async fn stats_are_filtered_by_tag_and_operator_as_they_were_at_expansion() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    // 20 staff, 20 of Moscow, 20 of Omsk; 15 of each operator.
    node.import(60).await;
    node.mail("all", json!({})).await;
    node.until("all", json!({ "done": 60 })).await;
    let filters: [(&[(&str, &str)], u64); 9] = [
        (&[("tag", "%")], 60),
        (&[("tag", "staff")], 20),
        (&[("tag", "CLIENTS.%")], 40),
        (&[("tag", "clients._osco_.new")], 20),
        (&[("operator", "билайн")], 15),
        (&[("operator", "МЕГА%")], 15),
        (&[("operator", "t\\2")], 15),
        (&[("tag", "staff"), ("operator", "мтс")], 5),
        (&[("tag", "nobody")], 0),
    ];
    for (params, done) in filters {
        assert_eq!(
            stats(&node, params).await,
            counts(json!({ "done": done })),
            "{params:?}"
        );
    }
    let moved = json!({ "phone": "+79161112233", "tag": "moved", "operator": "moved" });
    node.client
        .put("/customers/customer-2", &moved)
        .await
        .expect(200);
    assert_eq!(stats(&node, &[("tag", "moved")]).await["done"], 0);
    assert_eq!(stats(&node, &[("tag", "staff")]).await["done"], 20);
    node.mail("again", json!({ "tag_filter": "moved" })).await;
    node.until("again", json!({ "done": 1 })).await;
    assert_eq!(stats(&node, &[("tag", "moved")]).await["done"], 1);
    assert_eq!(stats(&node, &[("operator", "moved")]).await["done"], 1);
}

#[tokio::test]
async fn stats_are_filtered_by_utc_days_of_creation_inclusive() {
    let node = Setup::new()
        .set("NOTTY_POSTMAN__ENABLED", "false")
        .start()
        .await;
    node.import(6).await;
    node.mail("today", json!({})).await;
    node.until("today", json!({ "created": 6 })).await;
    let created = node.messages("today").await[0]["created_at"].clone();
    let at: jiff::Timestamp = created
        .as_str()
        .and_then(|t| t.parse().ok())
        .expect("a time");
    let day = jiff::tz::Offset::UTC.to_datetime(at).date();
    let (before, after) = (
        day.yesterday().expect("a day"),
        day.tomorrow().expect("a day"),
    );
    let [before, day, after] = [before, day, after].map(|day| day.to_string());
    let filters: [(&[(&str, &str)], u64); 8] = [
        (&[("from", &day), ("to", &day)], 6),
        (&[("from", &day)], 6),
        (&[("to", &day)], 6),
        (&[("from", &before), ("to", &after)], 6),
        (&[("from", &after)], 0),
        (&[("to", &before)], 0),
        (&[("from", &day), ("tag", "staff")], 2),
        (&[("from", "0001-01-01"), ("to", "9999-12-31")], 6),
    ];
    for (params, count) in filters {
        assert_eq!(total(&stats(&node, params).await), count, "{params:?}");
    }
    // What was counted as waiting is counted as cancelled once it is.
    node.client.poke("/mailings/today/cancel").await.expect(200);
    let wanted = counts(json!({ "cancelled": 6 }));
    eventually(
        "all are cancelled",
        std::time::Duration::from_secs(20),
        async || (stats(&node, &[("from", &day), ("to", &day)]).await == wanted).then_some(()),
    )
    .await;
    assert_eq!(stats(&node, &[]).await, wanted);
}

#[tokio::test]
async fn filters_of_stats_that_make_no_sense_are_refused() {
    let node = Setup::new().start().await;
    for day in [
        "",
        "today",
        "2026-1-1",
        "2026-02-30",
        "2026-13-01",
        "20261101",
        "2026-11-01T00:00:00Z",
        "01.11.2026",
        "1700000000",
        " 2026-11-01",
    ] {
        for field in ["from", "to"] {
            let answer = node.client.get(&with("/stats", &[(field, day)])).await;
            assert_eq!(
                answer.faults(),
                [format!("{field} invalid_date")],
                "{day:?}"
            );
        }
    }
    let turned = [("from", "2026-11-02"), ("to", "2026-11-01")];
    let answer = node.client.get(&with("/stats", &turned)).await;
    assert_eq!(answer.faults(), ["to to_before_from"]);
    for field in ["tag", "operator"] {
        let answer = node.client.get(&with("/stats", &[(field, "a\\")])).await;
        assert_eq!(answer.faults(), [format!("{field} invalid_filter")]);
    }
    let answer = node
        .client
        .get("/stats?from=x&to=y&tag=%5C&status=done")
        .await;
    let faults = [
        "from invalid_date",
        "status unknown_parameter",
        "tag invalid_filter",
        "to invalid_date",
    ];
    assert_eq!(answer.faults(), faults);
    node.client
        .get("/stats/mailings/x?tag=a")
        .await
        .problem(400, "unknown_parameter");
}

#[tokio::test]
async fn a_customer_is_counted_over_more_mailings_than_one_part_looks_at() {
    const MAILINGS: u64 = 210;
    let node = Setup::new()
        .set("NOTTY_POSTMAN__ENABLED", "false")
        .start()
        .await;
    node.import(1).await;
    for n in 0..MAILINGS {
        node.mail(&format!("mailing-{n}"), json!({})).await;
    }
    let soon = std::time::Duration::from_secs(30);
    eventually("every mailing is counted", soon, async || {
        let stats = node
            .client
            .get("/stats/customers/customer-1")
            .await
            .expect(200);
        (stats["created"] == MAILINGS && total(&stats) == MAILINGS).then_some(())
    })
    .await;
}
