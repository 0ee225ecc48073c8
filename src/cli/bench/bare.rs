//! The bare client: the gateway client with nothing behind it. Its threads and slots are those of a
//! postman, so that what it reaches is what a postman could reach at most.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{anyhow, ensure};
use notty_storage::model::{MessageId, Phone};
use serde_json::json;

use super::super::{out, process::Cost};
use crate::gateway::{
    Courier, Envelope, Gateway, GatewayOptions, GatewayOutcome, HttpGateway, PreparedCourier,
};

#[derive(Debug, clap::Args)]
pub(super) struct BareArgs {
    /// URL of the gateway to measure
    #[arg(long)]
    url: String,
    /// Number of messages to send
    #[arg(long)]
    count: u64,
    /// Number of requests in flight
    #[arg(long)]
    concurrency: usize,
}

pub(super) fn run(args: &BareArgs) -> anyhow::Result<()> {
    let options = GatewayOptions {
        url: args.url.clone(),
        token: String::new(),
        connect_timeout: Duration::from_secs(2),
        timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(30),
        unsure_statuses: Vec::new(),
    };
    let gateway =
        HttpGateway::on_this_machine(options).map_err(|(key, what)| anyhow!("{key}: {what}"))?;
    let gateway = Arc::new(gateway);
    let next = Arc::new(AtomicU64::new(0));

    // As many threads as the postman of a node has, and the same number of connections.
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(args.concurrency);
    let mut running = Vec::new();
    for thread in 0..threads {
        let slots = args.concurrency / threads + usize::from(thread < args.concurrency % threads);
        let (gateway, next, count) = (gateway.clone(), next.clone(), args.count);
        running.push(std::thread::spawn(move || {
            send(slots, &gateway, &next, count)
        }));
    }

    let mut taken = 0;
    for thread in running {
        taken += thread
            .join()
            .map_err(|_| anyhow!("a thread of the bare client panicked"))??;
    }
    ensure!(
        taken == args.count,
        "{taken} of {} messages were taken",
        args.count
    );

    let cost = Cost::of(std::process::id());
    out::line(&json!({ "cpu_micros": cost.cpu_micros }).to_string());
    Ok(())
}

/// Sends on so many slots until all is sent; how many were taken.
fn send(
    slots: usize,
    gateway: &Arc<HttpGateway>,
    next: &Arc<AtomicU64>,
    count: u64,
) -> anyhow::Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;

    let local = tokio::task::LocalSet::new();
    let slots = (0..slots).map(|_| {
        let (gateway, next) = (gateway.clone(), next.clone());
        local.spawn_local(async move {
            let mut courier = gateway.courier();
            let phone = Phone::parse("+70000000001").expect("this is a phone number");
            let mut taken = 0;
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return taken;
                }
                let Some(id) = MessageId::from_u64((1 << 32) + n) else {
                    return taken;
                };
                let envelope = Envelope {
                    id,
                    phone,
                    text: "Hello from the benchmark!",
                    receipt_url: "",
                };
                let outcome = match courier.prepare().await {
                    Some(prepared) => prepared.send(envelope).await,
                    None => GatewayOutcome::NotSent,
                };
                taken += u64::from(outcome == GatewayOutcome::Done);
            }
        })
    });

    let slots: Vec<_> = slots.collect();
    let mut taken = 0;
    local.block_on(&runtime, async {
        for slot in slots {
            taken += slot.await?;
        }
        Ok(taken)
    })
}
