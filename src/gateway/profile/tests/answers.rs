//! Answers as servers really write them: with `null`, a byte-order mark, large numbers, bytes beyond UTF-8.

use http::HeaderMap;

use super::{
    super::{AnswerMeaning, Profile, WholeAnswer},
    envelope, with_rules,
};

fn judged(profile: &Profile, body: &[u8]) -> AnswerMeaning {
    let answer = WholeAnswer {
        status: 200,
        headers: &HeaderMap::new(),
        body,
    };
    profile.judge(answer, &envelope("Hello")).meaning
}

fn taken(id: Option<&str>) -> AnswerMeaning {
    AnswerMeaning::Taken {
        provider_id: id.map(str::to_owned),
    }
}

const RULES: &str = r#"
[[answer]]
if = { at = "/error", exists = true }
is = "refused"
[[answer]]
if = { at = "/id", exists = true }
is = "taken"
provider_id = "/id"
"#;

#[test]
fn a_null_is_no_sign() {
    let profile = with_rules(RULES);
    assert_eq!(
        judged(&profile, br#"{"error":null,"id":"7"}"#),
        taken(Some("7"))
    );
    assert_eq!(
        judged(&profile, br#"{"error":null,"id":null}"#),
        AnswerMeaning::Unsure
    );
    assert_eq!(judged(&profile, b"null"), AnswerMeaning::Unsure);
}

#[test]
fn a_byte_order_mark_is_no_part_of_an_answer() {
    let profile = with_rules(RULES);
    assert_eq!(
        judged(&profile, b"\xef\xbb\xbf{\"id\":\"7\"}"),
        taken(Some("7"))
    );
}

#[test]
fn an_id_of_the_provider_keeps_its_digits_or_is_left_out() {
    let profile = with_rules(RULES);
    let largest = br#"{"id":18446744073709551615}"#;
    assert_eq!(
        judged(&profile, largest),
        taken(Some("18446744073709551615"))
    );
    for rounded in ["184467440737095516159", "1.5", "1e30"] {
        let body = format!(r#"{{"id":{rounded}}}"#);
        assert_eq!(judged(&profile, body.as_bytes()), taken(None), "{rounded}");
    }
}

#[test]
fn a_large_number_is_not_equal_to_its_neighbours() {
    let rules = "[[answer]]\nif = { at = \"/id\", equals = 9223372036854775807 }\nis = \"taken\"\n";
    let profile = with_rules(rules);
    assert_eq!(
        judged(&profile, br#"{"id":9223372036854775807}"#),
        taken(None)
    );
    for other in [
        "9223372036854775808",
        "9223372036854775806",
        "9.223372036854775807e18",
    ] {
        let body = format!(r#"{{"id":{other}}}"#);
        assert_eq!(
            judged(&profile, body.as_bytes()),
            AnswerMeaning::Unsure,
            "{other}"
        );
    }
}

#[test]
fn a_body_beyond_utf_8_is_still_looked_at() {
    let profile = with_rules("[[answer]]\nif = { body = '^OK' }\nis = \"taken\"\n");
    assert_eq!(judged(&profile, b"OK \xff\xfe"), taken(None));
    assert_eq!(judged(&profile, b"\xff"), AnswerMeaning::Unsure);
}

#[test]
fn a_pointer_finds_names_with_braces_and_escapes() {
    for (pointer, body) in [
        ("/a{{b}}", r#"{"a{b}":1}"#),
        ("/a~1b~0", r#"{"a/b~":1}"#),
        ("/{{{phone.digits}}}", r#"{"{79161112233}":1}"#),
        ("/{phone}/0", r#"{"+79161112233":[1]}"#),
        ("/{id.text}", r#"{"30064771084":1}"#),
    ] {
        let rules =
            format!("[[answer]]\nif = {{ at = \"{pointer}\", equals = 1 }}\nis = \"taken\"\n");
        assert_eq!(
            judged(&with_rules(&rules), body.as_bytes()),
            taken(None),
            "{pointer}"
        );
    }
}
