//! The first rule that fits decides, and what no rule names is unsure.

use std::time::Duration;

use http::HeaderMap;

use super::{
    super::{AnswerMeaning, LaterScope, Profile, WholeAnswer},
    envelope, with_rules,
};

const RULES: &str = r#"
[[answer]]
if = { status = 200, at = "/sms/{phone.digits}/code", equals = 100 }
is = "taken"
provider_id = "/sms/{phone.digits}/id"
[[answer]]
if = { at = "/error", exists = true }
is = "refused"
[[answer]]
if = { status = [429, "5xx"], body = '(?i)busy' }
is = "later"
pause_ms = 2000
wait = "header:X-Wait"
scope = "gateway"
[[answer]]
if = { at = "/error", exists = false }
is = "unsure"
"#;

fn judged(profile: &Profile, status: u16, wait: &str, body: &str) -> AnswerMeaning {
    let wait = wait.parse().expect("a header's value");
    let headers = HeaderMap::from_iter([("x-wait".parse().expect("a name"), wait)]);
    let answer = WholeAnswer {
        status,
        headers: &headers,
        body: body.as_bytes(),
    };
    profile.judge(answer, &envelope("Hello")).meaning
}

#[test]
fn a_pointer_speaks_of_the_message_that_was_answered() {
    let profile = with_rules(RULES);
    let taken = r#"{"sms":{"79161112233":{"code":100,"id":"7-1"}},"error":7}"#;
    let provider_id = Some("7-1".to_owned());
    assert_eq!(
        judged(&profile, 200, "", taken),
        AnswerMeaning::Taken { provider_id }
    );

    let other = r#"{"sms":{"79161112234":{"code":100}},"error":7}"#;
    let refused = AnswerMeaning::Refused { opted_out: false };
    assert_eq!(judged(&profile, 200, "", other), refused);
}

#[test]
fn a_text_is_no_number_and_a_number_has_many_writings() {
    let profile = with_rules(RULES);
    for (code, is_taken) in [
        ("100", true),
        ("100.0", true),
        ("1e2", true),
        ("\"100\"", false),
    ] {
        let body = format!(r#"{{"sms":{{"79161112233":{{"code":{code}}}}}}}"#);
        let meaning = judged(&profile, 200, "", &body);
        assert_eq!(
            matches!(meaning, AnswerMeaning::Taken { .. }),
            is_taken,
            "{code}"
        );
    }
}

#[test]
fn the_longer_pause_counts() {
    let profile = with_rules(RULES);
    for (wait, seconds) in [("", 2), ("1", 2), ("60", 60), ("soon", 2)] {
        let wanted = AnswerMeaning::Later {
            pause: Some(Duration::from_secs(seconds)),
            scope: LaterScope::Gateway,
        };
        assert_eq!(judged(&profile, 503, wait, "We are BUSY"), wanted, "{wait}");
    }
}

#[test]
fn what_no_rule_names_is_unsure() {
    let profile = with_rules(RULES);
    for (status, body) in [
        (503, "<html>Bad gateway</html>"),
        (200, ""),
        (200, r#"{"sms":{"79161112233":{"code":100"#),
        (200, r#"{"sms":{}}"#),
        (999, "busy"),
    ] {
        assert_eq!(
            judged(&profile, status, "", body),
            AnswerMeaning::Unsure,
            "{status} {body}"
        );
    }
}

#[test]
fn a_body_that_is_no_json_lacks_nothing() {
    let rules = r#"
[[answer]]
if = { at = "/error", exists = false }
is = "refused"
[[answer]]
if = { body = "^OK" }
is = "taken"
"#;
    let profile = with_rules(rules);
    let taken = AnswerMeaning::Taken { provider_id: None };
    assert_eq!(judged(&profile, 200, "", "OK"), taken);
}
