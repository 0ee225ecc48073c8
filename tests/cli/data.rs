//! `notty import` and `notty export`: customers in, customers and messages out.

use std::process::Stdio;

use serde_json::{Value, json};

use super::{arg, at, file, printed, run};
use crate::support::{Ended, Gateway, Node, Setup, notty, sample_csv};

const TWO_WRONG: &str = "id,phone,name\n\
    a,+79160000001,Анна\n\
    b,none,Б\n\
    c,+79160000003,\"В, Г\"\n\
    d e,+79160000004,\n";

async fn customers(node: &Node) -> Value {
    node.client.get("/customers?limit=1000").await.expect(200)["items"].clone()
}

#[tokio::test]
async fn import_tells_counts_and_the_rejected_rows_with_their_lines() {
    let node = Setup::new().start().await;
    let path = file(node.setup.dir(), "customers.csv", TWO_WRONG);
    let ended = at(&node, &["import", arg(&path)]);
    let end = ended.one_line(1);
    assert!(
        end.contains("customers.csv: rows left out: 2; correct them"),
        "{end}"
    );
    let said = &ended.stdout;
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert_eq!(lines[0], "created 2, updated 0, rejected 2");
    assert!(
        lines[1].starts_with("line 3:") && lines[1].contains("invalid_phone"),
        "{said}"
    );
    assert!(
        lines[2].starts_with("line 5:") && lines[2].contains("invalid_id"),
        "{said}"
    );
    let again = at(&node, &["import", arg(&path)]);
    assert!(
        again.code == Some(1)
            && again
                .stdout
                .starts_with("created 0, updated 2, rejected 2\n"),
        "{again:?}"
    );
    assert_eq!(customers(&node).await.as_array().map(Vec::len), Some(2));
    let many = file(node.setup.dir(), "many.csv", sample_csv(1, 2_345));
    assert_eq!(
        printed(at(&node, &["import", arg(&many)])),
        "created 2,345, updated 0, rejected 0\n"
    );
}

#[tokio::test]
async fn a_dry_run_checks_every_row_and_writes_nothing() {
    let node = Setup::new().start().await;
    let path = file(node.setup.dir(), "customers.csv", TWO_WRONG);
    let said = at(&node, &["import", arg(&path), "--dry-run"]);
    let end = said.one_line(1);
    assert!(
        end.contains("2 rows are valid, 2 would be rejected"),
        "{end}"
    );
    let lines = &said.stdout;
    assert!(
        lines.contains("line 3:") && lines.contains("line 5:"),
        "{lines}"
    );
    assert_eq!(customers(&node).await, json!([]));
    // It needs no node.
    let alone = run(&[
        "import",
        arg(&path),
        "--dry-run",
        "--api",
        "http://127.0.0.1:9",
    ]);
    assert_eq!((alone.one_line(1), &alone.stdout), (end, lines));
    let right = file(node.setup.dir(), "right.csv", "phone\n+79160000001\n");
    let said = printed(run(&["import", arg(&right), "--dry-run"]));
    assert_eq!(
        said,
        "1 rows are valid, 0 would be rejected; nothing was written\n"
    );
    let wrong = file(node.setup.dir(), "wrong.csv", "id,fone\na,1\n");
    let ended = run(&["import", arg(&wrong), "--dry-run"]);
    let line = ended.one_line(1);
    assert!(line.contains("line 1") && line.contains("fone"), "{line}");
}

#[tokio::test]
async fn import_reads_ndjson_and_stdin() {
    let node = Setup::new().start().await;
    let rows = "{\"id\":\"a\",\"phone\":\"+79160000001\"}\n{\"id\":\"b\"}\n";
    for name in ["rows.ndjson", "rows.jsonl"] {
        let path = file(node.setup.dir(), name, rows);
        let ended = at(&node, &["import", arg(&path)]);
        ended.one_line(1);
        let said = &ended.stdout;
        assert!(said.contains("rejected 1\nline 2: "), "{said}");
    }
    let path = file(node.setup.dir(), "rows", rows);
    let ended = at(&node, &["import", arg(&path), "--format", "ndjson"]);
    let said = &ended.stdout;
    assert!(
        said.starts_with("created 0, updated 1, rejected 1\n"),
        "{said}"
    );
    for (format, text) in [("csv", "id,phone\nc,+79160000003\n"), ("ndjson", rows)] {
        let path = file(node.setup.dir(), "stdin", text);
        let stdin = std::fs::File::open(path).expect("it is there");
        let mut command = notty();
        command.args([
            "import",
            "-",
            "--format",
            format,
            "--api",
            node.client.base(),
        ]);
        let ended = Ended::of(command.stdin(Stdio::from(stdin)));
        // One of the rows of NDJSON has no phone.
        let wanted = i32::from(format == "ndjson");
        assert_eq!(ended.code, Some(wanted), "{ended:?}");
    }
    let ids: Vec<_> = customers(&node)
        .await
        .as_array()
        .expect("items")
        .iter()
        .map(|customer| customer["id"].clone())
        .collect();
    assert_eq!(ids, ["a", "c"]);
}

#[tokio::test]
async fn an_import_that_cannot_be_says_why_in_one_line() {
    let node = Setup::new().start().await;
    let dir = node.setup.dir();
    let missing = dir.join("missing.csv");
    let ended = at(&node, &["import", arg(&missing)]);
    assert!(ended.one_line(1).contains("missing.csv"));
    let wrong = file(dir, "wrong.csv", "id,fone\na,1\n");
    let ended = at(&node, &["import", arg(&wrong)]);
    let line = ended.one_line(1);
    assert!(
        line.contains("invalid_header") && line.contains("fone"),
        "{line}"
    );
    let right = file(dir, "right.csv", "phone\n+79160000001\n");
    let ended = run(&["import", arg(&right), "--api", "http://127.0.0.1:9"]);
    let line = ended.one_line(1);
    assert!(
        line.contains("http://127.0.0.1:9") && line.contains("--api"),
        "{line}"
    );
    let ended = at(&node, &["import", arg(&right), "--format", "xml"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

#[tokio::test]
async fn a_large_import_that_is_refused_says_why() {
    let setup = Setup::new().set(
        "NOTTY_API__TOKENS",
        r#"[{ name = "a", token = "secret-a", role = "reader" }]"#,
    );
    let node = setup.start().await;
    let path = file(node.setup.dir(), "large.csv", sample_csv(1, 100_000));
    let ended = at(&node, &["import", arg(&path)]);
    assert!(ended.one_line(1).contains("unauthorized"), "{ended:?}");
    let mut command = notty();
    command.args(["import", arg(&path), "--api", node.client.base()]);
    let ended = Ended::of(command.env("NOTTY_TOKEN", "secret-a"));
    assert!(ended.one_line(1).contains("forbidden"), "{ended:?}");
}

#[tokio::test]
async fn exported_customers_can_be_imported_and_are_the_same() {
    let node = Setup::new().start().await;
    let names = [
        "plain",
        "a, b",
        "\"quoted\"",
        "a;b",
        " spaces ",
        "=SUM(A1)",
        "ёлка 👍",
        "'",
        "\\",
        "'=1",
        "-1",
        "+79161112233",
        "@a, \"b\"",
    ];
    for (n, name) in names.iter().enumerate() {
        let zone = if n % 2 == 0 {
            json!("Europe/Moscow")
        } else {
            Value::Null
        };
        let body = json!({ "id": format!("c-{n}"), "phone": format!("+791600000{n:02}"),
            "name": name, "tag": name, "operator": name, "timezone": zone });
        node.client.post("/customers", &body).await.expect(201);
    }
    node.import(2_500).await;
    for format in ["csv", "ndjson"] {
        let exported = printed(at(&node, &["export", "customers", "--format", format]));
        let lines = 2_513 + usize::from(format == "csv");
        assert_eq!(exported.lines().count(), lines);
        if format == "csv" {
            assert!(exported.starts_with("id,name,phone,operator,tag,timezone\nc-0,plain,"));
        }
        let other = Setup::new().start().await;
        let path = file(other.setup.dir(), &format!("customers.{format}"), &exported);
        let said = printed(at(&other, &["import", arg(&path)]));
        assert_eq!(said, "created 2,513, updated 0, rejected 0\n");
        assert_eq!(customers(&other).await, customers(&node).await);
        assert_eq!(
            printed(at(&other, &["export", "customers", "--format", format])),
            exported
        );
    }
    let ended = at(&node, &["export", "customers", "--mailing", "x"]);
    assert!(ended.one_line(2).contains("--mailing"), "{ended:?}");
}

#[tokio::test]
async fn exported_messages_say_what_became_of_each() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    let header = "id,mailing_id,customer_id,phone,text,status,attempts,created_at,updated_at,sent_at,reason,\
                  delivery,delivered_at\n";
    assert_eq!(printed(at(&node, &["export", "messages"])), header);
    assert_eq!(
        printed(at(&node, &["export", "messages", "--format", "ndjson"])),
        ""
    );
    node.import(1_200).await;
    node.mail("all", json!({ "text": "Раз, \"два\"\nтри" }))
        .await;
    node.mail("staff", json!({ "tag_filter": "staff" })).await;
    node.until("all", json!({ "done": 1_200 })).await;
    node.until("staff", json!({ "done": 400 })).await;
    let csv = printed(at(&node, &["export", "messages"]));
    assert!(csv.starts_with(header));
    let quoted = csv.matches(",\"Раз, \"\"два\"\"\nтри\",done,1,").count();
    assert_eq!(quoted, 1_200);
    let rows = printed(at(
        &node,
        &[
            "export",
            "messages",
            "--mailing",
            "staff",
            "--format",
            "ndjson",
        ],
    ));
    let rows: Vec<Value> = rows
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect();
    assert_eq!(rows, node.messages("staff").await);
    let ended = at(&node, &["export", "messages", "--mailing", "none"]);
    assert!(ended.one_line(1).contains("not_found"), "{ended:?}");
}

#[tokio::test]
async fn exported_messages_name_the_reason_of_a_shared_phone() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    let twins = "id,phone\na,+79161112233\nb,+79161112233\n";
    node.client
        .upload("/customers/import", "text/csv", twins.to_owned())
        .await
        .expect(200);
    node.mail("twins", json!({})).await;
    node.until("twins", json!({ "done": 1, "cancelled": 1 }))
        .await;
    let csv = printed(at(&node, &["export", "messages"]));
    let ends = |status: &str, end: &str| {
        let mut rows = csv.lines().filter(|row| row.contains(status));
        rows.next().is_some_and(|row| row.ends_with(end))
    };
    assert!(ends(",cancelled,", ",duplicate_phone,,"), "{csv}");
    assert!(ends(",done,", "Z,,,"), "{csv}");
}

/// The cells of an export, without the quotes about them.
fn cells(exported: &str) -> impl Iterator<Item = &str> {
    exported
        .lines()
        .flat_map(|line| line.split(','))
        .map(|cell| cell.trim_start_matches('"'))
}

#[tokio::test]
async fn no_cell_of_an_export_is_a_formula_but_phones_stay_as_they_are() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    let evil = ["=HYPERLINK(A1)", "+1+1", "-2*3", "@SUM(A1)", "＝1"];
    for (n, text) in evil.iter().enumerate() {
        let body = json!({ "id": format!("-{n}"), "phone": format!("+7916000000{n}"),
            "name": text, "tag": text, "operator": text });
        node.client.post("/customers", &body).await.expect(201);
    }
    node.mail("-m", json!({ "text": "=1+1" })).await;
    node.until("-m", json!({ "done": 5 })).await;
    for what in ["customers", "messages"] {
        let exported = printed(at(&node, &["export", what]));
        let is_phone = |cell: &str| cell.starts_with("+7916000000");
        let (phones, others): (Vec<_>, Vec<_>) = cells(&exported).partition(|c| is_phone(c));
        assert_eq!(phones.len(), evil.len(), "{exported}");
        let dangerous = |cell: &&str| cell.starts_with(['=', '+', '-', '@', '＝']);
        assert_eq!(others.into_iter().find(dangerous), None, "{exported}");
    }
    assert!(printed(at(&node, &["export", "customers"])).contains("'-0,'=HYPERLINK(A1),+79160"));
}
