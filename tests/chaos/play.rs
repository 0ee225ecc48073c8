//! A game: rounds of actors, faults and restores, an audit after each, and the end.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::{
    Args,
    actors::{customers, imports, mailings, moods, readers},
    audit,
    dice::Dice,
    faults::{Fault, Moment, strike},
    finish,
    fleet::{Fixed, Fleet, Tuning},
    gateway::Gateway,
    ledger::Ledger,
    restore::restore,
    world::{Backup, World},
};

/// How long a round may take before its fault and after.
const ROUND: Duration = Duration::from_secs(3);
/// Backups kept to be restored, the oldest of which goes first.
const BACKUPS: usize = 4;
/// Clients that write customers and mailings.
const WRITERS: u32 = 2;
/// Mailings of one of them in the first round; one more in each that follows.
const SLOTS: u32 = 4;

/// A game under way.
pub struct Game {
    world: Arc<World>,
    args: Args,
    dice: Dice,
    backups: Vec<Backup>,
    round: u64,
    kills: u64,
    restores: u64,
    compared: u64,
}

impl Game {
    /// Starts the gateway and the nodes, and imports the customers.
    pub async fn begin(args: Args, dir: PathBuf) -> Self {
        let mut dice = Dice::new(args.seed, 0, 0);
        // So many that a few mailings to all of them are a round's messages.
        let a_round = args.messages / args.kills.max(1);
        let people = (args.messages / 8).min(a_round / 2).clamp(600, 60_000) as u32;
        let own = (people / 10).clamp(60, 600);
        let ledger = Arc::new(Mutex::new(Ledger::new(people)));
        let idempotent = args.idempotent || dice.chance(250);

        let gateway = Gateway::start(ledger.clone(), idempotent).await;
        let fixed = Fixed {
            binary: std::path::absolute(&args.binary).expect("a path of a program"),
            dir,
            gateway: gateway.url(),
            idempotent,
            journals_apart: dice.chance(500),
        };
        let fleet = Fleet::new(usize::from(args.nodes), fixed);
        fleet.start_all(&Tuning::draw(&mut dice));
        fleet.ready().await;

        let parts = (fleet, gateway);
        let world = World::new(
            (args.seed, idempotent, args.accept),
            parts,
            ledger,
            (own, people),
        );
        imports::fill(&world, &mut dice).await;
        say(&format!(
            "seed {}: {} node(s), {people} customers, {} kills, {} \
             messages{}",
            args.seed,
            args.nodes,
            args.kills,
            args.messages,
            if idempotent {
                ", the gateway is idempotent"
            } else {
                ""
            },
        ));

        Self {
            world,
            args,
            dice,
            backups: Vec::new(),
            round: 0,
            kills: 0,
            restores: 0,
            compared: 0,
        }
    }

    /// Plays until there were enough kills and messages.
    pub async fn play(&mut self) {
        let began = Instant::now();
        while self.kills < self.args.kills || self.taken() < self.args.messages {
            self.round += 1;
            self.play_round().await;
            if self.round.is_multiple_of(10) {
                self.tell(began);
            }
            let late = began.elapsed() > Duration::from_secs(60 * self.args.minutes);
            if late {
                say(&format!(
                    "the time is over after {} minutes",
                    self.args.minutes
                ));
                break;
            }
        }
        self.detail("the end");
        let total = finish::run(&self.world, &mut self.dice).await;
        self.tell(began);
        say(&format!(
            "all sums agree; {}",
            readers::STATUSES
                .iter()
                .zip(total)
                .map(|(status, count)| format!("{status} {count}"))
                .collect::<Vec<_>>()
                .join(", ")
        ));
        assert!(
            self.compared > 0,
            "the sums were never compared while the game went on"
        );
    }

    /// How far it came, for the report of a failure.
    pub fn place(&self) -> Arc<World> {
        self.world.clone()
    }

    fn taken(&self) -> u64 {
        self.world.gateway.book(|book| book.taken)
    }

    fn tell(&self, began: Instant) {
        let (requests, taken, repeats) = self
            .world
            .gateway
            .book(|book| (book.requests, book.taken, book.repeats));
        let (acked, unknown) = {
            let ledger = self.world.ledger.lock();
            (ledger.acked, ledger.unknown)
        };
        say(&format!(
            "round {}, {} s: {} kills, {} restores, {taken} messages taken in {requests} requests \
             ({repeats} repeated by right), {} steps, {acked} writes acknowledged, {unknown} in \
             doubt, sums compared {} times, {:?} MB",
            self.round,
            began.elapsed().as_secs(),
            self.kills,
            self.restores,
            self.world.steps(),
            self.compared,
            self.world.fleet.resident_mb(0).unwrap_or_default(),
        ));
    }

    /// Messages that a round should bring.
    fn wanted(&self) -> u64 {
        let kills = self.args.kills.saturating_sub(self.kills).max(1);
        let messages = self.args.messages.saturating_sub(self.taken());
        (messages / kills).clamp(300, 40_000)
    }

    async fn play_round(&mut self) {
        let world = self.world.clone();
        world.ledger.lock().begin_round();
        world.set_stop(false);
        let actors = self.actors();

        let wanted = self.wanted();
        let goal = world.gateway.book(|book| book.requests) + wanted;
        let moment = Moment::draw(&mut self.dice, wanted);
        moment.come(&world, &mut self.dice).await;

        let drawn = self.dice.chance(self.args.restores);
        // No game is without one.
        let first = self.restores == 0 && self.round > 1 && self.args.restores > 0;
        if (drawn || first) && !self.backups.is_empty() {
            self.end_round(actors).await;
            self.detail("a restore");
            self.restore().await;
        } else {
            let fault = Fault::draw(&mut self.dice);
            self.detail(&format!("{fault:?} at {moment:?}"));
            self.kills += strike(&world, &mut self.dice, fault).await;
            let began = Instant::now();
            world.fleet.ready().await;
            while world.gateway.book(|book| book.requests) < goal && began.elapsed() < ROUND {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            self.end_round(actors).await;
        }

        audit::run(&world, &mut self.dice).await;
        self.detail("audited");
        let n = self.dice.draw(0..world.fleet.len() as u64) as usize;
        self.compared += u64::from(audit::sums_at_rest(&world, n).await);
        self.keep_backups();
    }

    fn detail(&self, what: &str) {
        if self.args.verbose {
            let taken = self.taken();
            say(&format!(
                "  round {}: {what}; {taken} taken, {} kills",
                self.round, self.kills
            ));
        }
    }

    fn actors(&self) -> JoinSet<()> {
        let world = &self.world;
        let dice = |actor: u64| Dice::new(self.args.seed, self.round, actor);
        let mut actors = JoinSet::new();
        // Those of before go on, and each round has some of its own.
        let slots = WRITERS * (SLOTS + self.round as u32);
        for n in 0..WRITERS {
            let world = || world.clone();
            actors.spawn(customers::run(world(), dice(10 + u64::from(n)), n, WRITERS));
            let of_mailings = dice(20 + u64::from(n));
            actors.spawn(mailings::run(world(), of_mailings, n, WRITERS, slots));
        }
        actors.spawn(imports::run(world.clone(), dice(30)));
        actors.spawn(moods::run(world.clone(), dice(31)));
        actors.spawn(readers::run(world.clone(), dice(32)));
        actors.spawn(readers::back_up(world.clone(), dice(33)));
        actors
    }

    /// All actors end; whatever one of them found wrong ends the game.
    async fn end_round(&self, mut actors: JoinSet<()>) {
        self.world.set_stop(true);
        while let Some(ended) = actors.join_next().await {
            if let Err(error) = ended {
                match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(error) => panic!("an actor was stopped: {error}"),
                }
            }
        }
    }

    /// Restores one of the backups, of this life of the cluster or of one before.
    async fn restore(&mut self) {
        let usable = |backup: &&mut Backup| self.args.again || !backup.used;
        let mut usable: Vec<_> = self.backups.iter_mut().filter(usable).collect();
        if usable.is_empty() {
            return;
        }
        let n = self.dice.draw(0..usable.len() as u64) as usize;

        self.kills += restore(&self.world, &mut self.dice, usable[n]).await;
        self.restores += 1;
        if !self.args.again {
            // Those of the life that has ended count as used: their clusters would meet this one.
            self.backups
                .iter_mut()
                .for_each(|backup| backup.used = true);
        }
        // What is fresh is of the life that has ended, and its positions say nothing here.
        for (file, _) in self.world.fresh_backups.lock().drain(..) {
            let _ = std::fs::remove_file(file);
        }
    }

    /// The round's backups get what they must hold.
    fn keep_backups(&mut self) {
        let fresh = std::mem::take(&mut *self.world.fresh_backups.lock());
        let ledger = self.world.ledger.lock();
        for (file, index) in fresh {
            let (known, maybe) = ledger.as_of(index);
            self.backups.push(Backup {
                file,
                known,
                maybe,
                used: false,
            });
        }
        drop(ledger);
        while self.backups.len() > BACKUPS {
            let oldest = self.backups.remove(0);
            // It may be gone already, which is as well.
            let _ = std::fs::remove_file(oldest.file);
        }
    }
}

/// A line of the program.
pub fn say(line: &str) {
    println!("{line}");
}
