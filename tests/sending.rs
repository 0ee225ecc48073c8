//! Who gets a mailing, and when: start and end, windows, pauses, late customers, fairness.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    Gateway, Setup, eventually, minutes_from_now, sample_csv, total, waits_mostly,
};

const SOON: Duration = Duration::from_secs(30);

pub(crate) fn in_seconds(seconds: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)).to_string()
}

#[tokio::test]
async fn every_customer_that_matches_gets_it_once() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    node.import(3_000).await;
    let filters = json!({ "tag_filter": "CLIENTS.%", "operator_filter": "м%",
        "phone_filter": "+7000___1%" });
    node.mail("some", filters.clone()).await;
    node.until_field("some", "caught_up", json!(true)).await;
    let wanted = (1..=3_000).filter(|n| {
        n % 3 != 2 && matches!(n % 4, 0 | 2) && format!("{n:07}").as_bytes()[3] == b'1'
    });
    let wanted = wanted.count() as u64;
    assert!(wanted > 100);
    node.until("some", json!({ "done": wanted })).await;
    assert_eq!(gateway.count("messages").await, wanted);
    assert_eq!(gateway.count("duplicates").await, 0);
}

#[tokio::test]
async fn a_mailing_starts_and_ends_at_its_time_to_the_second() {
    waits_mostly();
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    node.import(10).await;
    let began = Instant::now();
    let times = json!({ "start": in_seconds(6), "end": in_seconds(9) });
    node.mail("timed", times).await;
    node.until_field("timed", "status", json!("scheduled"))
        .await;
    assert_eq!(total(&node.stats("timed").await), 0);
    gateway.requests(1).await;
    let started = began.elapsed().as_secs_f64();
    node.until_field("timed", "status", json!("finished")).await;
    let ended = began.elapsed().as_secs_f64();
    // Times have whole milliseconds here, and a look takes 20 of them.
    assert!(started >= 4.9, "{started}");
    assert!(ended >= 7.9, "{ended}");
    assert_eq!(gateway.count("messages").await, 10);
}

#[tokio::test]
async fn who_was_not_reached_at_the_end_is_listed_as_expired() {
    waits_mostly();
    let gateway = Gateway::with(&["--latency-ms", "100"]);
    let node = Setup::at(&gateway)
        .set("NOTTY_GATEWAY__CONCURRENCY", "1")
        .start()
        .await;
    node.import(5_000).await;
    node.mail("short", json!({ "end": in_seconds(6) })).await;
    node.until_field("short", "status", json!("finished")).await;
    let stats = node.stats("short").await;
    let done = stats["done"].as_u64().expect("a count");
    assert!(done > 5, "{stats}");
    assert_eq!(stats["expired"], 5_000 - done, "{stats}");
    assert_eq!(gateway.count("messages").await, done);
}

#[tokio::test]
async fn a_pause_holds_within_a_second_and_a_resume_goes_on() {
    waits_mostly();
    let gateway = Gateway::with(&["--latency-ms", "20"]);
    let node = Setup::at(&gateway)
        .set("NOTTY_GATEWAY__CONCURRENCY", &IN_FLIGHT.to_string())
        .start()
        .await;
    node.import(4_000).await;
    node.mail("held", json!({})).await;
    gateway.requests(100).await;
    node.client.poke("/mailings/held/pause").await.expect(200);
    holds_within_a_second(&gateway).await;
    assert_eq!(
        node.client.get("/mailings/held").await.expect(200)["status"],
        "paused"
    );
    node.client.poke("/mailings/held/resume").await.expect(200);
    node.until("held", json!({ "done": 4_000 })).await;
    assert_eq!(gateway.count("duplicates").await, 0);
}

/// Requests in flight at most in the tests of what holds within a second.
const IN_FLIGHT: u64 = 8;

/// From a second after this call on, no request is sent for another second. Those that were on their way
/// may still come: a busy gateway takes them late.
async fn holds_within_a_second(gateway: &Gateway) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    ticks.tick().await;
    let after_a_second = gateway.count("requests").await;
    ticks.tick().await;
    let came_later = gateway.count("requests").await - after_a_second;
    assert!(came_later <= IN_FLIGHT, "{came_later}");
}

#[tokio::test]
async fn a_cancellation_holds_within_a_second_and_settles_the_rest() {
    let gateway = Gateway::with(&["--latency-ms", "20"]);
    let node = Setup::at(&gateway)
        .set("NOTTY_GATEWAY__CONCURRENCY", &IN_FLIGHT.to_string())
        .start()
        .await;
    node.import(4_000).await;
    node.mail("stopped", json!({})).await;
    gateway.requests(100).await;
    node.client
        .poke("/mailings/stopped/cancel")
        .await
        .expect(200);
    holds_within_a_second(&gateway).await;
    let settled = eventually("all is settled", SOON, async || {
        let stats = node.stats("stopped").await;
        let open = ["created", "sending", "failed"].map(|status| stats[status].as_u64());
        (open == [Some(0); 3]).then_some(stats)
    })
    .await;
    let requests = gateway.count("messages").await;
    assert_eq!(settled["done"], requests, "{settled}");
    assert_eq!(settled["unconfirmed"], 0, "{settled}");
    let mailing = node.client.get("/mailings/stopped").await.expect(200);
    assert_eq!(mailing["status"], "cancelled");
    node.client
        .poke("/mailings/stopped/resume")
        .await
        .problem(409, "mailing_over");
}

#[tokio::test]
async fn a_customer_who_comes_to_match_later_gets_it_once() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    node.import(30).await;
    node.mail("late", json!({ "tag_filter": "staff" })).await;
    node.until("late", json!({ "done": 10 })).await;
    // A new one, and one that changes its tag twice.
    let staff = json!({ "phone": "+79161112233", "tag": "staff" });
    node.client.post("/customers", &staff).await.expect(201);
    for tag in ["staff", "else", "staff"] {
        let changed = json!({ "phone": "+79161112244", "tag": tag });
        node.client
            .put("/customers/customer-1", &changed)
            .await
            .expect(200);
    }
    node.until("late", json!({ "done": 12 })).await;
    node.until_field("late", "caught_up", json!(true)).await;
    assert_eq!(gateway.count("messages").await, 12);
    assert_eq!(gateway.count("duplicates").await, 0);
}

#[tokio::test]
async fn a_deleted_customer_gets_nothing_more_even_when_imported_again() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    node.import(20).await;
    node.mail("once", json!({})).await;
    node.until("once", json!({ "done": 20 })).await;
    node.client
        .delete("/customers/customer-7")
        .await
        .expect(204);
    node.client
        .get("/customers/customer-7")
        .await
        .problem(404, "not_found");
    node.client
        .upload("/customers/import", "text/csv", sample_csv(7, 7))
        .await
        .expect(200);
    node.client.get("/customers/customer-7").await.expect(200);
    node.until_field("once", "caught_up", json!(true)).await;
    assert_eq!(gateway.count("messages").await, 20);

    // One that is deleted while its message waits.
    gateway.behave(json!({ "fail_per_mille": 1000 })).await;
    node.mail("twice", json!({})).await;
    gateway.requests(40).await;
    node.client
        .delete("/customers/customer-8")
        .await
        .expect(204);
    gateway.behave(json!({})).await;
    node.until("twice", json!({ "done": 19, "cancelled": 1 }))
        .await;
}

#[tokio::test]
async fn outside_its_window_a_mailing_waits_for_each_customers_local_time() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway)
        .set("NOTTY_NODE__TIMEZONE", "Pacific/Kiritimati")
        .start()
        .await;
    // Ten hours apart at least: when one window is open, the others are closed.
    let csv = "id,phone,timezone\na,+79160000001,Etc/GMT-4\nb,+79160000002,Etc/GMT+8\n\
               c,+79160000003,\n";
    node.client
        .upload("/customers/import", "text/csv", csv)
        .await
        .expect(200);
    let here = jiff::tz::TimeZone::get("Etc/GMT-4")
        .expect("zone")
        .to_datetime(jiff::Timestamp::now());
    let time = |hours: i64| {
        let time = here + jiff::SignedDuration::from_hours(hours);
        format!("{:02}:{:02}", time.hour(), time.minute())
    };
    let window = json!({ "from": time(-1), "to": time(2) });
    node.mail("windowed", json!({ "send_window": window }))
        .await;
    eventually("one is done", SOON, async || {
        (node.stats("windowed").await["done"] == 1).then_some(())
    })
    .await;
    let messages = node.messages("windowed").await;
    let done = messages
        .iter()
        .find(|message| message["status"] == "done")
        .expect("one");
    assert_eq!(done["customer_id"], "a");
    // Opened for everyone, the others get theirs.
    let mut mailing = node.client.get("/mailings/windowed").await.expect(200);
    mailing
        .as_object_mut()
        .expect("fields")
        .remove("send_window");
    node.client
        .put("/mailings/windowed", &mailing)
        .await
        .expect(200);
    node.until("windowed", json!({ "done": 3 })).await;
    assert_eq!(gateway.count("duplicates").await, 0);
}

#[tokio::test]
async fn mailings_that_run_at_once_share_the_gateway() {
    let gateway = Gateway::with(&["--latency-ms", "5"]);
    let node = Setup::at(&gateway)
        .set("NOTTY_GATEWAY__CONCURRENCY", "8")
        .set("NOTTY_LEASE__SIZE", "100")
        .start()
        .await;
    node.import(6_000).await;
    for id in ["first", "second", "third"] {
        node.mail(id, json!({})).await;
    }
    let done = async |id: &str| node.stats(id).await["done"].as_u64().expect("a count");
    eventually("the last one gets on", SOON, async || {
        (done("third").await >= 1_000).then_some(())
    })
    .await;
    let (first, second) = (done("first").await, done("second").await);
    // Messages of small leases go ahead of large ones every other time, so that the shares differ.
    let share = 200..6_000;
    assert!(
        share.contains(&first) && share.contains(&second),
        "{first} {second}"
    );
}

#[tokio::test]
async fn leases_of_a_few_messages_are_leases_too() {
    let gateway = Gateway::start();
    for size in ["1", "7"] {
        let node = Setup::at(&gateway)
            .set("NOTTY_LEASE__SIZE", size)
            .start()
            .await;
        node.import(50).await;
        node.mail("small", json!({})).await;
        node.until("small", json!({ "done": 50 })).await;
    }
}

#[tokio::test]
async fn a_slow_rate_is_shared_by_mailings_too() {
    waits_mostly();
    let gateway = Gateway::start();
    let node = Setup::at(&gateway)
        .set("NOTTY_GATEWAY__RATE_LIMIT", "10")
        .start()
        .await;
    node.import(60).await;
    for id in ["one", "two"] {
        node.mail(id, json!({})).await;
    }
    gateway.requests(30).await;
    // One after the other, the first would have them all.
    for id in ["one", "two"] {
        let done = node.stats(id).await["done"].as_u64().expect("a count");
        assert!(done >= 8, "{id}: {done}");
    }
}

#[tokio::test]
async fn the_rate_limit_holds() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway)
        .set("NOTTY_GATEWAY__RATE_LIMIT", "200")
        .start()
        .await;
    node.import(600).await;
    let began = Instant::now();
    node.mail("slow", json!({})).await;
    node.until("slow", json!({ "done": 600 })).await;
    let took = began.elapsed().as_secs_f64();
    assert!(took >= 2.5, "{took}");
}

#[tokio::test]
async fn what_a_node_tells_of_a_mailing_fits_together() {
    let gateway = Gateway::with(&["--fail-per-mille", "100", "--invalid-per-mille", "50"]);
    let node = Setup::at(&gateway)
        .set("NOTTY_RETRY__INITIAL_MS", "50")
        .start()
        .await;
    node.import(2_000).await;
    node.mail("sums", json!({})).await;
    let settled = eventually("it is caught up", SOON, async || {
        let mailing = node.client.get("/mailings/sums").await.expect(200);
        let stats = node.stats("sums").await;
        assert!(total(&stats) <= 2_000, "{stats}");
        (mailing["caught_up"] == true).then_some(stats)
    })
    .await;
    assert_eq!(total(&settled), 2_000);
    assert_eq!(settled["done"], gateway.count("messages").await);
    for path in [
        "/stats",
        "/stats?tag=%25&operator=%25",
        "/mailings/sums/stats",
    ] {
        assert_eq!(node.client.get(path).await.expect(200), settled, "{path}");
    }
    let mut ids = BTreeSet::new();
    let mut after = String::new();
    loop {
        let path = format!("/messages?mailing=sums&limit=700{after}");
        let page = node.client.get(&path).await.expect(200);
        for message in page["items"].as_array().expect("items") {
            ids.insert(message["id"].as_str().expect("an id").to_owned());
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(ids.len(), 2_000);
    let taken: BTreeSet<_> = gateway.taken().await.iter().map(u64::to_string).collect();
    assert!(taken.is_subset(&ids));
}

#[tokio::test]
async fn messages_of_finished_mailings_go_after_their_time_and_totals_stay() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway)
        .set("NOTTY_RETENTION__FINISHED_DAYS", "0")
        .start()
        .await;
    node.import(1_500).await;
    node.mail("gone", json!({})).await;
    node.until("gone", json!({ "done": 1_500 })).await;
    let mut soon = node.client.get("/mailings/gone").await.expect(200);
    soon["end"] = in_seconds(2).into();
    node.client.put("/mailings/gone", &soon).await.expect(200);
    node.until_field("gone", "status", json!("finished")).await;
    eventually("its messages are gone", SOON, async || {
        node.messages("gone").await.is_empty().then_some(())
    })
    .await;
    assert_eq!(node.stats("gone").await["done"], 1_500);
    let of_customer = node
        .client
        .get("/stats/customers/customer-9")
        .await
        .expect(200);
    assert_eq!(of_customer["done"], 1, "{of_customer}");
    assert_eq!(node.client.get("/stats").await.expect(200)["done"], 1_500);
}

#[tokio::test]
async fn a_started_mailing_changes_only_where_it_may() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    node.import(1).await;
    node.mail("running", json!({})).await;
    node.until("running", json!({ "done": 1 })).await;
    let now = node.client.get("/mailings/running").await.expect(200);
    node.client.put("/mailings/running", &now).await.expect(200);
    let with = |field: &str, value: Value| {
        let mut changed = now.clone();
        changed[field] = value;
        changed
    };
    for (field, value) in [
        ("desc", json!("another")),
        ("end", json!(minutes_from_now(90))),
        ("send_window", json!({ "from": "00:00", "to": "23:59" })),
    ] {
        node.client
            .put("/mailings/running", &with(field, value))
            .await
            .expect(200);
    }
    for (field, value) in [
        ("text", json!("another")),
        ("start", json!(minutes_from_now(9))),
        ("tag_filter", json!("x")),
        ("phone_filter", json!("x")),
        ("operator_filter", json!("x")),
    ] {
        let answer = node
            .client
            .put("/mailings/running", &with(field, value))
            .await;
        answer.problem(409, "mailing_started");
    }
}
