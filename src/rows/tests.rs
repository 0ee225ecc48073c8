//! Tests of reading rows, in pieces of every small size.

use serde_json::Value;

use super::*;

const COLUMNS: [&str; 3] = ["id", "phone", "name"];

/// Each row as text, read in pieces of every size up to 9 bytes: all must agree.
fn read(text: &[u8], make: impl Fn() -> Box<dyn Rows>) -> Vec<String> {
    let mut all = Vec::new();
    for size in 1..10 {
        let (mut reader, mut rows) = (make(), Vec::new());
        for piece in text.chunks(size) {
            reader.feed(piece, &mut rows);
        }
        reader.end(&mut rows);
        let told = rows.iter().map(|row| match row {
            Ok(ImportRow { line, values }) => format!("{line} {}", Value::Object(values.clone())),
            Err(RowError::Row { line, code, .. }) => format!("{line} {code}"),
            Err(RowError::Fatal { line, code, .. }) => format!("{line} fatal {code}"),
        });
        all.push(told.collect::<Vec<_>>());
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
    all.remove(0)
}

fn csv(text: &str) -> Vec<String> {
    read(text.as_bytes(), || Box::new(CsvRows::new(&COLUMNS)))
}

#[test]
fn cells_go_by_the_header_and_empty_ones_are_absent() {
    assert_eq!(
        csv("phone,id\n+7,a\n,b\n"),
        [r#"2 {"id":"a","phone":"+7"}"#, r#"3 {"id":"b"}"#]
    );
}

#[test]
fn the_mark_of_a_text_that_looks_like_a_formula_is_taken_off() {
    let text = "id,phone,name\na,'+7,'=1+1\nb,+7,''-x\nc,+7,'d'\n";
    let wanted = [
        r#"2 {"id":"a","name":"=1+1","phone":"+7"}"#,
        r#"3 {"id":"b","name":"'-x","phone":"+7"}"#,
        r#"4 {"id":"c","name":"'d'","phone":"+7"}"#,
    ];
    assert_eq!(csv(text), wanted);
}

#[test]
fn quotes_line_ends_and_blank_lines_are_read_as_they_should_be() {
    let text = "id,phone,name\r\na,1,\"x, \"\"y\"\"\"\r\n\r\nb,2,\r\nc,3";
    let wanted = [
        r#"2 {"id":"a","name":"x, \"y\"","phone":"1"}"#,
        r#"4 {"id":"b","phone":"2"}"#,
        "5 wrong_cell_count",
    ];
    assert_eq!(csv(text), wanted);
}

#[test]
fn a_quote_that_is_not_closed_costs_its_own_row_only() {
    let right = r#"4 {"id":"c","name":"x \"y\"","phone":"3"}"#;
    let text = "id,phone,name\na,1,\"x\nb,2,x 5\" y\nc,3,x \"y\"\n";
    assert_eq!(csv(text), ["2 unclosed_quote", "3 unclosed_quote", right]);
    // A cell over two lines: neither half is taken for a customer.
    let text = "name,phone\n\"a\nb\",1\n,2\n";
    assert_eq!(
        csv(text),
        ["2 unclosed_quote", "3 unclosed_quote", r#"4 {"phone":"2"}"#]
    );
    // The last line, and no line end.
    assert_eq!(csv("id,phone\n\"a,1"), ["2 unclosed_quote"]);
}

#[test]
fn a_row_of_too_many_cells_is_left_out_alone() {
    let text = format!("id,phone\n{}\nb,2\n", ",".repeat(99));
    assert_eq!(
        csv(&text),
        ["2 row_too_long", r#"3 {"id":"b","phone":"2"}"#]
    );
}

#[test]
fn a_header_that_is_wrong_ends_the_import() {
    assert_eq!(csv("id,fone\na,1\n"), ["1 fatal invalid_header"]);
    assert_eq!(csv("id,name\na,1\n"), ["1 fatal invalid_header"]);
    assert_eq!(csv("phone,phone\n1,2\n"), ["1 fatal invalid_header"]);
    assert_eq!(csv(""), ["1 fatal invalid_header"]);
}

#[test]
fn a_byte_order_mark_and_semicolons_are_understood() {
    assert_eq!(
        csv("\u{feff}id;phone\na;1\n"),
        [r#"2 {"id":"a","phone":"1"}"#]
    );
}

#[test]
fn a_row_that_is_too_long_or_not_utf8_is_left_out_alone() {
    let long = format!("id,phone\n{},1\nb,2\n", "x".repeat(ROW_BYTES + 9));
    assert_eq!(
        csv(&long),
        ["2 row_too_long", r#"3 {"id":"b","phone":"2"}"#]
    );
    let mut text = b"id,phone\n".to_vec();
    text.extend_from_slice(b"\xff,1\nb,2\n");
    let rows = read(&text, || Box::new(CsvRows::new(&COLUMNS)));
    assert_eq!(rows, ["2 invalid_utf8", r#"3 {"id":"b","phone":"2"}"#]);
}

#[test]
fn ndjson_is_one_object_a_line() {
    let text = "{\"id\":\"a\"}\n\n[1]\n{\"id\"\r\n{\"id\":\"b\"}";
    let rows = read(text.as_bytes(), || Box::new(NdjsonRows::default()));
    let wanted = [
        r#"1 {"id":"a"}"#,
        "3 invalid_json",
        "4 invalid_json",
        r#"5 {"id":"b"}"#,
    ];
    assert_eq!(rows, wanted);
}
