//! What is done to the nodes in a round, and when: at any moment, or just when something is under way.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{dice::Dice, fleet::Tuning, world::World};

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`, and started again.
    Kill,
    /// Killed once more while it starts.
    KillTwice,
    /// All nodes are killed at once.
    KillAll,
    /// SIGSTOP, and SIGCONT after a while.
    Freeze,
    /// SIGSTOP, then `kill -9`.
    FreezeAndKill,
    /// SIGTERM.
    Stop,
    /// Killed, and its state removed: log and snapshot are the truth.
    LoseState,
    /// Killed, and its journal removed: what it had begun nobody knows.
    LoseJournal,
}

/// A moment for a fault.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// Once the gateway has so many more requests.
    Requests(u64),
    /// So many milliseconds after the round began.
    After(u64),
    /// While an import is under way.
    Import,
    /// While a backup is made.
    Backup,
}

/// How long a moment is waited for.
const MOMENT: Duration = Duration::from_secs(2);

impl Fault {
    pub fn draw(dice: &mut Dice) -> Self {
        dice.weigh(&[
            (8, Fault::Kill),
            (3, Fault::KillTwice),
            (2, Fault::KillAll),
            (3, Fault::Freeze),
            (2, Fault::FreezeAndKill),
            (1, Fault::Stop),
            (1, Fault::LoseState),
            (1, Fault::LoseJournal),
        ])
    }
}

impl Moment {
    pub fn draw(dice: &mut Dice, requests: u64) -> Self {
        let some = dice.draw(0..requests.max(1));
        let soon = dice.draw(0..1_500);
        dice.weigh(&[
            (4, Moment::Requests(some)),
            (3, Moment::After(soon)),
            (3, Moment::Import),
            (1, Moment::Backup),
        ])
    }

    /// Waits for it, or for as long as anyone may.
    pub async fn come(self, world: &World, dice: &mut Dice) {
        let began = Instant::now();
        let requests = world.gateway.book(|book| book.requests);
        let is_there = || match self {
            Moment::Requests(more) => world.gateway.book(|book| book.requests) >= requests + more,
            Moment::After(ms) => began.elapsed() >= Duration::from_millis(ms),
            Moment::Import => world.under_way.imports.load(Ordering::SeqCst) > 0,
            Moment::Backup => world.under_way.backups.load(Ordering::SeqCst) > 0,
        };
        while !is_there() && began.elapsed() < MOMENT {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // Somewhere in the middle of it.
        tokio::time::sleep(Duration::from_micros(dice.draw(0..40_000))).await;
    }
}

/// Does a fault to the nodes. Returns how often a node was killed.
pub async fn strike(world: &World, dice: &mut Dice, fault: Fault) -> u64 {
    let fleet = &world.fleet;
    let n = match dice.chance(600) {
        true => fleet.leader().await,
        false => dice.draw(0..fleet.len() as u64) as usize,
    };
    let tuning = Tuning::draw(dice);
    match fault {
        Fault::Kill => kill(world, dice, n, &tuning).await,
        Fault::KillTwice => {
            let first = kill(world, dice, n, &tuning).await;
            tokio::time::sleep(Duration::from_millis(dice.draw(0..600))).await;
            let tuning = Tuning::draw(dice);
            first + kill(world, dice, n, &tuning).await
        }
        Fault::KillAll => {
            let killed = (0..fleet.len()).filter(|n| fleet.kill(*n)).count();
            fleet.start_all(&tuning);
            killed as u64
        }
        Fault::Freeze => {
            freeze(world, dice, n).await;
            fleet.signal(n, "CONT");
            world.ledger.lock().rules.thawed = Some(Instant::now());
            0
        }
        Fault::FreezeAndKill => {
            freeze(world, dice, n).await;
            kill(world, dice, n, &tuning).await
        }
        Fault::Stop => {
            fleet.stop(n).await;
            fleet.start(n, &tuning);
            0
        }
        Fault::LoseState => {
            let killed = u64::from(fleet.kill(n));
            remove(&fleet.data(n).join("state"));
            fleet.start(n, &tuning);
            killed
        }
        Fault::LoseJournal => {
            let killed = u64::from(fleet.kill(n));
            remove(&fleet.journal(n));
            fleet.start(n, &tuning);
            killed
        }
    }
}

async fn kill(world: &World, dice: &mut Dice, n: usize, tuning: &Tuning) -> u64 {
    let killed = world.fleet.kill(n);
    tokio::time::sleep(Duration::from_millis(dice.draw(0..300))).await;
    world.fleet.start(n, tuning);
    u64::from(killed)
}

/// For a moment, or for longer than a lease lasts.
async fn freeze(world: &World, dice: &mut Dice, n: usize) {
    world.fleet.signal(n, "STOP");
    let ms = dice.weigh(&[(6, 300), (3, 1_800), (1, 7_500)]);
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

fn remove(dir: &std::path::Path) {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            panic!("{}: {error}", dir.display())
        }
        _ => {}
    }
}
