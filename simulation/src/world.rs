//! The world: machines, a gateway and clients on one network; time passes and faults strike.

mod strike;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use notty_storage::{Flushes, View, model::STATUSES, query};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    convergence,
    event::{Event, Final},
    faults::Fault,
    hosts::{Machine, client::Client, gateway::SimGateway, node, operator::Operator, postman},
    plan::{GatewayMix, Plan},
    stage::Stage,
};
use strike::DiskCopy;

/// How much time passes at once.
const TICK: Duration = Duration::from_millis(1);
/// Between two looks at whether everything has come to rest.
const LOOK_MS: u64 = 250;
/// When a fault that has to wait is tried again.
const AGAIN_MS: u64 = 37;
/// How long a node that has forgotten something has to catch up.
const FRAIL_MS: u64 = 10_000;
/// How long a process that ended by itself is away.
const AWAY_MS: std::ops::Range<u64> = 200..3_000;

/// What is to be done at a time.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Strike(Fault),
    Start(usize),
    Repair { from: usize, to: usize },
    LetClients(usize),
    Release { one: usize, other: usize },
    Calm,
    Right(usize),
    Behave(GatewayMix),
}

/// Everything that there is.
pub struct World {
    sim: turmoil::Sim<'static>,
    stage: Arc<Stage>,
    machines: Vec<Arc<Machine>>,
    gateway: Arc<SimGateway>,
    clients_done: Arc<Mutex<usize>>,
    rng: StdRng,
    agenda: BTreeMap<(u64, u64), Deed>,
    deeds: u64,
    operator: Operator,
    /// Copies of disks that were made, by machine.
    copies: BTreeMap<usize, DiskCopy>,
    /// Machines that are not started: spare ones, and those that were taken out for good.
    idle: BTreeSet<usize>,
    /// How long each that is down is to stay so, in milliseconds.
    away_ms: BTreeMap<usize, u64>,
    /// Until when no node may be taken away: one has forgotten what it acknowledged.
    frail_until_ms: u64,
    quiet: bool,
}

impl World {
    /// Builds it.
    pub fn new(stage: Arc<Stage>) -> anyhow::Result<Self> {
        let plan = &stage.plan;
        let (least, most) = plan.latency_ms;
        let sim = turmoil::Builder::new()
            .rng_seed(plan.seed)
            .tick_duration(TICK)
            .simulation_duration(Duration::from_secs(100_000))
            .min_message_latency(Duration::from_millis(least))
            .max_message_latency(Duration::from_millis(most))
            .tcp_capacity(4_096)
            .enable_random_order()
            .build();
        let machines = (0..plan.machines()).map(|n| Machine::new(n, stage.clone()));
        let mut world = Self {
            sim,
            machines: machines.collect::<std::io::Result<_>>()?,
            gateway: SimGateway::new(stage.clone()),
            clients_done: Arc::default(),
            rng: StdRng::seed_from_u64(plan.seed ^ 0x776f_726c),
            agenda: BTreeMap::new(),
            deeds: 0,
            operator: Operator::new(stage.clone()),
            copies: BTreeMap::new(),
            idle: (plan.nodes..plan.nodes + plan.spares).collect(),
            away_ms: BTreeMap::new(),
            frail_until_ms: 0,
            quiet: false,
            stage,
        };
        world.settle_in();
        Ok(world)
    }

    fn settle_in(&mut self) {
        let plan = self.stage.plan.clone();
        for machine in &self.machines {
            machine.clock.skew(plan.skew_ms(machine.number));
            let (machine, config) = (
                machine.clone(),
                plan.config(machine.number, machine.data_dir()),
            );
            let name = machine.name.clone();
            match plan.is_postman(machine.number) {
                true => self.sim.host(name, move || {
                    postman::run(machine.clone(), machine.with_account(config.clone()))
                }),
                false => self.sim.host(name, move || {
                    node::run(machine.clone(), machine.with_account(config.clone()))
                }),
            }
        }
        for spare in &self.idle {
            self.sim.crash(self.machines[*spare].name.as_str());
        }
        let operator = self.operator.clone();
        self.sim.host("operator", move || operator.clone().run());
        let gateway = self.gateway.clone();
        self.sim.host("gateway", move || gateway.clone().run());
        for number in 0..plan.clients {
            let client = Client::new(number, self.stage.clone(), self.clients_done.clone());
            self.sim
                .host(format!("client-{number}"), move || client.clone().run());
        }
        for (at, fault) in plan.faults {
            self.later(at, Deed::Strike(fault));
        }
    }

    fn now_ms(&self) -> u64 {
        self.sim.elapsed().as_millis() as u64
    }

    fn later(&mut self, at_ms: u64, deed: Deed) {
        self.deeds += 1;
        self.agenda.insert((at_ms, self.deeds), deed);
    }

    fn after(&mut self, ms: u64, deed: Deed) {
        self.later(self.now_ms() + ms, deed);
    }

    /// Lets time pass until everything has come to rest, or something is wrong.
    pub fn run(&mut self) {
        let quiet_ms = self.stage.plan.quiet_ms;
        while !self.stage.is_violated() {
            if let Err(error) = self.sim.step() {
                self.stage.violate("hosts_go_on", error.to_string());
                break;
            }
            self.stage.step(self.sim.elapsed());
            let now = self.now_ms();
            while let Some(next) = self.agenda.first_entry().filter(|next| next.key().0 <= now) {
                let deed = next.remove();
                self.act(deed);
            }
            self.bury();
            if now >= quiet_ms && !self.quiet {
                self.calm_down();
            }
            if self.quiet && now.is_multiple_of(LOOK_MS) && self.has_come_to_rest(now - quiet_ms) {
                break;
            }
        }
    }

    fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Strike(fault) if self.may_strike(&fault) => self.strike(fault),
            Deed::Strike(fault @ Fault::OldDisk { .. }) => {
                self.after(AGAIN_MS, Deed::Strike(fault))
            }
            Deed::Strike(_) => {}
            Deed::Start(number) => self.start(number),
            Deed::Repair { from, to } => {
                let (from, to) = (self.name(from), self.name(to));
                self.sim.repair_oneway(from.as_str(), to.as_str());
            }
            Deed::LetClients(number) => {
                for client in self.clients() {
                    self.sim.repair(self.name(number).as_str(), client.as_str());
                }
            }
            Deed::Release { one, other } => {
                let (one, other) = (self.name(one), self.name(other));
                self.sim.release(one.as_str(), other.as_str());
            }
            Deed::Calm => self.set_latency(self.stage.plan.latency_ms.1),
            Deed::Right(number) => {
                self.machines[number]
                    .clock
                    .skew(self.stage.plan.skew_ms(number));
            }
            Deed::Behave(mix) => self.gateway.behave(mix),
        }
    }

    fn may_strike(&self, fault: &Fault) -> bool {
        match fault {
            Fault::OldDisk { .. } => self.is_well(),
            fault => !fault.harms_nodes() || self.now_ms() >= self.frail_until_ms,
        }
    }

    /// Whether all nodes are there, reach each other, and have the same.
    fn is_well(&self) -> bool {
        let apart = |deed: &Deed| {
            matches!(
                deed,
                Deed::Repair { .. } | Deed::Release { .. } | Deed::Start(_) | Deed::Calm
            )
        };
        !self.agenda.values().any(apart) && convergence::members_agree(&self.machines).is_ok()
    }

    /// Takes down the processes that have ended.
    fn bury(&mut self) {
        for number in 0..self.machines.len() {
            let machine = self.machines[number].clone();
            let Some(death) = machine.take_death() else {
                continue;
            };
            let (why, power) = (&death.why, death.power);
            self.stage.tell(&Event::Died {
                machine: number,
                why,
                power,
            });
            machine.runs_no_more();
            self.take_down(&machine, power);
            if death.why == node::REMOVED {
                self.idle.insert(number);
                continue;
            }
            let away = self
                .away_ms
                .remove(&number)
                .unwrap_or_else(|| self.rng.random_range(AWAY_MS));
            self.after(away, Deed::Start(number));
        }
    }

    /// Drops what runs on a machine, and of its disk what was not synced.
    fn take_down(&mut self, machine: &Machine, power: bool) {
        // What sled has not flushed goes with the process: its files as they are now count, not as
        // they are when it was closed.
        let kept = match self.stage.plan.sled {
            true => strike::keep_state(machine),
            false => Ok(None),
        };
        self.sim.crash(machine.name.as_str());
        match kept {
            Ok(Some(kept)) => strike::put_state_back(machine, &kept),
            Ok(None) => {}
            Err(error) => self
                .stage
                .violate("simulation", format!("the state's files: {error}")),
        }
        if power {
            machine.disk.lose_power(&mut self.rng);
            machine.clock.reboot();
        } else {
            machine.disk.lose_process();
        }
        let rng = &mut self.rng;
        machine
            .memory
            .crash(|unflushed| rng.random_range(0..=unflushed));
        machine.memory.set_flushes(Flushes::Succeed);
        // Otherwise the next start would see the mark of a death that came twice.
        machine.take_death();
    }

    fn start(&mut self, number: usize) {
        let machine = self.machines[number].clone();
        self.sim.bounce(machine.name.as_str());
    }

    /// The end of all faults: everything works again.
    fn calm_down(&mut self) {
        self.quiet = true;
        let names: Vec<_> = (0..self.machines.len()).map(|n| self.name(n)).collect();
        let starts = self.agenda.values().filter_map(|deed| match deed {
            Deed::Start(number) => Some(*number),
            _ => None,
        });
        let starts: Vec<usize> = starts.collect();
        self.agenda.clear();
        let all: Vec<_> = names.iter().cloned().chain(self.others()).collect();
        for (n, one) in all.iter().enumerate() {
            for other in &all[n + 1..] {
                self.sim.release(one.as_str(), other.as_str());
                self.sim.repair(one.as_str(), other.as_str());
            }
        }
        self.set_latency(self.stage.plan.latency_ms.1);
        self.gateway.behave(self.stage.plan.calm_gateway());
        for machine in &self.machines {
            machine.clock.skew(0);
            machine.disk.mend();
            machine.memory.set_flushes(Flushes::Succeed);
            machine.die_at_step(0);
        }
        self.stage.tell(&Event::Fault {
            kind: "",
            what: "none from now on",
        });
        starts.into_iter().for_each(|number| self.start(number));
    }

    fn has_come_to_rest(&mut self, since_quiet_ms: u64) -> bool {
        let clients_are_done = *self.clients_done.lock() == self.stage.plan.clients;
        let done = clients_are_done && self.operator.is_done() && self.gateway.has_reported();
        match convergence::look(&self.machines) {
            Ok(machine) if done && since_quiet_ms >= convergence::SAID_MS => {
                let view = machine.node().map(|node| node.view().past_damage());
                if let Some(view) = view {
                    self.stage.remark("everything has come to rest");
                    self.count_messages(&view);
                    self.stage.end(&Final {
                        machine: machine.number,
                        view: &view,
                    });
                }
                return true;
            }
            result if since_quiet_ms > convergence::bound_ms(&self.stage.plan) => {
                let why = result
                    .err()
                    .unwrap_or("clients, operator or receipts are not done".to_owned());
                self.stage.violate("convergence", why);
            }
            _ => {}
        }
        false
    }

    fn count_messages(&self, view: &View) {
        let counts = query::stats::overall(&view.read()).unwrap_or_default();
        for status in STATUSES {
            self.stage.count(status.name(), counts.of(status));
        }
    }

    fn name(&self, number: usize) -> String {
        match self.machines.get(number) {
            Some(machine) => machine.name.clone(),
            None => "gateway".to_owned(),
        }
    }

    fn clients(&self) -> Vec<String> {
        (0..self.stage.plan.clients)
            .map(|number| format!("client-{number}"))
            .collect()
    }

    /// Hosts that are no machines.
    fn others(&self) -> Vec<String> {
        let clients = self.clients();
        ["gateway".to_owned(), "operator".to_owned()]
            .into_iter()
            .chain(clients)
            .collect()
    }

    fn set_latency(&mut self, most_ms: u64) {
        self.sim
            .set_max_message_latency(Duration::from_millis(most_ms));
    }
}

/// Runs a plan from beginning to end on a thread whose random numbers come from its seed.
pub fn simulate(plan: Plan, echo: bool) -> anyhow::Result<Arc<Stage>> {
    notty_entropy::seed_this_thread(plan.seed);
    let stage = Arc::new(Stage::new(plan, echo));
    let mut world = World::new(stage.clone())?;
    world.run();
    // What still runs is dropped outside of the world: it may not ask for the time any more.
    Ok(stage)
}
