//! A client that creates mailings and does to them whatever can be done.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    super::{
        dice::Dice,
        gateway::text,
        ledger::{Hours, Mailed, Mark, Subject},
        people::{OPERATORS, TAGS, escaped},
        wire::{Outcome, call},
        world::World,
    },
    pause,
};

/// A mailing whose end is so near, in milliseconds, may be over when the answer comes.
const NEARLY_OVER_MS: i64 = 3_000;

/// Works on the slots whose number leaves this rest, until the round ends.
pub async fn run(world: Arc<World>, mut dice: Dice, rest: u32, of: u32, slots: u32) {
    while world.goes_on() {
        let newest = slots / of;
        // Mostly the newest ones, so that there is always one to be created.
        let among = if dice.chance(500) {
            newest.saturating_sub(4)..newest
        } else {
            0..newest
        };
        let slot = dice.draw(u64::from(among.start)..u64::from(among.end)) as u32 * of + rest;
        let mailed = world.ledger.lock().mailed(slot);
        let answered = match mailed {
            // What became of it an audit will read.
            None => true,
            Some(None) => create(&world, &mut dice, slot).await,
            Some(Some(mailed)) => act(&world, &mut dice, slot, mailed).await,
        };
        world.step();
        if !answered {
            pause().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(dice.draw(1..120))).await;
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A time as the API takes it.
fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .expect("a time of these days")
        .to_string()
}

/// A mailing as the API takes it.
pub fn body(slot: u32, mailed: &Mailed) -> Value {
    let mut body = json!({
        "id": format!("m-{slot}"),
        "desc": mailed.desc.to_string(),
        "text": text(mailed.serial),
        "start": time(mailed.start_ms),
        "end": time(mailed.end_ms),
        "tag_filter": mailed.tag,
        "operator_filter": mailed.operator,
        "phone_filter": mailed.phone,
    });
    if let Some(Hours { from, to }) = mailed.hours {
        let hour = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
        body["send_window"] = json!({ "from": hour(from), "to": hour(to) });
    }
    body
}

/// Hours of the day that begin so many minutes from now, in UTC.
fn hours(from: i64, to: i64) -> Hours {
    let minute = |after: i64| (now_ms() / 60_000 + after).rem_euclid(1_440);
    Hours {
        from: minute(from),
        to: minute(to),
    }
}

/// Hours in which nobody gets anything now, everybody does, or those in Moscow do.
fn draw_hours(dice: &mut Dice) -> Option<Hours> {
    dice.weigh(&[
        (12, None),
        (2, Some(hours(240, 300))),
        (2, Some(hours(-60, 900))),
        (2, Some(hours(150, 210))),
    ])
}

fn filters(dice: &mut Dice) -> [String; 3] {
    let any = || "%".to_owned();
    match dice.draw(0..10) {
        0 => [escaped(dice.pick(&TAGS)), any(), any()],
        1 => ["clients.%".to_owned(), any(), any()],
        2 => ["КЛИЕНТЫ.%".to_owned(), any(), any()],
        3 => ["staff_a".to_owned(), any(), any()],
        4 => [any(), escaped(dice.pick(&OPERATORS)), any()],
        5 => [any(), "м%".to_owned(), any()],
        6 => [any(), any(), format!("+7%{}", dice.draw(0..10))],
        _ => [any(), any(), any()],
    }
}

async fn create(world: &World, dice: &mut Dice, slot: u32) -> bool {
    let serial = world.ledger.lock().next_serial();
    let [tag, operator, phone] = filters(dice);
    let start = now_ms() + dice.weigh(&[(8, -60_000), (2, 1_500)]);
    let lasts = dice.weigh(&[(8, 7_200_000), (1, 2_500), (1, 6_000)]);
    let mailed = Mailed {
        serial,
        mark: Mark::Open,
        held: false,
        tag,
        operator,
        phone,
        start_ms: start,
        end_ms: now_ms() + 2_000 + lasts,
        hours: draw_hours(dice),
        desc: 0,
    };
    world.ledger.lock().allow(&mailed);
    let wanted = Some(mailed.clone());
    write(
        world,
        dice,
        (slot, wanted),
        Method::POST,
        "/mailings",
        Some(body(slot, &mailed)),
    )
    .await
}

/// Something with a mailing that is there.
async fn act(world: &World, dice: &mut Dice, slot: u32, mailed: Mailed) -> bool {
    let path = format!("/mailings/m-{slot}");
    let changed = |mark| {
        Some(Mailed {
            mark,
            ..mailed.clone()
        })
    };
    let post = |what: &str| (Method::POST, format!("{path}/{what}"));
    let choice = dice.draw(0..100);
    match choice {
        0..8 => {
            let (method, path) = post("pause");
            let wanted = match mailed.mark {
                Mark::Cancelled => Some(mailed),
                _ => changed(Mark::Paused),
            };
            write(world, dice, (slot, wanted), method, &path, None).await
        }
        8..40 => resume(world, dice, slot, mailed).await,
        40..42 => {
            let (method, path) = post("cancel");
            write(
                world,
                dice,
                (slot, changed(Mark::Cancelled)),
                method,
                &path,
                None,
            )
            .await
        }
        42..56 => replace(world, dice, slot, mailed).await,
        56..60 if mailed.mark == Mark::Cancelled || dice.chance(250) => {
            write(world, dice, (slot, None), Method::DELETE, &path, None).await
        }
        _ => look(world, dice, slot, &mailed).await,
    }
}

/// One that comes from a backup is resumed with duplicates accepted, or not at all.
async fn resume(world: &World, dice: &mut Dice, slot: u32, mailed: Mailed) -> bool {
    let path = format!("/mailings/m-{slot}/resume");
    if mailed.mark == Mark::Open && !mailed.held {
        return true;
    }
    if mailed.held && !(world.accepts && dice.chance(300)) {
        let answer = world.write(dice, Method::POST, &path, None).await;
        match answer {
            Outcome::Refused { status: 409, .. } => return true,
            Outcome::Not | Outcome::Unknown => return false,
            other => panic!("resuming m-{slot}, which comes from a backup: {other:?}"),
        }
    }
    let wanted = match mailed.mark {
        Mark::Cancelled => mailed.clone(),
        _ => Mailed {
            mark: Mark::Open,
            held: false,
            ..mailed.clone()
        },
    };
    let accept = mailed.held.then(|| json!({ "accept_duplicates": true }));
    if wanted.mark == Mark::Open {
        world.ledger.lock().wake_mailing(&wanted, mailed.held);
    }
    write(
        world,
        dice,
        (slot, Some(wanted)),
        Method::POST,
        &path,
        accept,
    )
    .await
}

/// Changes the end, the hours, or the description.
async fn replace(world: &World, dice: &mut Dice, slot: u32, mailed: Mailed) -> bool {
    let mut wanted = Mailed {
        desc: mailed.desc + 1,
        ..mailed
    };
    let over = wanted.mark == Mark::Cancelled || wanted.end_ms <= now_ms() + NEARLY_OVER_MS;
    if !over {
        match dice.draw(0..3) {
            0 => wanted.end_ms = now_ms() + dice.weigh(&[(1, 4_000), (4, 7_000_000)]),
            1 => wanted.hours = draw_hours(dice),
            _ => {}
        }
    }
    world.ledger.lock().allow(&wanted);

    let path = format!("/mailings/m-{slot}");
    let body = body(slot, &wanted);
    write(
        world,
        dice,
        (slot, Some(wanted)),
        Method::PUT,
        &path,
        Some(body),
    )
    .await
}

/// One write; a POST may be repeated under its key until it is known what came of it.
async fn write(
    world: &World,
    dice: &mut Dice,
    (slot, wanted): (u32, Option<Mailed>),
    method: Method,
    path: &str,
    body: Option<Value>,
) -> bool {
    let repeatable = method == Method::POST && dice.chance(500);
    let key = repeatable.then(|| format!("{}-{}", world.seed, dice.draw(0..u64::MAX)));
    let before = world.ledger.lock().mailed(slot).flatten();

    for _ in 0..if repeatable { 60 } else { 1 } {
        let client = world.fleet.any(dice);
        let mut request = client.request(method.clone(), path);
        request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        if let Some(key) = &key {
            request = request.header("Idempotency-Key", key);
        }
        match call(client, request).await {
            Outcome::Acked { index, body } => {
                if let Some(wanted) = &wanted {
                    check(slot, wanted, &body);
                }
                world
                    .ledger
                    .lock()
                    .ack(Subject::Mailing(slot, wanted), index);
                return true;
            }
            Outcome::Refused { status, code, body } => {
                // A repeat may come so late that the end that was wanted has passed.
                let mut both = before.iter().chain(&wanted);
                let over = both.any(is_nearly_over);
                let by_right = over && (status == 409 || code == "end_passed");
                assert!(
                    by_right,
                    "{method} {path} of {before:?} to {wanted:?}: {status} {body}"
                );
                return true;
            }
            Outcome::Not if !repeatable => return false,
            Outcome::Unknown if !repeatable => break,
            Outcome::Not | Outcome::Unknown => pause().await,
        }
    }
    world.ledger.lock().doubt(Subject::Mailing(slot, wanted));
    false
}

fn is_nearly_over(mailed: &Mailed) -> bool {
    mailed.mark == Mark::Cancelled || mailed.end_ms <= now_ms() + NEARLY_OVER_MS
}

/// A mailing that is read is as it was acknowledged.
pub fn check(slot: u32, mailed: &Mailed, read: &Value) {
    if let Err(why) = differs(slot, mailed, read) {
        panic!("{why}");
    }
}

/// The same, for whoever has a choice.
pub fn differs(slot: u32, mailed: &Mailed, read: &Value) -> Result<(), String> {
    let wanted = body(slot, mailed);
    for (field, value) in wanted.as_object().expect("fields") {
        if read[field] != *value {
            return Err(format!("m-{slot}: {field} is not {value}: {read}"));
        }
    }
    if mailed.hours.is_none() && !read["send_window"].is_null() {
        return Err(format!("m-{slot} has hours: {read}"));
    }
    let status = read["status"].as_str().unwrap_or_default();
    let fits = match mailed.mark {
        Mark::Cancelled => status == "cancelled",
        _ if mailed.end_ms <= now_ms() && status == "finished" => true,
        Mark::Paused => status == "paused",
        Mark::Open if mailed.held => status == "paused",
        // The post office starts it soon after its start, and no sooner than there is one.
        Mark::Open => ["active", "scheduled"].contains(&status),
    };
    if fits {
        Ok(())
    } else {
        Err(format!(
            "m-{slot} is {status}, and must be {mailed:?}: {read}"
        ))
    }
}

async fn look(world: &World, dice: &mut Dice, slot: u32, mailed: &Mailed) -> bool {
    match world.read(dice, &format!("/mailings/m-{slot}")).await {
        None => false,
        Some(Outcome::Acked { body, .. }) => {
            check(slot, mailed, &body);
            true
        }
        Some(other) => panic!("m-{slot} is {mailed:?}, and read is {other:?}"),
    }
}
