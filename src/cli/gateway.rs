//! `notty gateway`: the practice gateway, in notty's own protocol or in the place of a provider.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context;
use tokio::net::TcpListener;

use super::{files, gateway_receipts::ReceiptArgs, out, profile_check, signals::Stop};
use crate::{
    config::{ConfigError, Secret},
    gateway::{
        practice::{Act, Behaviour, Practice, PracticeProvider},
        profile::built_in,
    },
    telemetry::{self, LogFormat},
};

/// Files that the practice gateway has open without any connection, generously.
const GATEWAY_FILES: usize = 32;
/// Connections that one postman opens by default.
const CONNECTIONS: usize = 256;

#[derive(Debug, clap::Args)]
pub(super) struct GatewayArgs {
    /// Listen address of the gateway
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    listen: String,
    /// The token that requests must carry; empty: none
    #[arg(
        long,
        value_name = "TOKEN",
        default_value = "",
        hide_default_value = true,
        conflicts_with_all = ["profile", "profile_file"]
    )]
    token: String,
    /// Stand for a provider: the name of a built-in profile, like twilio
    #[arg(long, value_name = "NAME", conflicts_with = "profile_file")]
    profile: Option<String>,
    /// Stand for a provider: a profile of your own that has [[practice]]
    #[arg(long, value_name = "FILE")]
    profile_file: Option<PathBuf>,
    /// A secret that must be right; others are taken as they come (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    secret: Vec<String>,
    /// Show requests with their secrets, and not with dots in their place
    #[arg(long)]
    show_secrets: bool,
    /// Delay before each answer, in milliseconds
    #[arg(long, value_name = "N", default_value_t = 0)]
    latency_ms: u64,
    /// Answer 503, or as the profile says "later", to this many of a thousand requests
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    fail_per_mille: u32,
    /// Answer 400, or as the profile refuses, to this many of a thousand requests
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    invalid_per_mille: u32,
    /// Take this many of a thousand messages and never answer
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    hang_per_mille: u32,
    /// Reset the connection of this many of a thousand requests, half of them after taking the message
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    reset_per_mille: u32,
    /// Take this many of a thousand messages and cut the answer off, or answer no HTTP
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    cut_per_mille: u32,
    /// Answer with a halt of the profile to this many of a thousand requests
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    halt_per_mille: u32,
    /// Answer this many of a thousand requests so that nobody knows whether the message was taken
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    unsure_per_mille: u32,
    /// Give this answer of the profile to every request, or to N of a thousand (repeatable with N)
    #[arg(long, value_name = "NAME[=N]")]
    answer: Vec<String>,
    #[command(flatten)]
    receipts: ReceiptArgs,
}

pub(super) fn run(args: &GatewayArgs) -> anyhow::Result<()> {
    let behaviour = behaviour(args)?;
    behaviour.check_shares().map_err(ConfigError)?;
    let addresses = addresses(&args.listen)?;
    let provider = provider(args)?;
    check_files()?;

    let speaks = provider.as_ref().map(speaks);
    let practice = practice(args, provider, behaviour)?;
    out::wait_for_nobody()?;
    // One thread is enough for it, and leaves the other cores to what is tried.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut stop = Stop::listen()?;
        let listener = TcpListener::bind(&*addresses)
            .await
            .with_context(|| format!("--listen: cannot listen on {}", args.listen))?;
        out::line(&greeting(listener.local_addr()?, speaks));

        tokio::select! {
            served = practice.serve(listener) => Ok(served?),
            _ = stop.told() => Ok(()),
        }
    })
}

fn behaviour(args: &GatewayArgs) -> Result<Behaviour, ConfigError> {
    let mut behaviour = Behaviour {
        latency_ms: args.latency_ms,
        fail_per_mille: args.fail_per_mille,
        invalid_per_mille: args.invalid_per_mille,
        hang_per_mille: args.hang_per_mille,
        reset_per_mille: args.reset_per_mille,
        cut_per_mille: args.cut_per_mille,
        halt_per_mille: args.halt_per_mille,
        unsure_per_mille: args.unsure_per_mille,
        receipts: args.receipts.shares(),
        ..Behaviour::default()
    };

    for answer in &args.answer {
        match answer.split_once('=') {
            None if behaviour.acts.is_empty() => {
                behaviour.acts.push(Act::Named(answer.clone()));
            }
            None => {
                let what =
                    "--answer: it can be given once without =N; every request gets that answer";
                return Err(ConfigError(what.to_owned()));
            }
            Some((name, share)) => {
                let share = per_mille(share, answer)?;
                behaviour.answers_per_mille.insert(name.to_owned(), share);
            }
        }
    }
    Ok(behaviour)
}

fn per_mille(share: &str, answer: &str) -> Result<u32, ConfigError> {
    let number = share.parse().ok().filter(|number| *number <= 1_000);
    number.ok_or_else(|| {
        let what = format!("--answer {answer}: `{share}` is not a number from 0 to 1000");
        ConfigError(what)
    })
}

fn addresses(listen: &str) -> Result<Vec<SocketAddr>, ConfigError> {
    let addresses = listen.to_socket_addrs().map_err(|error| {
        let what = format!(
            "--listen: `{listen}` is not an address with a port, like 127.0.0.1:9090: {error}"
        );
        ConfigError(what)
    })?;
    Ok(addresses.collect())
}

fn check_files() -> anyhow::Result<()> {
    files::require("gateway", GATEWAY_FILES)?;
    let needs = [("connections", CONNECTIONS), ("itself", GATEWAY_FILES)];
    if let Some(shortage) = files::shortage(&needs, "") {
        out::note(&format!("notty: {shortage}"));
    }
    Ok(())
}

/// The provider that the gateway stands for, if it stands for one.
fn provider(args: &GatewayArgs) -> anyhow::Result<Option<PracticeProvider>> {
    let (name, profile) = match (&args.profile, &args.profile_file) {
        (Some(name), _) => (name.clone(), built_in::find(name)?),
        (None, Some(file)) => (file.display().to_string(), profile_check::read(file)?),
        (None, None) => {
            check_plain(args)?;
            return Ok(None);
        }
    };
    let secrets = secrets(&args.secret)?;
    let provider = PracticeProvider::new(&name, profile, secrets)?;
    Ok(Some(as_asked(args, provider)?))
}

/// The provider with what the options add to it.
fn as_asked(args: &GatewayArgs, provider: PracticeProvider) -> anyhow::Result<PracticeProvider> {
    let provider = match &args.receipts.receipts_to {
        Some(url) => provider.with_receipts_to(url)?,
        None => provider,
    };
    Ok(if args.show_secrets {
        provider.showing_secrets()
    } else {
        provider
    })
}

/// Rejects options that only a provider has.
fn check_plain(args: &GatewayArgs) -> Result<(), ConfigError> {
    let given = [
        ("--secret", !args.secret.is_empty()),
        ("--answer", !args.answer.is_empty()),
        ("--show-secrets", args.show_secrets),
        ("--receipts-to", args.receipts.receipts_to.is_some()),
        ("--halt-per-mille", args.halt_per_mille > 0),
        ("--unsure-per-mille", args.unsure_per_mille > 0),
    ];
    let needless = given.into_iter().find(|(_, is_given)| *is_given);
    needless.map_or(Ok(()), |(option, _)| {
        let what = format!("{option}: use it with --profile or --profile-file");
        Err(ConfigError(what))
    })
}

fn secrets(given: &[String]) -> Result<BTreeMap<String, Secret>, ConfigError> {
    let secrets = given.iter().map(|secret| {
        // Not shown: all of it may be the secret.
        let fault = || ConfigError("--secret: it is not of the form NAME=VALUE".to_owned());
        let (name, value) = secret.split_once('=').ok_or_else(fault)?;
        Ok((name.to_owned(), Secret::from(value)))
    });
    secrets.collect()
}

fn practice(
    args: &GatewayArgs,
    provider: Option<PracticeProvider>,
    behaviour: Behaviour,
) -> Result<Arc<Practice>, ConfigError> {
    let practice = match provider {
        None => Practice::new(args.token.clone(), behaviour),
        Some(provider) => Practice::of(provider, behaviour).map_err(ConfigError)?,
    };
    // Requests that fit no profile are logged, and receipts that nobody takes.
    telemetry::init(LogFormat::Text);
    Ok(practice)
}

/// The words of the greeting for a provider: its name, and the path of its messages.
fn speaks(provider: &PracticeProvider) -> (String, String) {
    (provider.name().to_owned(), provider.path().to_owned())
}

fn greeting(address: SocketAddr, speaks: Option<(String, String)>) -> String {
    let page = format!("its page on http://{address}/");
    match speaks {
        None => format!("practice gateway on http://{address}/v1/send, {page}"),
        Some((name, path)) => {
            format!("practice gateway as {name} on http://{address}{path}, {page}")
        }
    }
}
