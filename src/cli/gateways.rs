//! `notty gateways`: what the service knows of providers.

use super::out;
use crate::gateway::profile::built_in;

#[derive(Debug, clap::Args)]
pub(super) struct GatewaysArgs {
    #[command(subcommand)]
    command: GatewaysCommand,
}

#[derive(Debug, clap::Subcommand)]
enum GatewaysCommand {
    /// Print a built-in profile, as a starting point for one of your own
    ///
    /// A profile has the request of a message and the meaning of each answer. docs/gateway-profiles.md
    /// describes the format.
    Profile {
        /// The name of the profile, like twilio
        name: String,
    },
}

pub(super) fn run(args: &GatewaysArgs) -> anyhow::Result<()> {
    match &args.command {
        GatewaysCommand::Profile { name } => print_profile(name),
    }
}

fn print_profile(name: &str) -> anyhow::Result<()> {
    let text = built_in::text(name).ok_or_else(|| built_in::unknown(name))?;
    out::line(text.trim_end());
    Ok(())
}
