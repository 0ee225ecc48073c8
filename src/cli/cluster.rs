//! `notty cluster`: shows the cluster and changes it, through the API of any node.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::{
    ApiArgs,
    client::{Client, count},
    out, runtime,
};

/// Pause between two checks of a node that catches up.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(super) struct ClusterArgs {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ClusterCommand {
    /// Show the leader, the nodes with role and progress, and the standalone postmen
    ///
    /// All values are as the asked node sees them. The exit status is 1 if it knows no leader; the reason
    /// is on stderr.
    Status(StatusArgs),
    /// Add a node, which must already run, with an empty data directory
    ///
    /// Start the node first, with a [cluster] section in its configuration; it then waits. It joins as
    /// a learner and becomes a voter when it has caught up; the command waits for that. It is safe to
    /// repeat the command. The token needs the role admin.
    Add(AddArgs),
    /// Remove a node for good
    ///
    /// A running node hands back its unsent messages first, and a leader hands over leadership. A node
    /// that lost its disk is removed in the same way, and is then added again with an empty data
    /// directory. The command is refused if a majority of the remaining voters cannot be reached. It is
    /// safe to repeat the command. The token needs the role admin.
    Remove(RemoveArgs),
    /// Transfer leadership to another node
    TransferLeader(TransferArgs),
    /// Set the cluster's time, back or forward, after a clock was wrong
    ///
    /// Correct the clocks of the machines first. While the leader does not believe its clock, nothing
    /// starts, ends, expires or is sent. This command confirms the time if neither NTP nor most of the
    /// other nodes can. It is safe to repeat the command. The token needs the role admin.
    SetTime(SetTimeArgs),
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// The node's name, as in its configuration
    name: String,
    /// The node's address for its peers: host and port
    #[arg(long, value_name = "ADDR")]
    peer: String,
    /// URL of the node's API for clients
    #[arg(long, value_name = "URL")]
    api_url: String,
    #[command(flatten)]
    ask: StatusArgs,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// Name of the node to remove
    name: String,
    #[command(flatten)]
    ask: StatusArgs,
}

#[derive(Debug, clap::Args)]
struct TransferArgs {
    /// The new leader; default: the node with the most entries
    name: Option<String>,
    #[command(flatten)]
    ask: StatusArgs,
}

#[derive(Debug, clap::Args)]
struct SetTimeArgs {
    /// The time, like 2026-03-02T09:00:00Z; default: the clock of the asked node
    time: Option<String>,
    #[command(flatten)]
    ask: StatusArgs,
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    /// Print the JSON object that the API returned
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

/// Prints an answer: the JSON object with `--json`, otherwise the line.
fn print(args: &StatusArgs, answer: &Value, line: &str) {
    if args.json {
        out::line(&answer.to_string());
    } else {
        out::line(line);
    }
}

fn path_of(name: &str) -> String {
    let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("/cluster/nodes/{name}")
}

async fn add(args: &AddArgs) -> anyhow::Result<()> {
    let client = Client::new(&args.ask.api.api)?;
    let name = &args.name;
    let body = json!({ "peer": args.peer, "api": args.api_url });
    let mut node = client.put(&path_of(name), &body).await?;

    // The answer comes before the node has caught up. Until it votes, it adds nothing to the safety of
    // the cluster, so the command waits.
    if is_learner(&node) && !args.ask.json {
        out::note(&format!(
            "{name} is a learner and catches up; it becomes a voter then"
        ));
    }
    while is_learner(&node) {
        tokio::time::sleep(LOOK).await;
        let cluster = client.get("/cluster").await?;
        node = nodes_of(&cluster)
            .iter()
            .find(|node| text(node, "name") == name)
            .cloned()
            .with_context(|| format!("{name} was removed from the cluster while it caught up"))?;
    }

    print(
        &args.ask,
        &node,
        &format!("{name} is a voter of the cluster"),
    );
    Ok(())
}

async fn remove(args: &RemoveArgs) -> anyhow::Result<()> {
    let client = Client::new(&args.ask.api.api)?;
    let name = &args.name;
    client.delete(&path_of(name)).await?;
    let line = format!("{name} was removed from the cluster; its data directory can be deleted");
    print(&args.ask, &json!({ "removed": name }), &line);
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
    print(&args.ask, &told, &format!("{leader} leads"));
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
    print(&args.ask, &told, &format!("the cluster's time is {time}"));
    if let Some(doubt) = text("doubt").filter(|_| !args.ask.json) {
        out::note(doubt);
    }
    Ok(())
}

async fn status(args: &StatusArgs) -> anyhow::Result<()> {
    let client = Client::new(&args.api.api)?;
    let cluster = client.get("/cluster").await?;
    if args.json {
        out::line(&cluster.to_string());
    } else {
        show(&cluster);
    }

    // The asked node explains what is missing.
    let readiness = client.check_ready().await;
    if cluster.get("leader").is_none_or(Value::is_null) {
        readiness?;
        bail!("the node knows no leader: ask again, or another node");
    }
    if let Err(reason) = readiness.as_ref().map_err(ToString::to_string)
        && !args.json
    {
        out::note(&format!("the asked node is not ready: {reason}"));
    }
    Ok(())
}

fn show(cluster: &Value) {
    let leader = text(cluster, "leader");
    let term = count(cluster, "term");
    out::line(&format!("leader {leader}, term {term}"));

    let names = nodes_of(cluster).iter().map(|node| text(node, "name"));
    let width = names.map(str::len).max().unwrap_or(0);
    for node in nodes_of(cluster) {
        let name = text(node, "name");
        let role = text(node, "role");
        let api = text(node, "api");
        let progress = progress(node);
        out::line(&format!("{name:<width$}  {role:<7}  {progress:<37}  {api}"));
    }

    let postmen = cluster.get("postmen").and_then(Value::as_array);
    for postman in postmen.into_iter().flatten() {
        out::line(&postman_line(postman, width));
    }
}

/// The line of a standalone postman; the gateway is worth a word only if it is another one.
fn postman_line(postman: &Value, width: usize) -> String {
    let name = text(postman, "name");
    let seen = text(postman, "last_seen");
    let is_other = text(postman, "gateway") == "other";
    let gateway = if is_other {
        "  sends to another gateway or account than the asked node"
    } else {
        ""
    };
    format!("{name:<width$}  postman  last call {seen}{gateway}")
}

/// The last and the applied position of a node, or the reason why it cannot be reached.
fn progress(node: &Value) -> String {
    if node.get("reachable").and_then(Value::as_bool) != Some(true) {
        let reason = node.get("reason").and_then(Value::as_str);
        return reason.unwrap_or("does not answer").to_owned();
    }
    let last = count(node, "last_index");
    let applied = count(node, "applied_index");
    format!("last {last:>9}  applied {applied:>9}")
}

/// The nodes in an answer about the cluster.
fn nodes_of(cluster: &Value) -> &[Value] {
    let nodes = cluster.get("nodes").and_then(Value::as_array);
    nodes.map_or(&[], Vec::as_slice)
}

fn is_learner(node: &Value) -> bool {
    text(node, "role") == "learner"
}

/// A text of a JSON object, `none` if it is absent.
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or("none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postman_has_a_line_and_another_gateway_is_named() {
        let told = |gateway| {
            let postman =
                json!({ "name": "s", "last_seen": "2026-03-02T09:00:00Z", "gateway": gateway });
            postman_line(&postman, 3)
        };
        let line = "s    postman  last call 2026-03-02T09:00:00Z";
        assert_eq!(told(json!("same")), line);
        assert_eq!(told(Value::Null), line);
        assert!(told(json!("other")).contains("another gateway"));
    }
}
