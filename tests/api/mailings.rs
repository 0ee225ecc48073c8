//! Mailings: what one may be, how it stands, and create, read, replace, delete, pause, resume,
//! cancel.

use serde_json::{Value, json};

use super::{customer, walk};
use crate::support::{Gateway, Node, Setup, mailing, minutes_from_now};

/// A start that does not come during a test.
fn later() -> String {
    minutes_from_now(30)
}

/// What a create with this field says of it.
async fn told(node: &Node, field: &str, value: Value) -> Vec<String> {
    node.client
        .post("/mailings", &mailing("told", json!({ field: value })))
        .await
        .faults()
}

/// A create with this field is taken; the field as it is then.
async fn taken(node: &Node, field: &str, value: Value) -> Value {
    let body = mailing("taken", json!({ field: value }));
    let created = node.client.post("/mailings", &body).await.expect(201);
    let id = created["id"].as_str().expect("an id");
    node.client
        .delete(&format!("/mailings/{id}"))
        .await
        .expect(204);
    created[field].clone()
}

#[tokio::test]
async fn a_create_answers_with_the_whole_mailing_and_a_read_with_the_same() {
    let node = Setup::new().start().await;
    let given = json!({ "id": "whole", "desc": "Весна", "text": "Привет\nвсем",
        "start": "2090-01-02T03:04:05Z", "end": "2090-01-03T03:04:05.678Z",
        "tag_filter": "clients.%", "operator_filter": "мтс", "phone_filter": "+7916%",
        "send_window": { "from": "22:00", "to": "06:00" } });
    let answer = node.client.post("/mailings", &given).await;
    let created = answer.expect(201);
    assert_eq!(answer.header("location"), "/mailings/whole");
    for (field, value) in given.as_object().expect("fields") {
        assert_eq!(&created[field], value, "{field}");
    }
    assert_eq!(
        (&created["status"], &created["caught_up"]),
        (&json!("scheduled"), &json!(false))
    );
    assert_eq!(
        node.client.get("/mailings/whole").await.expect(200),
        created
    );
    let body = mailing("", json!({ "id": null, "start": later() }));
    let least = node.client.post("/mailings", &body).await.expect(201);
    uuid::Uuid::parse_str(least["id"].as_str().expect("an id")).expect("a UUID");
    for filter in ["tag_filter", "operator_filter", "phone_filter"] {
        assert_eq!(least[filter], "%", "{filter}");
    }
    assert_eq!(least["desc"], "");
    assert_eq!(least.get("send_window"), None);
}

#[tokio::test]
async fn a_mailing_that_exists_cannot_be_created() {
    let node = Setup::new().start().await;
    node.mail("twice", json!({ "start": later() })).await;
    let again = mailing("twice", json!({ "desc": "another" }));
    node.client
        .post("/mailings", &again)
        .await
        .problem(409, "mailing_exists");
    assert_eq!(
        node.client.get("/mailings/twice").await.expect(200)["desc"],
        ""
    );
}

#[tokio::test]
async fn a_mailings_id_follows_the_rule_of_customer_ids() {
    let node = Setup::new().start().await;
    for id in ["a", "-", "A-b-9", "a_b", "рассылка", &"x".repeat(64)] {
        assert_eq!(taken(&node, "id", json!(id)).await, id);
    }
    for id in ["", "a b", "№1", "..", "a/b", "a\0", &"x".repeat(65)] {
        assert_eq!(
            told(&node, "id", json!(id)).await,
            ["id invalid_id"],
            "{id:?}"
        );
    }
    assert_eq!(told(&node, "id", json!(7)).await, ["id wrong_type"]);
}

#[tokio::test]
async fn a_text_has_1_to_1600_characters_and_no_control_character_but_the_line_feed() {
    let node = Setup::new().start().await;
    for text in [
        "я".to_owned(),
        "a\nb".to_owned(),
        "ы".repeat(1_600),
        "😀".repeat(1_600),
    ] {
        assert_eq!(taken(&node, "text", json!(text)).await, text);
    }
    for text in ["ы", "😀", "a"] {
        let faults = told(&node, "text", json!(text.repeat(1_601))).await;
        assert_eq!(faults, ["text too_long"], "{text}");
    }
    assert_eq!(told(&node, "text", json!("")).await, ["text empty_text"]);
    assert_eq!(told(&node, "text", Value::Null).await, ["text missing"]);
    assert_eq!(told(&node, "text", json!(["a"])).await, ["text wrong_type"]);
    for control in ["\0", "\t", "\r", "\u{8}", "\u{1b}", "\u{7f}", "\u{9f}"] {
        let faults = told(&node, "text", json!(format!("a{control}b"))).await;
        assert_eq!(faults, ["text control_character"], "{control:?}");
    }
}

#[tokio::test]
async fn a_description_has_up_to_1000_characters_on_one_line() {
    let node = Setup::new().start().await;
    let longest = "ё".repeat(1_000);
    assert_eq!(taken(&node, "desc", json!(longest)).await, longest);
    assert_eq!(
        told(&node, "desc", json!("ё".repeat(1_001))).await,
        ["desc too_long"]
    );
    for control in ["\0", "\t", "\r", "\u{7f}"] {
        let faults = told(&node, "desc", json!(format!("a{control}b"))).await;
        assert_eq!(faults, ["desc control_character"], "{control:?}");
    }
    assert_eq!(told(&node, "desc", json!(1)).await, ["desc wrong_type"]);
}

#[tokio::test]
async fn a_text_with_explicit_language_is_refused() {
    let node = Setup::new().start().await;
    let rude = mailing("rude", json!({ "text": "Всё это хуйня, приходите" }));
    let answer = node.client.post("/mailings", &rude).await;
    answer.problem(400, "explicit_language");
    assert_eq!(answer.faults(), ["text explicit_language"]);
    node.client
        .post("/sub", &rude)
        .await
        .problem(400, "explicit_language");
    node.client
        .post("/mailings/preview", &rude)
        .await
        .problem(400, "explicit_language");
    node.mail("rude", json!({ "start": later() })).await;
    node.client
        .put("/mailings/rude", &rude)
        .await
        .problem(400, "explicit_language");
}

#[tokio::test]
async fn an_end_is_after_the_start_and_has_not_passed() {
    let node = Setup::new().start().await;
    let times = |start: &str, end: &str| mailing("times", json!({ "start": start, "end": end }));
    for end in [
        "2090-01-01T10:00:00Z",
        "2090-01-01T09:59:59Z",
        "2090-01-01T12:59:59+03:00",
    ] {
        let answer = node
            .client
            .post("/mailings", &times("2090-01-01T10:00:00Z", end))
            .await;
        assert_eq!(answer.faults(), ["end end_before_start"], "{end}");
    }
    let passed = times("2020-01-01T10:00:00Z", "2020-01-02T10:00:00Z");
    let answer = node.client.post("/mailings", &passed).await;
    answer.problem(400, "end_passed");
    assert_eq!(answer.faults(), ["end end_passed"]);
    node.client
        .get("/mailings/times")
        .await
        .problem(404, "not_found");
    let offset = times("2090-01-01T10:00:00+03:00", "2090-01-01T07:00:00.001Z");
    let created = node.client.post("/mailings", &offset).await.expect(201);
    assert_eq!(created["start"], "2090-01-01T07:00:00Z");
    assert_eq!(created["end"], "2090-01-01T07:00:00.001Z");
    for time in [
        "",
        "tomorrow",
        "2090-01-01",
        "2090-01-01T10:00:00",
        "2090-02-30T10:00:00Z",
        "3790000000",
        "2090-01-01T25:00:00Z",
        "2090-01-01T10:00:00+24:00",
        "2090-01-01 10:00:00Z",
        "20900101T100000Z",
    ] {
        assert_eq!(
            told(&node, "start", json!(time)).await,
            ["start invalid_time"],
            "{time:?}"
        );
        assert_eq!(
            told(&node, "end", json!(time)).await,
            ["end invalid_time"],
            "{time:?}"
        );
    }
    let late = times("2090-01-01T10:00:00Z", "9999-12-31T23:59:59-01:00");
    let late = node
        .client
        .post("/mailings", &late)
        .await
        .problem(400, "invalid_time");
    let detail = late["detail"].as_str().expect("a text");
    assert!(
        detail.contains("not after 9999-12-31T23:59:59.999Z"),
        "{detail}"
    );
    let latest = mailing("latest", json!({ "end": "9999-12-31T23:59:59Z" }));
    let latest = node.client.post("/mailings", &latest).await.expect(201);
    assert_eq!(latest["end"], "9999-12-31T23:59:59Z");
    for field in ["start", "end"] {
        assert_eq!(
            told(&node, field, json!(3790000000_u64)).await,
            [format!("{field} wrong_type")]
        );
        assert_eq!(
            told(&node, field, Value::Null).await,
            [format!("{field} missing")]
        );
    }
}

#[tokio::test]
async fn a_filter_is_a_pattern_of_up_to_200_characters_without_a_dangling_escape() {
    let node = Setup::new().start().await;
    for field in ["tag_filter", "operator_filter", "phone_filter"] {
        for pattern in ["", "%", "a\\%b\\_c\\\\", "ЁЛКИ%", &"ё".repeat(200)] {
            assert_eq!(taken(&node, field, json!(pattern)).await, pattern);
        }
        assert_eq!(taken(&node, field, Value::Null).await, "%");
        for pattern in ["\\", "a\\", "a\\\\\\", "a\tb", "a\0", &"ё".repeat(201)] {
            let faults = told(&node, field, json!(pattern)).await;
            assert_eq!(faults, [format!("{field} invalid_filter")], "{pattern:?}");
        }
        assert_eq!(
            told(&node, field, json!(1)).await,
            [format!("{field} wrong_type")]
        );
    }
}

#[tokio::test]
async fn a_mailing_is_told_all_of_its_faults_at_once() {
    let node = Setup::new().start().await;
    let wrong = json!({ "id": "a b", "desc": "\t", "text": "", "start": "soon", "end": 5,
        "tag_filter": "\\", "operator_filter": [], "phone_filter": "\0",
        "send_window": { "from": "1", "to": "2", "zone": "UTC", "day": 1 }, "rate": 7 });
    let faults = [
        "desc control_character",
        "end wrong_type",
        "id invalid_id",
        "operator_filter wrong_type",
        "phone_filter invalid_filter",
        "rate unknown_field",
        "send_window invalid_send_window",
        "send_window.day unknown_field",
        "send_window.zone unknown_field",
        "start invalid_time",
        "tag_filter invalid_filter",
        "text empty_text",
    ];
    for path in ["/mailings", "/mailings/preview", "/sub"] {
        assert_eq!(
            node.client.post(path, &wrong).await.faults(),
            faults,
            "{path}"
        );
    }
    let nothing = node.client.post("/mailings", &json!({})).await;
    assert_eq!(
        nothing.faults(),
        ["end missing", "start missing", "text missing"]
    );
    assert!(
        walk(&node.client, "/mailings", &[], 10, "id")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn an_id_may_be_a_word_that_a_route_ends_with() {
    let node = Setup::new().start().await;
    let import = json!({ "id": "import", "phone": "+79161112233" });
    let made = node.client.post("/customers", &import).await.expect(201);
    assert_eq!(node.client.get("/customers/import").await.expect(200), made);
    let renamed = node
        .client
        .put(
            "/customers/import",
            &customer("import", json!({ "name": "Им" })),
        )
        .await
        .expect(200);
    assert_eq!(
        node.client.get("/customers/import").await.expect(200),
        renamed
    );
    node.client.delete("/customers/import").await.expect(204);
    node.client
        .get("/customers/import")
        .await
        .problem(404, "not_found");
    node.mail("preview", json!({ "start": later() })).await;
    assert_eq!(
        node.client.get("/mailings/preview").await.expect(200)["id"],
        "preview"
    );
    let change = mailing("preview", json!({ "start": later(), "desc": "changed" }));
    node.client
        .put("/mailings/preview", &change)
        .await
        .expect(200);
    node.client.delete("/mailings/preview").await.expect(204);
    node.client
        .get("/mailings/preview")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_mailing_that_has_not_started_may_change_in_everything_but_its_id() {
    let node = Setup::new().start().await;
    node.mail("plan", json!({ "start": later(), "desc": "old" }))
        .await;
    let change = json!({ "text": "Новый текст", "start": "2090-01-01T00:00:00Z",
        "end": "2090-02-01T00:00:00Z", "tag_filter": "a", "operator_filter": "b",
        "phone_filter": "c", "send_window": { "from": "10:00", "to": "11:00" } });
    let changed = node.client.put("/mailings/plan", &change).await.expect(200);
    for (field, value) in change.as_object().expect("fields") {
        assert_eq!(&changed[field], value, "{field}");
    }
    assert_eq!(changed["desc"], "", "a replace takes the whole object");
    assert_eq!(node.client.get("/mailings/plan").await.expect(200), changed);
    // What was read may be written: its read-only fields are what they are.
    assert_eq!(
        node.client
            .put("/mailings/plan", &changed)
            .await
            .expect(200),
        changed
    );
    let renamed = mailing("other", json!({}));
    assert_eq!(
        node.client.put("/mailings/plan", &renamed).await.faults(),
        ["id id_mismatch"]
    );
    node.client
        .put("/mailings/other", &renamed)
        .await
        .problem(404, "not_found");
    let passed = mailing(
        "plan",
        json!({ "start": "2020-01-01T00:00:00Z",
        "end": "2020-01-02T00:00:00Z" }),
    );
    node.client
        .put("/mailings/plan", &passed)
        .await
        .problem(400, "end_passed");
}

#[tokio::test]
async fn a_started_mailing_may_be_replaced_by_what_created_it() {
    let node = Setup::new().start().await;
    // With times finer than those that are kept.
    let fields = json!({ "start": "2026-01-01T03:00:00.123456789+03:00",
        "end": "2090-01-01T00:00:00.987654321Z" });
    let body = mailing("same", fields);
    node.client.post("/mailings", &body).await.expect(201);
    node.until_field("same", "status", json!("active")).await;
    let before = node.client.get("/mailings/same").await.expect(200);
    let after = node.client.put("/mailings/same", &body).await.expect(200);
    assert_eq!(after, before);
    let mut other = body;
    other["start"] = json!("2026-01-01T00:00:01Z");
    node.client
        .put("/mailings/same", &other)
        .await
        .problem(409, "mailing_started");
}

#[tokio::test]
async fn a_mailing_stands_as_people_told_it_to() {
    let node = Setup::new().start().await;
    node.mail("told", json!({})).await;
    node.until_field("told", "status", json!("active")).await;
    for (what, status) in [
        ("pause", "paused"),
        ("pause", "paused"),
        ("resume", "active"),
        ("resume", "active"),
        ("cancel", "cancelled"),
        ("cancel", "cancelled"),
    ] {
        let now = node
            .client
            .poke(&format!("/mailings/told/{what}"))
            .await
            .expect(200);
        assert_eq!(
            (&now["id"], &now["status"]),
            (&json!("told"), &json!(status)),
            "{what}"
        );
    }
    for what in ["pause", "resume"] {
        node.client
            .poke(&format!("/mailings/told/{what}"))
            .await
            .problem(409, "mailing_over");
    }
    let changed = mailing("told", json!({ "text": "another" }));
    node.client
        .put("/mailings/told", &changed)
        .await
        .problem(409, "mailing_over");
    let unchanged = node.client.get("/mailings/told").await.expect(200);
    node.client
        .put("/mailings/told", &unchanged)
        .await
        .expect(200);
}

#[tokio::test]
async fn pause_resume_and_cancel_need_no_body_and_refuse_a_wrong_one() {
    let node = Setup::new().start().await;
    node.mail("body", json!({ "start": later() })).await;
    for what in ["pause", "resume", "cancel"] {
        let path = format!("/mailings/body/{what}");
        let answer = node.client.post(&path, &json!({ "shoe": 43 })).await;
        assert_eq!(answer.faults(), ["shoe unknown_field"], "{what}");
        node.client
            .upload(&path, "text/plain", "{}")
            .await
            .problem(415, "unsupported_media_type");
        node.client
            .upload(&path, "application/json", "{")
            .await
            .problem(400, "invalid_json");
        node.client
            .post(&path, &json!([]))
            .await
            .problem(400, "invalid_json");
        node.client
            .poke(&format!("/mailings/none/{what}"))
            .await
            .problem(404, "not_found");
        node.client
            .poke(&format!("{path}?a=1"))
            .await
            .problem(400, "unknown_parameter");
    }
    let wrong = node
        .client
        .post("/mailings/body/resume", &json!({ "accept_duplicates": 1 }))
        .await;
    assert_eq!(wrong.faults(), ["accept_duplicates wrong_type"]);
    let body = json!({ "accept_duplicates": true });
    let pause = node.client.post("/mailings/body/pause", &body).await;
    assert_eq!(pause.faults(), ["accept_duplicates unknown_field"]);
    assert_eq!(
        node.client.get("/mailings/body").await.expect(200)["status"],
        "scheduled"
    );
    for body in [json!({}), json!({ "accept_duplicates": true })] {
        node.client
            .post("/mailings/body/resume", &body)
            .await
            .expect(200);
    }
    node.client
        .post("/mailings/body/pause", &json!({}))
        .await
        .expect(200);
    node.client
        .post("/mailings/body/cancel", &json!({}))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_mailing_whose_end_has_passed_is_finished_and_changes_no_more() {
    let node = Setup::new().start().await;
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    node.mail("short", json!({ "end": soon.to_string() })).await;
    node.until_field("short", "status", json!("finished")).await;
    assert_eq!(
        walk(
            &node.client,
            "/mailings",
            &[("status", "finished")],
            9,
            "id"
        )
        .await,
        ["short"]
    );
    let now = node.client.get("/mailings/short").await.expect(200);
    node.client.put("/mailings/short", &now).await.expect(200);
    for (field, value) in [
        ("text", json!("another")),
        ("end", json!(minutes_from_now(9))),
        ("send_window", json!({ "from": "00:00", "to": "23:59" })),
    ] {
        let mut changed = now.clone();
        changed[field] = value;
        node.client
            .put("/mailings/short", &changed)
            .await
            .problem(409, "mailing_over");
    }
    for what in ["pause", "resume", "cancel"] {
        node.client
            .poke(&format!("/mailings/short/{what}"))
            .await
            .problem(409, "mailing_over");
    }
}

#[tokio::test]
async fn a_deleted_mailing_is_gone_and_its_id_is_free() {
    let node = Setup::new().start().await;
    node.mail("gone", json!({})).await;
    let answer = node.client.delete("/mailings/gone").await;
    answer.expect(204);
    assert_eq!(answer.text, "");
    for path in [
        "/mailings/gone",
        "/mailings/gone/stats",
        "/stats/mailings/gone",
    ] {
        node.client.get(path).await.problem(404, "not_found");
    }
    node.client
        .delete("/mailings/gone")
        .await
        .problem(404, "not_found");
    node.client
        .poke("/mailings/gone/pause")
        .await
        .problem(404, "not_found");
    assert!(
        walk(&node.client, "/mailings", &[], 10, "id")
            .await
            .is_empty()
    );
    node.mail("gone", json!({})).await;
}

#[tokio::test]
async fn caught_up_says_whether_every_customer_that_matches_now_has_a_final_message() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    node.mail("caught", json!({ "tag_filter": "vip" })).await;
    node.until_field("caught", "caught_up", json!(true)).await;
    assert_eq!(
        node.client.get("/mailings/caught").await.expect(200)["status"],
        "active"
    );
    gateway.act(json!(["hang"]), 1).await;
    node.client
        .post("/customers", &customer("late", json!({ "tag": "VIP" })))
        .await
        .expect(201);
    let now = node.client.get("/mailings/caught").await.expect(200);
    assert_eq!(
        now["caught_up"], false,
        "the customer waits for its message"
    );
    gateway.requests(1).await;
    let now = node.client.get("/mailings/caught").await.expect(200);
    assert_eq!(now["caught_up"], false, "its message is on its way");
    node.client
        .post("/customers", &customer("other", json!({ "tag": "x" })))
        .await
        .expect(201);
    node.client
        .poke("/mailings/caught/cancel")
        .await
        .expect(200);
}
