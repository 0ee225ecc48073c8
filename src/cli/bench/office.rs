//! `notty bench post-office`: expand, grant and report, with log and state, but with nothing sent.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use notty_storage::model::PostmanName;
use serde_json::{Value, json};

use super::{
    super::{client::count, out, process},
    Rounds,
    record::Record,
    stage::Stage,
};
use crate::{
    config::{Config, Settings},
    server::Server,
    stand_in,
    surroundings::Surroundings,
    telemetry,
};

/// Between two looks at the mailings.
const LOOK: Duration = Duration::from_millis(10);
/// Stand-ins in each node.
const STAND_INS: usize = 4;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct PostOfficeArgs {
    /// Number of customers to import
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(super) customers: u64,
    /// Number of mailings at once, each to all customers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) mailings: u64,
    /// Number of nodes to start
    #[arg(long, default_value_t = 1, value_parser = super::nodes())]
    pub(super) nodes: u8,
    #[command(flatten)]
    pub(super) rounds: Rounds,
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct OfficeArgs {
    /// Configuration file of the node
    #[arg(long)]
    config: PathBuf,
}

/// A node whose messages are taken by stand-ins, until it is killed.
pub(super) fn run(args: &OfficeArgs) -> anyhow::Result<()> {
    telemetry::init_quiet();
    let mut config = Settings::read(Some(&args.config), &[])?.checked(Config::check)?;
    config.postman.enabled = false;
    let name = config
        .cluster
        .as_ref()
        .map_or("alone", |cluster| &cluster.name)
        .to_owned();
    process::block_on(async {
        let server = Server::start(&config, Surroundings::real()).await?;
        let mut running = tokio::task::JoinSet::new();
        for n in 0..STAND_INS {
            let name = PostmanName::parse(&format!("{name}-stand-in-{n}"));
            let name = name.map_err(|invalid| anyhow!("{invalid:?}"))?;
            running.spawn(stand_in::run(server.desk(), name));
        }
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        Ok(())
    })
}

impl PostOfficeArgs {
    fn settings(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("customers", json!(self.customers)),
            ("mailings", json!(self.mailings)),
            ("nodes", json!(self.nodes)),
        ]
    }
}

pub(super) async fn measure(args: &PostOfficeArgs) -> anyhow::Result<Record> {
    let mut rounds = Vec::new();
    for n in 1..=args.rounds.rounds {
        let mut record = Record::new("post-office", args.settings());
        let mut stage = Stage::office(usize::from(args.nodes)).await?;
        stage.import(args.customers).await?;
        stage.begin();

        let (began, mut from) = (Instant::now(), 1);
        stage.mail_all(args.mailings).await?;
        while !stage.are_caught_up(&mut from, args.mailings).await? {
            tokio::time::sleep(LOOK).await;
        }
        let messages = args.customers * args.mailings;
        let rate = messages as f64 / began.elapsed().as_secs_f64();

        // A rate counts only if nothing was left out.
        let stats = stage.client().get("/stats").await?;
        anyhow::ensure!(
            count(&stats, "done") == messages,
            "not all are done: {stats}"
        );

        record.add("rate", rate);
        stage.add_costs(&mut record, messages);
        out::note(&format!("round {n}: {rate:.0} messages/s"));
        rounds.push(record);
    }
    Ok(Record::median(&rounds))
}
