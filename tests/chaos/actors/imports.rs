//! A client that imports files of customers, some rows of which are wrong.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use reqwest::{Body, Method};
use serde_json::{Value, json};

use super::{
    super::{
        dice::Dice,
        ledger::Subject,
        people::{Person, VERSIONS},
        wire::{Outcome, call},
        world::World,
    },
    pause,
};

/// Rows of one file, at most.
const ROWS: u64 = 3_000;

/// A file, whose rows are on its lines.
struct File {
    text: String,
    kind: &'static str,
    /// Rows that are right: which line, and who.
    right: Vec<(u64, Person)>,
    /// Rows that are not: which line, and the code of the fault.
    wrong: BTreeMap<u64, &'static str>,
}

/// Imports now and then.
pub async fn run(world: Arc<World>, mut dice: Dice) {
    while world.goes_on() {
        let rows = dice.draw(1..ROWS.min(u64::from(world.people - world.own)) + 1) as u32;
        let first = world.own + dice.draw(0..u64::from(world.people - world.own - rows) + 1) as u32;
        let file = file(&world, &mut dice, first..first + rows, 20);
        let answered = upload(&world, &mut dice, &file).await;
        world.step();
        if !answered {
            pause().await;
        }
        tokio::time::sleep(Duration::from_millis(dice.draw(50..500))).await;
    }
}

/// Imports all customers once, for a beginning.
pub async fn fill(world: &World, dice: &mut Dice) {
    let mut first = 0;
    while first < world.people {
        let to = world.people.min(first + 10 * ROWS as u32);
        let file = file(world, dice, first..to, 0);
        assert!(
            upload(world, dice, &file).await,
            "the first import is answered"
        );
        first = to;
    }
}

/// A file with new versions of these customers, so many of a thousand rows wrong.
fn file(world: &World, dice: &mut Dice, numbers: std::ops::Range<u32>, wrong: u32) -> File {
    let csv = dice.chance(500);
    let (mut text, kind) = match csv {
        true => (
            "id,name,phone,operator,tag,timezone\n".to_owned(),
            "text/csv",
        ),
        false => (String::new(), "application/x-ndjson"),
    };
    let mut file = File {
        text: String::new(),
        kind,
        right: Vec::new(),
        wrong: BTreeMap::new(),
    };
    let mut line = u64::from(csv);
    let mut ledger = world.ledger.lock();
    for number in numbers {
        let usable = ledger.standing(number).is_some() && ledger.latest_version(number) < VERSIONS;
        if !usable {
            continue;
        }
        line += 1;
        if dice.chance(wrong) {
            let (row, code) = wrong_row(dice, csv, number);
            text += &row;
            file.wrong.insert(line, code);
            continue;
        }
        let person = ledger.next_version(number);
        ledger.wake_person(number);
        text += &if csv {
            person.row()
        } else {
            format!("{}\n", person.object())
        };
        file.right.push((line, person));
    }
    drop(ledger);
    File { text, ..file }
}

fn wrong_row(dice: &mut Dice, csv: bool, number: u32) -> (String, &'static str) {
    let row = |id: &str, phone: &str, zone: &str| {
        if csv {
            format!("{id},wrong,{phone},,,{zone}\n")
        } else {
            format!(
                "{}\n",
                json!({ "id": id, "phone": phone, "timezone": zone })
            )
        }
    };
    let id = format!("c-{number}");
    match dice.draw(0..4) {
        0 => (row(&id, "+7", "UTC"), "invalid_phone"),
        1 => (row(&id, "+79161112233", "Mars/Base"), "invalid_timezone"),
        2 => (row("c/x", "+79161112233", "UTC"), "invalid_id"),
        _ if csv => (format!("{id},one,cell,too,many,,\n"), "wrong_cell_count"),
        _ => (format!("{{\"id\":\"{id}\",\n"), "invalid_json"),
    }
}

/// Uploads a file in pieces. False: nobody answered.
async fn upload(world: &World, dice: &mut Dice, file: &File) -> bool {
    let client = world.fleet.any(dice);
    let bytes: Vec<_> = file
        .text
        .as_bytes()
        .chunks(16 * 1024)
        .map(<[u8]>::to_vec)
        .collect();
    let pieces = bytes.into_iter().map(Ok::<_, std::io::Error>);
    let request = client.request(Method::POST, "/customers/import");
    let request = request.header("content-type", file.kind);
    let body = Body::wrap_stream(futures_util::stream::iter(pieces));
    world.under_way.imports.fetch_add(1, Ordering::SeqCst);
    let outcome = call(client, request.body(body)).await;
    world.under_way.imports.fetch_sub(1, Ordering::SeqCst);
    match outcome {
        Outcome::Acked { index, body } => acked(world, file, index, &body),
        Outcome::Refused { status, body, .. } => panic!("an import: {status} {body}"),
        // Some of it may have been written before there was no leader, or no room.
        Outcome::Not | Outcome::Unknown => {
            let mut ledger = world.ledger.lock();
            for (_, person) in &file.right {
                ledger.doubt(Subject::Customer(person.number, Some(person.version)));
            }
            return false;
        }
    }
    true
}

/// The answer names exactly the rows that are wrong, and those whose customer is just being deleted.
fn acked(world: &World, file: &File, index: u64, body: &Value) {
    let count = |name: &str| body[name].as_u64().expect("a count");
    let rows = file.right.len() + file.wrong.len();
    let told = count("created") + count("updated") + count("rejected");
    let told = told + body["unchanged"].as_u64().unwrap_or(0);
    assert_eq!(told, rows as u64, "rows of an import: {body}");
    let mut rejected = BTreeMap::new();
    for error in body["errors"].as_array().expect("errors") {
        let code = error["code"].as_str().expect("a code");
        rejected.insert(error["line"].as_u64().expect("a line"), code);
    }
    assert_eq!(
        rejected.len() as u64,
        count("rejected"),
        "one error a rejected row: {body}"
    );
    for (line, code) in &file.wrong {
        assert_eq!(
            rejected.remove(line),
            Some(*code),
            "line {line} of an import"
        );
    }
    let mut ledger = world.ledger.lock();
    for (line, person) in &file.right {
        match rejected.remove(line) {
            None => {
                let subject = Subject::Customer(person.number, Some(person.version));
                ledger.ack_within(subject, 0, index);
            }
            Some("customer_busy") => {}
            Some(code) => panic!("line {line} of an import is right, and rejected: {code}"),
        }
    }
}
