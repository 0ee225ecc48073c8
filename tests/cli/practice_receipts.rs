//! Options of `notty gateway` about receipts, and the page with the requests as the provider sees them.

use reqwest::Method;

use super::run;
use crate::support::{Answer, Gateway};

const FORM: &str = "application/x-www-form-urlencoded";

/// Sends a text as a client of Twilio does.
async fn send(gateway: &Gateway, text: &str) -> Answer {
    let path = "/2010-04-01/Accounts/AC1/Messages.json";
    let body = format!("To=%2B79161112233&From=MYSHOP&Body={text}");
    let request = gateway.client.request(Method::POST, path);
    let request = request.basic_auth("AC1", Some("hush"));
    let request = request.header("content-type", FORM).body(body);
    gateway.client.try_send(request).await.expect("an answer")
}

#[test]
fn options_of_receipts_that_make_no_sense_are_refused() {
    let url = "http://127.0.0.1:9/receipts/p";
    for (args, thing) in [
        (
            &["--receipts-to", url][..],
            "--receipts-to: use it with --profile",
        ),
        (
            &["--profile", "twilio", "--receipts-to", url],
            "receipts of the profile `twilio` go to the URL that each request names",
        ),
        (
            &["--profile", "mts-exolve", "--receipts-to", url],
            "the profile `mts-exolve` has no receipts",
        ),
        (
            &[
                "--profile",
                "sms.ru",
                "--receipts-to",
                "sms.example/?k=hush",
            ],
            "--receipts-to: `sms.example/`",
        ),
        (
            &[
                "--profile",
                "smsaero",
                "--receipt-undelivered-per-mille",
                "1",
            ],
            "the profile `smsaero` has no [[practice_receipt]] that is `undelivered`",
        ),
        (
            &["--receipt-lost-per-mille", "1001"],
            "--receipt-lost-per-mille",
        ),
        (
            &["--receipt-delay-ms", "86400001"],
            "delay_ms of receipts: 86400001 ms is more than a day",
        ),
        (&["--show-secrets"], "--show-secrets: use it with --profile"),
    ] {
        let ended = run(&[&["gateway"][..], args].concat());
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(thing), "{args:?}: {ended:?}");
        assert!(!ended.stderr.contains("hush"), "{ended:?}");
    }
}

#[tokio::test]
async fn the_page_shows_a_request_as_it_came_where_its_secrets_may_be_seen() {
    let gateway = Gateway::with(&["--profile", "twilio", "--show-secrets"]);
    send(&gateway, "%3Cb%3E+%26").await.expect(201);
    let page = gateway.client.get("/").await.text;
    for part in [
        "POST /2010-04-01/Accounts/AC1/Messages.json HTTP/1.1\n",
        "authorization: Basic QUMxOmh1c2g=\n",
        "To=%2B79161112233&amp;From=MYSHOP&amp;Body=%3Cb%3E+%26",
        "&lt;b&gt; &amp;",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<b> &"), "{page}");
}

#[tokio::test]
async fn halts_are_not_counted_as_refused() {
    let gateway = Gateway::with(&["--profile", "twilio", "--answer", "suspended"]);
    send(&gateway, "a").await.expect(403);
    let tally = gateway.tally().await;
    assert_eq!(
        (&tally["requests"], &tally["refused"]),
        (&1.into(), &0.into())
    );
    assert_eq!(tally["answers"]["halt"], 1, "{tally}");
}
