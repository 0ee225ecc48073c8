//! Customers: what one may be, and create, read, replace, delete.

use serde_json::{Value, json};

use super::{customer, walk};
use crate::support::{Node, Setup};

/// What a create with this field says of it.
async fn told(node: &Node, field: &str, value: Value) -> Vec<String> {
    let body = customer("told", json!({ field: value }));
    node.client.post("/customers", &body).await.faults()
}

/// A create with this field is taken; the field as it is then.
async fn taken(node: &Node, field: &str, value: Value) -> Value {
    let body = customer("taken", json!({ field: value }));
    let created = node.client.post("/customers", &body).await.expect(201);
    let id = created["id"].as_str().expect("an id");
    node.client
        .delete(&format!("/customers/{id}"))
        .await
        .expect(204);
    created[field].clone()
}

#[tokio::test]
async fn a_create_answers_with_the_whole_customer_and_a_read_with_the_same() {
    let node = Setup::new().start().await;
    let whole = json!({ "id": "whole", "name": "Анна", "phone": "+79161112233",
        "operator": "МТС", "tag": "clients.new", "timezone": "Europe/Moscow" });
    let answer = node.client.post("/customers", &whole).await;
    assert_eq!(answer.expect(201), whole);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("location"), "/customers/whole");
    assert_eq!(node.client.get("/customers/whole").await.expect(200), whole);
    let phone = json!({ "phone": "+79161112233" });
    let least = node.client.post("/customers", &phone).await.expect(201);
    let id = least["id"].as_str().expect("an id");
    uuid::Uuid::parse_str(id).expect("an id that is absent becomes a UUID");
    let empty = json!({ "id": id, "name": "", "phone": "+79161112233", "operator": "", "tag": "" });
    assert_eq!(least, empty);
    assert_eq!(
        node.client
            .get(&format!("/customers/{id}"))
            .await
            .expect(200),
        empty
    );
}

#[tokio::test]
async fn a_customer_that_exists_cannot_be_created_and_stays_as_it_is() {
    let node = Setup::new().start().await;
    node.client
        .post("/customers", &customer("twice", json!({ "tag": "a" })))
        .await
        .expect(201);
    let again = customer("twice", json!({ "tag": "b" }));
    node.client
        .post("/customers", &again)
        .await
        .problem(409, "customer_exists");
    assert_eq!(
        node.client.get("/customers/twice").await.expect(200)["tag"],
        "a"
    );
}

#[tokio::test]
async fn a_phone_is_a_plus_and_10_to_15_digits_and_nothing_else() {
    let node = Setup::new().start().await;
    for phone in ["+7916111223", "+79161112233", "+123456789012345"] {
        assert_eq!(taken(&node, "phone", json!(phone)).await, phone);
    }
    for phone in [
        "",
        "+",
        "79161112233",
        "89161112233",
        "+791611122",
        "+1234567890123456",
        "++79161112233",
        "8 (916) 111-22-33",
        "+7 916 111 22",
        "+7916111223a",
        "+79161112233, +79161112234",
        "+79161112233\n",
        "+7916111223３",
        "+٧٩١٦١١١٢٢٣٣",
    ] {
        assert_eq!(
            told(&node, "phone", json!(phone)).await,
            ["phone invalid_phone"],
            "{phone:?}"
        );
    }
    let answer = node
        .client
        .post("/customers", &json!({ "phone": "12" }))
        .await;
    answer.problem(400, "invalid_phone");
    assert_eq!(told(&node, "phone", Value::Null).await, ["phone missing"]);
    assert_eq!(
        told(&node, "phone", json!(79161112233_u64)).await,
        ["phone wrong_type"]
    );
}

#[tokio::test]
async fn an_id_is_up_to_64_letters_and_digits_of_any_script_and_five_signs() {
    let node = Setup::new().start().await;
    for id in ["a", "-", "7", "A-b-9", "a_b.c+d@e", "ключ", &"я".repeat(64)] {
        assert_eq!(taken(&node, "id", json!(id)).await, id);
    }
    for id in [
        "",
        " ",
        "a b",
        "..",
        "a/b",
        "№1",
        "a\u{200b}",
        "a\0",
        "a\n",
        &"x".repeat(65),
    ] {
        assert_eq!(
            told(&node, "id", json!(id)).await,
            ["id invalid_id"],
            "{id:?}"
        );
    }
    assert_eq!(told(&node, "id", json!(7)).await, ["id wrong_type"]);
}

#[tokio::test]
async fn a_time_zone_is_an_iana_name() {
    let node = Setup::new().start().await;
    for zone in [
        "Europe/Moscow",
        "UTC",
        "America/Argentina/Buenos_Aires",
        "Asia/Kolkata",
    ] {
        assert_eq!(taken(&node, "timezone", json!(zone)).await, zone);
    }
    for zone in [
        "",
        "Moscow",
        "Mars/Base",
        "+03:00",
        "Europe/Moscow ",
        "../etc/passwd",
        "Москва",
    ] {
        let faults = told(&node, "timezone", json!(zone)).await;
        assert_eq!(faults, ["timezone invalid_timezone"], "{zone:?}");
    }
    assert_eq!(
        told(&node, "timezone", json!(3)).await,
        ["timezone wrong_type"]
    );
}

#[tokio::test]
async fn names_operators_and_tags_have_a_length_in_characters_and_no_control_characters() {
    let node = Setup::new().start().await;
    for (field, most) in [("name", 200), ("operator", 100), ("tag", 100)] {
        let longest = "ё".repeat(most);
        assert_eq!(taken(&node, field, json!(longest)).await, longest);
        let longer = told(&node, field, json!("ё".repeat(most + 1))).await;
        assert_eq!(longer, [format!("{field} too_long")]);
        for control in ["\0", "\t", "\n", "\r", "\u{1b}", "\u{7f}", "\u{85}"] {
            let faults = told(&node, field, json!(format!("a{control}b"))).await;
            assert_eq!(
                faults,
                [format!("{field} control_character")],
                "{control:?}"
            );
        }
        for wrong in [json!(1), json!(true), json!([]), json!({})] {
            assert_eq!(
                told(&node, field, wrong).await,
                [format!("{field} wrong_type")]
            );
        }
    }
    for text in ["O'Brien; DROP TABLE", "<b>", "👍🏽", "a\\b%_", " x "] {
        assert_eq!(taken(&node, "name", json!(text)).await, text);
    }
}

#[tokio::test]
async fn a_customer_is_told_all_of_its_faults_at_once() {
    let node = Setup::new().start().await;
    let wrong = json!({ "id": "a b", "name": 5, "phone": "12", "operator": "\t", "tag": [],
        "timezone": "Mars", "shoe": 43, "Name": "x" });
    let faults = [
        "Name unknown_field",
        "id invalid_id",
        "name wrong_type",
        "operator control_character",
        "phone invalid_phone",
        "shoe unknown_field",
        "tag wrong_type",
        "timezone invalid_timezone",
    ];
    let created = node.client.post("/customers", &wrong).await;
    assert_eq!(created.faults(), faults);
    for fault in created.json()["errors"].as_array().expect("errors") {
        assert!(
            fault["detail"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{fault}"
        );
    }
    node.client
        .post("/customers", &customer("there", json!({})))
        .await
        .expect(201);
    assert_eq!(
        node.client.put("/customers/there", &wrong).await.faults(),
        faults
    );
    assert_eq!(
        walk(&node.client, "/customers", &[], 10, "id").await,
        ["there"]
    );
}

#[tokio::test]
async fn a_replace_takes_the_whole_customer_and_its_id_from_the_path() {
    let node = Setup::new().start().await;
    let fields = json!({ "name": "Анна", "tag": "a", "operator": "b", "timezone": "UTC" });
    node.client
        .post("/customers", &customer("one", fields))
        .await
        .expect(201);
    let other = json!({ "phone": "+79990000000", "tag": "c" });
    let wanted = json!({ "id": "one", "name": "", "phone": "+79990000000", "operator": "",
        "tag": "c" });
    assert_eq!(
        node.client.put("/customers/one", &other).await.expect(200),
        wanted
    );
    assert_eq!(node.client.get("/customers/one").await.expect(200), wanted);
    assert_eq!(
        node.client.put("/customers/one", &wanted).await.expect(200),
        wanted
    );
    let renamed = customer("two", json!({}));
    assert_eq!(
        node.client.put("/customers/one", &renamed).await.faults(),
        ["id id_mismatch"]
    );
    node.client
        .put("/customers/two", &renamed)
        .await
        .problem(404, "not_found");
    node.client
        .put("/customers/two", &other)
        .await
        .problem(404, "not_found");
    node.client
        .get("/customers/two")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_deleted_customer_is_gone_and_its_id_is_free() {
    let node = Setup::new().start().await;
    node.client
        .post("/customers", &customer("gone", json!({ "name": "A" })))
        .await
        .expect(201);
    let answer = node.client.delete("/customers/gone").await;
    answer.expect(204);
    assert_eq!(answer.text, "");
    for path in [
        "/customers/gone",
        "/customers/gone/stats",
        "/stats/customers/gone",
    ] {
        node.client.get(path).await.problem(404, "not_found");
    }
    node.client
        .delete("/customers/gone")
        .await
        .problem(404, "not_found");
    let again = customer("gone", json!({}));
    node.client
        .put("/customers/gone", &again)
        .await
        .problem(404, "not_found");
    assert!(
        walk(&node.client, "/customers", &[], 10, "id")
            .await
            .is_empty()
    );
    assert_eq!(
        node.client.post("/customers", &again).await.expect(201)["name"],
        ""
    );
}
