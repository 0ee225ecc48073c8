//! A node as a process, and what most tests do with one.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Client, Gateway, Process, eventually, notty};

/// How long a node may take until it can serve.
const READY: Duration = Duration::from_secs(20);
/// How long most things may take at the most; far more than they need.
pub(super) const SOON: Duration = Duration::from_secs(60);

/// How a node is started.
#[derive(Clone)]
pub struct Setup {
    dir: Arc<TempDir>,
    data_dir: PathBuf,
    environment: Vec<(String, String)>,
    args: Vec<String>,
}

/// A running node.
pub struct Node {
    pub process: Process,
    pub client: Client,
    pub setup: Setup,
}

impl Setup {
    /// With an empty directory, and no gateway to be reached.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let data_dir = dir.path().join("data");
        let this = Self {
            dir: Arc::new(dir),
            data_dir,
            environment: Vec::new(),
            args: Vec::new(),
        };
        // Port 9 discards: nothing listens there.
        this.set("NOTTY_GATEWAY__URL", "http://127.0.0.1:9/v1/send")
    }

    /// With a gateway.
    pub fn at(gateway: &Gateway) -> Self {
        Self::new().set("NOTTY_GATEWAY__URL", &gateway.url())
    }

    /// With a configuration key set, by its environment variable.
    pub fn set(mut self, variable: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != variable);
        self.environment
            .push((variable.to_owned(), value.to_owned()));
        self
    }

    /// With a configuration key as it is by default.
    pub fn without(mut self, variable: &str) -> Self {
        self.environment.retain(|(known, _)| known != variable);
        self
    }

    /// With another flag of `serve`.
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// With its data elsewhere.
    pub fn data_dir(mut self, dir: &Path) -> Self {
        dir.clone_into(&mut self.data_dir);
        self
    }

    /// Where it keeps its data.
    pub fn data(&self) -> &Path {
        &self.data_dir
    }

    /// A directory that goes with the test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The command that starts it.
    pub fn command(&self) -> std::process::Command {
        let mut command = notty();
        command.current_dir(self.dir.path());
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&self.data_dir);
        command
            .args(&self.args)
            .envs(self.environment.iter().cloned());
        command
    }

    /// Starts it and waits until it can serve.
    pub async fn start(&self) -> Node {
        self.start_by(&mut self.command()).await
    }

    /// The same by another command.
    pub async fn start_by(&self, command: &mut std::process::Command) -> Node {
        let (process, address) = Process::start(command);
        let client = Client::new(&format!("http://{address}"));
        let node = Node {
            process,
            client,
            setup: self.clone(),
        };
        eventually("the node is ready", READY, async || {
            match node
                .client
                .try_send(node.client.request(Method::GET, "/readyz"))
                .await
            {
                Ok(answer) => (answer.status == 200).then_some(()),
                Err(error) => panic!("{error}: {:#?}", node.process.lines()),
            }
        })
        .await;
        node
    }
}

impl Node {
    /// Stops it by SIGTERM; it must end well.
    pub async fn stop(mut self) -> Vec<String> {
        self.process.signal("TERM");
        let ended = self.process.ended(Duration::from_secs(20)).await;
        assert!(ended.success(), "{ended}: {:#?}", self.process.lines());
        self.process.lines()
    }

    /// Kills it and starts it again.
    pub async fn kill_and_restart(mut self) -> Node {
        self.process.kill();
        self.setup.start().await
    }

    /// Imports sample customers `customer-1` to `customer-{count}`.
    pub async fn import(&self, count: u64) {
        self.client.import(count).await;
    }

    /// Creates a mailing from now on for an hour, with some fields otherwise.
    pub async fn mail(&self, id: &str, otherwise: Value) {
        self.client.mail(id, otherwise).await;
    }

    /// The counts of a mailing by status.
    pub async fn stats(&self, mailing: &str) -> Value {
        self.client
            .get(&format!("/stats/mailings/{mailing}"))
            .await
            .expect(200)
    }

    /// Waits until the counts of a mailing are so; statuses that are not named must be 0.
    pub async fn until(&self, mailing: &str, counts: Value) {
        let what = format!("{mailing} has {counts}");
        let mut last = Value::Null;
        let reached = tokio::time::timeout(SOON, async {
            eventually(&what, SOON * 2, async || {
                last = self.stats(mailing).await;
                let all = last.as_object().expect("counts");
                let same = all.iter().all(|(status, n)| match counts.get(status) {
                    Some(wanted) => wanted == n,
                    // Deliveries are an object of their own.
                    None => *n == json!(0) || n.is_object(),
                });
                same.then_some(())
            })
            .await
        });
        if reached.await.is_err() {
            panic!("not within {SOON:?}: {what}; it has {last}");
        }
    }

    /// Waits until a mailing's status, or `caught_up`, is as wanted.
    pub async fn until_field(&self, mailing: &str, field: &str, wanted: Value) {
        let what = format!("{mailing}: {field} is {wanted}");
        eventually(&what, SOON, async || {
            let now = self
                .client
                .get(&format!("/mailings/{mailing}"))
                .await
                .expect(200);
            (now[field] == wanted).then_some(())
        })
        .await;
    }

    /// The messages of a mailing.
    pub async fn messages(&self, mailing: &str) -> Vec<Value> {
        let path = format!("/messages?mailing={mailing}&limit=1000");
        let page = self.client.get(&path).await.expect(200);
        page["items"].as_array().cloned().expect("items")
    }
}

/// All messages of some stats.
pub fn total(stats: &Value) -> u64 {
    let counts = stats.as_object().expect("counts").values();
    // Deliveries are counts of the same messages, in an object of their own.
    counts.filter_map(Value::as_u64).sum()
}

/// A time so many minutes from now.
pub fn minutes_from_now(minutes: i64) -> String {
    let now = jiff::Timestamp::now();
    now.checked_add(jiff::SignedDuration::from_mins(minutes))
        .expect("a time")
        .to_string()
}

/// A mailing to everyone from now on for an hour, with some fields otherwise; null takes one away.
pub fn mailing(id: &str, otherwise: Value) -> Value {
    let mut mailing = json!({
        "id": id,
        "text": "Скидка 20 % до воскресенья",
        "start": minutes_from_now(-1),
        "end": minutes_from_now(60),
    });
    for (field, value) in otherwise.as_object().expect("fields") {
        mailing[field] = value.clone();
    }
    mailing
        .as_object_mut()
        .expect("fields")
        .retain(|_, value| !value.is_null());
    mailing
}

/// Customers by number, from one to another, as CSV.
pub fn sample_csv(from: u64, to: u64) -> String {
    let mut csv = "id,name,phone,operator,tag,timezone\n".to_owned();
    for n in from..=to {
        let operator = ["МТС", "Билайн", "МегаФон", "T2"][n as usize % 4];
        let tag = ["clients.moscow.new", "clients.omsk.best", "staff"][n as usize % 3];
        csv.push_str(&format!(
            "customer-{n},Имя {n},+7000{n:07},{operator},{tag},\n"
        ));
    }
    csv
}
