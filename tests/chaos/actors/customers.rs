//! A client that writes customers one by one: creates, replaces, deletes, and creates again.

use std::sync::Arc;

use reqwest::Method;

use super::{
    super::{
        dice::Dice,
        ledger::{Standing, Subject},
        people::{Person, VERSIONS},
        wire::{Outcome, call},
        world::World,
    },
    pause,
};

/// Works on the customers whose number leaves this rest.
pub async fn run(world: Arc<World>, mut dice: Dice, rest: u32, of: u32) {
    while world.goes_on() {
        let number = dice.draw(0..u64::from(world.own / of)) as u32 * of + rest;
        let standing = world.ledger.lock().standing(number);
        let Some(standing) = standing else {
            // What became of it an audit will read.
            tokio::task::yield_now().await;
            continue;
        };
        let answered = match standing {
            _ if dice.chance(150) => look(&world, &mut dice, number, standing).await,
            None => create(&world, &mut dice, number).await,
            Some(_) if dice.chance(250) => delete(&world, &mut dice, number).await,
            Some(_) => replace(&world, &mut dice, number).await,
        };
        world.step();
        if !answered {
            pause().await;
        }
    }
}

/// A new version of a customer, unless all are used up.
fn next(world: &World, number: u32) -> Option<Person> {
    let mut ledger = world.ledger.lock();
    (ledger.latest_version(number) < VERSIONS).then(|| ledger.next_version(number))
}

async fn create(world: &World, dice: &mut Dice, number: u32) -> bool {
    let Some(person) = next(world, number) else {
        return true;
    };
    world.ledger.lock().wake_person(number);
    let key = dice
        .chance(500)
        .then(|| format!("{}-{}-{}", world.seed, number, person.version));
    let subject = Subject::Customer(number, Some(person.version));

    // Under a key a repeat is safe, whatever became of the first.
    for _ in 0..if key.is_some() { 60 } else { 1 } {
        let client = world.fleet.any(dice);
        let mut request = client
            .request(Method::POST, "/customers")
            .json(&person.body());
        if let Some(key) = &key {
            request = request.header("Idempotency-Key", key);
        }
        match call(client, request).await {
            Outcome::Acked { index, body } => {
                assert_eq!(body, person.body(), "a created customer");
                world.ledger.lock().ack(subject, index);
                return true;
            }
            Outcome::Refused { status, body, .. } => {
                panic!("creating {person:?}, who is not there: {status} {body}")
            }
            Outcome::Not if key.is_none() => return false,
            Outcome::Unknown if key.is_none() => break,
            Outcome::Not | Outcome::Unknown => pause().await,
        }
    }
    world.ledger.lock().doubt(subject);
    false
}

async fn replace(world: &World, dice: &mut Dice, number: u32) -> bool {
    let Some(person) = next(world, number) else {
        return true;
    };
    let subject = Subject::Customer(number, Some(person.version));
    let path = format!("/customers/{}", person.id());
    match world
        .write(dice, Method::PUT, &path, Some(&person.body()))
        .await
    {
        Outcome::Acked { index, body } => {
            assert_eq!(body, person.body(), "a replaced customer");
            world.ledger.lock().ack(subject, index);
        }
        Outcome::Refused { status, body, .. } => {
            panic!("replacing {person:?}, who is there: {status} {body}")
        }
        Outcome::Not => return false,
        Outcome::Unknown => world.ledger.lock().doubt(subject),
    }
    true
}

async fn delete(world: &World, dice: &mut Dice, number: u32) -> bool {
    let subject = Subject::Customer(number, None);
    match world
        .write(
            dice,
            Method::DELETE,
            &format!("/customers/c-{number}"),
            None,
        )
        .await
    {
        Outcome::Acked { index, .. } => world.ledger.lock().ack(subject, index),
        Outcome::Refused { status, body, .. } => {
            panic!("deleting customer {number}, who is there: {status} {body}")
        }
        Outcome::Not => return false,
        Outcome::Unknown => world.ledger.lock().doubt(subject),
    }
    true
}

/// Nobody else writes this customer: whatever node is asked, it is as it was acknowledged.
async fn look(world: &World, dice: &mut Dice, number: u32, standing: Standing) -> bool {
    let answer = world.read(dice, &format!("/customers/c-{number}")).await;
    match (answer, standing) {
        (None, _) => return false,
        (Some(Outcome::Acked { body, .. }), Some(version)) => {
            assert_eq!(
                body,
                Person { number, version }.body(),
                "a customer that is read"
            );
        }
        (Some(Outcome::Refused { status: 404, .. }), None) => {}
        (Some(other), standing) => panic!("customer {number} is {standing:?}, read is {other:?}"),
    }
    true
}
