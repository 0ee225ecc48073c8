//! Wall clocks that are wrong, for seconds or for good: nothing is lost by them, and nothing sent twice.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Client, Cluster, Ended, FakeClock, Gateway, Node, Process, Setup, Shape, eventually,
    minutes_from_now, notty, waits_mostly,
};

const YEAR: i64 = 365 * 86_400;
/// How long most things may take at the most.
const SOON: Duration = Duration::from_secs(30);
/// How long a clock is wrong.
const WRONG: Duration = Duration::from_secs(4);

/// A setup whose processes see a clock.
fn seeing(clock: &FakeClock, setup: Setup) -> Setup {
    clock
        .environment()
        .iter()
        .fold(setup, |setup, (variable, value)| setup.set(variable, value))
}

/// What `/readyz` says is wrong; empty where nothing is.
async fn doubt(client: &Client) -> String {
    let answer = client.send(client.request(Method::GET, "/readyz")).await;
    match answer.status.as_u16() {
        200 => String::new(),
        503 => answer.problem(503, "not_ready")["detail"]
            .as_str()
            .expect("a text")
            .to_owned(),
        _ => panic!("{answer:?}"),
    }
}

async fn until_doubtful(client: &Client, why: &str) {
    eventually(
        &format!("the node doubts its clock: {why}"),
        SOON,
        async || {
            let doubt = doubt(client).await;
            // And nothing else is wrong with it.
            (doubt.starts_with("the clock is in doubt") && doubt.contains(why)).then_some(())
        },
    )
    .await;
}

async fn until_ready(client: &Client) {
    eventually("the node is ready", SOON, async || {
        doubt(client).await.is_empty().then_some(())
    })
    .await;
}

/// Starts a node that need not become ready.
fn start(setup: &Setup) -> Node {
    let (process, address) = Process::start(&mut setup.command());
    Node {
        process,
        client: Client::new(&format!("http://{address}")),
        setup: setup.clone(),
    }
}

/// Writes for a while, so that entries would carry what the clock says.
async fn write_for(node: &Node, time: Duration) {
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for n in 0.. {
        if began.elapsed() > time {
            break;
        }
        ticks.tick().await;
        let customer = json!({ "id": "writer", "name": format!("{n}"), "phone": "+79990000000",
            "operator": "none", "tag": "writer" });
        let request = node
            .client
            .request(Method::PUT, "/customers/writer")
            .json(&customer);
        let answer = node.client.send(request).await;
        assert!([200, 404].contains(&answer.status.as_u16()), "{answer:?}");
    }
}

async fn status_of(client: &Client, mailing: &str) -> Value {
    client
        .get(&format!("/mailings/{mailing}"))
        .await
        .expect(200)["status"]
        .clone()
}

/// A node with a mailing whose messages all wait for another try, and one that starts in half an hour.
async fn busy(clock: &FakeClock, gateway: &Gateway) -> Node {
    gateway.behave(json!({ "fail_per_mille": 1000 })).await;
    let setup = seeing(clock, Setup::at(gateway));
    let setup = setup
        .set("NOTTY_RETRY__INITIAL_MS", "200")
        .set("NOTTY_RETRY__MAX_MS", "1000");
    let node = setup.start().await;
    node.import(100).await;
    node.mail("open", json!({})).await;
    node.mail("later", json!({ "start": minutes_from_now(30) }))
        .await;
    gateway.requests(150).await;
    node
}

/// That a wrong clock has spoilt nothing: the mailings are as they were, new ones are taken, and what
/// waits for another try gets it.
async fn is_unspoilt(node: &Node, gateway: &Gateway, name: &str) {
    assert_eq!(status_of(&node.client, "open").await, "active");
    assert_eq!(status_of(&node.client, "later").await, "scheduled");
    let stats = node.stats("open").await;
    assert_eq!(
        (&stats["expired"], &stats["cancelled"]),
        (&json!(0), &json!(0)),
        "{stats}"
    );
    let next = json!({ "tag_filter": "nobody", "end": minutes_from_now(10) });
    node.mail(name, next).await;
    let before = gateway.count("requests").await;
    gateway.requests(before + 20).await;
}

#[tokio::test]
async fn a_clock_that_is_wrong_for_seconds_spoils_nothing() {
    waits_mostly();
    let Some(clock) = FakeClock::new() else {
        return;
    };
    let gateway = Gateway::start();
    let node = busy(&clock, &gateway).await;
    for (n, ahead) in [YEAR, 600, 40 * YEAR, -600, -YEAR, 6 * 3_600]
        .into_iter()
        .enumerate()
    {
        clock.ahead(ahead);
        until_doubtful(&node.client, "notty cluster set-time").await;
        let metrics = node.client.get("/metrics").await.text;
        assert!(metrics.contains("notty_clock_in_doubt 1"), "{metrics}");
        write_for(&node, WRONG).await;

        clock.ahead(0);
        until_ready(&node.client).await;
        let metrics = node.client.get("/metrics").await.text;
        assert!(metrics.contains("notty_clock_in_doubt 0"), "{metrics}");
        is_unspoilt(&node, &gateway, &format!("after-{n}")).await;
    }
    gateway.behave(json!({})).await;
    node.until("open", json!({ "done": 100 })).await;
    assert_eq!(gateway.count("duplicates").await, 0);
    let lines = node.stop().await;
    let said = lines
        .iter()
        .filter(|line| line.contains("the clock is in doubt"))
        .count();
    assert!(said >= 6, "{lines:#?}");
}

#[tokio::test]
async fn a_clock_that_is_wrong_across_restart_backup_and_restore_spoils_nothing() {
    waits_mostly();
    let Some(clock) = FakeClock::new() else {
        return;
    };
    let gateway = Gateway::start();
    let mut node = busy(&clock, &gateway).await;
    clock.ahead(YEAR);
    until_doubtful(&node.client, "365 days").await;
    // On the same boot of the machine it is known what the clock should say.
    node.process.kill();
    let node = start(&node.setup);
    until_doubtful(&node.client, "365 days").await;
    write_for(&node, WRONG).await;
    let file = node.setup.dir().join("backup");
    let data = node.setup.dir().join("restored");
    let command = |args: &[&str]| {
        let mut command = notty();
        command.args(args).envs(clock.environment());
        let ended = Ended::of(&mut command);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended
    };
    let (path, place) = (file.display().to_string(), data.display().to_string());
    command(&["backup", &path, "--api", node.client.base()]);
    let ended = command(&["restore", &path, "--data-dir", &place]);
    assert!(ended.stderr.contains("365 days"), "{ended:?}");

    // The restored cluster goes on once the clock is right, and nothing in it has ended.
    let restored = start(&node.setup.clone().data_dir(&data));
    until_doubtful(&restored.client, "365 days").await;
    write_for(&restored, WRONG).await;
    clock.ahead(0);
    until_ready(&restored.client).await;
    for mailing in ["open", "later"] {
        assert_eq!(status_of(&restored.client, mailing).await, "paused");
    }
    restored
        .mail(
            "next",
            json!({ "tag_filter": "nobody", "end": minutes_from_now(10) }),
        )
        .await;
    restored.stop().await;

    until_ready(&node.client).await;
    is_unspoilt(&node, &gateway, "next").await;
    let setup = node.setup.clone();
    node.stop().await;
    let node = setup.start().await;
    gateway.behave(json!({})).await;
    node.until("open", json!({ "done": 100 })).await;
    assert_eq!(gateway.count("duplicates").await, 0);
    node.stop().await;
}

#[tokio::test]
async fn a_cluster_whose_time_ran_ahead_is_set_back_by_a_command_or_by_a_restore() {
    let Some(clock) = FakeClock::new() else {
        return;
    };
    let gateway = Gateway::start();
    let setup = seeing(&clock, Setup::at(&gateway));
    // An empty directory has nothing to compare with.
    clock.ahead(YEAR);
    let node = setup.start().await;
    node.import(50).await;
    let spoilt = node
        .client
        .post("/mailings", &crate::support::mailing("m", json!({})))
        .await;
    spoilt.problem(400, "end_passed");
    let file = node.setup.dir().join("backup");
    let ended = Ended::of(
        notty()
            .args(["backup"])
            .arg(&file)
            .args(["--api", node.client.base()]),
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    node.stop().await;

    clock.ahead(0);
    let node = start(&setup);
    until_doubtful(&node.client, "set back by 365 days").await;
    let set = |args: &[&str]| {
        let mut command = notty();
        command
            .args(["cluster", "set-time"])
            .args(args)
            .args(["--api", node.client.base()]);
        Ended::of(&mut command)
    };
    let ended = set(&[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("the cluster's time is 20"),
        "{ended:?}"
    );
    until_ready(&node.client).await;
    node.mail("m", json!({})).await;
    node.until("m", json!({ "done": 50 })).await;

    // A restore begins with the machine's time by itself.
    let data = node.setup.dir().join("restored");
    let ended = Ended::of(
        notty()
            .arg("restore")
            .arg(&file)
            .arg("--data-dir")
            .arg(&data),
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let restored = setup.clone().data_dir(&data).start().await;
    restored.mail("m", json!({})).await;
    restored.until("m", json!({ "done": 50 })).await;
    restored.stop().await;
    node.stop().await;
}

#[tokio::test]
async fn an_admin_sets_the_time_back_and_forward() {
    waits_mostly();
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    node.import(20).await;
    gateway.behave(json!({ "fail_per_mille": 1000 })).await;
    node.mail("m", json!({})).await;
    gateway.requests(20).await;
    let set = async |body: Value| node.client.post("/cluster/time", &body).await;

    // A time that is not the clock's: nothing moves until they agree.
    let year = "2040-01-01T00:00:00Z";
    let said = set(json!({ "time": year })).await.expect(200);
    assert_eq!(said["time"], year);
    assert!(
        said["doubt"]
            .as_str()
            .is_some_and(|doubt| doubt.contains("in doubt")),
        "{said}"
    );
    until_doubtful(&node.client, "set back").await;
    write_for(&node, Duration::from_secs(2)).await;
    assert_eq!(status_of(&node.client, "m").await, "active");

    for body in [json!({ "time": minutes_from_now(-1) }), json!({})] {
        let said = set(body).await.expect(200);
        assert_eq!(said["doubt"], Value::Null, "{said}");
        until_ready(&node.client).await;
    }
    gateway.behave(json!({})).await;
    node.until("m", json!({ "done": 20 })).await;
    assert_eq!(gateway.count("duplicates").await, 0);

    set(json!({ "time": "tomorrow" }))
        .await
        .problem(400, "invalid_time");
    set(json!({ "time": 5 })).await.problem(400, "wrong_type");
    set(json!({ "time": "1969-01-01T00:00:00Z" }))
        .await
        .problem(400, "invalid_time");
    set(json!({ "date": year }))
        .await
        .problem(400, "unknown_field");
    // A repeat under its key is answered, and sets nothing.
    let keyed = async |key: &str, body: Value| {
        let request = node
            .client
            .request(Method::POST, "/cluster/time")
            .json(&body);
        node.client
            .send(request.header("Idempotency-Key", key))
            .await
    };
    let then = json!({ "time": year });
    keyed("k", then.clone()).await.expect(200);
    set(json!({})).await.expect(200);
    let again = keyed("k", then).await.expect(200);
    assert_ne!(again["time"], year, "{again}");
    until_ready(&node.client).await;
    keyed("k", json!({}))
        .await
        .problem(422, "idempotency_key_reused");
    node.stop().await;
}

#[tokio::test]
async fn a_leader_whose_clock_is_wrong_stops_nobody_from_sending() {
    let clocks: Option<Vec<_>> = (0..3).map(|_| FakeClock::new()).collect();
    let Some(clocks) = clocks else { return };
    let gateway = Gateway::start();
    let url = gateway.url();
    let mut cluster = Cluster::new(Shape {
        gateway: &url,
        ..Shape::default()
    });
    for (member, clock) in cluster.members.iter_mut().zip(&clocks) {
        member.set(&clock.environment());
    }
    cluster.start_all();
    cluster.ready(SOON).await;
    let leader = cluster.leader().await;
    let client = &cluster.members[leader].client;
    let csv = crate::support::sample_csv(1, 500);
    client
        .upload("/customers/import", "text/csv", csv)
        .await
        .expect(200);

    clocks[leader].ahead(5);
    eventually("the leader doubts its clock", SOON, async || {
        doubt(client)
            .await
            .contains("the clock is in doubt")
            .then_some(())
    })
    .await;
    // It hands over at that moment: for a while there is no leader.
    cluster.members[(leader + 1) % 3]
        .client
        .mail("m", json!({}))
        .await;
    let stats = cluster.agree("m", SOON * 2).await;
    assert_eq!(stats["done"], 500, "{stats}");
    assert_ne!(cluster.leader().await, leader);
    assert_eq!(gateway.count("duplicates").await, 0);
    // Its own clock is still wrong, and it says so once it has compared it with the next leader's.
    eventually("it doubts its clock again", SOON, async || {
        let doubt = doubt(client).await;
        doubt.contains("from the leader's").then_some(())
    })
    .await;
    clocks[leader].ahead(0);
    until_ready(&cluster.members[leader].client).await;
}

/// The lead of the cluster's time over the node's clock, in seconds, as the metrics have it.
async fn lead_seconds(client: &Client) -> f64 {
    let metrics = client.get("/metrics").await;
    let mut lines = metrics.text.lines();
    let line = lines.find_map(|line| line.strip_prefix("notty_cluster_time_lead_seconds "));
    line.and_then(|value| value.parse().ok()).expect("a figure")
}

/// A node whose time is ahead of its clock by so many seconds, because its clock was until now.
async fn led(clock: &FakeClock, gateway: &Gateway, seconds: i64) -> Node {
    // An empty directory has nothing to compare with.
    clock.ahead(seconds);
    let node = seeing(clock, Setup::at(gateway)).start().await;
    node.import(20).await;
    clock.ahead(0);
    node
}

/// That log, metrics and the refusal of a mailing name the lead and the way out, which works.
async fn is_explained_and_ended(node: &Node, lead: &str, ends: i64) {
    let way_out = "notty cluster set-time";
    eventually("the log explains it", SOON, async || {
        let lines = node.process.lines();
        let explains = |line: &String| line.contains(lead) && line.contains(way_out);
        lines.iter().any(explains).then_some(())
    })
    .await;
    assert!(lead_seconds(&node.client).await > 60.0);

    let mailing = crate::support::mailing("m", json!({ "end": minutes_from_now(ends) }));
    let refused = node.client.post("/mailings", &mailing).await;
    let problem = refused.problem(400, "end_passed");
    let detail = problem["detail"].as_str().expect("a text");
    let ahead = format!("{lead} ahead of this node's clock");
    assert!(detail.contains(&ahead), "{detail}");
    assert!(detail.contains(way_out), "{detail}");

    node.client
        .post("/cluster/time", &json!({}))
        .await
        .expect(200);
    until_ready(&node.client).await;
    assert_eq!(lead_seconds(&node.client).await, 0.0);
    node.client.post("/mailings", &mailing).await.expect(201);
    node.until("m", json!({ "done": 20 })).await;
}

#[tokio::test]
async fn after_a_clock_was_ahead_log_metrics_and_refusals_name_the_way_out() {
    waits_mostly();
    let gateway = Gateway::start();
    // An hour is a doubt; two minutes are none, and their line comes from the leader alone.
    for (seconds, lead, ends) in [(3_600, "60 min", 30), (122, "2 min", 1)] {
        let Some(clock) = FakeClock::new() else {
            return;
        };
        let node = led(&clock, &gateway, seconds).await;
        is_explained_and_ended(&node, lead, ends).await;
        node.stop().await;
    }
}
