//! A node: the real service, on simulated surroundings.

use std::sync::Arc;

use notty::{config::Config, server::Server, surroundings::Surroundings};
use notty_raft::{AppliedEntry, Leadership, Node, Onlooker};
use notty_storage::{Action, View, command::Report, model::SendResult, planted};
use tokio::sync::{mpsc, watch};

use super::Machine;
use crate::{event::Event, net::SimNet};

/// Why a node ended that was taken out of its cluster.
pub const REMOVED: &str = "it was removed from its cluster";

/// What a process may be made to do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Hand leadership over.
    Transfer,
    /// Write a snapshot and drop the log before it.
    Snapshot,
    /// Say of what was reported done last that it was not even begun.
    Contradict,
    /// Mark the state suspect, so that the next start rebuilds it.
    Suspect,
    /// End cleanly.
    Stop,
}

/// Tells the stage what a node does.
struct Watcher(Arc<Machine>);

impl Onlooker for Watcher {
    fn applied(&self, applied: &AppliedEntry<'_>) {
        // What a fault on purpose would read; never used otherwise.
        planted::set_wall(self.0.wall().as_millis());
        if !self.0.is_dead() {
            // Judges see what was written, not what is left of it.
            let AppliedEntry {
                index,
                entry,
                outcomes,
                hash,
                ref view,
            } = *applied;
            let view = view.past_damage();
            let applied = &AppliedEntry {
                index,
                entry,
                outcomes,
                hash,
                view,
            };
            self.0.stage.tell(&Event::Applied {
                machine: self.0.number,
                applied,
            });
        }
    }

    fn installed(&self, index: u64, hash: u64, _view: &View) {
        if !self.0.is_dead() {
            self.0.stage.tell(&Event::Installed {
                machine: self.0.number,
                index,
                hash,
            });
        }
    }

    fn voted(&self, term: u64) {
        if !self.0.is_dead() {
            self.0.stage.tell(&Event::Voted {
                machine: self.0.number,
                term,
            });
        }
    }
}

pub(super) fn surroundings(machine: &Arc<Machine>) -> Surroundings {
    let net = Arc::new(SimNet::new(machine.clone()));
    let dying = machine.clone();
    Surroundings {
        clock: machine.clock.clone(),
        transport: net.clone(),
        connector: net,
        files: Arc::new(machine.disk.clone()),
        log: Some(machine.stage.plan.log),
        store: machine.store_options(),
        exercises_levels: machine.stage.plan.upgrades,
        sender_threads: 0,
        connections: notty::api::CONNECTIONS,
        onlooker: Some(Arc::new(Watcher(machine.clone()))),
        fatal: Arc::new(move |line| dying.die(line, false)),
    }
}

/// Runs the service until its machine takes it down.
pub async fn run(machine: Arc<Machine>, config: Config) -> turmoil::Result {
    machine.starts();
    let server = match Server::start(&config, surroundings(&machine)).await {
        Ok(server) => server,
        Err(error) => {
            machine.die(&format!("it does not start: {error:#}"), false);
            return std::future::pending().await;
        }
    };
    let (orders, mut inbox) = mpsc::unbounded_channel();
    machine.runs(server.node());
    machine.obeys(orders);
    machine.stage.tell(&Event::Started {
        machine: machine.number,
    });
    tokio::spawn(follow(machine.clone(), server.node().leadership()));
    let node = server.node().clone();
    let end = loop {
        tokio::select! {
            () = node.removed() => break REMOVED,
            Some(order) = inbox.recv() => match order {
                Order::Stop => break "it stops",
                order => drop(tokio::spawn(obey(machine.clone(), node.clone(), order))),
            },
        }
    };
    drop(node);
    let why = match server.stop().await {
        Ok(()) => end.to_owned(),
        Err(error) => format!("{end} badly: {error:#}"),
    };
    machine.die(&why, false);
    std::future::pending().await
}

/// The same messages, handed back.
fn contradicted(report: Report) -> Report {
    let runs = report
        .results
        .into_iter()
        .flat_map(|(_, runs)| runs)
        .collect();
    Report {
        results: vec![(SendResult::HandedBack, runs)],
        ..report
    }
}

async fn obey(machine: Arc<Machine>, node: Arc<Node>, order: Order) {
    let done = match order {
        Order::Transfer => node
            .transfer_leader(None)
            .await
            .map_err(|error| error.to_string()),
        Order::Snapshot => node
            .snapshot()
            .await
            .map(|()| "done".into())
            .map_err(|e| e.to_string()),
        Order::Contradict => match machine.stage.ask(|facts| facts.last_done.clone()) {
            Some(report) => {
                let reported = node.act(Action::Report(contradicted(report))).await;
                reported
                    .map(|applied| format!("{:?}", applied.reply))
                    .map_err(|e| e.to_string())
            }
            None => Ok("there is no report".to_owned()),
        },
        Order::Suspect => {
            node.mark_suspect();
            Ok("done".to_owned())
        }
        Order::Stop => return,
    };
    machine
        .stage
        .remark(&format!("node {}: {order:?}: {done:?}", machine.number));
}

async fn follow(machine: Arc<Machine>, mut leads: watch::Receiver<Option<Leadership>>) {
    loop {
        if let Some(Leadership { term }) = *leads.borrow_and_update() {
            machine.stage.tell(&Event::Leads {
                machine: machine.number,
                term,
            });
        }
        if leads.changed().await.is_err() {
            return;
        }
    }
}
