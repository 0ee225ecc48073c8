//! The end: the faults are over, everything that waits may go on, and once all is settled every sum
//! must agree with every other, with the ledger, and with the gateway's book.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    actors::{
        mailings::body,
        readers::{STATUSES, counts},
    },
    audit,
    dice::Dice,
    ledger::{Mailed, Mark, Subject},
    people::{Person, like},
    wire::{Outcome, send},
    world::World,
};

/// How long settling may take: a breaker that opened late waits a minute at most before it probes.
const SETTLED: Duration = Duration::from_secs(150);

/// A mailing that ends within this time is waited for, in milliseconds: longer than comparing takes.
const ENDS_SOON_MS: i64 = 60_000;

/// How long the entries that follow an end may take: it is folded into its customers' totals.
const AT_REST: Duration = Duration::from_secs(20);

/// Requests for customers' counts at once.
const AT_ONCE: usize = 8;

/// Lets everything go on, waits until it is settled, and compares. Returns the counts of all messages.
pub async fn run(world: &Arc<World>, dice: &mut Dice) -> [u64; 8] {
    release(world, dice).await;
    revive(world).await;
    settle(world).await;
    audit::run(world, dice).await;
    let mut last = [0; 8];
    for n in 0..world.fleet.len() {
        let began = Instant::now();
        while !audit::sums(world, n).await {
            assert!(
                began.elapsed() < AT_REST,
                "something changes although all is settled"
            );
        }
        last = by_mailing(world, n).await;
        if n == 0 {
            nobody_is_missing(world, n).await;
            by_customer(world, n, last).await;
        }
    }
    audit::complaints(world);
    last
}

/// Resumes, opens and cancels, until only time is left to wait for.
async fn release(world: &World, dice: &mut Dice) {
    let slots = world.ledger.lock().slots();
    for slot in slots {
        let mailed = world.ledger.lock().known.mailings[&slot].clone();
        let accepts = mailed.held && world.accepts && dice.chance(500);
        if mailed.mark == Mark::Cancelled || mailed.end_ms <= now_ms() + 3_000 {
            continue;
        }
        if mailed.mark == Mark::Paused && !mailed.held && dice.chance(300) {
            let wanted = Mailed {
                mark: Mark::Cancelled,
                ..mailed
            };
            must(world, slot, wanted, "cancel", None).await;
            continue;
        }
        let mut wanted = mailed.clone();
        if mailed.hours.is_some() {
            wanted.hours = None;
            world.ledger.lock().allow(&wanted);
            put(world, slot, &wanted).await;
        }
        if accepts || (!mailed.held && mailed.mark == Mark::Paused) {
            wanted = Mailed {
                mark: Mark::Open,
                held: false,
                ..wanted
            };
            world.ledger.lock().wake_mailing(&wanted, accepts);
            let body = accepts.then(|| json!({ "accept_duplicates": true }));
            must(world, slot, wanted, "resume", body).await;
        }
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

async fn must(world: &World, slot: u32, wanted: Mailed, what: &str, body: Option<Value>) {
    let path = format!("/mailings/m-{slot}/{what}");
    match send(world.fleet.client(0), Method::POST, &path, body.as_ref()).await {
        Outcome::Acked { index, .. } => {
            world
                .ledger
                .lock()
                .ack(Subject::Mailing(slot, Some(wanted)), index);
        }
        other => panic!("{path} of {wanted:?}: {other:?}"),
    }
}

async fn put(world: &World, slot: u32, wanted: &Mailed) {
    let path = format!("/mailings/m-{slot}");
    let body = body(slot, wanted);
    match send(world.fleet.client(0), Method::PUT, &path, Some(&body)).await {
        Outcome::Acked { index, .. } => {
            world
                .ledger
                .lock()
                .ack(Subject::Mailing(slot, Some(wanted.clone())), index);
        }
        other => panic!("PUT {path} as {wanted:?}: {other:?}"),
    }
}

/// Creates all customers that are not there: then each message is some customer's, and the counts of
/// all customers must be the total.
async fn revive(world: &World) {
    let gone: Vec<u32> = {
        let ledger = world.ledger.lock();
        (0..world.people)
            .filter(|n| ledger.known.people[*n as usize].is_none())
            .collect()
    };
    for number in gone {
        let person = world.ledger.lock().next_version(number);
        world.ledger.lock().wake_person(number);
        let began = Instant::now();
        loop {
            let body = person.body();
            match send(
                world.fleet.client(0),
                Method::POST,
                "/customers",
                Some(&body),
            )
            .await
            {
                Outcome::Acked { index, .. } => {
                    let subject = Subject::Customer(number, Some(person.version));
                    world.ledger.lock().ack(subject, index);
                    break;
                }
                // Its messages are still being cancelled.
                Outcome::Not if began.elapsed() < Duration::from_secs(30) => {}
                other => panic!("reviving {person:?}: {other:?}"),
            }
        }
    }
}

/// Waits until no message waits and nobody is looked for any more.
async fn settle(world: &World) {
    let began = Instant::now();
    loop {
        let mailings = world.all(0, "/mailings").await;
        let unsettled: Vec<_> = mailings
            .into_iter()
            .filter(|mailing| !is_settled(mailing))
            .collect();
        let total = counts(&world.need(0, "/stats").await.1);
        let open = total[0] + total[1] + total[3];
        if unsettled.is_empty() && open == 0 {
            break;
        }
        if began.elapsed() > SETTLED {
            panic!(
                "not settled within {SETTLED:?}: {open} messages are open of {total:?}, and {} \
                 mailings: {unsettled:#?}: {}",
                unsettled.len(),
                world.fleet.tell_all().await
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for n in 1..world.fleet.len() {
        // Each node has what the first one has.
        let (index, _) = world.need(0, "/stats").await;
        world.ledger.lock().see(index);
        world.need(n, "/stats").await;
    }
}

fn is_settled(mailing: &Value) -> bool {
    let status = mailing["status"].as_str().unwrap_or_default();
    if matches!(status, "finished" | "cancelled") {
        return true;
    }
    // What ends amid the comparison would change it.
    let end: jiff::Timestamp = mailing["end"]
        .as_str()
        .unwrap_or_default()
        .parse()
        .expect("a time in RFC 3339");
    let ends_soon = end.as_millisecond() < now_ms() + ENDS_SOON_MS;
    // A paused one is held by a restore: it looks for nobody.
    !ends_soon && (status == "paused" || mailing["caught_up"] == true)
}

/// The lists by mailing, the lists by status and the counts of mailings are the total, but for what
/// deleted mailings keep of it. Returns the total.
async fn by_mailing(world: &World, n: usize) -> [u64; 8] {
    let total = counts(&world.need(n, "/stats").await.1);
    let mut listed = [0; 8];
    let slots = world.ledger.lock().slots();
    for slot in slots {
        let sums = audit::messages(world, n, slot).await;
        for path in [
            format!("/mailings/m-{slot}/stats"),
            format!("/stats/mailings/m-{slot}"),
        ] {
            let stats = counts(&world.need(n, &path).await.1);
            assert_eq!(
                stats, sums,
                "notty-{n}: {path} and the list of its messages"
            );
        }
        audit::add(&mut listed, &sums);
    }
    for (place, status) in STATUSES.iter().enumerate() {
        let items = world.all(n, &format!("/messages?status={status}")).await;
        assert_eq!(
            items.len() as u64,
            listed[place],
            "notty-{n}: {status} messages listed"
        );
        assert!(
            listed[place] <= total[place],
            "{status}: {listed:?} of {total:?}"
        );
    }
    if world.ledger.lock().deleted_mailings == 0 {
        assert_eq!(listed, total, "notty-{n}: nothing was deleted");
    }
    total
}

/// What the gateway took in this life of the cluster is listed, unless its mailing was deleted; and
/// of mailings that go on everyone who matches has a message.
async fn nobody_is_missing(world: &World, n: usize) {
    let mut listed: HashMap<u32, HashSet<String>> = HashMap::new();
    let mut ids = HashSet::new();
    for item in world.all(n, "/messages").await {
        let slot = item["mailing_id"]
            .as_str()
            .and_then(|id| id.strip_prefix("m-")?.parse().ok());
        let slot: u32 = slot.unwrap_or_else(|| panic!("nobody's message: {item}"));
        let customer = item["customer_id"].as_str().expect("an id").to_owned();
        listed.entry(slot).or_default().insert(customer);
        let id: u64 = item["id"]
            .as_str()
            .and_then(|id| id.parse().ok())
            .expect("an id");
        assert!(ids.insert(id), "message {id} is listed twice");
    }
    let mailings: BTreeMap<u32, Mailed> = world.ledger.lock().known.mailings.clone();
    let serials: HashSet<u32> = mailings.values().map(|mailed| mailed.serial).collect();
    for (id, record) in world.gateway.book(|book| book.taken_now()) {
        let lost = serials.contains(&record.serial) && !ids.contains(&id);
        assert!(
            !lost,
            "the gateway took message {id}, which is nowhere: {record:?}"
        );
    }
    for (slot, mailed) in mailings {
        let (_, read) = world.need(n, &format!("/mailings/m-{slot}")).await;
        if !audit::reaches_all(&mailed, &read) {
            continue;
        }
        let got = listed.remove(&slot).unwrap_or_default();
        for person in matching(world, &mailed) {
            assert!(
                got.contains(&person.id()),
                "{person:?} matches {mailed:?}, and got nothing"
            );
        }
    }
}

/// The customers who match a mailing now.
fn matching(world: &World, mailed: &Mailed) -> Vec<Person> {
    let ledger = world.ledger.lock();
    let people = (0..).zip(&ledger.known.people);
    let people =
        people.filter_map(|(number, standing)| standing.map(|version| Person { number, version }));
    let matches = |person: &Person| {
        like(&mailed.tag, person.tag())
            && like(&mailed.operator, person.operator())
            && like(&mailed.phone, &person.phone())
    };
    people.filter(matches).collect()
}

/// The counts of all customers add up to the total.
async fn by_customer(world: &Arc<World>, n: usize, total: [u64; 8]) {
    let paths = (0..world.people).map(|number| format!("/customers/c-{number}/stats"));
    let read = futures_util::stream::iter(paths)
        .map(|path| async move { counts(&world.need(n, &path).await.1) })
        .buffer_unordered(AT_ONCE);
    let sum = read.fold([0; 8], async |mut sum, stats| {
        audit::add(&mut sum, &stats);
        sum
    });
    assert_eq!(sum.await, total, "notty-{n}: the counts of all customers");
}
