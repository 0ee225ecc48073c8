//! Messages through a provider's profile: every fault, and nobody gets one twice.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Deed, Ended, Fate, Node, Provider, Setup, eventually, notty};

const SECRET: &str = "s3cret-key";
const COUNT: u64 = 2_000;
const SOON: Duration = Duration::from_secs(60);
/// A smsc.ru account without money.
const NO_MONEY: &str = r#"{"error":"no money","error_code":3,"id":1}"#;
/// An answer of smsc.ru that took the message.
const TAKEN: &str = r#"{"id":14,"cnt":1}"#;

/// A node that sends through a profile.
fn through(profile: &str, secrets: &[&str], provider: &Provider) -> Setup {
    let url = format!("http://{}/send", provider.address);
    let mut setup = Setup::new()
        .without("NOTTY_GATEWAY__URL")
        .set("NOTTY_GATEWAYS__P__PROFILE", profile)
        .set("NOTTY_GATEWAYS__P__URL", &url)
        .set("NOTTY_GATEWAYS__P__SENDER", "SHOP")
        .set("NOTTY_GATEWAYS__P__CONCURRENCY", "14")
        .set("NOTTY_GATEWAYS__P__TIMEOUT_MS", "1000")
        .set("NOTTY_RETRY__INITIAL_MS", "50");
    for secret in secrets {
        let variable = format!("NOTTY_GATEWAYS__P__SECRETS__{}", secret.to_uppercase());
        setup = setup.set(&variable, SECRET);
    }
    setup
}

/// Waits until every message of a mailing has its end, and returns the counts.
async fn until_settled(node: &Node, mailing: &str) -> Value {
    eventually("all messages have their end", SOON, async || {
        let stats = node.stats(mailing).await;
        let ends = ["done", "invalid", "unconfirmed"];
        let settled = ends.iter().filter_map(|end| stats[*end].as_u64());
        (settled.sum::<u64>() == COUNT).then_some(stats)
    })
    .await
}

/// Sends a mailing to a provider with every fault.
async fn send_with_faults(
    profile: &'static str,
    secrets: &[&str],
    taken: (u16, &'static str),
    refused: (u16, &'static str),
    later: Option<(u16, &'static str)>,
) {
    let (status, body) = taken;
    let script = move |n: usize, _: &str| match (n % 25, n / 25 % 7) {
        (0, 0) => Deed::hung_up(),
        (0, 1) => Deed::cut(status, body),
        (0, 2) => Deed::unclear(500, body),
        (0, 3) => Deed::unclear(200, ""),
        (0, 4) => Deed::unclear(200, "<html>Welcome</html>"),
        (0, 5) => Deed::silent(),
        (0, _) => Deed::refused(refused.0, refused.1),
        _ => match later {
            Some((status, body)) if n == 501 => Deed::refused(status, body),
            _ => Deed::taken(status, body),
        },
    };
    let provider = Provider::start(script).await;
    let node = through(profile, secrets, &provider).start().await;
    node.import(COUNT).await;
    node.mail("one", json!({})).await;

    let stats = until_settled(&node, "one").await;
    assert_eq!(provider.twice(), Vec::<String>::new());
    assert_eq!(stats["done"], provider.count(Fate::Taken), "{stats}");
    assert_eq!(stats["unconfirmed"], provider.count(Fate::Open), "{stats}");
    let not_taken = provider.count(Fate::Refused) - u64::from(later.is_some());
    assert_eq!(stats["invalid"], not_taken, "{stats}");

    let metrics = node.client.get("/metrics").await.text;
    assert!(!metrics.contains(SECRET));
    let lines = node.stop().await;
    assert!(
        !lines.iter().any(|line| line.contains(SECRET)),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn a_mailing_through_smsc_ru_with_every_fault_reaches_nobody_twice() {
    let refused = (200, r#"{"error":"wrong number","error_code":7,"id":1}"#);
    send_with_faults("smsc.ru", &["apikey"], (200, TAKEN), refused, None).await;
}

#[tokio::test]
async fn a_mailing_through_twilio_with_every_fault_reaches_nobody_twice() {
    let taken = (201, r#"{"sid":"SM1","status":"queued"}"#);
    let refused = (400, r#"{"code":21211,"message":"s3cret-key is wrong"}"#);
    let later = Some((429, r#"{"code":20429}"#));
    send_with_faults("twilio", &["sid", "token"], taken, refused, later).await;
}

#[tokio::test]
async fn a_mailing_through_kannel_with_every_fault_reaches_nobody_twice() {
    let taken = (202, "0: Accepted for delivery");
    let refused = (403, "Not routable. Do not try again.");
    let later = Some((503, "Temporal failure, try again later."));
    let secrets = ["username", "password"];
    send_with_faults("kannel", &secrets, taken, refused, later).await;
}

#[tokio::test]
async fn a_node_that_is_killed_in_the_middle_sends_nothing_twice_through_a_profile() {
    let provider = Provider::start(|_, _| Deed::taken(200, TAKEN)).await;
    let mut node = through("smsc.ru", &["apikey"], &provider).start().await;
    node.import(COUNT).await;
    node.mail("one", json!({})).await;

    for requests in [500, 1_200] {
        eventually("requests have come", SOON, async || {
            (provider.count(Fate::Taken) >= requests).then_some(())
        })
        .await;
        node = node.kill_and_restart().await;
    }
    let stats = until_settled(&node, "one").await;
    assert_eq!(provider.twice(), Vec::<String>::new());
    assert!(provider.count(Fate::Taken) >= stats["done"].as_u64().expect("a count"));
    assert!(stats["unconfirmed"].as_u64() <= Some(2 * 14), "{stats}");
}

async fn until_metric(node: &Node, line: &str) {
    eventually(line, SOON, async || {
        let metrics = node.client.get("/metrics").await.text;
        metrics.lines().any(|one| one == line).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_money_a_gateway_halts_and_nothing_is_lost() {
    let script = |n, _: &str| {
        if n < 500 {
            Deed::taken(200, TAKEN)
        } else {
            Deed::refused(200, NO_MONEY)
        }
    };
    let provider = Provider::start(script).await;
    let node = through("smsc.ru", &["apikey"], &provider).start().await;
    node.import(COUNT).await;
    node.mail("one", json!({})).await;

    until_metric(&node, "notty_postman_halted 1").await;
    node.until("one", json!({ "done": 500, "created": 1_500 }))
        .await;
    let halting = provider.times(Fate::Refused);
    let late = halting[2] + Duration::from_secs(1);
    assert!(halting.iter().all(|came| *came < late), "{}", halting.len());

    // What it knew of the halt goes with the process; the account has money again.
    let setup = node.setup.clone();
    let lines = node.stop().await;
    let warnings = lines.iter().filter(|line| line.contains("is halted: "));
    let warnings: Vec<_> = warnings.collect();
    assert_eq!(warnings.len(), 1, "{lines:#?}");
    assert!(
        warnings[0].contains("no money on the account: 200"),
        "{warnings:?}"
    );

    provider.follow(|_, _| Deed::taken(200, TAKEN));
    let node = setup.start().await;
    node.until("one", json!({ "done": COUNT })).await;
    assert_eq!(provider.twice(), Vec::<String>::new());
    // A halt is no try.
    let messages = node.messages("one").await;
    assert!(messages.iter().all(|message| message["attempts"] == 1));
}

#[tokio::test]
async fn a_text_that_the_provider_forbids_halts_its_mailing_and_no_other() {
    let script = |_, request: &str| {
        if request.contains("forbidden") {
            Deed::refused(200, r#"{"error":"denied","error_code":6,"id":1}"#)
        } else {
            Deed::taken(200, TAKEN)
        }
    };
    let provider = Provider::start(script).await;
    let node = through("smsc.ru", &["apikey"], &provider).start().await;
    node.import(300).await;
    node.mail("bad", json!({ "text": "forbidden" })).await;
    until_metric(&node, "notty_postman_mailings_halted 1").await;

    node.mail("good", json!({})).await;
    node.until("good", json!({ "done": 300 })).await;
    assert!(provider.count(Fate::Refused) <= 14, "what was under way");
    let lines = node.stop().await;
    let warning = "the mailing `bad` is halted: the text or the sender is forbidden: 200";
    assert!(
        lines.iter().any(|line| line.contains(warning)),
        "{lines:#?}"
    );
}

/// Checks a configuration of one gateway. Returns what is wrong with it.
fn faults(gateway: &str, profile: &str) -> String {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = format!("[[gateways]]\nname = \"p\"\n{gateway}\n");
    std::fs::write(dir.path().join("config.toml"), config).expect("written");
    std::fs::write(dir.path().join("acme.toml"), profile).expect("written");
    let mut command = notty();
    let ended = Ended::of(command.current_dir(dir.path()).arg("check-config"));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(!ended.stderr.contains(SECRET), "{ended:?}");
    ended.stderr
}

#[test]
fn check_config_names_every_fault_of_a_gateway() {
    let unknown = faults("profile = \"twillio\"", "");
    assert!(
        unknown.contains("config.toml:3: gateways[0].profile: there is no"),
        "{unknown}"
    );
    assert!(unknown.contains("twilio"), "{unknown}");

    let account = "profile = \"twilio\"\nsecrets = { sid = \"s3cret-key\", kee = \"s3cret-key\" }";
    let account = faults(account, "");
    for wanted in [
        "gateways[0].secrets.token: it is missing",
        "gateways[0].secrets.kee: the profile has no such secret; it has sid, token",
        "gateways[0].sender: it is missing, and the profile needs it",
    ] {
        assert!(account.contains(wanted), "{wanted}: {account}");
    }

    let profile = "[request]\nmethod = \"POST\"\nurl = \"ftp://x\"\n";
    let own = faults("profile_file = \"acme.toml\"", profile);
    assert!(
        own.contains("acme.toml, request.url: ") && own.contains("(line 3)"),
        "{own}"
    );
    assert!(own.contains("no rule is `taken`"), "{own}");
    let missing = faults("profile_file = \"nowhere.toml\"", "");
    assert!(
        missing.contains("gateways[0].profile_file: nowhere.toml: "),
        "{missing}"
    );
}
