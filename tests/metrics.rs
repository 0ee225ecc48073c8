//! Metrics of nodes and of standalone postmen: their two forms, and the alerts and the dashboard that
//! are made of them.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::cluster::tls::{Authority, cluster_with_certificates, secret};
use crate::support::{
    Answer, Client, Cluster, Ended, Gateway, Member, Postman, Setup, Shape, eventually,
    free_addresses, notty,
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Far longer than anything here takes.
const SOON: Duration = Duration::from_secs(30);
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

async fn scrape(client: &Client, accept: &str) -> Answer {
    let request = client.request(Method::GET, "/metrics");
    client.send(request.header(header::ACCEPT, accept)).await
}

/// Names of the samples in a text of metrics.
fn samples(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let name = |line: &str| line.split(['{', ' ']).next().unwrap_or_default().to_owned();
    lines.map(name).collect()
}

/// The value of a sample by its name and labels.
fn value(text: &str, sample: &str) -> f64 {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(sample));
    let value = lines.find_map(|rest| rest.strip_prefix(' '));
    let value = value.unwrap_or_else(|| panic!("no {sample}:\n{text}"));
    value.parse().expect("a number")
}

#[tokio::test]
async fn metrics_come_in_the_form_that_is_asked_for() {
    let node = Setup::new().start().await;
    let open = scrape(
        &node.client,
        "application/openmetrics-text;version=1.0.0,*/*;q=0.1",
    )
    .await;
    assert_eq!(open.header("content-type"), OPEN_METRICS);
    assert!(open.text.ends_with("\n# EOF\n"), "{}", open.text);
    assert!(open.text.contains("# TYPE process_cpu_seconds counter\n"));

    for accept in ["*/*", "text/plain;version=0.0.4", "text/html"] {
        let plain = scrape(&node.client, accept).await;
        assert_eq!(plain.header("content-type"), PLAIN, "{accept}");
        assert!(!plain.text.contains("# EOF") && !plain.text.contains("# UNIT"));
        assert!(
            plain
                .text
                .contains("# TYPE process_cpu_seconds_total counter\n")
        );
        assert!(plain.text.contains("# TYPE notty_build_info gauge\n"));
        assert_eq!(samples(&plain.text), samples(&open.text));
    }
}

#[tokio::test]
async fn a_node_shows_its_process_and_its_disk() {
    let node = Setup::new().start().await;
    let text = node.client.get("/metrics").await.text;
    let free = value(&text, "notty_disk_free_bytes");
    assert!(free > 0.0 && free <= value(&text, "notty_disk_size_bytes"));
    if cfg!(target_os = "linux") {
        assert!(value(&text, "process_cpu_seconds_total") >= 0.0);
        assert!(value(&text, "process_resident_memory_bytes") > 1e6);
        let open = value(&text, "process_open_fds");
        assert!(open >= 3.0 && open < value(&text, "process_max_fds"));
        let now = jiff::Timestamp::now().as_second() as f64;
        let age = now - value(&text, "process_start_time_seconds");
        assert!((-2.0..600.0).contains(&age), "started {age} s ago");
    }
}

#[tokio::test]
async fn open_metrics_need_no_token_and_nothing_else_is_open() {
    let tokens = "[{ name = \"ops\", token = \"long-enough\", role = \"admin\" }]";
    for open in [false, true] {
        let setup = Setup::new().set("NOTTY_API__TOKENS", tokens);
        let setup = setup.set("NOTTY_METRICS__OPEN", &open.to_string());
        let node = setup.start().await;
        let wanted = if open { 200 } else { 401 };
        assert_eq!(node.client.get("/metrics").await.status, wanted);
        for path in ["/cluster", "/customers", "/metrics/"] {
            assert_eq!(node.client.get(path).await.status, 401, "{path}");
        }
        let known = node.client.with_token("long-enough");
        assert_eq!(known.get("/metrics").await.status, 200);
        node.stop().await;
    }
}

const CERTIFICATE_EXPIRY: &str = "notty_peer_certificate_expiry_timestamp_seconds";
/// The beginning of the year 4096, when certificates of these tests expire.
const EXPIRES_AT: f64 = 67_090_118_400.0;

/// Three nodes that make backups, and a postman with a page of its own; all of them have certificates.
async fn everything(gateway: &Gateway, authority: &Authority) -> (Cluster, Postman, Client) {
    let url = gateway.url();
    let shape = Shape {
        gateway: &url,
        more: "[backup]\ndir = \"backups\"\n",
        ..Shape::default()
    };
    let cluster = cluster_with_certificates(authority, shape).await;
    let mut postman = Postman::new(&cluster, gateway, "sender", "sender");
    postman.reconfigure(&secret(), &authority.sign("sender", "sender").line());
    let page = free_addresses(1).remove(0);
    postman.run_with(&["--metrics", &page]);
    let client = Client::new(&format!("http://{page}"));
    eventually("the postman is ready", SOON, async || {
        let asked = client
            .try_send(client.request(Method::GET, "/readyz"))
            .await;
        asked.is_ok_and(|answer| answer.status == 200).then_some(())
    })
    .await;
    (cluster, postman, client)
}

fn deployed(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name);
    std::fs::read_to_string(path).expect("it is there")
}

/// The metrics that an expression of Prometheus names.
fn named(expression: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expression.split(|c: char| !is_word(c));
    let is_metric = |word: &&str| word.starts_with("notty_") || word.starts_with("process_");
    words.filter(is_metric).map(str::to_owned).collect()
}

/// All expressions of the alerts and of the dashboard.
fn expressions() -> Vec<String> {
    let alerts: serde_norway::Value =
        serde_norway::from_str(&deployed("prometheus/alerts.yaml")).expect("YAML");
    let rules = alerts["groups"][0]["rules"].as_sequence().expect("rules");
    let mut all: Vec<String> = Vec::new();
    for rule in rules {
        all.push(rule["expr"].as_str().expect("an expression").to_owned());
        assert!(rule["annotations"]["summary"].is_string(), "{rule:?}");
    }

    let dashboard: Value = serde_json::from_str(&deployed("grafana/notty.json")).expect("JSON");
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().expect("targets") {
            all.push(target["expr"].as_str().expect("an expression").to_owned());
        }
    }
    assert!(all.len() > 30, "{}", all.len());
    all
}

/// Waits until a member's metrics say that it reaches the others; one that is slow to answer once counts as
/// out of reach.
async fn reaches_all_others(cluster: &Cluster, member: &Member) {
    let others = cluster.members.iter();
    let others = others.filter(|other| other.name != member.name);
    for other in others {
        let reachable = format!("notty_peer_reachable{{peer=\"{}\"}}", other.name);
        eventually("it reaches the other", SOON, async || {
            let text = member.client.get("/metrics").await.text;
            (value(&text, &reachable) == 1.0).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn every_metric_of_the_alerts_and_the_dashboard_is_sent() {
    let gateway = Gateway::start();
    let authority = Authority::new("ours");
    let (cluster, mut postman, page) = everything(&gateway, &authority).await;
    let node = &cluster.members[0].client;
    node.import(2_000).await;
    node.mail("m", json!({})).await;
    cluster.agree("m", SOON).await;

    let text = page.get("/metrics").await.text;
    assert_eq!(value(&text, CERTIFICATE_EXPIRY), EXPIRES_AT);
    let mut sent = samples(&text);
    assert!(sent.contains("notty_postman_view_age_seconds"), "{sent:?}");
    for member in &cluster.members {
        let text = member.client.get("/metrics").await.text;
        reaches_all_others(&cluster, member).await;
        assert_eq!(value(&text, CERTIFICATE_EXPIRY), EXPIRES_AT);
        assert!(
            !text.contains(&format!("peer=\"{}\"", member.name)),
            "it is no peer of its own"
        );
        sent.extend(samples(&text));
    }

    for expression in expressions() {
        let names = named(&expression);
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            assert!(
                sent.contains(&name),
                "{name} is not sent, but asked for by: {expression}"
            );
        }
    }
    postman.stop().await;
}

#[tokio::test]
async fn a_dead_peer_and_a_new_leader_are_seen_in_the_metrics() {
    let mut cluster = Cluster::start(Shape::default()).await;
    let leader = cluster.leader().await;
    let changes = "notty_raft_leader_changes_total";
    let before = value(
        &cluster.members[(leader + 1) % 3]
            .client
            .get("/metrics")
            .await
            .text,
        changes,
    );
    let name = cluster.members[leader].name.clone();
    cluster.members[leader].kill();

    let other = &cluster.members[(leader + 1) % 3].client;
    eventually("the loss is seen", SOON, async || {
        let text = other.get("/metrics").await.text;
        let reachable = value(&text, &format!("notty_peer_reachable{{peer=\"{name}\"}}"));
        let has_changed = value(&text, changes) > before;
        (reachable == 0.0 && has_changed).then_some(())
    })
    .await;
    let text = other.get("/metrics").await.text;
    assert!(
        !text.contains(&format!("notty_peer_lag_entries{{peer=\"{name}\"}}")),
        "{text}"
    );
}

/// The status of the check that a container makes of itself.
fn healthcheck(base: &str) -> Option<i32> {
    Ended::of(notty().args(["healthcheck", "--api", base])).code
}

#[tokio::test]
async fn a_postman_that_finds_no_cluster_is_alive_and_not_ready() {
    let gateway = Gateway::start();
    let dir = tempfile::tempdir().expect("a temporary directory");
    // Port 9 discards: nothing listens there.
    let peers = ["127.0.0.1:9".to_owned()];
    let mut postman = Postman::in_dir(&dir.path().join("p"), &peers, &gateway, "p");
    let page = free_addresses(1).remove(0);
    postman.run_with(&["--metrics", &page]);
    postman.says("health and metrics of this postman").await;

    let client = Client::new(&format!("http://{page}"));
    assert_eq!(
        client.get("/healthz").await.expect(200),
        json!({ "status": "ok" })
    );
    let answer = client.get("/readyz").await;
    let detail = answer.problem(503, "not_ready")["detail"].to_string();
    assert!(detail.contains("has not registered"), "{detail}");
    assert_eq!(healthcheck(client.base()), Some(1));
    assert!(samples(&client.get("/metrics").await.text).contains("notty_build_info"));

    // A second one cannot have the same address.
    let mut other = Postman::in_dir(&dir.path().join("q"), &peers, &gateway, "q");
    let ended = Ended::of(other.command().args(["--metrics", &page]));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains(&format!("--metrics: {page} cannot be listened on"))
    );
    other.run_with(&["--metrics", "127.0.0.1:0"]);
    other.says("health and metrics of this postman").await;
    other.stop().await;
    postman.stop().await;
}

#[tokio::test]
async fn postmen_by_themselves_are_listed_by_every_node_and_one_with_another_gateway_is_warned_of()
{
    let gateway = Gateway::start();
    let authority = Authority::new("ours");
    let (cluster, mut postman, page) = everything(&gateway, &authority).await;
    assert_eq!(page.get("/healthz").await.status, 200);
    page.get("/cluster").await.problem(404, "unknown_route");

    // It waits for a slow postman for a moment only.
    eventually("it is healthy", SOON, async || {
        (healthcheck(page.base()) == Some(0)).then_some(())
    })
    .await;

    let elsewhere = Gateway::start();
    let mut other = Postman::new(&cluster, &elsewhere, "other", "other");
    other.reconfigure(&secret(), &authority.sign("other", "other").line());
    other.run();
    other
        .says("another gateway or account than the nodes")
        .await;

    for member in &cluster.members {
        eventually("both are listed", SOON, async || {
            let postmen = member.client.get("/cluster").await.expect(200)["postmen"].clone();
            let listed: Vec<_> = postmen
                .as_array()
                .expect("a list")
                .iter()
                .map(|postman| (postman["name"].clone(), postman["gateway"].clone()))
                .collect();
            let wanted = [
                (json!("other"), json!("other")),
                (json!("sender"), json!("same")),
            ];
            let seen = postmen[0]["last_seen"].as_str().map(str::to_owned);
            let is_time = seen.is_some_and(|seen| seen.parse::<jiff::Timestamp>().is_ok());
            (listed == wanted && is_time).then_some(())
        })
        .await;
    }

    let warned = "the postman `other` sends to another gateway or account than this node";
    let count = |what: &str| -> usize {
        cluster
            .members
            .iter()
            .map(|member| member.count_lines(what))
            .sum()
    };
    // A line of the log may come a moment after the list.
    eventually("a node warns", SOON, async || {
        (count(warned) >= 1).then_some(())
    })
    .await;
    assert_eq!(count("the postman `sender` sends"), 0);
    other.stop().await;
    postman.stop().await;
}
