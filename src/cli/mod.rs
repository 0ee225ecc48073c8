//! The command line: one file for each command, and their shared arguments.
//!
//! An error is one line on stderr. The exit status is 0 only on success, 2 after a usage or
//! configuration error, and 4 for a node that was removed from its cluster. The commands talk to a node over its HTTP API, like any other client.

mod backup;
mod bench;
mod client;
mod cluster;
mod demo;
mod demo_gateway;
mod demo_receipts;
mod destination;
mod export;
mod files;
mod gateway;
mod gateway_receipts;
mod gateways;
mod import;
mod nodes;
mod out;
mod postman;
mod process;
mod profile_check;
mod restore;
mod sample;
mod saved_file;
mod serve;
mod signals;
mod watch;

use std::{path::PathBuf, process::ExitCode, sync::LazyLock};

use clap::{CommandFactory, Parser, Subcommand};

use crate::{
    api,
    config::{self, ConfigError, Settings},
    telemetry::LogFormat,
    version::VERSION,
};

/// The end of the overview.
const START: &str = "\
To begin: `notty demo` shows a mailing with a practice gateway and sends no SMS. `notty serve` runs a node; \
its API is described at http://127.0.0.1:8080/docs.

Each command has its own help: notty COMMAND --help. config.toml.example lists all keys of the \
configuration; an environment variable overrides a key, like NOTTY_GATEWAY__URL. Commands that talk to a \
node take its URL from --api or NOTTY_API, and the token from NOTTY_TOKEN.

Exit status: 0 success, 1 failure, 2 wrong usage or configuration, 4 (only of serve) the node was removed \
from its cluster.";

/// Sends SMS mailings, each message at most once, from one binary that stores everything itself.
#[derive(Debug, Parser)]
#[command(name = "notty", version = VERSION, arg_required_else_help = true, after_help = START)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node
    ///
    /// No configuration file is needed: a single node keeps its data in ./data and serves its API on
    /// http://127.0.0.1:8080, with its documentation at /docs.
    ///
    /// The exit status is 0 after a stop, 2 if the configuration is wrong, and 4 if this node was removed
    /// from its cluster: a restart would not help then.
    Serve(serve::ServeArgs),
    /// Run a standalone postman, which leases messages from a cluster and sends them
    ///
    /// It stores nothing but a journal. Its configuration needs `postman.name` (no other postman or node
    /// may have the same), `postman.peers`, `postman.journal_dir` (a local directory that is kept when the
    /// process ends), and one of `cluster.postman_secret`, `cluster.secret` and `cluster.tls`.
    Postman(postman::PostmanArgs),
    /// Run a demo: send one mailing to sample customers through a practice gateway
    ///
    /// The demo starts a practice gateway and a node, imports customers, sends one mailing, and compares
    /// the counts of the node with those of the gateway (the balance). No SMS is sent. The data is in a
    /// new temporary directory. With --nodes 3, each node is a separate process.
    Demo(demo::DemoArgs),
    /// Run the practice gateway, which sends no SMS
    ///
    /// It accepts POST /v1/send/{id}, counts requests by message id, reports duplicates, and shows the
    /// messages that it received at GET / and GET /messages. The options make it slow or faulty.
    ///
    /// With --profile it stands for an SMS provider: it takes the requests of that profile alone, answers as
    /// the provider's documentation has it, and shows each request on its page. No account is needed.
    Gateway(gateway::GatewayArgs),
    /// Show what notty knows of SMS providers
    Gateways(gateways::GatewaysArgs),
    /// Import customers from a CSV or NDJSON file
    ///
    /// The first row of a CSV file names the columns: id, name, phone, operator, tag, timezone. Invalid
    /// rows are left out and listed with their line numbers; all other rows are written. The exit status is
    /// 1 if a row was left out. To check a file first, use --dry-run.
    Import(import::ImportArgs),
    /// Export customers or messages as CSV or NDJSON to stdout or a file
    Export(export::ExportArgs),
    /// Write a consistent copy of a running node to a file
    ///
    /// The node keeps working meanwhile. The file is read back and checked before it gets its name. Any
    /// node of a cluster can make a backup. The token needs the role admin.
    Backup(backup::BackupArgs),
    /// Create the data directory of a new cluster from a backup
    ///
    /// The new cluster sends nothing by itself: messages that were not final become unconfirmed, and
    /// unfinished mailings are paused until you resume each one with accept_duplicates. Stop the old
    /// cluster first, and never start it again: both clusters would send.
    Restore(restore::RestoreArgs),
    /// Follow a mailing until it is caught up or ends
    ///
    /// Shows the rate, the time left and the number of messages by status. A mailing is caught up when
    /// every customer that matches now has a final message.
    Watch(watch::WatchArgs),
    /// Show the cluster, and change its nodes, its leader or its time
    Cluster(cluster::ClusterArgs),
    /// Check that a node can serve: exit status 0 if it can, 1 if not
    ///
    /// Prints the reason if it cannot. This is for health checks of containers without other programs.
    Healthcheck(ApiArgs),
    /// Check a configuration file, and print all errors with their lines
    ///
    /// Environment variables that override keys of the file are checked too, and without a file they are
    /// checked with the defaults, as `notty serve` uses them. The exit status is 2 if there is an error. Files
    /// that systemd gives to the unit alone (LoadCredential=) are named, and are no error.
    CheckConfig(CheckConfigArgs),
    /// Print the OpenAPI document
    Openapi,
    /// Print completions for a shell
    ///
    /// For bash, put this line into ~/.bashrc: source <(notty completions bash). For zsh, run this in a
    /// directory of $fpath: notty completions zsh > _notty. For fish, run: notty completions fish >
    /// ~/.config/fish/completions/notty.fish
    Completions {
        /// The shell that completes commands
        shell: clap_complete::Shell,
    },
    /// Measure speed, memory and disk on this machine
    Bench(bench::BenchArgs),
}

impl Command {
    /// True if the command listens to signals itself, because it has something to put in order.
    fn stops_in_order(&self) -> bool {
        match self {
            Self::Serve(_) | Self::Postman(_) | Self::Demo(_) | Self::Gateway(_) => true,
            Self::Backup(_) => true,
            Self::Bench(args) => args.stops_in_order(),
            _ => false,
        }
    }
}

/// The URL of the API that commands use unless `--api` names another. An empty variable counts as none.
static API: LazyLock<String> = LazyLock::new(|| {
    let variable = std::env::var("NOTTY_API").ok();
    let given = variable.filter(|url| !url.is_empty());
    given.unwrap_or_else(|| "http://127.0.0.1:8080".to_owned())
});

#[derive(Debug, clap::Args)]
struct CheckConfigArgs {
    /// The configuration file to check; default: config.toml, if it exists
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A gateway profile to check instead; shows the request of a sample message too
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    profile: Option<PathBuf>,
}

/// The API of a node, for commands that are its clients.
#[derive(Clone, Debug, clap::Args)]
struct ApiArgs {
    /// URL of a node's API, also read from NOTTY_API; the token is read from NOTTY_TOKEN
    #[arg(long, global = true, value_name = "URL", default_value = API.as_str())]
    api: String,
}

/// Parses the command line. Help and version are printed here and end the process; a usage error is
/// one line, like every other error, and returns its exit status.
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

/// Runs a command and returns the exit status of the process.
pub fn run(cli: Cli) -> ExitCode {
    keep_files_private();
    // Only once in a process, and nobody else installs one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    files::raise_limit();
    let listening = if cli.command.stops_in_order() {
        Ok(())
    } else {
        signals::end_at_a_signal()
    };
    let status = match listening.and_then(|()| dispatch(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    };
    out::flush();
    match out::failure() {
        Some(error) if status == ExitCode::SUCCESS => {
            out::note(&format!("notty: stdout cannot be written: {error}"));
            ExitCode::FAILURE
        }
        _ => status,
    }
}

/// Has every file that this process creates be its user's alone: data, journals and backups hold phones,
/// names and texts. Whatever the caller's `umask` was, only this one counts.
fn keep_files_private() {
    use rustix::fs::Mode;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Shows an error. Returns the exit status: 2 for faults of the configuration or of the command line, of
/// which each has a line of its own; that of a removed node, so that a service manager knows it.
fn failed(error: &anyhow::Error) -> ExitCode {
    if let Some(ConfigError(faults)) = error.downcast_ref() {
        for fault in faults.lines() {
            out::note(&format!("notty: {fault}"));
        }
        return ExitCode::from(2);
    }
    out::error(error);
    match error.downcast_ref() {
        Some(serve::Removed) => ExitCode::from(serve::REMOVED_STATUS),
        None => ExitCode::FAILURE,
    }
}

fn dispatch(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Postman(args) => postman::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Gateway(args) => gateway::run(&args),
        Command::Gateways(args) => gateways::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Cluster(args) => cluster::run(&args),
        Command::Healthcheck(args) => runtime()?.block_on(healthcheck(&args)),
        Command::CheckConfig(args) => check_config(&args),
        Command::Bench(args) => bench::run(&args),

        Command::Openapi => {
            out::line(&api::openapi().to_pretty_json()?);
            Ok(())
        }
        Command::Completions { shell } => {
            out::line(completions(shell)?.trim_end());
            Ok(())
        }
    }
}

/// The completions of all commands for a shell.
fn completions(shell: clap_complete::Shell) -> anyhow::Result<String> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "notty", &mut text);
    Ok(String::from_utf8(text)?)
}

async fn healthcheck(args: &ApiArgs) -> anyhow::Result<()> {
    client::Client::new(&args.api)?.check_ready().await?;
    out::line(&format!("{}: ready", args.api));
    Ok(())
}

fn check_config(args: &CheckConfigArgs) -> anyhow::Result<()> {
    if let Some(profile) = &args.profile {
        return profile_check::run(profile);
    }
    let settings = Settings::read(args.config.as_deref(), &[])?;
    let file = settings.file().map(|file| file.display().to_string());
    let config = settings.checked(crate::server::check)?;

    let notes = crate::server::unchecked_parts(&config).into_iter();
    let notes = notes.chain(config::stray_variables());
    for note in notes.chain(config.advice()) {
        out::note(&format!("notty: {note}"));
    }
    let checked = file.unwrap_or_else(|| {
        let missing = format!("no {} is here", config::DEFAULT_FILE);
        format!("{missing}; the defaults and the environment variables")
    });
    out::line(&format!("{checked}: valid"));
    Ok(())
}

/// The format of the log, for commands that run a node or a postman.
#[derive(Clone, Copy, Debug, clap::Args)]
struct LogArgs {
    /// Format of log lines
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
}

/// Logs the variables of the environment that look like settings, if there are any that are none.
fn warn_of_strays() {
    if let Some(strays) = config::stray_variables() {
        tracing::warn!("{strays}");
    }
}

/// A tokio runtime with several threads.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}
