//! A client that reads lists and counts, and one that takes backups.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use reqwest::Method;
use serde_json::Value;

use super::{
    super::{
        dice::Dice,
        people::{OPERATORS, TAGS, escaped, like},
        wire::Outcome,
        world::World,
    },
    pause,
};

pub const STATUSES: [&str; 8] = [
    "created",
    "sending",
    "done",
    "failed",
    "invalid",
    "expired",
    "cancelled",
    "unconfirmed",
];

/// A query with its values encoded.
pub fn with(path: &str, params: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(params)
        .finish();
    format!("{path}?{query}")
}

/// The counts of some stats, in the order of the statuses.
pub fn counts(stats: &Value) -> [u64; 8] {
    STATUSES.map(|status| {
        stats[status]
            .as_u64()
            .unwrap_or_else(|| panic!("counts: {stats}"))
    })
}

/// Reads until the round ends; whatever is answered must fit what was asked.
pub async fn run(world: Arc<World>, mut dice: Dice) {
    while world.goes_on() {
        let answered = match dice.draw(0..4) {
            0 => people(&world, &mut dice).await,
            1 => messages(&world, &mut dice).await,
            _ => stats(&world, &mut dice).await,
        };
        world.step();
        if !answered {
            pause().await;
        }
        tokio::time::sleep(Duration::from_millis(dice.draw(1..60))).await;
    }
}

/// The items of a list; none: nobody answered, or what was asked for is not there.
async fn items(world: &World, dice: &mut Dice, path: &str) -> Option<Vec<Value>> {
    match world.read(dice, path).await? {
        Outcome::Acked { body, .. } => Some(body["items"].as_array().expect("items").clone()),
        Outcome::Refused { status: 404, .. } => Some(Vec::new()),
        other => panic!("GET {path}: {other:?}"),
    }
}

async fn people(world: &World, dice: &mut Dice) -> bool {
    let tag = escaped(dice.pick(&TAGS));
    let operator = escaped(dice.pick(&OPERATORS));
    let (field, filter) = dice.pick(&[("tag", tag), ("operator", operator)]);
    let path = with("/customers", &[(field, &filter), ("limit", "50")]);
    let Some(items) = items(world, dice, &path).await else {
        return false;
    };
    for item in items {
        assert!(
            like(&filter, item[field].as_str().expect("a word")),
            "{path}: {item}"
        );
    }
    true
}

async fn messages(world: &World, dice: &mut Dice) -> bool {
    let status = dice.pick(&STATUSES);
    let slot = format!("m-{}", dice.draw(0..12));
    let path = with(
        "/messages",
        &[("status", status), ("mailing", &slot), ("limit", "50")],
    );
    let Some(items) = items(world, dice, &path).await else {
        return false;
    };
    for item in items {
        assert_eq!(item["status"], status, "{path}: {item}");
        assert_eq!(item["mailing_id"], slot, "{path}: {item}");
    }
    true
}

async fn stats(world: &World, dice: &mut Dice) -> bool {
    let tag = escaped(dice.pick(&TAGS));
    let operator = escaped(dice.pick(&OPERATORS));
    let path = match dice.draw(0..4) {
        0 => "/stats".to_owned(),
        1 => with("/stats", &[("tag", &tag)]),
        2 => with("/stats", &[("operator", &operator), ("tag", &tag)]),
        _ => format!(
            "/customers/c-{}/stats",
            dice.draw(0..u64::from(world.people))
        ),
    };
    match world.read(dice, &path).await {
        None => return false,
        Some(Outcome::Acked { body, .. }) => drop(counts(&body)),
        Some(Outcome::Refused { status: 404, .. }) if path.starts_with("/customers") => {}
        Some(other) => panic!("GET {path}: {other:?}"),
    }
    true
}

/// Takes backups now and then, each of which is what a node knew at one position.
pub async fn back_up(world: Arc<World>, mut dice: Dice) {
    while world.goes_on() {
        tokio::time::sleep(Duration::from_millis(dice.draw(50..2_500))).await;
        if !world.goes_on() {
            return;
        }
        world.under_way.backups.fetch_add(1, Ordering::SeqCst);
        take(&world, &mut dice).await;
        world.under_way.backups.fetch_sub(1, Ordering::SeqCst);
        world.step();
    }
}

async fn take(world: &World, dice: &mut Dice) {
    let client = world.fleet.any(dice);
    let request = client
        .request(Method::GET, "/backup")
        .timeout(Duration::from_secs(40));
    let Ok(mut response) = request.send().await else {
        return;
    };
    if response.status() != 200 {
        return;
    }
    let index = response
        .headers()
        .get("notty-index")
        .and_then(|index| index.to_str().ok());
    let index = index
        .and_then(|index| index.parse().ok())
        .expect("a backup has a position");
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(piece)) => bytes.extend_from_slice(&piece),
            Ok(None) => break,
            // The node was killed; what came is no backup.
            Err(_) => return,
        }
    }
    let mut fresh = world.fresh_backups.lock();
    let file = world
        .fleet
        .dir()
        .join(format!("backup-{}-{index}-{}", world.steps(), fresh.len()));
    std::fs::write(&file, bytes).expect("written");
    fresh.push((file, index));
}
