//! Imports: CSV and NDJSON, rows that are wrong, files that are, and uploads that break off.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::walk;
use crate::support::{Node, Setup, eventually, sample_csv};

/// How long most things may take at the most; far more than they need.
const SOON: std::time::Duration = std::time::Duration::from_secs(30);
const CSV: &str = "text/csv";
const NDJSON: &str = "application/x-ndjson";

async fn import(node: &Node, kind: &str, body: impl Into<reqwest::Body>) -> Value {
    node.client
        .upload("/customers/import", kind, body)
        .await
        .expect(200)
}

/// Lines and codes of the errors.
fn errors(answer: &Value) -> Vec<(u64, String)> {
    let told = |error: &Value| {
        assert!(
            error["detail"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{error}"
        );
        let code = error["code"].as_str().expect("a code").to_owned();
        (error["line"].as_u64().expect("a line"), code)
    };
    answer["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(told)
        .collect()
}

fn counted(created: u64, updated: u64) -> Value {
    json!({ "created": created, "updated": updated, "rejected": 0, "live_mailings": [], "errors": [] })
}

#[tokio::test]
async fn columns_come_in_any_order_and_an_empty_cell_is_an_absent_field() {
    let node = Setup::new().start().await;
    let csv = "timezone,tag,phone,id,operator,name\n\
        Europe/Moscow,новые,+79160000001,one,МТС,Анна\n\
        ,,+79160000002,two,,\n\
        ,,+79160000003,,,Без имени\n";
    assert_eq!(import(&node, CSV, csv).await, counted(3, 0));
    let one = json!({ "id": "one", "name": "Анна", "phone": "+79160000001", "operator": "МТС",
        "tag": "новые", "timezone": "Europe/Moscow" });
    assert_eq!(node.client.get("/customers/one").await.expect(200), one);
    let two =
        json!({ "id": "two", "name": "", "phone": "+79160000002", "operator": "", "tag": "" });
    assert_eq!(node.client.get("/customers/two").await.expect(200), two);
    let ids = walk(&node.client, "/customers", &[], 10, "id").await;
    uuid::Uuid::parse_str(&ids[2]).expect("an absent id becomes a UUID");
    assert_eq!(
        import(&node, CSV, "phone\n+79160000004\n").await,
        counted(1, 0)
    );
}

#[tokio::test]
async fn a_column_that_is_not_in_the_file_stays_and_an_empty_cell_clears_its_field() {
    let node = Setup::new().start().await;
    let all = "id,phone,name,operator,tag,timezone\n\
        a,+79160000001,A,МТС,x,Asia/Omsk\nb,+79160000002,B,T2,x,\n";
    assert_eq!(import(&node, CSV, all).await, counted(2, 0));

    let fewer = "id,phone\na,+79160000009\nc,+79160000003\n";
    assert_eq!(import(&node, CSV, fewer).await, counted(1, 1));
    let a = json!({ "id": "a", "name": "A", "phone": "+79160000009", "operator": "МТС",
        "tag": "x", "timezone": "Asia/Omsk" });
    assert_eq!(node.client.get("/customers/a").await.expect(200), a);
    let c = json!({ "id": "c", "name": "", "phone": "+79160000003", "operator": "", "tag": "" });
    assert_eq!(node.client.get("/customers/c").await.expect(200), c);

    let cleared = "id,phone,name,timezone\na,+79160000009,,\n";
    assert_eq!(import(&node, CSV, cleared).await, counted(0, 1));
    let a = json!({ "id": "a", "name": "", "phone": "+79160000009", "operator": "МТС",
        "tag": "x" });
    assert_eq!(node.client.get("/customers/a").await.expect(200), a);
    let ids = walk(&node.client, "/customers", &[], 10, "id").await;
    assert_eq!(ids, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_key_that_is_not_in_the_object_stays_and_null_or_an_empty_text_clears_its_field() {
    let node = Setup::new().start().await;
    let rows = r#"{"id":"a","phone":"+79160000001","name":"A","operator":"B","tag":"x","timezone":"Asia/Omsk"}
        {"id":"a","phone":"+79160000002"}
        {"id":"a","phone":"+79160000003","timezone":null,"tag":"","operator":null}"#;
    assert_eq!(import(&node, NDJSON, rows).await, counted(1, 2));
    let a = json!({ "id": "a", "name": "A", "phone": "+79160000003", "operator": "", "tag": "" });
    assert_eq!(node.client.get("/customers/a").await.expect(200), a);
}

#[tokio::test]
async fn rows_are_written_in_the_order_of_the_file_and_the_last_one_of_an_id_counts() {
    let node = Setup::new().start().await;
    let mut csv = "id,phone,name\n".to_owned();
    for n in 0..12_000 {
        csv.push_str(&format!("c-{},+79160000001,{n}\n", n % 3_000));
    }
    assert_eq!(import(&node, CSV, csv).await, counted(3_000, 9_000));
    let ids = walk(&node.client, "/customers", &[], 1_000, "id").await;
    assert_eq!(
        ids,
        (0..3_000).map(|n| format!("c-{n}")).collect::<Vec<_>>()
    );
    let names = walk(&node.client, "/customers", &[], 1_000, "name").await;
    assert_eq!(
        names,
        (9_000..12_000)
            .map(|n: u64| n.to_string())
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn quotes_line_breaks_byte_order_marks_and_crlf_are_read_as_csv_has_them() {
    let node = Setup::new().start().await;
    let csv = "\u{feff}id,name,phone\r\n\
        a,\"Анна, \"\"Аня\"\"\",+79160000001\r\n\
        \r\n\
        b,\"two\r\nlines\",+79160000002\r\n\
        \"c\",,\"+79160000003\"\r\n\
        d,x,\"+7\n916\"\r\n\
        e,,+79160000005";
    let answer = import(&node, CSV, csv).await;
    assert_eq!(answer["created"], 3);
    // A cell over two lines makes one record, and no field may hold a line end.
    let wrong = [(4, "control_character".into()), (7, "invalid_phone".into())];
    assert_eq!(errors(&answer), wrong);
    let ids = walk(&node.client, "/customers", &[], 10, "id").await;
    assert_eq!(ids, ["a", "c", "e"]);
    assert_eq!(
        node.client.get("/customers/a").await.expect(200)["name"],
        "Анна, \"Аня\""
    );
}

#[tokio::test]
async fn no_line_inside_of_a_quoted_cell_becomes_a_customer() {
    let node = Setup::new().start().await;
    let csv = "phone,name,id\n\
        +79160000001,\"first\n+79990000000,not a customer,x\nlast\",a\n\
        +79160000002,B,b\n\
        +79160000003,\"C\",c,d\n";
    for csv in [csv.to_owned(), csv.replace('\n', "\r")] {
        let answer = import(&node, CSV, csv).await;
        let wrong = [
            (2, "control_character".into()),
            (6, "wrong_cell_count".into()),
        ];
        assert_eq!(errors(&answer), wrong);
        assert_eq!(walk(&node.client, "/customers", &[], 10, "id").await, ["b"]);
    }
}

#[tokio::test]
async fn a_quote_that_is_not_closed_is_refused_with_its_line_and_nothing_in_it_is_imported() {
    let node = Setup::new().start().await;
    let mut csv = "id,name,phone\n".to_owned();
    for n in 0..3_000 {
        let quote = if n == 9 { "\"" } else { "" };
        csv.push_str(&format!("c-{n},{quote}x,+79160000001\n"));
    }
    let answer = import(&node, CSV, csv.clone()).await;
    assert_eq!(
        (&answer["created"], &answer["rejected"]),
        (&json!(9), &json!(1))
    );
    assert_eq!(errors(&answer), [(11, "unclosed_quote".into())]);
    let detail = answer["errors"][0]["detail"].as_str().expect("a detail");
    assert!(detail.contains("line 3002"), "where it ends: {detail}");
    let corrected = csv.replace("\"x", "x");
    assert_eq!(import(&node, CSV, corrected).await, counted(2_991, 9));
}

#[tokio::test]
async fn ndjson_is_one_customer_a_line() {
    let node = Setup::new().start().await;
    let rows = "{\"id\":\"a\",\"phone\":\"+79160000001\",\"name\":\"А\\u006E\",\"tag\":\"t\"}\r\n\
        \n\
        {\"phone\":\"+79160000002\",\"timezone\":null,\"id\":\"b\",\"name\":\"\"}\n\
        [1]\n\
        {\"id\":\"c\"\n\
        {\"id\":\"c\",\"phone\":79160000003}\n\
        {\"id\":\"c\",\"phone\":\"+79160000003\",\"shoe\":43}\n\
        not json\n\
        {\"phone\":\"+79160000004\",\"id\":\"d\"}";
    let answer = import(&node, NDJSON, rows).await;
    assert_eq!(
        (&answer["created"], &answer["rejected"]),
        (&json!(3), &json!(5))
    );
    let wanted = [
        (4, "invalid_json".to_owned()),
        (5, "invalid_json".to_owned()),
        (6, "wrong_type".to_owned()),
        (7, "unknown_field".to_owned()),
        (8, "invalid_json".to_owned()),
    ];
    assert_eq!(errors(&answer), wanted);
    assert_eq!(
        walk(&node.client, "/customers", &[], 10, "id").await,
        ["a", "b", "d"]
    );
    let a = json!({ "id": "a", "name": "Аn", "phone": "+79160000001", "operator": "", "tag": "t" });
    assert_eq!(node.client.get("/customers/a").await.expect(200), a);
    let again = "{\"id\":\"a\",\"phone\":\"+79160000009\"}\n";
    assert_eq!(import(&node, NDJSON, again).await, counted(0, 1));
    assert_eq!(import(&node, NDJSON, "").await, counted(0, 0));
}

#[tokio::test]
async fn rows_that_are_wrong_are_told_with_their_lines_and_the_others_are_written() {
    let node = Setup::new().start().await;
    let mut csv = "id,phone,name\n".to_owned();
    for n in 1..=6_000 {
        let phone = if n % 2 == 0 {
            "none".to_owned()
        } else {
            format!("+7900{n:07}")
        };
        csv.push_str(&format!("c-{n},{phone},\"two {n}\"\n"));
    }
    let answer = import(&node, CSV, csv).await;
    assert_eq!(
        (&answer["created"], &answer["rejected"]),
        (&json!(3_000), &json!(3_000))
    );
    let wanted: Vec<_> = (0..1_000)
        .map(|n| (2 * n + 3, "invalid_phone".to_owned()))
        .collect();
    assert_eq!(errors(&answer), wanted, "the first 1,000");
    assert_eq!(
        walk(&node.client, "/customers", &[], 1_000, "id")
            .await
            .len(),
        3_000
    );
    let kinds = "id,phone,tag,timezone\n\
        a b,+79160000001,,\n\
        a,+79160000001,,Mars\n\
        a,+79160000001\n\
        a,+79160000001,,,\n\
        a,,,\n\
        a b,12,,Mars\n";
    let answer = import(&node, CSV, kinds).await;
    let wanted = [
        "invalid_id",
        "invalid_timezone",
        "wrong_cell_count",
        "wrong_cell_count",
        "missing",
        "invalid_id",
    ];
    let wanted: Vec<_> = (2..).zip(wanted.map(str::to_owned)).collect();
    assert_eq!(errors(&answer), wanted);
    let all = answer["errors"][5]["detail"].as_str().expect("a detail");
    for field in ["id", "phone", "timezone"] {
        assert!(all.contains(field), "all faults of a row are told: {all}");
    }
}

#[tokio::test]
async fn a_row_that_is_not_utf8_or_far_too_long_is_left_out_alone() {
    let node = Setup::new().start().await;
    let mut csv = b"id,name,phone\na,\xff\xfe,+79160000001\nb,".to_vec();
    csv.extend(vec![b'x'; 100_000]);
    csv.extend_from_slice(b",+79160000002\nc,,+79160000003\n");
    let answer = import(&node, CSV, csv).await;
    assert_eq!(
        errors(&answer),
        [(2, "invalid_utf8".into()), (3, "row_too_long".into())]
    );
    assert_eq!(walk(&node.client, "/customers", &[], 10, "id").await, ["c"]);
    let mut rows = b"{\"name\":\"\xff\",\"phone\":\"+79160000001\"}\n{\"name\":\"".to_vec();
    rows.extend(vec![b'x'; 100_000]);
    rows.extend_from_slice(b"\"}\n{\"id\":\"d\",\"phone\":\"+79160000003\"}\n");
    let answer = import(&node, NDJSON, rows).await;
    assert_eq!(
        errors(&answer),
        [(1, "invalid_json".into()), (2, "row_too_long".into())]
    );
    assert_eq!(
        walk(&node.client, "/customers", &[], 10, "id").await,
        ["c", "d"]
    );
}

#[tokio::test]
async fn a_wrong_header_or_content_type_is_refused_and_nothing_is_written() {
    let node = Setup::new().start().await;
    let row = "a,+79160000001\n";
    for header in [
        "id,fone",
        "id,name",
        "phone,phone",
        "a,+79160000002",
        "",
        "id;phone,x",
        "\"id",
    ] {
        let csv = format!("{header}\n{row}");
        let answer = node.client.upload("/customers/import", CSV, csv).await;
        answer.problem(400, "invalid_header");
    }
    node.client
        .upload("/customers/import", CSV, "")
        .await
        .problem(400, "invalid_header");
    let csv = format!("id,phone\n{row}");
    for kind in [
        "text/plain",
        "application/json",
        "multipart/form-data; boundary=x",
        "",
    ] {
        let answer = node
            .client
            .upload("/customers/import", kind, csv.clone())
            .await;
        answer.problem(415, "unsupported_media_type");
    }
    let request = node
        .client
        .request(reqwest::Method::POST, "/customers/import")
        .body(csv.clone());
    node.client
        .send(request)
        .await
        .problem(415, "unsupported_media_type");
    assert!(
        walk(&node.client, "/customers", &[], 10, "id")
            .await
            .is_empty()
    );
    assert_eq!(
        import(&node, "Text/CSV; charset=utf-8", csv).await,
        counted(1, 0)
    );
    assert_eq!(import(&node, CSV, "id,phone\n").await, counted(0, 0));
}

#[tokio::test]
async fn an_upload_that_breaks_off_keeps_what_was_written_and_may_be_sent_again() {
    let node = Setup::new().start().await;
    let csv = sample_csv(1, 5_000);
    let address = node.client.base().trim_start_matches("http://");
    let mut upload = tokio::net::TcpStream::connect(address)
        .await
        .expect("a connection");
    let length = csv.len();
    let head = format!(
        "POST /customers/import HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/csv\r\n\
         content-length: {length}\r\n\r\n"
    );
    let half = &csv.as_bytes()[..length / 2];
    upload.write_all(head.as_bytes()).await.expect("sent");
    upload.write_all(half).await.expect("sent");
    let written = eventually(
        "rows are there",
        std::time::Duration::from_secs(20),
        async || {
            let found = walk(&node.client, "/customers", &[], 1_000, "id").await;
            (!found.is_empty()).then_some(found)
        },
    )
    .await;
    drop(upload);
    let wanted: Vec<_> = (1..=written.len())
        .map(|n| format!("customer-{n}"))
        .collect();
    assert_eq!(written, wanted, "whole rows, from the first on");
    let node = node.kill_and_restart().await;
    let kept = walk(&node.client, "/customers", &[], 1_000, "id").await;
    assert!(kept.len() >= written.len());
    let answer = import(&node, CSV, csv).await;
    assert_eq!(
        answer,
        counted(5_000 - kept.len() as u64, kept.len() as u64)
    );
}

#[tokio::test]
async fn the_last_row_of_a_customer_counts_also_while_its_deletion_is_swept() {
    // More than one entry cancels messages in: the rest is swept after the deletion.
    const MAILINGS: u64 = 60;
    let node = Setup::new()
        .set("NOTTY_POSTMAN__ENABLED", "false")
        .start()
        .await;
    for n in 0..MAILINGS {
        node.mail(&format!("mailing-{n}"), json!({ "tag_filter": "swept" }))
            .await;
    }
    let header = "id,name,phone,operator,tag,timezone\n";
    let fill = sample_csv(1, 2_500).replacen(header, "", 1);
    for id in ["a", "b", "c", "d"] {
        let row = |name: &str| format!("{id},{name},+79160000001,,swept,\n");
        import(&node, CSV, format!("{header}{}", row("Первая"))).await;
        eventually("every mailing has a message for it", SOON, async || {
            let stats = node
                .client
                .get(&format!("/stats/customers/{id}"))
                .await
                .expect(200);
            (stats["created"] == MAILINGS).then_some(())
        })
        .await;
        node.client
            .delete(&format!("/customers/{id}"))
            .await
            .expect(204);
        let (old, new) = (row("Старая"), row("Новая"));
        let answer = import(&node, CSV, format!("{header}{old}{fill}{new}")).await;
        assert_eq!(answer["rejected"], 0, "{id}: {answer}");
        let written = answer["created"].as_u64().zip(answer["updated"].as_u64());
        assert_eq!(
            written.map(|(created, updated)| created + updated),
            Some(2_502),
            "{answer}"
        );
        let customer = node
            .client
            .get(&format!("/customers/{id}"))
            .await
            .expect(200);
        assert_eq!(customer["name"], "Новая", "{id}");
    }
}
