//! What a person types. Errors are one clear line on stderr; status 0 only on success, 2 for a
//! usage or configuration error.

mod backup;
mod bench;
mod client;
mod cluster;
mod demo;
mod export;
mod import;
mod nodes;
mod out;
mod postman;
mod process;
mod restore;
mod sample;
mod serve;
mod watch;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    api,
    config::{Config, ConfigError},
    telemetry::LogFormat,
};

/// Sends SMS mailings, each message at most once, from one binary that keeps everything itself.
#[derive(Debug, Parser)]
#[command(name = "notty", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node
    ///
    /// No file is needed: a single node keeps its data in ./data and serves its API on
    /// 127.0.0.1:8080. Its page is /docs there.
    Serve(serve::ServeArgs),
    /// Run a sender without storage: it takes leases from a cluster and sends
    ///
    /// It needs `postman.name`, unlike any other, `postman.peers`, the cluster's secret or
    /// certificates, and a directory for its journal that outlives it (`postman.journal_dir`).
    Postman(postman::PostmanArgs),
    /// Show the whole thing: gateway, node, customers, one mailing, and the balance at the end
    ///
    /// With its data in a fresh temporary directory; with --nodes 3 each node is a process of its own.
    Demo(demo::DemoArgs),
    /// Run the practice gateway by itself
    ///
    /// It accepts POST /v1/send/{id}, counts by message id, reports duplicates, shows what it
    /// received at GET / and GET /messages, and misbehaves on demand.
    Gateway(process::GatewayArgs),
    /// Stream customers in, from CSV or NDJSON
    ///
    /// The first row of CSV names the columns: id, name, phone, operator, tag, timezone. Rows that
    /// are wrong are left out and told with their lines; the exit status is 0 all the same, because
    /// the others were written. To have a file refused as a whole, look first with --dry-run: its
    /// exit status is 1 if a row is wrong.
    Import(import::ImportArgs),
    /// Stream customers or messages out, as CSV or NDJSON
    Export(export::ExportArgs),
    /// Write a consistent copy of a running node to a file
    ///
    /// While everything goes on. The file is whole and checked, or it is not there. Any node may be
    /// asked; the token must be an admin's.
    Backup(backup::BackupArgs),
    /// Make a data directory of a new cluster from a backup
    ///
    /// Nothing of it is sent by itself: messages that were not final become unconfirmed, unfinished
    /// mailings are paused until they are resumed with accept_duplicates. The old cluster must not
    /// run any more.
    Restore(restore::RestoreArgs),
    /// Follow a mailing until it is caught up or ends
    Watch(watch::WatchArgs),
    /// Look at the cluster, and change it
    Cluster(cluster::ClusterArgs),
    /// Say whether a node can serve: status 0 if it can, 1 if not
    ///
    /// For health checks of containers, where there is nothing else to ask with.
    Healthcheck(ApiArgs),
    /// Say whether a configuration file is right, and where it is not
    CheckConfig(CheckConfigArgs),
    /// Print the OpenAPI document
    Openapi,
    /// Measure
    Bench(bench::BenchArgs),
}

#[derive(Debug, clap::Args)]
struct CheckConfigArgs {
    /// The file
    #[arg(long, value_name = "FILE", default_value = crate::config::DEFAULT_FILE)]
    config: PathBuf,
}

/// Where a running notty is, for the commands that talk to one.
#[derive(Clone, Debug, clap::Args)]
struct ApiArgs {
    /// The API of a node; its token is taken from NOTTY_TOKEN
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    api: String,
}

/// What was typed; the exit status if there is nothing to run: help was asked for, or what was
/// typed is wrong, which is one line like every other error.
pub fn parse() -> Result<Cli, ExitCode> {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion,
    };
    Cli::try_parse().map_err(|error| match error.kind() {
        DisplayHelp | DisplayVersion | DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        _ => {
            let text = error.to_string();
            let parts = text.trim_start_matches("error: ").split("\n\n");
            let parts = parts.map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
            out::note(&format!("notty: {}", parts.collect::<Vec<_>>().join("; ")));
            ExitCode::from(2)
        }
    })
}

/// Runs a command; the process's exit status.
pub fn run(cli: Cli) -> ExitCode {
    // Only once in a process, and nobody else installs one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let status = match dispatch(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::error(&error);
            let usage = error.downcast_ref::<ConfigError>().is_some();
            ExitCode::from(if usage { 2 } else { 1 })
        }
    };
    out::flush();
    status
}

fn dispatch(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Postman(args) => postman::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Gateway(args) => process::run_gateway(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Cluster(args) => cluster::run(&args),
        Command::Healthcheck(args) => runtime()?.block_on(healthcheck(&args)),
        Command::CheckConfig(args) => check_config(&args),
        Command::Openapi => {
            out::line(&api::openapi().to_pretty_json()?);
            Ok(())
        }
        Command::Bench(args) => bench::run(&args),
    }
}

async fn healthcheck(args: &ApiArgs) -> anyhow::Result<()> {
    let ready = client::Client::new(&args.api)?.is_ready().await;
    anyhow::ensure!(ready, "{} is not ready, or not there; see --api", args.api);
    out::line(&format!("{}: ready", args.api));
    Ok(())
}

fn check_config(args: &CheckConfigArgs) -> anyhow::Result<()> {
    let config = Config::load(Some(&args.config))?;
    crate::server::check(&config)?;
    out::line(&format!("{}: right", args.config.display()));
    Ok(())
}

/// How logs look, for commands that run a node.
#[derive(Clone, Copy, Debug, clap::Args)]
struct LogArgs {
    /// Lines for people, or one JSON object a line
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

/// A runtime for commands that talk to a node.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}
