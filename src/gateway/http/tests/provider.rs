//! Messages through profiles, over real connections: what each answer and each fault makes of a message.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use notty_raft::SystemClock;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::support::{envelope, listener, send, soon};
use crate::{
    config::Secret,
    gateway::{
        Courier, Gateway, GatewayOutcome, HaltScope, HttpTimes, LaterScope, TcpConnector,
        http::provider::{ProviderGateway, ProviderOptions},
        profile::{GatewayAccount, built_in},
    },
};

const SECRET: &str = "s3cr&t key";

/// An account at a profile, whose every secret is the same.
fn account(name: &str, url: &str) -> GatewayAccount {
    let profile = built_in::find(name).expect("it is there");
    let secrets = profile.secrets().into_iter();
    let secrets: BTreeMap<_, _> = secrets
        .map(|name| (name.to_owned(), Secret::from(SECRET)))
        .collect();
    GatewayAccount {
        section: "gateways[0]".to_owned(),
        url: Some(url.to_owned()),
        sender: Some("SHOP".to_owned()),
        secrets,
        has_validity: true,
        has_receipts: false,
    }
}

fn gateway(name: &str, account: GatewayAccount, answer: Duration) -> Arc<ProviderGateway> {
    let long = Duration::from_secs(20);
    let options = ProviderOptions {
        profile_name: name.to_owned(),
        profile: built_in::find(name).expect("it is there"),
        account,
        times: HttpTimes {
            connect: long,
            answer,
            idle: long,
        },
    };
    let connector = Arc::new(TcpConnector::default());
    let made = ProviderGateway::of_profile(options, connector, Arc::new(SystemClock));
    Arc::new(made.expect("an account that fits"))
}

fn at(name: &str, at: SocketAddr, answer: Duration) -> Arc<ProviderGateway> {
    let url = format!("http://{at}/send");
    gateway(name, account(name, &url), answer)
}

/// Reads a whole request.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().expect("a number")) {
            return Ok(text);
        }
    }
}

fn http(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The outcome of a message that a provider answers by some bytes, and its words for the log. The
/// connection ends after that, or stays as it is.
async fn answered(name: &str, bytes: String, ends: bool) -> (GatewayOutcome, String) {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        read_request(&mut stream).await?;
        stream.write_all(bytes.as_bytes()).await?;
        if !ends {
            std::future::pending::<()>().await;
        }
        std::io::Result::Ok(())
    });

    let within = Duration::from_millis(if ends { 20_000 } else { 200 });
    let mut courier = at(name, address, within).courier();
    let outcome = soon(send(&mut courier)).await;
    let words = courier.describe_failure(&envelope());
    (outcome, words.unwrap_or_default())
}

const PROFILES: [(&str, u16, &str); 3] = [
    ("smsc.ru", 200, r#"{"id":14,"cnt":1}"#),
    ("twilio", 201, r#"{"sid":"SM1","status":"queued"}"#),
    ("kannel", 202, "0: Accepted for delivery"),
];

#[tokio::test]
async fn an_answer_means_what_the_profile_says() {
    let halted = |scope| GatewayOutcome::Halted { scope };
    let later = |status, seconds, scope| GatewayOutcome::NotTaken {
        status,
        retry_after: Some(Duration::from_secs(seconds)),
        scope,
    };
    for (name, status, body, wanted) in [
        (
            "smsc.ru",
            200,
            r#"{"error":"x","error_code":3,"id":1}"#,
            halted(HaltScope::Gateway),
        ),
        (
            "smsc.ru",
            200,
            r#"{"error":"x","error_code":6}"#,
            halted(HaltScope::Mailing),
        ),
        (
            "smsc.ru",
            200,
            r#"{"error":"x","error_code":7}"#,
            GatewayOutcome::Invalid,
        ),
        (
            "smsc.ru",
            200,
            r#"{"error_code":9}"#,
            later(200, 60, LaterScope::Message),
        ),
        (
            "twilio",
            429,
            r#"{"code":20429}"#,
            later(429, 1, LaterScope::Gateway),
        ),
        (
            "twilio",
            401,
            r#"{"code":20003}"#,
            halted(HaltScope::Gateway),
        ),
        ("twilio", 400, r#"{"code":21610}"#, GatewayOutcome::Invalid),
        (
            "kannel",
            403,
            "Authorization failed for sendsms",
            halted(HaltScope::Gateway),
        ),
        (
            "kannel",
            503,
            "Temporal failure, try again later.",
            later(503, 5, LaterScope::Gateway),
        ),
    ] {
        let (outcome, _) = answered(name, http(status, body), true).await;
        assert_eq!(outcome, wanted, "{name}: {status} {body}");
    }
    for (name, status, body) in PROFILES {
        let (outcome, _) = answered(name, http(status, body), true).await;
        assert_eq!(outcome, GatewayOutcome::Done, "{name}");
    }
}

#[tokio::test]
async fn whatever_is_no_whole_answer_or_names_no_rule_is_unsure() {
    for (name, status, taken) in PROFILES {
        let cut = http(status, taken);
        let cut = cut[..cut.len() - 1].to_owned();
        for (bytes, ends) in [
            (String::new(), true),
            (cut.clone(), true),
            (cut, false),
            (String::new(), false),
            (http(200, ""), true),
            (http(200, "<html>Welcome</html>"), true),
            (http(500, taken), true),
            (http(502, "<html>Bad gateway</html>"), true),
            (http(302, ""), true),
            (http(status, &taken.repeat(10_000)), true),
            ("HTTP/1.1 2000000 what\r\n\r\n".to_owned(), true),
        ] {
            let shown: String = bytes.chars().take(80).collect();
            let (outcome, _) = answered(name, bytes, ends).await;
            // Kannel's sign is at the beginning of the body.
            let is_long = shown.len() == 80 && name == "kannel";
            assert!(
                is_long || outcome == GatewayOutcome::Unsure,
                "{name}: {shown}"
            );
        }
    }
}

#[tokio::test]
async fn what_was_not_sent_is_known() {
    for (name, ..) in PROFILES {
        let (listener, address) = listener().await;
        drop(listener);
        let mut courier = at(name, address, Duration::from_secs(20)).courier();
        assert_eq!(send(&mut courier).await, GatewayOutcome::NotSent, "{name}");

        // A TLS server that is asked in clear: a fatal alert.
        let alert = String::from_utf8(vec![21, 3, 1, 0, 2, 2, 70]).expect("ASCII");
        let (outcome, _) = answered(name, alert, true).await;
        assert_eq!(outcome, GatewayOutcome::NotSent, "{name}");
    }
}

#[tokio::test]
async fn a_failure_says_why_without_secrets_phone_and_text() {
    let echo = "s3cr%26t+key s3cr%26t%20key s3cr&t key +79161112233 Hello";
    let body = format!(r#"{{"error":"{echo}","error_code":3}}"#);
    let (_, words) = answered("smsc.ru", http(200, &body), true).await;
    assert!(
        words.starts_with("no money on the account: 200 "),
        "{words}"
    );
    for hidden in ["s3cr", "916", "Hello"] {
        assert!(!words.contains(hidden), "{words}");
    }

    let (_, words) = answered("twilio", http(500, "{}"), true).await;
    assert!(words.starts_with("no rule of the profile fits"), "{words}");
}

#[tokio::test]
async fn a_page_that_repeats_the_login_of_a_request_does_not_show_it() {
    // `s3cr&t key`, as user and password.
    let login = "czNjciZ0IGtleTpzM2NyJnQga2V5";
    let page = format!("<pre>Authorization: Basic {login}\npassword=s3cr&amp;t key</pre>");
    let (_, words) = answered("twilio", http(500, &page), true).await;
    assert!(words.contains("Authorization"), "{words}");
    assert!(!words.contains("czN") && !words.contains("s3cr"), "{words}");
}

#[tokio::test]
async fn another_account_is_another_identity_and_another_writing_is_not() {
    let identity = |name: &str, url: &str, secret: &str| {
        let mut account = account(name, url);
        for value in account.secrets.values_mut() {
            *value = Secret::from(secret);
        }
        gateway(name, account, Duration::from_secs(1)).identity("c")
    };
    let one = identity("kannel", "http://Sms.example/send", "a");
    assert_eq!(one, identity("kannel", "http://sms.example:80/send", "a"));
    for other in [
        identity("kannel", "http://sms.example/send", "b"),
        identity("kannel", "http://sms.example/other", "a"),
        identity("kannel", "http://sms2.example/send", "a"),
        identity("jasmin", "http://sms.example/send", "a"),
    ] {
        assert_ne!(one, other);
    }
}
