//! The audit after each fault: what was acknowledged is there, what may be is one of what it may be,
//! the gateway has nothing to complain of, and the sums agree.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    actors::{
        mailings,
        readers::{counts, with},
    },
    dice::Dice,
    gateway::Fate,
    ledger::{Mailed, Mark, Standing},
    people::{OPERATORS, Person, TAGS, escaped},
    world::World,
};

/// How long a command that a node passed on may still wait for its entry.
const PASSED_ON: Duration = Duration::from_millis(1_500);

/// All nodes are there again and the actors have ended: compares everything with the ledger.
pub async fn run(world: &Arc<World>, dice: &mut Dice) {
    if world.fleet.len() > 1 {
        tokio::time::sleep(PASSED_ON).await;
    }
    complaints(world);
    world.fleet.look_at_logs();
    let n = dice.draw(0..world.fleet.len() as u64) as usize;
    people(world, n).await;
    mailings(world, n).await;
    let slots = world.ledger.lock().slots();
    if !slots.is_empty() {
        messages(world, n, dice.pick(&slots)).await;
    }
    complaints(world);
}

/// What the gateway found wrong.
pub fn complaints(world: &World) {
    let wrong = world.gateway.book(|book| book.violations());
    assert!(wrong.is_empty(), "the gateway: {wrong:#?}");
}

/// Reads all customers and compares.
async fn people(world: &World, n: usize) {
    let mut read: HashMap<u32, Value> = HashMap::new();
    for item in world.all(n, "/customers").await {
        let number = Person::number_of(item["id"].as_str().unwrap_or_default());
        let number = number.unwrap_or_else(|| panic!("nobody created {item}"));
        let twice = read.insert(number, item);
        assert!(
            twice.is_none(),
            "customer {number} is listed twice: {twice:?}"
        );
    }

    let mut ledger = world.ledger.lock();
    for number in 0..world.people {
        let item = read.get(&number);
        let fits = |standing: &Standing| match (standing, item) {
            (None, None) => true,
            (Some(version), Some(item)) => {
                *item
                    == Person {
                        number,
                        version: *version,
                    }
                    .body()
            }
            _ => false,
        };
        let known = ledger.known.people[number as usize];
        let choices: Vec<_> = ledger
            .maybe
            .people
            .get(&number)
            .into_iter()
            .flatten()
            .collect();
        let found = choices
            .into_iter()
            .chain([&known])
            .find(|standing| fits(standing))
            .copied();
        match found {
            Some(standing) if ledger.maybe.people.contains_key(&number) || standing != known => {
                ledger.adopt_person(number, standing);
            }
            Some(_) => {}
            None => panic!(
                "customer {number} is {item:?}; acknowledged is {known:?}, and possible {:?}",
                ledger.maybe.people.get(&number)
            ),
        }
    }
}

/// Reads all mailings and compares.
async fn mailings(world: &World, n: usize) {
    let mut read: BTreeMap<u32, Value> = BTreeMap::new();
    for item in world.all(n, "/mailings").await {
        let slot = item["id"]
            .as_str()
            .and_then(|id| id.strip_prefix("m-")?.parse().ok());
        let slot = slot.unwrap_or_else(|| panic!("nobody created {item}"));
        assert!(
            read.insert(slot, item).is_none(),
            "m-{slot} is listed twice"
        );
    }

    let mut ledger = world.ledger.lock();
    let maybe: Vec<_> = ledger.maybe.mailings.keys().copied().collect();
    let mut slots = ledger.slots();
    slots.extend(maybe.into_iter().chain(read.keys().copied()));
    for slot in slots {
        let item = read.get(&slot);
        let known = ledger.known.mailings.get(&slot).cloned();
        let mut choices = ledger
            .maybe
            .mailings
            .get(&slot)
            .cloned()
            .unwrap_or_default();
        choices.push(known.clone());
        let fits = |choice: &&Option<Mailed>| match (choice, item) {
            (None, None) => true,
            (Some(mailed), Some(item)) => mailings::differs(slot, mailed, item).is_ok(),
            _ => false,
        };
        let Some(found) = choices.iter().find(fits).cloned() else {
            panic!("m-{slot} is {item:?}; acknowledged or possible is {choices:#?}");
        };
        let was_certain = !ledger.maybe.mailings.contains_key(&slot);
        if !was_certain || found != known {
            ledger.adopt_mailing(slot, found);
        }
    }
}

/// Reads the messages of one mailing and compares them with the gateway's book; returns its counts.
pub async fn messages(world: &World, n: usize, slot: u32) -> [u64; 8] {
    // What is taken while the list is read may be listed as it was before.
    let began = Instant::now();
    let items = world.all(n, &format!("/messages?mailing=m-{slot}")).await;
    let mut customers = HashMap::new();
    let mut sums = [0; 8];
    for item in &items {
        let customer = item["customer_id"].as_str().expect("an id");
        if let Some(other) = customers.insert(customer, item) {
            panic!("{customer} is in m-{slot} twice: {item} and {other}");
        }
        sums[compare(world, item, began)] += 1;
    }
    sums
}

/// Compares a message with the book; the place of its status.
fn compare(world: &World, item: &Value, began: Instant) -> usize {
    let id: u64 = item["id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .expect("an id");
    let status = item["status"].as_str().unwrap_or_default();
    let place = super::actors::readers::STATUSES
        .iter()
        .position(|known| *known == status);
    let place = place.unwrap_or_else(|| panic!("no such status: {item}"));
    let record = world.gateway.book(|book| book.record(id));
    let Some(record) = record else {
        assert!(
            !["done", "invalid"].contains(&status),
            "the gateway never had it: {item}"
        );
        return place;
    };

    let phone = format!("\"{}\"", record.person.phone());
    assert_eq!(
        item["phone"].to_string(),
        phone,
        "the gateway has {record:?}: {item}"
    );
    let customer = item["customer_id"].as_str();
    assert_eq!(
        customer,
        Some(record.person.id().as_str()),
        "the gateway has {record:?}: {item}"
    );
    assert_eq!(
        item["text"],
        super::gateway::text(record.serial),
        "{record:?}: {item}"
    );

    let taken = record.taken.is_some_and(|at| at < began);
    let fits = match status {
        "done" => record.confirmed,
        "invalid" => record.fate == Fate::Invalid,
        "sending" | "unconfirmed" => true,
        // With an idempotent gateway what is unclear is tried again.
        "failed" => !taken || world.idempotent,
        _ => !taken,
    };
    assert!(fits, "the gateway has {record:?}: {item}");
    place
}

/// Holds the gateway's answers for a moment, so that nothing changes, and compares all sums with each
/// other. False: something did change.
pub async fn sums_at_rest(world: &World, n: usize) -> bool {
    world.gateway.hold(true);
    let began = Instant::now();
    let mut agreed = false;
    while !agreed && began.elapsed() < Duration::from_millis(1_500) {
        agreed = sums(world, n).await;
    }
    world.gateway.hold(false);
    agreed
}

/// Compares all sums, if nothing changes meanwhile.
pub async fn sums(world: &World, n: usize) -> bool {
    let (index, total) = world.need(n, "/stats").await;
    let total = counts(&total);
    let mut sums: Vec<(&str, [u64; 8])> = Vec::new();
    let all: Vec<Vec<(&str, &str)>> = vec![vec![("tag", "%")], vec![("operator", "%")]];
    for params in &all {
        sums.push((
            "any",
            counts(&world.need(n, &with("/stats", params)).await.1),
        ));
    }

    let mut by_tag = [0; 8];
    for tag in TAGS {
        add(
            &mut by_tag,
            &stats(world, n, &[("tag", &escaped(tag))]).await,
        );
    }
    let mut by_operator = [0; 8];
    for operator in OPERATORS {
        add(
            &mut by_operator,
            &stats(world, n, &[("operator", &escaped(operator))]).await,
        );
    }
    sums.extend([("tag", by_tag), ("operator", by_operator)]);
    sums.push(("day", by_day(world, n).await));

    let (again, last) = world.need(n, "/stats").await;
    if again != index || counts(&last) != total {
        return false;
    }
    for (by, sum) in sums {
        assert_eq!(
            sum, total,
            "sums by {by} are not the total, on notty-{n} at {index}"
        );
    }
    true
}

/// The days of this run, each by itself.
async fn by_day(world: &World, n: usize) -> [u64; 8] {
    let today = jiff::tz::Offset::UTC
        .to_datetime(jiff::Timestamp::now())
        .date();
    let yesterday = today.yesterday().expect("a day");
    let tomorrow = today.tomorrow().expect("a day").to_string();
    let mut sum = stats(world, n, &[("to", &yesterday.to_string())]).await;
    let day = today.to_string();
    add(
        &mut sum,
        &stats(world, n, &[("from", &day), ("to", &day)]).await,
    );
    add(&mut sum, &stats(world, n, &[("from", &tomorrow)]).await);
    sum
}

async fn stats(world: &World, n: usize, params: &[(&str, &str)]) -> [u64; 8] {
    counts(&world.need(n, &with("/stats", params)).await.1)
}

pub fn add(sum: &mut [u64; 8], counts: &[u64; 8]) {
    sum.iter_mut()
        .zip(counts)
        .for_each(|(sum, count)| *sum += count);
}

/// Whether a mailing has nothing more to do: what a customer who matches now may not be missing from.
pub fn reaches_all(mailed: &Mailed, read: &Value) -> bool {
    mailed.mark == Mark::Open && !mailed.held && read["status"] == "active"
}
