//! Tests of reading rows: every text is read as a whole, and cut in two at every byte and into pieces of
//! each small size.

use serde_json::Value;

use super::*;

const COLUMNS: [&str; 3] = ["id", "phone", "name"];

/// Each row as text.
fn read_pieces<'a>(format: RowFormat, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut reader = format.reader(&COLUMNS);
    let mut rows = Vec::new();
    pieces.for_each(|piece| reader.feed(piece, &mut rows));
    reader.end(&mut rows);

    let told = rows.iter().map(|row| match row {
        Ok(row) => format!("{} {}", row.line, Value::Object(row.values.clone().into())),
        Err(RowError::Row { line, code, .. }) => format!("{line} {code}"),
        Err(RowError::Fatal { line, code, .. }) => format!("{line} fatal {code}"),
    });
    told.collect()
}

/// Each row as text: however the file is cut, they must be the same.
fn read(format: RowFormat, text: &[u8]) -> Vec<String> {
    let whole = read_pieces(format, [text].into_iter());
    for size in 1..10 {
        let pieces = read_pieces(format, text.chunks(size));
        assert_eq!(pieces, whole, "pieces of {size} bytes");
    }
    // Of long texts, which are long in one place, not every cut is tried.
    for at in (0..text.len()).step_by(1 + text.len() / 300) {
        let (first, second) = text.split_at(at);
        let pieces = read_pieces(format, [first, second].into_iter());
        assert_eq!(pieces, whole, "cut at byte {at}");
    }
    whole
}

fn csv(text: &str) -> Vec<String> {
    read(RowFormat::Csv, text.as_bytes())
}

fn ndjson(text: &str) -> Vec<String> {
    read(RowFormat::Ndjson, text.as_bytes())
}

/// The detail of the only error.
fn detail(format: RowFormat, text: &str) -> String {
    let mut reader = format.reader(&COLUMNS);
    let mut rows = Vec::new();
    reader.feed(text.as_bytes(), &mut rows);
    reader.end(&mut rows);

    let error = rows.into_iter().find_map(Result::err);
    match error.expect("an error") {
        RowError::Row { detail, .. } | RowError::Fatal { detail, .. } => detail,
    }
}

#[test]
fn cells_go_by_the_header_and_empty_ones_are_null() {
    assert_eq!(
        csv("phone,id\n+7,a\n ,b\n"),
        [
            r#"2 {"id":"a","phone":"+7"}"#,
            r#"3 {"id":"b","phone":null}"#
        ]
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

/// Every kind of line end, alone and mixed.
const LINE_ENDS: [&str; 3] = ["\n", "\r\n", "\r"];

#[test]
fn all_line_ends_count_the_same_lines_in_every_format() {
    for end in LINE_ENDS {
        let text = ["id,phone", "", "a,1", ",", "b,2", "c"].join(end);
        let wanted = [
            r#"3 {"id":"a","phone":"1"}"#,
            r#"5 {"id":"b","phone":"2"}"#,
            "6 wrong_cell_count",
        ];
        assert_eq!(csv(&text), wanted, "{end:?}");

        let text = [r#"{"id":"a"}"#, "", "[1]", "  ", r#"{"id":"b"}"#, "{"].join(end);
        let wanted = [
            r#"1 {"id":"a"}"#,
            "3 invalid_json",
            r#"5 {"id":"b"}"#,
            "6 invalid_json",
        ];
        assert_eq!(ndjson(&text), wanted, "{end:?}");
    }

    let mixed = "id,phone\r\n\ra,1\n\rb,2\r\r\nc,3\n\n";
    let wanted = [
        r#"3 {"id":"a","phone":"1"}"#,
        r#"5 {"id":"b","phone":"2"}"#,
        r#"7 {"id":"c","phone":"3"}"#,
    ];
    assert_eq!(csv(mixed), wanted);
}

#[test]
fn a_quoted_cell_holds_line_ends_and_the_record_is_one() {
    for end in LINE_ENDS {
        let text =
            "id,phone,name|a,1,\"x|+79990000000,not a customer,x||y, \"\"z\"\"\"|b,2,|c,\"3\",d";
        let inside = "x|+79990000000,not a customer,x||y, \"z\"".replace('|', end);
        let wanted = [
            format!(
                "2 {}",
                serde_json::json!({ "id": "a", "name": inside, "phone": "1" })
            ),
            r#"6 {"id":"b","name":null,"phone":"2"}"#.to_owned(),
            r#"7 {"id":"c","name":"d","phone":"3"}"#.to_owned(),
        ];
        assert_eq!(csv(&text.replace('|', end)), wanted, "{end:?}");
    }
}

#[test]
fn a_quote_inside_of_a_cell_is_part_of_its_text() {
    let text = "id,phone,name\nb,2,x 5\" y\nc,3,x \"y\"\n";
    let wanted = [
        r#"2 {"id":"b","name":"x 5\" y","phone":"2"}"#,
        r#"3 {"id":"c","name":"x \"y\"","phone":"3"}"#,
    ];
    assert_eq!(csv(text), wanted);
}

#[test]
fn a_quote_that_is_not_closed_is_reported_with_its_line_and_nothing_in_it_is_a_row() {
    let first = r#"2 {"id":"a","phone":"1"}"#;
    let short = "id,phone\na,1\n\"b,2\nc,3\nd,4\n";
    assert_eq!(csv(short), [first, "3 unclosed_quote"]);
    assert_eq!(csv("id,phone\na,1\nb,\"2"), [first, "3 unclosed_quote"]);

    let told = detail(RowFormat::Csv, short);
    assert!(
        told.contains("line 3 ") && told.contains("line 6,"),
        "{told}"
    );

    // Far more than a record may have, in which every line looks like a row.
    let long = format!("id,phone\na,1\nb,\"{}", "c,3\n".repeat(9_000));
    assert_eq!(csv(&long), [first, "3 unclosed_quote"]);
    assert_eq!(csv("id,\"phone\na,1\n"), ["1 fatal invalid_header"]);
}

#[test]
fn a_cell_that_is_far_too_long_is_one_record_and_the_next_one_is_read() {
    let text = format!("id,phone\nb,\"{}\"\nd,4\n", "c,3\n".repeat(9_000));
    let wanted = ["2 row_too_long", r#"9003 {"id":"d","phone":"4"}"#];
    assert_eq!(csv(&text), wanted);
}

#[test]
fn the_error_of_a_row_over_several_lines_names_the_last_one() {
    let told = detail(RowFormat::Csv, "id,phone\n\"a\n\nb\"\n");
    assert!(told.contains("goes on to line 4"), "{told}");
    let told = detail(RowFormat::Csv, "id,phone\na\n");
    assert!(!told.contains("goes on"), "{told}");
}

#[test]
fn a_row_of_too_many_cells_is_left_out_alone() {
    for commas in [64, 65, 99, 999] {
        let text = format!("id,phone\na{}\nb,2\n", ",".repeat(commas));
        assert_eq!(
            csv(&text),
            ["2 row_too_long", r#"3 {"id":"b","phone":"2"}"#],
            "{commas}"
        );
    }
    let text = format!("id,phone\na{}\n", ",".repeat(63));
    assert_eq!(csv(&text), ["2 wrong_cell_count"]);
}

#[test]
fn a_header_that_is_wrong_ends_the_import() {
    for text in ["id,fone\na,1\n", "id,name\na,1\n", "phone,phone\n1,2\n"] {
        assert_eq!(csv(text), ["1 fatal invalid_header"], "{text}");
    }
    for text in ["", "\n\n", " , \n", "\u{feff}"] {
        assert_eq!(csv(text), ["1 fatal invalid_header"], "{text:?}");
    }
    assert_eq!(csv("\n\nid\na"), ["3 fatal invalid_header"]);
    assert!(csv("phone").is_empty() && csv("id;phone").is_empty());
}

#[test]
fn the_separator_is_that_of_the_header_alone() {
    let wanted = [r#"2 {"id":"a","name":"x,y","phone":"1"}"#];
    for end in LINE_ENDS {
        let text = format!("id;phone;name{end}a;1;x,y{end}");
        assert_eq!(csv(&text), wanted, "{end:?}");
        let text = format!("id,phone,name{end}a,1,\"x,y\"{end}a;1;2,3,4{end}");
        assert_eq!(csv(&text)[0], wanted[0], "{end:?}");
    }

    let quoted = "\"id\";\"phone\";\"name\"\na;1;\"x,y\"";
    assert_eq!(csv(quoted), wanted);
    let below_blanks = "\n  \n;;\nid;phone\na;1";
    assert_eq!(csv(below_blanks), [r#"5 {"id":"a","phone":"1"}"#]);
}

#[test]
fn names_of_columns_have_any_letter_case_and_spaces_around_them() {
    let wanted = [r#"2 {"id":"a","name":"x","phone":"1"}"#];
    assert_eq!(csv("ID, Phone ,NAME\na,1,x"), wanted);
    assert_eq!(csv("\tId;\" phone \";name \na;1;x"), wanted);
    assert_eq!(csv("id,phone,Phone\n"), ["1 fatal invalid_header"]);
}

#[test]
fn an_encoding_mark_is_taken_off_in_every_format() {
    assert_eq!(
        csv("\u{feff}id;phone\na;1\n"),
        [r#"2 {"id":"a","phone":"1"}"#]
    );
    assert_eq!(ndjson("\u{feff}{\"id\":\"a\"}"), [r#"1 {"id":"a"}"#]);
}

#[test]
fn a_row_that_is_too_long_or_not_utf8_is_left_out_alone() {
    let room = ROW_BYTES - ",1".len();
    for (length, wanted) in [
        (room + 1, "2 row_too_long"),
        (ROW_BYTES * 3, "2 row_too_long"),
    ] {
        let long = format!("id,phone\n{},1\nb,2\n", "x".repeat(length));
        let rows = csv(&long);
        assert_eq!(rows, [wanted, r#"3 {"id":"b","phone":"2"}"#]);
    }
    let longest = format!("id,phone\n{},1\nb,2\n", "x".repeat(room));
    assert!(csv(&longest)[0].starts_with("2 {"));

    let room = ROW_BYTES - r#"{"id":""}"#.len();
    let lines = |length: usize| format!("{{\"id\":\"{}\"}}\n{{}}\n", "x".repeat(length));
    assert_eq!(ndjson(&lines(room + 1)), ["1 row_too_long", "2 {}"]);
    assert!(ndjson(&lines(room))[0].starts_with("1 {"));

    let mut text = b"id,phone\n".to_vec();
    text.extend_from_slice(b"\xff,1\nb,2\n");
    let rows = read(RowFormat::Csv, &text);
    assert_eq!(rows, ["2 invalid_utf8", r#"3 {"id":"b","phone":"2"}"#]);
}

#[test]
fn a_character_that_is_cut_by_a_separator_is_not_utf8() {
    // Without the comma it would be the letter А.
    let rows = read(RowFormat::Csv, b"id,phone\n\xd0,\x90\nb,2\n");
    assert_eq!(rows, ["2 invalid_utf8", r#"3 {"id":"b","phone":"2"}"#]);
}

#[test]
fn ndjson_is_one_object_a_line_and_an_empty_text_is_null() {
    let text = "{\"id\":\"a\",\"name\":\"\",\"phone\":\" \"}\n\n[1]\n{\"id\"\r\n{\"id\":\"b\"}";
    let wanted = [
        r#"1 {"id":"a","name":null,"phone":null}"#,
        "3 invalid_json",
        "4 invalid_json",
        r#"5 {"id":"b"}"#,
    ];
    assert_eq!(ndjson(text), wanted);
}
