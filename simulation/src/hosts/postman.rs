//! A standalone postman: no node, its journal, and leases from the cluster's nodes.

use std::sync::Arc;

use notty::{config::Config, standalone};
use tokio::sync::{mpsc, watch};

use super::{
    Machine,
    node::{Order, surroundings},
};
use crate::event::Event;

/// Sends until its machine takes it down; one that another of its name has replaced ends by itself.
pub async fn run(machine: Arc<Machine>, config: Config) -> turmoil::Result {
    let (stop, stopped) = watch::channel(false);
    let (orders, mut inbox) = mpsc::unbounded_channel();
    machine.obeys(orders);
    machine.stage.tell(&Event::Started {
        machine: machine.number,
    });
    let sending = standalone::run(&config, surroundings(&machine), stopped);
    tokio::pin!(sending);
    let ended = loop {
        tokio::select! {
            ended = &mut sending => break ended,
            Some(order) = inbox.recv() => if order == Order::Stop {
                stop.send_replace(true);
            },
        }
    };
    let why = ended.map_or_else(
        |error| format!("it ends: {error:#}"),
        |()| "it stops".to_owned(),
    );
    machine.die(&why, false);
    std::future::pending().await
}
