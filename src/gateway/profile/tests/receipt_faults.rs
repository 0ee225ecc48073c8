//! Faults of the section `[receipts]`, and calls at the bounds.

use http::HeaderMap;

use super::super::{
    Profile,
    receipts::{RECEIPTS, ReceiptCall, ReceiptCallFault, ReceiptForm, ReceiptSecrets},
};
use crate::config::Secret;

const REST: &str = r#"
[request]
method = "POST"
url = "https://sms.example/"
json = { id = "{id.text}", number = "{id.31}", to = "{phone}", text = "{text}" }
receipts = { url = "{receipt_url}" }
[[answer]]
if = { at = "/id", exists = true }
is = "taken"
"#;

fn parsed(receipts: &str) -> Result<Profile, String> {
    let text = format!("{REST}\n[receipts]\n{receipts}\n");
    Profile::parse(&text).map_err(|error| error.to_string())
}

fn form(receipts: &str) -> ReceiptForm {
    let profile = parsed(receipts).unwrap_or_else(|error| panic!("{error}"));
    profile.receipts().expect("receipts").clone()
}

fn call<'c>(headers: &'c HeaderMap, body: &'c str) -> ReceiptCall<'c> {
    ReceiptCall {
        query: "k=Zm9v",
        headers,
        body: body.as_bytes(),
    }
}

#[test]
fn ids_of_the_provider_need_a_rule_that_keeps_them() {
    let rest = REST.replace("receipts = { url = \"{receipt_url}\" }", "");
    let receipts = "by = \"provider_id\"\nid = \"a\"\nstate = \"s\"\ndelivered = [1]";
    let parsed = Profile::parse(&format!("{rest}\n[receipts]\n{receipts}\n"));
    let Err(error) = parsed else {
        panic!("no fault");
    };
    let error = error.to_string();
    assert!(
        error.starts_with("receipts.by: no rule that is `taken`"),
        "{error}"
    );
}

#[test]
fn every_fault_of_the_section_is_found() {
    let rest = "\nstate = \"s\"\ndelivered = [1]";
    for (receipts, beginning) in [
        (
            "by = \"url\"\ndelivered = [1]",
            "receipts.state: it is missing",
        ),
        (
            "by = \"url\"\nstate = \"s\"",
            "receipts.delivered: it is missing",
        ),
        (
            &format!("by = \"phone\"{rest}"),
            "receipts.by: `phone` is not",
        ),
        (&format!("by = \"id\"{rest}"), "receipts.id: it is missing"),
        (
            &format!("by = \"url\"\nid = \"a\"{rest}"),
            "receipts.id: it says nothing",
        ),
        (
            &format!("by = \"url\"\nundelivered = [\"1\"]{rest}"),
            "receipts.undelivered: `1` is in",
        ),
        (
            &format!("by = \"url\"\nerror = \"line:2\"{rest}"),
            "receipts: `line:2`:",
        ),
        (
            &format!("by = \"url\"\nlines = \"data\"{rest}"),
            "receipts: `s`:",
        ),
        (
            &format!("by = \"url\"\nerror = \"line:0\"{rest}"),
            "receipts.error: `0` is not",
        ),
        (
            &format!("by = \"url\"\nitems = \"/{{id}}\"{rest}"),
            "receipts.items: `/{id}` has a placeholder",
        ),
        (
            &format!("by = \"url\"\nitems = \"/a\"\nlines = \"b\"{rest}"),
            "receipts.lines: `items` is",
        ),
        (
            &format!("by = \"url\"\nonly = {{ at = \"a\" }}{rest}"),
            "receipts.only.in: it is missing",
        ),
        (
            &format!("by = \"url\"\nreply = {{ status = 302 }}{rest}"),
            "receipts.reply.status: `302`",
        ),
        (
            &format!("by = \"url\"\nsignature = {{ kind = \"md5\", secret = \"a\" }}{rest}"),
            "receipts.signature.kind: `md5` is not",
        ),
        (
            &format!("by = \"url\"\nstat = 1{rest}"),
            "receipts.stat: unknown key",
        ),
        (
            &format!("by = \"provider_id\"\nid = \"a\"{rest}"),
            "receipts.by: `{receipt_url}` names the message already",
        ),
    ] {
        let error = parsed(receipts).expect_err(receipts);
        assert!(
            error.lines().any(|line| line.starts_with(beginning)),
            "{beginning}: {error}"
        );
    }
}

#[test]
fn receipts_that_nobody_could_read_are_not_asked_for() {
    let error = Profile::parse(REST)
        .expect_err("there is no section")
        .to_string();
    assert!(error.starts_with("receipts: it is missing"), "{error}");
}

#[test]
fn ids_are_numbers_in_their_range() {
    let own = form("by = \"id\"\nid = \"id\"\nstate = \"s\"\ndelivered = [1]");
    let short = form("by = \"id.31\"\nid = \"id\"\nstate = \"s\"\ndelivered = [1]");
    let headers = HeaderMap::new();
    let body = |id: &str| format!("s=1&id={id}");
    for id in ["0", "-1", "%2B1", "1.0", "abc", "99999999999999999999999"] {
        let wanted = Err(ReceiptCallFault::NoId("id".to_owned()));
        assert_eq!(own.read(&call(&headers, &body(id))), wanted, "{id}");
        assert_eq!(short.read(&call(&headers, &body(id))), wanted, "{id}");
    }
    assert!(short.read(&call(&headers, &body("2147483648"))).is_err());
    assert!(short.read(&call(&headers, &body("2147483647"))).is_ok());
    assert!(
        own.read(&call(&headers, &body("9223372036854775807")))
            .is_ok()
    );
}

#[test]
fn a_call_has_no_more_receipts_than_one_command() {
    let form = form("items = \"/r\"\nby = \"url\"\nstate = \"s\"\ndelivered = [1]");
    let headers = HeaderMap::new();
    let body = |count: usize| format!(r#"{{"r":[{}]}}"#, vec![r#"{"s":1}"#; count].join(","));
    let read = form
        .read(&call(&headers, &body(RECEIPTS)))
        .expect("so many");
    assert_eq!(read.len(), RECEIPTS);
    let fault = form.read(&call(&headers, &body(RECEIPTS + 1)));
    assert_eq!(fault, Err(ReceiptCallFault::TooMany));
}

#[test]
fn a_body_is_signed_by_the_bytes_that_came() {
    let receipts = "by = \"url\"\nstate = \"s\"\ndelivered = [1]\n\
                    signature = { kind = \"hmac-sha256\", header = \"X-Sign\", secret = \"key\" }";
    let profile = parsed(receipts).expect("a profile");
    assert!(profile.secrets().contains("key"));
    let form = form(receipts);
    let secrets: ReceiptSecrets = [("key".to_owned(), Secret::from("key"))].into();

    // RFC 2104 of a well-known sentence.
    let body = "The quick brown fox jumps over the lazy dog";
    let right = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
    let check = |signature: &str, secrets: &ReceiptSecrets| {
        let value = signature.parse().expect("a value");
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static("x-sign"), value)]);
        form.check_signature(&call(&headers, body), secrets)
    };
    assert_eq!(check(right, &secrets), Ok(()));
    assert_eq!(check(&right.to_uppercase(), &secrets), Ok(()));
    let fault = Err(ReceiptCallFault::NotSigned("key".to_owned()));
    assert_eq!(check(&right[1..], &secrets), fault);
    assert_eq!(check("", &secrets), fault);
    assert_eq!(check(right, &ReceiptSecrets::new()), fault);
    assert_eq!(
        form.check_signature(&call(&HeaderMap::new(), body), &secrets),
        fault
    );
}
