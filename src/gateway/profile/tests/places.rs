//! Texts of every kind in every place of a request arrive as they were.

use super::{
    super::{
        GatewayAccount, MessageRequest, Profile,
        encode::{FillPlace, encode, id_31},
    },
    REQUEST, TAKEN, envelope, with_request,
};

const TEXTS: [&str; 9] = [
    "Hello",
    "a+b c&d=e%41;#?/\\",
    "Größe, naïve, €",
    "Привет, Ёлка",
    "👍🏽 family 👨‍👩‍👧",
    "line\r\nend\ttab",
    "\u{0}\u{1f}\u{7f}\u{2028}",
    "\"quoted\" {braces} </script>",
    "",
];

fn encoded(text: &str, place: FillPlace) -> String {
    let mut encoded = String::new();
    encode(&mut encoded, text, false, place);
    encoded
}

fn body(profile: &Profile, text: &str) -> String {
    let account = GatewayAccount::default();
    let bound = profile.bind(&account).expect("an account that fits");
    let message = MessageRequest {
        envelope: envelope(text),
        valid_minutes: 90,
    };
    let request = bound.request(&message);
    String::from_utf8(request.body().to_vec()).expect("UTF-8")
}

#[test]
fn a_text_comes_back_from_a_url_and_a_form() {
    for text in TEXTS {
        for place in [FillPlace::Url, FillPlace::Form] {
            let written = encoded(text, place);
            assert!(
                written.bytes().all(|byte| byte.is_ascii_graphic()),
                "{written}"
            );
            assert!(
                !written.contains(['&', '=', '/', '?', '#', ';']),
                "{written}"
            );
            let field = format!("a={written}");
            let mut read = form_urlencoded::parse(field.as_bytes());
            assert_eq!(read.next(), Some(("a".into(), text.into())), "{place:?}");
        }
        // A blank of a path is no plus.
        assert!(!encoded(text, FillPlace::Url).contains('+'), "{text}");
    }
}

#[test]
fn a_text_comes_back_from_json() {
    let profile = with_request(&format!(
        "{REQUEST}json = {{ a = \"{{text}}\", b = \"<{{text}}>\" }}"
    ));
    for text in TEXTS {
        let read: serde_json::Value = serde_json::from_str(&body(&profile, text)).expect("JSON");
        assert_eq!(read["a"], *text);
        assert_eq!(read["b"], format!("<{text}>"));
    }
}

#[test]
fn a_word_for_an_encoding_keeps_its_type() {
    let json = "json = { coding = \"{encoding}\" }\nencoding = { gsm7 = 0, ucs2 = \"unicode\" }";
    let profile = with_request(&format!("{REQUEST}{json}"));
    assert_eq!(body(&profile, "Hello"), r#"{"coding":0}"#);
    assert_eq!(body(&profile, "Привет"), r#"{"coding":"unicode"}"#);
}

#[test]
fn every_short_number_of_a_message_fits() {
    let mailings = (0..64).map(|n| 1_u64 << n);
    let ids = mailings
        .chain((0..100_000).map(|n| (7 << 32) + n))
        .chain([u64::MAX]);
    for number in ids.map(id_31) {
        assert!((1..=2_147_483_647).contains(&number), "{number}");
    }
}

/// The fault of a request, whose lines follow method and URL.
#[track_caller]
fn assert_fault(lines: &str, beginning: &str) {
    let text = format!("{REQUEST}{lines}\n{TAKEN}");
    let error = Profile::parse(&text).expect_err(lines).to_string();
    assert!(error.starts_with(beginning), "{error}");
}

#[test]
fn a_value_that_json_or_a_header_cannot_have_is_refused() {
    assert_fault("json = { a = inf }", "request.json.a: `inf` is not JSON");
    assert_fault(
        "json = { a = [nan] }",
        "request.json.a[0]: `nan` is not JSON",
    );
    assert_fault("encoding = { ucs2 = \"a\\nb\" }", "request.encoding.ucs2: ");
    assert_fault(
        "encoding = { ucs2 = \"юникод\" }",
        "request.encoding.ucs2: ",
    );
    assert_fault(
        "basic = \"{secret.token}\"",
        "request.basic: it has no colon",
    );
}

#[test]
fn nothing_is_there_twice() {
    assert_fault(
        "headers = { X-A = 1, x-a = 2 }",
        "request.headers: the header `x-a` is there twice",
    );
    let fault = "request.receipts.url: the request has it already";
    assert_fault("json = { url = 1 }\nreceipts = { url = 2 }", fault);
    assert_fault("form = { url = 1 }\nreceipts = { url = 2 }", fault);
    assert_fault("query = { url = 1 }\nreceipts = { url = 2 }", fault);
}

#[test]
fn the_message_is_never_left_out_with_something_else() {
    assert_fault(
        "json = { text = \"{sender}: {text}\" }",
        "request: the phone or the text",
    );
    assert_fault(
        "form = { to = \"{phone};{valid_minutes}\" }",
        "request: the phone or the text",
    );
    let needed =
        format!("{REQUEST}needs = [\"sender\"]\njson = {{ text = \"{{sender}}: {{text}}\" }}");
    with_request(&needed);
}

#[test]
fn what_may_be_missing_cannot_stand_where_nothing_is_left_out() {
    assert_fault(
        "basic = \"{sender}:{secret.key}\"",
        "request: an account may have no `{sender}`",
    );
    for (step, beginning) in [
        ("{sender}", "request.url: an account may have no `{sender}`"),
        ("{text}", "request.url: `{text}` cannot stand in the path"),
    ] {
        let text =
            format!("[request]\nmethod = \"PUT\"\nurl = \"https://a.example/{step}\"\n{TAKEN}");
        let error = Profile::parse(&text).expect_err(step).to_string();
        assert!(error.starts_with(beginning), "{error}");
    }
}
