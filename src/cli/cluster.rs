//! `notty cluster`: looks at the cluster.

use serde_json::Value;

use super::{
    ApiArgs,
    client::{Client, count},
    out, runtime,
};

#[derive(Debug, clap::Args)]
pub(super) struct ClusterArgs {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ClusterCommand {
    /// Show who leads, and how each node stands as the node that is asked sees it
    Status(StatusArgs),
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    /// One JSON object, as GET /cluster gives it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    api: ApiArgs,
}

pub(super) fn run(args: &ClusterArgs) -> anyhow::Result<()> {
    match &args.command {
        ClusterCommand::Status(args) => runtime()?.block_on(status(args)),
    }
}

async fn status(args: &StatusArgs) -> anyhow::Result<()> {
    let told = Client::new(&args.api.api)?.get("/cluster").await?;
    if args.json {
        out::line(&told.to_string());
        return Ok(());
    }
    let text = |value: &Value, field: &str| {
        value.get(field).and_then(Value::as_str).unwrap_or("none").to_owned()
    };
    out::line(&format!("leader {}, term {}", text(&told, "leader"), count(&told, "term")));
    let nodes = told.get("nodes").and_then(Value::as_array).cloned().unwrap_or_default();
    let width = nodes.iter().map(|node| text(node, "name").len()).max().unwrap_or(0);
    for node in &nodes {
        let reachable = node.get("reachable").and_then(Value::as_bool).unwrap_or(false);
        let (last, applied) = (count(node, "last_index"), count(node, "applied_index"));
        let stands = match reachable {
            true => format!("last {last:>9}  applied {applied:>9}"),
            false => "does not answer".to_owned(),
        };
        let (name, role, api) = (text(node, "name"), text(node, "role"), text(node, "api"));
        out::line(&format!("{name:<width$}  {role:<7}  {stands:<37}  {api}"));
    }
    Ok(())
}
