//! The preview of a mailing: whom it would reach, what it would cost, and how long it would take.

use serde_json::json;

use super::walk;
use crate::support::{Gateway, Setup, mailing};

#[tokio::test]
async fn a_preview_counts_and_shows_those_who_match_and_creates_nothing() {
    let node = Setup::new().start().await;
    node.import(30).await;
    let staff = mailing("planned", json!({ "tag_filter": "STAFF" }));
    let preview = node.client.post("/mailings/preview", &staff).await;
    let body = preview.expect(200);
    assert_eq!(body["customers"], 10);
    let sample = body["sample"].as_array().expect("a sample");
    assert!((1..=10).contains(&sample.len()), "{body}");
    for customer in sample {
        assert_eq!(customer["tag"], "staff");
        let path = format!("/customers/{}", customer["id"].as_str().expect("an id"));
        assert_eq!(&node.client.get(&path).await.expect(200), customer);
    }
    assert_eq!(body["sms"]["total_segments"], 10);
    assert!(
        walk(&node.client, "/mailings", &[], 10, "id")
            .await
            .is_empty()
    );
    node.client
        .get("/mailings/planned")
        .await
        .problem(404, "not_found");
    let nobody = mailing("planned", json!({ "phone_filter": "+1%" }));
    let body = node
        .client
        .post("/mailings/preview", &nobody)
        .await
        .expect(200);
    assert_eq!(
        (&body["customers"], &body["sample"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(
        (&body["sms"]["total_segments"], &body["seconds"]),
        (&json!(0), &json!(0.0))
    );
}

#[tokio::test]
async fn a_preview_counts_the_sms_of_a_text() {
    let node = Setup::new().start().await;
    node.import(3).await;
    let (gsm, ucs) = ("GSM-7", "UCS-2");
    for (text, encoding, units, segments) in [
        ("a".to_owned(), gsm, 1, 1),
        ("a".repeat(160), gsm, 160, 1),
        ("a".repeat(161), gsm, 161, 2),
        ("a".repeat(306), gsm, 306, 2),
        ("a".repeat(307), gsm, 307, 3),
        (
            "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ!\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà\n".to_owned(),
            gsm,
            63,
            1,
        ),
        ("€".repeat(80), gsm, 160, 1),
        ("€".repeat(81), gsm, 162, 2),
        ("^{}\\[~]|€".to_owned(), gsm, 18, 1),
        (
            format!("{}€{}", "a".repeat(152), "a".repeat(152)),
            gsm,
            306,
            3,
        ),
        ("`".to_owned(), ucs, 1, 1),
        ("я".repeat(70), ucs, 70, 1),
        ("я".repeat(71), ucs, 71, 2),
        ("я".repeat(134), ucs, 134, 2),
        ("я".repeat(135), ucs, 135, 3),
        ("😀".repeat(35), ucs, 70, 1),
        ("😀".repeat(67), ucs, 134, 3),
    ] {
        let asked = mailing("planned", json!({ "text": text }));
        let body = node
            .client
            .post("/mailings/preview", &asked)
            .await
            .expect(200);
        let sms = &body["sms"];
        assert_eq!(sms["encoding"], encoding, "{text}");
        assert_eq!(
            (&sms["units"], &sms["segments"]),
            (&json!(units), &json!(segments)),
            "{text}"
        );
        assert_eq!(sms["total_segments"], segments * 3, "{text}");
    }
}

#[tokio::test]
async fn a_preview_reckons_with_the_rate_limit() {
    let node = Setup::new()
        .set("NOTTY_GATEWAY__RATE_LIMIT", "10")
        .start()
        .await;
    node.import(45).await;
    let body = node
        .client
        .post("/mailings/preview", &mailing("planned", json!({})))
        .await;
    let body = body.expect(200);
    assert_eq!(
        (&body["seconds"], &body["rate"]),
        (&json!(4.5), &json!(10.0))
    );
    assert_eq!(body["rate_from"], "rate_limit");
}

#[tokio::test]
async fn a_preview_reckons_with_what_the_gateway_was_seen_to_need() {
    let gateway = Gateway::with(&["--latency-ms", "100"]);
    let node = Setup::at(&gateway)
        .set("NOTTY_GATEWAY__CONCURRENCY", "2")
        .start()
        .await;
    node.import(10).await;
    let planned = mailing("planned", json!({}));
    let before = node
        .client
        .post("/mailings/preview", &planned)
        .await
        .expect(200);
    assert_eq!(before["rate_from"], "assumed");
    node.mail("sent", json!({})).await;
    node.until("sent", json!({ "done": 10 })).await;
    let after = node
        .client
        .post("/mailings/preview", &planned)
        .await
        .expect(200);
    assert_eq!(after["rate_from"], "measured");
    // Two at a time, a tenth of a second each: 20 a second, and a little for the clocks' grain.
    let rate = after["rate"].as_f64().expect("a rate");
    assert!((5.0..=21.0).contains(&rate), "{after}");
}

#[tokio::test]
async fn a_preview_needs_no_times_and_takes_a_mailing_as_it_is_read() {
    let node = Setup::new().start().await;
    let text = json!({ "text": "Привет" });
    node.client
        .post("/mailings/preview", &text)
        .await
        .expect(200);
    node.mail("read", json!({})).await;
    let read = node.client.get("/mailings/read").await.expect(200);
    node.client
        .post("/mailings/preview", &read)
        .await
        .expect(200);
    let missing = node.client.post("/mailings/preview", &json!({})).await;
    assert_eq!(missing.faults(), ["text missing"]);
}
