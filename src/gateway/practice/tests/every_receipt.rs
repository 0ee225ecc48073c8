//! Receipts of every built-in provider, and of notty's own protocol, as they arrive.

use notty_storage::model::ReceiptState;

use super::{
    super::{Behaviour, ReceiptShares},
    receiver::{NotedCall, Receiver},
    sending::{Running, account},
};
use crate::gateway::profile::{Profile, built_in, receipts::ReceiptCall};

/// The state of a call, as the node that gets it reads it.
fn state(profile: &Profile, call: &NotedCall) -> ReceiptState {
    let form = profile.receipts().expect("receipts");
    let parts = ReceiptCall {
        query: &call.query,
        headers: &call.headers,
        body: &call.body,
    };
    let secrets = account(profile).secrets;
    form.check_signature(&parts, &secrets).expect("signed");
    form.read(&parts).expect("a receipt")[0].state
}

fn with_receipts() -> impl Iterator<Item = (&'static str, Profile)> {
    let all = built_in::names().map(|name| (name, built_in::find(name).expect(name)));
    all.filter(|(_, profile)| profile.receipts().is_some())
}

#[tokio::test]
async fn every_provider_reports_that_a_message_is_under_way_and_then_delivered() {
    for (name, profile) in with_receipts() {
        let form = profile.receipts().expect("receipts");
        let reply = form.reply();
        let (receiver, address) = Receiver::start(&[(reply.status, &reply.body)]).await;
        let gateway = Running::of(name, address, Behaviour::default());
        let answer = gateway.send(&profile, 0, address).await.expect("an answer");
        assert!((200..300).contains(&answer.0), "{name}: {answer:?}");

        let calls = receiver.calls(2).await;
        let states = calls.iter().map(|call| state(&profile, call));
        let states: Vec<_> = states.collect();
        let wanted = [ReceiptState::Progress, ReceiptState::Delivered];
        assert_eq!(states, wanted, "{name}: {calls:?}");

        let url = if profile.asks_receipts() {
            ("/receipts/g/0", "k=Zm9v")
        } else {
            ("/wide", "k=all")
        };
        for call in &calls {
            assert_eq!(call.path, url.0, "{name}");
            assert!(call.query.starts_with(url.1), "{name}: {call:?}");
        }
        let counts = gateway.receipts(|counts| counts.delivered == 1).await;
        assert_eq!(
            (counts.sent, counts.noted, counts.given_up),
            (2, 2, 0),
            "{name}"
        );
    }
}

#[tokio::test]
async fn every_provider_reports_messages_that_were_not_delivered() {
    for (name, profile) in with_receipts().filter(|(name, _)| *name != "smsaero") {
        let reply = profile.receipts().expect("receipts").reply();
        let (receiver, address) = Receiver::start(&[(reply.status, &reply.body)]).await;
        let shares = ReceiptShares {
            undelivered_per_mille: 1_000,
            ..ReceiptShares::default()
        };
        let behaviour = Behaviour {
            receipts: shares,
            ..Behaviour::default()
        };
        let gateway = Running::of(name, address, behaviour);
        gateway.send(&profile, 0, address).await.expect("an answer");
        let calls = receiver.calls(2).await;
        assert_eq!(
            state(&profile, &calls[1]),
            ReceiptState::Undelivered,
            "{name}"
        );
        gateway.receipts(|counts| counts.undelivered == 1).await;
    }
}

#[tokio::test]
async fn in_nottys_own_protocol_the_url_is_a_header_and_a_receipt_is_json() {
    let (receiver, address) = Receiver::start(&[]).await;
    let mut behaviour = Behaviour::default();
    let gateway = Running::own(behaviour.clone());
    gateway.send_own(0, address).await.expect("an answer");
    let calls = receiver.calls(2).await;
    let last = &calls[1];
    assert_eq!(
        (last.method.as_str(), last.path.as_str()),
        ("POST", "/receipts/g/0")
    );
    assert_eq!(last.query, "k=Zm9v");
    assert_eq!(last.headers["content-type"], "application/json");
    assert_eq!(last.body, r#"{"status":"delivered"}"#);

    behaviour.receipts.undelivered_per_mille = 1_000;
    gateway.practice.behave(behaviour).expect("a behaviour");
    gateway.send_own(1, address).await.expect("an answer");
    let calls = receiver.calls(4).await;
    assert_eq!(
        calls[3].body,
        r#"{"error":"absent","status":"undelivered"}"#
    );
}

#[tokio::test]
async fn what_is_not_taken_or_names_no_url_has_no_receipts() {
    let (receiver, address) = Receiver::start(&[]).await;
    let profile = built_in::find("twilio").expect("a profile");
    let behaviour = Behaviour {
        invalid_per_mille: 1_000,
        ..Behaviour::default()
    };
    let gateway = Running::of("twilio", address, behaviour);
    gateway.send(&profile, 0, address).await.expect("an answer");
    assert_eq!(gateway.practice.tally().receipts, None);

    // A message that is taken afterwards shows that nothing came before its receipts.
    gateway.practice.behave(Behaviour::default()).expect("it");
    gateway.send(&profile, 1, address).await.expect("an answer");
    let calls = receiver.calls(1).await;
    assert_eq!(calls[0].path, "/receipts/g/1");
}
