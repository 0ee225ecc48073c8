//! Faults of receipts on demand, and receivers that do not take them.

use std::time::Duration;

use super::{
    super::{Act, Behaviour, ReceiptShares},
    receiver::{NotedCall, Receiver},
    sending::Running,
};
use crate::gateway::profile::{Profile, built_in};

fn twilio() -> Profile {
    built_in::find("twilio").expect("a profile")
}

fn with(receipts: ReceiptShares) -> Behaviour {
    Behaviour {
        receipts,
        ..Behaviour::default()
    }
}

/// Receipts that fail come again after a millisecond.
fn again_at_once() -> Behaviour {
    with(ReceiptShares {
        again_ms: 1,
        ..ReceiptShares::default()
    })
}

/// The state in a call of Twilio's.
fn word(call: &NotedCall) -> String {
    let mut fields = form_urlencoded::parse(&call.body);
    let (_, word) = fields
        .find(|(name, _)| name == "MessageStatus")
        .expect("a state");
    word.into_owned()
}

#[tokio::test]
async fn a_receipt_comes_twice_late_or_never_on_demand() {
    let (receiver, address) = Receiver::start(&[]).await;
    let shares = ReceiptShares {
        twice_per_mille: 1_000,
        delay_ms: 300,
        ..ReceiptShares::default()
    };
    let gateway = Running::of("twilio", address, with(shares));
    gateway
        .send(&twilio(), 0, address)
        .await
        .expect("an answer");
    let calls = receiver.calls(3).await;
    let words: Vec<_> = calls.iter().map(word).collect();
    assert_eq!(words, ["sent", "delivered", "delivered"]);
    let late = calls[1].at - calls[0].at;
    assert!(late >= Duration::from_millis(290), "{late:?}");

    let lost = ReceiptShares {
        lost_per_mille: 1_000,
        ..ReceiptShares::default()
    };
    gateway.practice.behave(with(lost)).expect("a behaviour");
    gateway
        .send(&twilio(), 1, address)
        .await
        .expect("an answer");
    let counts = gateway.receipts(|counts| counts.lost == 1).await;
    assert_eq!((counts.sent, counts.delivered), (3, 1));
}

#[tokio::test]
async fn receipts_come_out_of_order_on_demand() {
    let (receiver, address) = Receiver::start(&[]).await;
    let shares = ReceiptShares {
        mixed_per_mille: 1_000,
        ..ReceiptShares::default()
    };
    let gateway = Running::of("twilio", address, with(shares));
    let mut orders = Vec::new();
    for n in 0..30 {
        gateway
            .send(&twilio(), n, address)
            .await
            .expect("an answer");
        let calls = receiver.calls(2 * (n as usize + 1)).await;
        let of_message = calls.iter().rev().take(2).rev();
        orders.push(of_message.map(word).collect::<Vec<_>>());
    }
    let has = |order: [&str; 2]| orders.iter().any(|found| *found == order);
    assert!(has(["delivered", "sent"]), "{orders:?}");
    assert!(has(["delivered", "failed"]) || has(["delivered", "undelivered"]));
    assert!(has(["failed", "delivered"]) || has(["undelivered", "delivered"]));
}

#[tokio::test]
async fn an_early_receipt_is_answered_before_the_request_is() {
    let (receiver, address) = Receiver::start(&[]).await;
    let shares = ReceiptShares {
        early_per_mille: 1_000,
        delay_ms: 60_000,
        ..ReceiptShares::default()
    };
    let behaviour = Behaviour {
        latency_ms: 100,
        ..with(shares)
    };
    let gateway = Running::of("twilio", address, behaviour);
    let profile = twilio();
    let send = gateway.send(&profile, 0, address);
    tokio::pin!(send);
    let first = tokio::select! {
        biased;
        _ = &mut send => panic!("the answer came first"),
        calls = receiver.calls(1) => word(&calls[0]),
    };
    assert_eq!(first, "delivered");
    assert_eq!(send.await.expect("an answer").0, 201);
}

#[tokio::test]
async fn a_message_without_an_answer_has_its_receipts_all_the_same() {
    let (receiver, address) = Receiver::start(&[]).await;
    for act in [Act::Hang, Act::ResetAfter, Act::Broken] {
        let behaviour = Behaviour {
            acts: vec![act],
            ..Behaviour::default()
        };
        let gateway = Running::of("twilio", address, behaviour);
        let before = receiver.calls(0).await.len();
        let profile = twilio();
        tokio::select! {
            answer = gateway.send(&profile, 0, address) => assert_eq!(answer, None),
            _ = receiver.calls(before + 2) => {}
        }
        receiver.calls(before + 2).await;
    }
}

#[tokio::test]
async fn a_receipt_that_fails_is_sent_again_with_growing_pauses() {
    let (receiver, address) = Receiver::start(&[(500, ""), (503, ""), (204, "")]).await;
    let shares = ReceiptShares {
        again_ms: 50,
        ..ReceiptShares::default()
    };
    let gateway = Running::of("twilio", address, with(shares));
    gateway
        .send(&twilio(), 0, address)
        .await
        .expect("an answer");
    let calls = receiver.calls(4).await;
    let words: Vec<_> = calls.iter().map(word).collect();
    assert_eq!(words, ["sent", "sent", "sent", "delivered"]);
    assert!(calls[1].at - calls[0].at >= Duration::from_millis(50));
    assert!(calls[2].at - calls[1].at >= Duration::from_millis(100));

    let counts = gateway.receipts(|counts| counts.delivered == 1).await;
    assert_eq!((counts.sent, counts.noted, counts.repeated), (2, 2, 2));
}

#[tokio::test]
async fn a_receipt_that_is_refused_or_never_answered_is_given_up() {
    let (receiver, address) = Receiver::start(&[(403, ""), (204, "")]).await;
    let gateway = Running::of("twilio", address, again_at_once());
    gateway
        .send(&twilio(), 0, address)
        .await
        .expect("an answer");
    receiver.calls(2).await;
    let counts = gateway.receipts(|counts| counts.delivered == 1).await;
    assert_eq!((counts.given_up, counts.repeated), (1, 0));

    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = closed.local_addr().expect("an address");
    drop(closed);
    gateway.send(&twilio(), 1, nobody).await.expect("an answer");
    let counts = gateway.receipts(|counts| counts.given_up == 3).await;
    assert_eq!((counts.sent, counts.noted, counts.repeated), (4, 1, 8));
}

#[tokio::test]
async fn an_answer_without_the_body_that_the_provider_wants_is_none() {
    let (_receiver, address) = Receiver::start(&[(200, "OK"), (200, "ACK/Jasmin")]).await;
    let gateway = Running::of("jasmin", address, again_at_once());
    let profile = built_in::find("jasmin").expect("a profile");
    gateway.send(&profile, 0, address).await.expect("an answer");
    let counts = gateway.receipts(|counts| counts.delivered == 1).await;
    assert_eq!((counts.noted, counts.repeated), (2, 1));
}

#[tokio::test]
async fn only_faults_that_the_provider_can_have_are_taken() {
    let (_receiver, address) = Receiver::start(&[]).await;
    let undelivered = ReceiptShares {
        undelivered_per_mille: 1,
        ..ReceiptShares::default()
    };
    for (profile, shares, part) in [
        (
            "smsaero",
            undelivered.clone(),
            "no [[practice_receipt]] that is `undelivered`",
        ),
        (
            "mts-exolve",
            undelivered,
            "no [[practice_receipt]] that is `delivered`",
        ),
        (
            "twilio",
            ReceiptShares {
                lost_per_mille: 1_001,
                ..ReceiptShares::default()
            },
            "lost_per_mille of receipts: 1001",
        ),
        (
            "twilio",
            ReceiptShares {
                delay_ms: u64::MAX,
                ..ReceiptShares::default()
            },
            "is more than a day",
        ),
    ] {
        let gateway = Running::of(profile, address, Behaviour::default());
        let fault = gateway.practice.behave(with(shares)).expect_err("a fault");
        assert!(fault.contains(part), "{fault}");
    }
}
