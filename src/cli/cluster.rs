//! `notty cluster`: looks at the cluster and changes it.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use super::{
    ApiArgs,
    client::{Client, count},
    out, runtime,
};

/// Between two looks at a node that catches up.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(super) struct ClusterArgs {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ClusterCommand {
    /// Show who leads, and how each node stands as the node that is asked sees it
    Status(StatusArgs),
    /// Take a node in: it must run, with an empty data directory
    ///
    /// It is started first, with [cluster] in its configuration; it then waits to be taken in. It
    /// comes as a learner, and votes once it has caught up; the command waits for that. A repeat is
    /// harmless.
    Add(AddArgs),
    /// Take a node out, for good
    ///
    /// A node that answers hands back what it has to send, and a leader hands over first. A node
    /// whose disk is lost is taken out in the same way, and can then be added with an empty data
    /// directory. Refused where too few nodes would be left that can be reached. A repeat is
    /// harmless.
    Remove(RemoveArgs),
    /// Hand leadership over, to a node or to the one that has most
    TransferLeader(TransferArgs),
    /// Set the time that entries carry, back or forward, after a clock that was wrong
    ///
    /// Put the clocks right first. While a node does not believe its clock, nothing starts, ends,
    /// expires or is sent; this is the second opinion that it waits for where neither NTP nor most of
    /// the other nodes can give one. For the role admin. A repeat is harmless.
    SetTime(SetTimeArgs),
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// The node's name, as in its configuration
    name: String,
    /// Where its peers reach it: host and port
    #[arg(long, value_name = "ADDR")]
    peer: String,
    /// Where clients reach it
    #[arg(long, value_name = "URL")]
    api_url: String,
    #[command(flatten)]
    ask: StatusArgs,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// The node's name
    name: String,
    #[command(flatten)]
    ask: StatusArgs,
}

#[derive(Debug, clap::Args)]
struct TransferArgs {
    /// The node that is to lead
    name: Option<String>,
    #[command(flatten)]
    ask: StatusArgs,
}

#[derive(Debug, clap::Args)]
struct SetTimeArgs {
    /// The time, like 2026-03-02T09:00:00Z; without it, what the clock of the node says
    time: Option<String>,
    #[command(flatten)]
    ask: StatusArgs,
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    /// One JSON object, as the API gives it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    api: ApiArgs,
}

pub(super) fn run(args: &ClusterArgs) -> anyhow::Result<()> {
    match &args.command {
        ClusterCommand::Status(args) => runtime()?.block_on(status(args)),
        ClusterCommand::Add(args) => runtime()?.block_on(add(args)),
        ClusterCommand::Remove(args) => runtime()?.block_on(remove(args)),
        ClusterCommand::TransferLeader(args) => runtime()?.block_on(transfer_leader(args)),
        ClusterCommand::SetTime(args) => runtime()?.block_on(set_time(args)),
    }
}

/// One JSON object for programs, or a line for people.
fn tell(args: &StatusArgs, told: &Value, line: &str) {
    out::line(&if args.json {
        told.to_string()
    } else {
        line.to_owned()
    });
}

fn path_of(name: &str) -> String {
    let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("/cluster/nodes/{name}")
}

async fn add(args: &AddArgs) -> anyhow::Result<()> {
    let (client, name) = (Client::new(&args.ask.api.api)?, &args.name);
    let body = json!({ "peer": args.peer, "api": args.api_url });
    let path = path_of(name);
    let mut node = client.put(&path, &body).await?;
    let learns = |node: &Value| node.get("role").and_then(Value::as_str) == Some("learner");
    if learns(&node) && !args.ask.json {
        out::note(&format!(
            "{name} is taken in and catches up; it votes once it has"
        ));
    }
    while learns(&node) {
        tokio::time::sleep(LOOK).await;
        let told = client.get("/cluster").await?;
        let nodes = told
            .get("nodes")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let named = |node: &Value| node.get("name").and_then(Value::as_str) == Some(name);
        node = nodes
            .into_iter()
            .find(named)
            .with_context(|| format!("{name} was removed"))?;
    }
    tell(
        &args.ask,
        &node,
        &format!("{name} is a node of the cluster and votes"),
    );
    Ok(())
}

async fn remove(args: &RemoveArgs) -> anyhow::Result<()> {
    let (client, name) = (Client::new(&args.ask.api.api)?, &args.name);
    client.delete(&path_of(name)).await?;
    let line = format!("{name} is no node of the cluster any more; its data directory can go");
    tell(&args.ask, &json!({ "removed": name }), &line);
    Ok(())
}

async fn transfer_leader(args: &TransferArgs) -> anyhow::Result<()> {
    let client = Client::new(&args.ask.api.api)?;
    let body = args
        .name
        .as_ref()
        .map_or_else(|| json!({}), |name| json!({ "name": name }));
    let told = client.put("/cluster/leader", &body).await?;
    let leader = told
        .get("leader")
        .and_then(Value::as_str)
        .unwrap_or("nobody");
    tell(&args.ask, &told, &format!("{leader} leads"));
    Ok(())
}

async fn set_time(args: &SetTimeArgs) -> anyhow::Result<()> {
    let client = Client::new(&args.ask.api.api)?;
    let body = args
        .time
        .as_ref()
        .map_or_else(|| json!({}), |time| json!({ "time": time }));
    let told = client.post("/cluster/time", &body).await?;
    let text = |field: &str| told.get(field).and_then(Value::as_str);
    let time = text("time").unwrap_or("unknown");
    tell(&args.ask, &told, &format!("the cluster's time is {time}"));
    if let Some(doubt) = text("doubt").filter(|_| !args.ask.json) {
        out::note(doubt);
    }
    Ok(())
}

async fn status(args: &StatusArgs) -> anyhow::Result<()> {
    let told = Client::new(&args.api.api)?.get("/cluster").await?;
    if args.json {
        out::line(&told.to_string());
        return Ok(());
    }
    let text = |value: &Value, field: &str| {
        value
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or("none")
            .to_owned()
    };
    out::line(&format!(
        "leader {}, term {}",
        text(&told, "leader"),
        count(&told, "term")
    ));
    let nodes = told
        .get("nodes")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let width = nodes
        .iter()
        .map(|node| text(node, "name").len())
        .max()
        .unwrap_or(0);
    for node in &nodes {
        let reachable = node
            .get("reachable")
            .and_then(Value::as_bool)
            .unwrap_or(false);
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
