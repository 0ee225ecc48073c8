//! A restore: all nodes end, a backup becomes the data of a new cluster, and that is what the backup
//! says and no more.

use std::{process::Stdio, sync::Arc, time::Duration};

use super::{
    dice::Dice,
    fleet::Tuning,
    ledger::{Known, Mailed, Mark, Maybe},
    support::Ended,
    world::{Backup, World},
};

/// Restores a backup in the place of what there is. Returns how often a node was killed.
pub async fn restore(world: &Arc<World>, dice: &mut Dice, backup: &mut Backup) -> u64 {
    let fleet = &world.fleet;
    let killed = (0..fleet.len()).filter(|n| fleet.kill(*n)).count();
    // What was on its way to the gateway is there, or never will be.
    tokio::time::sleep(Duration::from_millis(200)).await;

    fleet.next_generation();
    world.gateway.book(|book| book.next_generation());
    backup.used = true;

    let data = fleet.data(0);
    let mut command = fleet.binary();
    command
        .arg("restore")
        .arg(&backup.file)
        .arg("--data-dir")
        .arg(&data);
    if dice.chance(400) {
        // Killed somewhere on the way, and repeated.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().expect("notty starts");
        tokio::time::sleep(Duration::from_millis(dice.draw(0..80))).await;
        process.kill().expect("it can be killed");
        process.wait().expect("it ends");
    }
    if !data.join("identity").exists() {
        let ended = Ended::of(&mut command);
        assert_eq!(ended.code, Some(0), "{}: {ended:?}", backup.file.display());
    }

    world
        .ledger
        .lock()
        .restore(held(&backup.known), maybe_held(&backup.maybe));
    fleet.start_all(&Tuning::draw(dice));
    fleet.ready().await;
    killed as u64
}

/// Whatever is not over waits for its owner.
fn hold(mailed: &Mailed) -> Mailed {
    let held = mailed.mark != Mark::Cancelled;
    Mailed {
        held,
        ..mailed.clone()
    }
}

fn held(known: &Known) -> Known {
    let mailings = known
        .mailings
        .iter()
        .map(|(slot, mailed)| (*slot, hold(mailed)));
    Known {
        people: known.people.clone(),
        mailings: mailings.collect(),
    }
}

fn maybe_held(maybe: &Maybe) -> Maybe {
    let mailings = maybe.mailings.iter().map(|(slot, choices)| {
        (
            *slot,
            choices
                .iter()
                .map(|mailed| mailed.as_ref().map(hold))
                .collect(),
        )
    });
    Maybe {
        people: maybe.people.clone(),
        mailings: mailings.collect(),
    }
}
