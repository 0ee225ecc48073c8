//! Receipts through a provider's profile: its requests ask for them, and its calls settle what is in doubt.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Deed, Node, Provider, Setup, eventually};

const SOON: Duration = Duration::from_secs(30);
const PUBLIC_URL: &str = "https://sms.example";
/// An address that nobody signed.
const UNSIGNED: &str = "/receipts/p/4294967296?k=1.AAAAAAAAAAAAAAAAAAAAAA";

/// The paths of the addresses that requests had, below the address of the cluster.
type Addresses = Arc<Mutex<Vec<String>>>;

/// A Twilio that takes every message and loses every answer.
async fn lossy_twilio() -> (Provider, Addresses) {
    let addresses = Addresses::default();
    let heard = addresses.clone();
    let provider = Provider::start(move |_, request| {
        heard.lock().extend(callback(request));
        Deed::hung_up()
    });
    (provider.await, addresses)
}

/// The path of the field `StatusCallback` in the form of a request.
fn callback(request: &str) -> Option<String> {
    let (_, body) = request.split_once("\r\n\r\n")?;
    let mut fields = form_urlencoded::parse(body.as_bytes());
    let (_, url) = fields.find(|(name, _)| name == "StatusCallback")?;
    url.strip_prefix(PUBLIC_URL).map(str::to_owned)
}

/// A node that sends through the profile of Twilio, and makes addresses for receipts.
async fn through(provider: &Provider) -> Node {
    let url = format!("http://{}/Messages.json", provider.address);
    let setup = Setup::new()
        .without("NOTTY_GATEWAY__URL")
        .set("NOTTY_NODE__PUBLIC_URL", PUBLIC_URL)
        .set("NOTTY_GATEWAYS__P__PROFILE", "twilio")
        .set("NOTTY_GATEWAYS__P__URL", &url)
        .set("NOTTY_GATEWAYS__P__SENDER", "+15005550006")
        .set("NOTTY_GATEWAYS__P__SECRETS__SID", "AC1")
        .set("NOTTY_GATEWAYS__P__SECRETS__TOKEN", "token");
    let node = setup.start().await;

    // A new cluster has no secret at first.
    eventually("addresses are made", SOON, async || {
        (node.client.get(UNSIGNED).await.status == 403).then_some(())
    })
    .await;
    node
}

/// The answer to a call of the provider.
async fn call(node: &Node, path: &str, form: &'static str) -> u16 {
    let request = node.client.request(Method::POST, path);
    let kind = "application/x-www-form-urlencoded";
    let request = request.header("content-type", kind).body(form);
    node.client.send(request).await.status.as_u16()
}

#[tokio::test]
async fn the_calls_of_a_provider_settle_what_lost_answers_left_in_doubt() {
    let (provider, addresses) = lossy_twilio().await;
    let node = through(&provider).await;
    // So few that the breaker does not open.
    node.import(18).await;
    node.mail("all", json!({})).await;
    node.until("all", json!({ "unconfirmed": 18 })).await;

    let addresses = addresses.lock().clone();
    assert_eq!(addresses.len(), 18);
    for (n, path) in addresses.iter().enumerate() {
        let form = match n % 3 {
            0 => "MessageSid=SM1&MessageStatus=sent",
            1 => "MessageSid=SM1&MessageStatus=delivered",
            _ => "MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30003",
        };
        assert_eq!(call(&node, path, form).await / 100, 2, "{path}");
        let forged = path.replace("k=1.", "k=1.A");
        assert_eq!(call(&node, &forged, form).await, 403, "{forged}");
    }

    let stats: Value = node.stats("all").await;
    assert_eq!(stats["done"], 18, "{stats}");
    let deliveries = json!({ "delivered": 6, "undelivered": 6 });
    assert_eq!(stats["delivery"], deliveries);
    let messages = node.messages("all").await;
    let is_lost = |message: &&Value| message["delivery"] == "undelivered";
    let lost: Vec<&Value> = messages.iter().filter(is_lost).collect();
    let reason = "; its code of the error: 30003";
    let has_code = |message: &&Value| {
        let detail = message["reason"]["detail"].as_str();
        detail.is_some_and(|detail| detail.ends_with(reason))
    };
    assert!(lost.iter().all(has_code), "{messages:?}");
    assert_eq!(lost.len(), 6);
}

#[tokio::test]
async fn a_call_that_says_nothing_of_the_message_is_refused() {
    let (provider, addresses) = lossy_twilio().await;
    let node = through(&provider).await;
    node.import(1).await;
    node.mail("one", json!({})).await;
    node.until("one", json!({ "unconfirmed": 1 })).await;

    let path = addresses.lock()[0].clone();
    assert_eq!(call(&node, &path, "MessageSid=SM1").await, 400);
    node.until("one", json!({ "unconfirmed": 1 })).await;
}
