//! `notty postman`: runs a sender without storage until a signal stops it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{
    LogArgs,
    process::{raise_file_limit, warn_of_few_files},
    runtime, warn_of_strays,
};
use crate::{
    config::{Config, Settings},
    server, standalone,
    surroundings::Surroundings,
    telemetry,
};

/// Time limit of a stop. Service managers kill a process that takes longer than about 20 s.
const STOP: Duration = Duration::from_millis(18_500);
/// Time that a stop waits for busy threads.
const THREADS_STOP: Duration = Duration::from_secs(1);
/// Files that journal, peers and runtime have open, generously.
const OWN_FILES: usize = 256;

#[derive(Debug, clap::Args)]
pub(super) struct PostmanArgs {
    /// The configuration file; default: config.toml, if it exists
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
}

pub(super) fn run(args: &PostmanArgs) -> anyhow::Result<()> {
    // First of all: from here on nothing waits for whoever reads stderr.
    telemetry::init(args.log.log_format);
    let config = Settings::read(args.config.as_deref(), &[])?.checked(server::check_postman)?;
    warn_of_strays();
    let concurrency = config.gateway.concurrency;
    let needs = [("gateway.concurrency", concurrency), ("itself", OWN_FILES)];
    warn_of_few_files(raise_file_limit(), &needs, "");
    let runtime = runtime()?;
    let sent = runtime.block_on(send(&config));
    runtime.shutdown_timeout(THREADS_STOP);
    sent
}

async fn send(config: &Config) -> anyhow::Result<()> {
    // Heard from the start: a stop while no cluster is found must not be lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = watch::channel(false);

    let sending = standalone::run(config, surroundings(), stopped);
    tokio::pin!(sending);
    tokio::select! {
        // Nothing told it to: it was replaced, or cannot go on.
        ended = &mut sending => return ended,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }

    tracing::info!("stopping: requests in flight end, unsent messages are handed back");
    stop.send_replace(true);
    tokio::select! {
        ended = tokio::time::timeout(STOP, &mut sending) => match ended {
            Ok(ended) => ended?,
            // Its leases run out by themselves.
            Err(_) => tracing::warn!(
                "the stop took longer than {} s and was cut short; the next start reports the rest from \
                 the journal",
                STOP.as_secs()
            ),
        },
        _ = interrupt.recv() => anyhow::bail!("stopped immediately by a second Ctrl-C"),
    }

    tracing::info!("stopped");
    Ok(())
}

fn surroundings() -> Surroundings {
    let fatal = |line: &str| {
        let end = "the postman ends; its next start reports the results in its journal";
        telemetry::end_process(&[line, end])
    };
    Surroundings {
        fatal: Arc::new(fatal),
        ..Surroundings::real()
    }
}
