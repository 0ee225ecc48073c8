//! `notty bench receipts`: receipts a second on one node, while it sends another mailing.
//!
//! The gateway is in this process and answers at once, so that the addresses for receipts are at hand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, Response, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    super::{client::count, nodes::Plan, out},
    Rounds,
    record::Record,
    stage::Stage,
    wire::Wire,
};

/// The address of the cluster in what the gateway is told; nobody looks it up.
const PUBLIC_URL: &str = "http://notty.example";
/// Between two looks at the mailing.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ReceiptsArgs {
    /// Number of customers to import, and of receipts
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(super) customers: u64,
    /// Number of connections that bring receipts
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(super) clients: usize,
    /// Number of nodes to start
    #[arg(long, default_value_t = 1, value_parser = super::nodes())]
    pub(super) nodes: u8,
    #[command(flatten)]
    pub(super) rounds: Rounds,
}

/// A gateway that takes every message, and the paths at which it may report.
#[derive(Clone, Default)]
struct Reporting {
    paths: Arc<Mutex<Vec<String>>>,
    taken: Arc<AtomicU64>,
}

impl Reporting {
    /// Listens on a free port; the address.
    async fn start(&self) -> anyhow::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let gateway = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(gateway.clone().serve(stream));
            }
        });
        Ok(address)
    }

    async fn serve(self, stream: TcpStream) {
        let service = service_fn(|request| self.answer(request));
        // The node closes its connections as it likes.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn answer(&self, request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
        let path = path_of(request.headers());
        request.into_body().collect().await?;
        self.paths.lock().extend(path);
        self.taken.fetch_add(1, Relaxed);
        Ok(Response::new(Full::new(Bytes::from_static(
            b"{\"code\":0}",
        ))))
    }
}

/// The path of the address to which a message's request wants receipts.
fn path_of(headers: &HeaderMap) -> Option<String> {
    let url = headers.get("notty-receipt-url")?.to_str().ok()?;
    url.strip_prefix(PUBLIC_URL).map(str::to_owned)
}

pub(super) async fn measure(args: &ReceiptsArgs) -> anyhow::Result<Record> {
    let mut rounds = Vec::new();
    for n in 1..=args.rounds.rounds {
        let record = round(args).await?;
        let rate = record.figure("receipts_rate").unwrap_or_default();
        out::note(&format!("round {n}: {rate:.0} receipts/s"));
        rounds.push(record);
    }
    Ok(Record::median(&rounds))
}

async fn round(args: &ReceiptsArgs) -> anyhow::Result<Record> {
    let settings = vec![
        ("customers", json!(args.customers)),
        ("clients", json!(args.clients)),
        ("nodes", json!(args.nodes)),
    ];
    let mut record = Record::new("receipts", settings);
    let gateway = Reporting::default();
    let address = gateway.start().await?;
    let plan = Plan {
        public_url: PUBLIC_URL,
        ..Plan::new(usize::from(args.nodes), &address, 256)
    };
    let mut stage = Stage::start(&plan).await?;
    stage.import(args.customers).await?;
    await_addresses(stage.address()).await?;

    let alone = send(&stage, "first", args.customers, &gateway).await?;
    record.add("alone_rate", alone);
    let paths = std::mem::take(&mut *gateway.paths.lock());
    anyhow::ensure!(
        paths.len() as u64 == args.customers,
        "{} of {} messages came with an address",
        paths.len(),
        args.customers
    );

    stage.begin();
    let sending = send(&stage, "second", args.customers, &gateway);
    let reporting = report(stage.address(), paths, args.clients);
    let (meanwhile, receipts) = tokio::try_join!(sending, reporting)?;
    record.add("meanwhile_rate", meanwhile);
    record.add("receipts_rate", receipts);
    stage.add_costs(&mut record, 2 * args.customers);

    let stats = stage.client().get("/stats").await?;
    let delivered = count(stats.get("delivery").unwrap_or(&Value::Null), "delivered");
    anyhow::ensure!(
        delivered == args.customers,
        "not all are delivered: {stats}"
    );
    Ok(record)
}

/// An address that nobody signed: a node can tell once it knows the secret, and not before.
const UNSIGNED: &str = "/receipts/default/4294967296?k=1.AAAAAAAAAAAAAAAAAAAAAA";

/// Waits until the node makes addresses for receipts: a new cluster agrees on a secret first, and refuses
/// any signature from then on.
async fn await_addresses(address: &str) -> anyhow::Result<()> {
    let mut wire = Wire::connect(address).await?;
    loop {
        let Err(error) = wire.get(UNSIGNED).await else {
            anyhow::bail!("a receipt without a signature was taken");
        };
        if !error.to_string().contains("not_ready") {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Sends a mailing to all; messages a second from its creation on.
async fn send(stage: &Stage, id: &str, customers: u64, gateway: &Reporting) -> anyhow::Result<f64> {
    let (began, before) = (Instant::now(), gateway.taken.load(Relaxed));
    stage.mail(id, "%", 3_600).await?;
    while gateway.taken.load(Relaxed) < before + customers {
        tokio::time::sleep(LOOK).await;
    }
    let rate = customers as f64 / began.elapsed().as_secs_f64();
    stage.await_caught_up(id).await?;
    Ok(rate)
}

/// Brings receipts over so many connections, in the order of the messages; receipts a second.
async fn report(address: &str, mut paths: Vec<String>, clients: usize) -> anyhow::Result<f64> {
    let count = paths.len();
    paths.reverse();
    let paths = Arc::new(Mutex::new(paths));
    let mut running = JoinSet::new();
    let began = Instant::now();
    for _ in 0..clients {
        let paths = paths.clone();
        let mut wire = Wire::connect(address).await?;
        running.spawn(async move {
            loop {
                let Some(path) = paths.lock().pop() else {
                    return anyhow::Ok(());
                };
                wire.get(&format!("{path}&status=delivered")).await?;
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}
