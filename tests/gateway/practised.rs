//! A mailing through each built-in profile to the practice gateway in its provider's place, with every fault
//! at once: the sums are right, each outcome is as documented, and nobody gets a message twice.

use std::{path::PathBuf, time::Duration};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::support::{Ended, Gateway, Setup, eventually, notty};

const COUNT: u64 = 2_000;
/// Providers that are tried at once: they wait for hanging answers most of the time.
const AT_ONCE: usize = 3;
/// A message that halts, or two, may halt a gateway for a minute: seldom, and nothing is wrong then.
const SOON: Duration = Duration::from_secs(180);
/// Shares of the faults that each provider has an answer for.
const SHARES: [(&str, &str, &str); 4] = [
    ("later", "--fail-per-mille", "4"),
    ("refused", "--invalid-per-mille", "30"),
    ("halt", "--halt-per-mille", "3"),
    ("unsure", "--unsure-per-mille", "20"),
];
/// Shares of the faults below any protocol.
const BELOW: [&str; 6] = [
    "--hang-per-mille",
    "4",
    "--reset-per-mille",
    "10",
    "--cut-per-mille",
    "16",
];

/// A built-in profile in a file of its own, with pauses that a test can wait for.
pub(super) struct Practised {
    name: String,
    file: PathBuf,
    text: String,
    _dir: tempfile::TempDir,
}

fn printed(args: &[&str]) -> String {
    let ended = Ended::of(notty().args(args));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

/// The names of all built-in profiles.
pub(super) fn names() -> Vec<String> {
    let ended = Ended::of(notty().args(["gateway", "--profile", "?"]));
    let names = ended.one_line(2).split("there are ").nth(1);
    let names = names.expect("names").split(", ");
    names.map(str::to_owned).collect()
}

/// A line of a profile, with a short pause if it has one.
fn with_short_pause(line: &str) -> String {
    if line.starts_with("pause_ms = ") {
        return "pause_ms = 50".to_owned();
    }
    match line.split_once("Retry-After = ") {
        Some((before, _)) => format!("{before}Retry-After = 1 }}"),
        None => line.to_owned(),
    }
}

impl Practised {
    pub(super) fn new(name: &str) -> Self {
        let text = printed(&["gateways", "profile", name]);
        let lines: Vec<_> = text.lines().map(with_short_pause).collect();
        let text = lines.join("\n");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join(format!("{name}.toml"));
        std::fs::write(&file, &text).expect("written");
        Self {
            name: name.to_owned(),
            file,
            text,
            _dir: dir,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// True if each request has a URL for receipts.
    pub(super) fn asks_receipts(&self) -> bool {
        self.text.contains("{receipt_url}")
    }

    /// True if the provider has receipts of messages that were not delivered.
    pub(super) fn has_undelivered(&self) -> bool {
        self.text.contains("is = \"undelivered\"")
    }

    fn path(&self) -> &str {
        self.file.to_str().expect("a path that is UTF-8")
    }

    /// The secrets that it needs, by its placeholders.
    fn secrets(&self) -> Vec<&str> {
        let parts = self.text.split("{secret.").skip(1);
        let mut names: Vec<_> = parts.filter_map(|part| part.split('}').next()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// A gateway in the provider's place, with every fault that the provider has an answer for.
    async fn gateway(&self) -> Gateway {
        let gateway = Gateway::with(&["--profile-file", self.path()]);
        let answers = gateway.client.get("/answers").await.expect(200);
        let answers = answers["items"].as_array().expect("items");
        let has = |kind: &str| {
            let mut answers = answers.iter();
            answers.any(|answer| answer["is"] == kind && answer["scope"].is_null())
        };

        let mut flags = vec!["--profile-file", self.path()];
        for (kind, flag, share) in SHARES {
            if has(kind) {
                flags.extend([flag, share]);
            }
        }
        flags.extend(BELOW);
        Gateway::with(&flags)
    }

    /// A gateway in the provider's place with other flags.
    pub(super) fn gateway_with(&self, flags: &[&str]) -> Gateway {
        Gateway::with(&[&["--profile-file", self.path()][..], flags].concat())
    }

    /// A node that sends through the profile.
    pub(super) async fn setup(&self, gateway: &Gateway) -> Setup {
        let lines = eventually("the address is said", SOON, async || {
            let lines = gateway.process.lines().join("\n");
            lines.contains(", its page").then_some(lines)
        });
        let lines = lines.await;
        let (_, after) = lines.split_once(" on ").expect("an address");
        let (url, _) = after.split_once(", its page").expect("its end");

        let mut setup = Setup::new()
            .without("NOTTY_GATEWAY__URL")
            .set("NOTTY_GATEWAYS__P__PROFILE_FILE", self.path())
            .set("NOTTY_GATEWAYS__P__URL", url)
            .set("NOTTY_GATEWAYS__P__SENDER", "SHOP")
            .set("NOTTY_GATEWAYS__P__CONCURRENCY", "14")
            .set("NOTTY_GATEWAYS__P__TIMEOUT_MS", "4000")
            .set("NOTTY_RETRY__INITIAL_MS", "50");
        for secret in self.secrets() {
            let variable = format!("NOTTY_GATEWAYS__P__SECRETS__{}", secret.to_uppercase());
            setup = setup.set(&variable, "s3cret-key");
        }
        setup
    }
}

/// Sends a mailing, and returns the counts of the node and those of the gateway.
async fn mailed(practised: &Practised) -> (Value, Value) {
    let gateway = practised.gateway().await;
    let node = practised.setup(&gateway).await.start().await;
    node.import(COUNT).await;
    node.mail("one", json!({})).await;

    let what = format!("{}: all messages have their end", practised.name);
    let stats = eventually(&what, SOON, async || {
        let stats = node.stats("one").await;
        let ends = ["done", "invalid", "unconfirmed"];
        let settled = ends.iter().filter_map(|end| stats[*end].as_u64());
        (settled.sum::<u64>() == COUNT).then_some(stats)
    })
    .await;
    (stats, gateway.tally().await)
}

/// Checks the sums of one provider.
async fn check(name: &str) {
    let practised = Practised::new(name);
    let (stats, tally) = mailed(&practised).await;
    let answers = &tally["answers"];
    let number = |of: &Value| of.as_u64().expect("a count");

    assert_eq!(tally["duplicates"], 0, "{name}: {tally}");
    assert_eq!(tally["misfits"], 0, "{name}: {tally}");
    assert_eq!(stats["done"], answers["taken"], "{name}: {stats} {tally}");
    assert_eq!(
        stats["invalid"], answers["refused"],
        "{name}: {stats} {tally}"
    );
    let open = number(&answers["unsure"]) + number(&answers["none"]);
    assert_eq!(
        number(&stats["unconfirmed"]),
        open,
        "{name}: {stats} {tally}"
    );

    // Each request has one answer, and what was neither taken nor refused came again.
    let again = number(&answers["later"]) + number(&answers["halt"]);
    assert_eq!(number(&tally["requests"]), COUNT + again, "{name}: {tally}");
    let sum = ["taken", "refused"].map(|field| number(&tally[field]));
    let halts = number(&answers["halt"]);
    assert_eq!(
        number(&tally["requests"]),
        sum[0] + sum[1] + halts,
        "{name}: {tally}"
    );
    assert!(open > 0, "{name}: no fault at all: {tally}");
}

#[tokio::test]
async fn a_mailing_through_each_profile_with_every_fault_reaches_nobody_twice() {
    let names = names();
    assert_eq!(names.len(), 13, "{names:?}");
    let checks = names.iter().map(|name| check(name));
    stream::iter(checks)
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
}
