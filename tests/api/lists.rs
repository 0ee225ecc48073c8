//! Lists: filters, pages, and each item exactly once.

use serde_json::json;

use super::{customer, walk, with};
use crate::support::{Setup, mailing, minutes_from_now, sample_csv};

/// Tags, and which of them each pattern matches.
const TAGS: [&str; 9] = [
    "clients.Moscow.new",
    "100%",
    "1000",
    "a_b",
    "axb",
    "Ёлка",
    "ЁЛКИ",
    "a\\b",
    "",
];
const PATTERNS: [(&str, &[&str]); 19] = [
    ("%", &TAGS),
    ("%%", &TAGS),
    ("", &[""]),
    ("clients.moscow.new", &["clients.Moscow.new"]),
    ("CLIENTS.%", &["clients.Moscow.new"]),
    ("%moscow%", &["clients.Moscow.new"]),
    ("moscow", &[]),
    ("100%", &["100%", "1000"]),
    ("100\\%", &["100%"]),
    ("100_", &["100%", "1000"]),
    ("a_b", &["a_b", "axb", "a\\b"]),
    ("a\\_b", &["a_b"]),
    ("a\\\\b", &["a\\b"]),
    ("\\a\\x\\b", &["axb"]),
    ("ёлк_", &["Ёлка", "ЁЛКИ"]),
    ("ЁЛКА", &["Ёлка"]),
    ("_лка", &["Ёлка"]),
    ("____", &["100%", "1000", "Ёлка", "ЁЛКИ"]),
    ("%_о%", &[]),
];

#[tokio::test]
async fn filters_are_ilike_patterns_in_lists_and_in_mailings() {
    let node = Setup::new().start().await;
    for (n, tag) in TAGS.iter().enumerate() {
        let fields = json!({ "tag": tag, "operator": tag });
        node.client
            .post("/customers", &customer(&format!("c-{n}"), fields))
            .await
            .expect(201);
    }
    for (pattern, wanted) in PATTERNS {
        for field in ["tag", "operator"] {
            let found = walk(&node.client, "/customers", &[(field, pattern)], 100, field).await;
            assert_eq!(found, wanted, "{field}={pattern}");
            let asked = mailing("asked", json!({ format!("{field}_filter"): pattern }));
            let preview = node
                .client
                .post("/mailings/preview", &asked)
                .await
                .expect(200);
            assert_eq!(
                preview["customers"],
                wanted.len(),
                "{field}_filter: {pattern}"
            );
        }
    }
}

#[tokio::test]
async fn phones_are_filtered_with_their_plus_and_filters_go_together() {
    let node = Setup::new().start().await;
    for (id, phone, tag) in [
        ("one", "+79160000001", "a"),
        ("two", "+79260000002", "a"),
        ("three", "+79160000003", "b"),
    ] {
        let fields = json!({ "phone": phone, "tag": tag });
        node.client
            .post("/customers", &customer(id, fields))
            .await
            .expect(201);
    }
    for (params, wanted) in [
        (vec![("phone", "+7916%")], vec!["one", "three"]),
        (vec![("phone", "%2")], vec!["two"]),
        (vec![("phone", "7916%")], vec![]),
        (vec![("phone", "+7_16%"), ("tag", "A")], vec!["one"]),
        (
            vec![("phone", "+7916%"), ("tag", "a"), ("operator", "x")],
            vec![],
        ),
    ] {
        let found = walk(&node.client, "/customers", &params, 100, "id").await;
        assert_eq!(found, wanted, "{params:?}");
    }
    // A plus in an address is a space, which no phone has.
    let typed = node
        .client
        .get("/customers?phone=+7926%25")
        .await
        .expect(200);
    assert_eq!(typed["items"][0]["id"], "two");
    let asked = mailing(
        "asked",
        json!({ "phone_filter": "+7916%", "tag_filter": "b" }),
    );
    let preview = node
        .client
        .post("/mailings/preview", &asked)
        .await
        .expect(200);
    assert_eq!(preview["sample"][0]["id"], "three");
    assert_eq!(preview["customers"], 1);
}

#[tokio::test]
async fn customers_are_listed_each_once_in_the_order_of_their_creation() {
    let node = Setup::new().start().await;
    let csv = sample_csv(1, 403);
    node.client
        .upload("/customers/import", "text/csv", csv)
        .await
        .expect(200);
    for n in [1, 200, 403] {
        node.client
            .delete(&format!("/customers/customer-{n}"))
            .await
            .expect(204);
    }
    let left = (1..=403).filter(|n| ![1, 200, 403].contains(n));
    let left: Vec<_> = left.map(|n| format!("customer-{n}")).collect();
    for limit in [7, 100, 400, 1_000] {
        assert_eq!(
            walk(&node.client, "/customers", &[], limit, "id").await,
            left,
            "{limit}"
        );
    }
    let staff = walk(&node.client, "/customers", &[("tag", "STAFF")], 9, "id").await;
    let wanted: Vec<_> = (1..=403).filter(|n| n % 3 == 2 && *n != 200).collect();
    assert_eq!(
        staff,
        wanted
            .iter()
            .map(|n| format!("customer-{n}"))
            .collect::<Vec<_>>()
    );
    let page = node.client.get("/customers").await.expect(200);
    assert_eq!(
        page["items"].as_array().expect("items").len(),
        100,
        "the limit is 100 unasked"
    );
    assert!(page["next"].is_string());
}

#[tokio::test]
async fn mailings_are_listed_each_once_and_by_status() {
    let node = Setup::new().start().await;
    let mut ids = Vec::new();
    for n in 0..23 {
        let id = format!("later-{n}");
        node.mail(&id, json!({ "start": minutes_from_now(30) }))
            .await;
        ids.push(id);
    }
    node.mail("now", json!({})).await;
    ids.push("now".to_owned());
    for limit in [1, 5, 24, 1_000] {
        assert_eq!(
            walk(&node.client, "/mailings", &[], limit, "id").await,
            ids,
            "{limit}"
        );
    }
    node.client
        .poke("/mailings/later-3/pause")
        .await
        .expect(200);
    node.client
        .poke("/mailings/later-4/cancel")
        .await
        .expect(200);
    node.client.delete("/mailings/later-5").await.expect(204);
    node.until_field("now", "status", json!("active")).await;
    for (status, wanted) in [
        ("active", "now"),
        ("paused", "later-3"),
        ("cancelled", "later-4"),
    ] {
        let found = walk(&node.client, "/mailings", &[("status", status)], 3, "id").await;
        assert_eq!(found, [wanted], "{status}");
    }
    let scheduled = walk(
        &node.client,
        "/mailings",
        &[("status", "scheduled")],
        3,
        "id",
    )
    .await;
    ids.retain(|id| !["now", "later-3", "later-4", "later-5"].contains(&id.as_str()));
    assert_eq!(scheduled, ids);
    assert!(
        walk(
            &node.client,
            "/mailings",
            &[("status", "finished")],
            3,
            "id"
        )
        .await
        .is_empty()
    );
}

#[tokio::test]
async fn parameters_of_lists_that_make_no_sense_are_refused() {
    let node = Setup::new().start().await;
    for path in ["/customers", "/mailings", "/messages"] {
        for limit in [
            "",
            "0",
            "-1",
            "1001",
            "1.5",
            "ten",
            "1e2",
            "+5",
            " 5",
            "5 ",
            "99999999999999999999",
        ] {
            let answer = node.client.get(&with(path, &[("limit", limit)])).await;
            assert_eq!(answer.faults(), ["limit invalid_limit"], "{path} {limit:?}");
        }
        for limit in ["1", "1000"] {
            node.client
                .get(&with(path, &[("limit", limit)]))
                .await
                .expect(200);
        }
        for after in ["", "x", "-1", "1.5", "null", "99999999999999999999999"] {
            let answer = node.client.get(&with(path, &[("after", after)])).await;
            assert_eq!(answer.faults(), ["after invalid_after"], "{path} {after:?}");
        }
        let answer = node
            .client
            .get(&format!("{path}?limit=0&after=x&shoe=1&limit=2"))
            .await;
        let faults = [
            "after invalid_after",
            "limit invalid_limit",
            "limit unknown_parameter",
            "shoe unknown_parameter",
        ];
        assert_eq!(answer.faults(), faults, "{path}");
    }
    for (path, status) in [
        ("/mailings", "done"),
        ("/messages", "active"),
        ("/mailings", ""),
        ("/messages", ""),
        ("/mailings", "ACTIVE"),
        ("/messages", "done,failed"),
    ] {
        let answer = node.client.get(&with(path, &[("status", status)])).await;
        assert_eq!(
            answer.faults(),
            ["status invalid_status"],
            "{path} {status:?}"
        );
    }
    let long = "x".repeat(201);
    for field in ["tag", "operator", "phone"] {
        for pattern in ["a\\", "a\0", "a\tb", "a\\\\\\", long.as_str()] {
            let answer = node
                .client
                .get(&with("/customers", &[(field, pattern)]))
                .await;
            assert_eq!(
                answer.faults(),
                [format!("{field} invalid_filter")],
                "{pattern:?}"
            );
        }
    }
    for (field, id) in [("mailing", "a b"), ("customer", ""), ("mailing", "x/y")] {
        let answer = node.client.get(&with("/messages", &[(field, id)])).await;
        assert_eq!(answer.faults(), [format!("{field} invalid_id")], "{id:?}");
    }
}
