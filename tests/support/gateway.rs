//! The practice gateway as a process, misbehaving on demand.

use std::{process::Command, time::Duration};

use serde_json::{Value, json};

use super::{Client, Process, eventually, notty};

/// A practice gateway.
pub struct Gateway {
    pub process: Process,
    pub address: String,
    pub client: Client,
}

impl Gateway {
    /// One that behaves.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// One with more flags.
    pub fn with(flags: &[&str]) -> Self {
        Self::at("127.0.0.1:0", flags)
    }

    /// One that listens elsewhere.
    pub fn at(listen: &str, flags: &[&str]) -> Self {
        let mut command: Command = notty();
        command.args(["gateway", "--listen", listen]).args(flags);
        let (process, address) = Process::start(&mut command);
        let client = Client::new(&format!("http://{address}"));
        Self {
            process,
            address,
            client,
        }
    }

    /// Where messages go.
    pub fn url(&self) -> String {
        format!("http://{}/v1/send", self.address)
    }

    /// The port that it listens on.
    pub fn port(&self) -> &str {
        self.address.rsplit_once(':').expect("a port").1
    }

    /// Makes it behave so from now on.
    pub async fn behave(&self, behaviour: Value) {
        self.client.put("/behaviour", &behaviour).await.expect(204);
    }

    /// Makes it deal so with the next requests, and take all others.
    pub async fn act(&self, acts: Value, times: u64) {
        self.behave(json!({ "acts": acts, "times": times })).await;
    }

    /// Totals: requests, taken, refused, duplicates, messages.
    pub async fn tally(&self) -> Value {
        self.client.get("/stats").await.expect(200)
    }

    pub async fn count(&self, what: &str) -> u64 {
        self.tally().await[what].as_u64().expect("a count")
    }

    /// Waits until it has so many requests.
    pub async fn requests(&self, at_least: u64) {
        let what = format!("{at_least} requests at the gateway");
        eventually(&what, Duration::from_secs(30), async || {
            (self.count("requests").await >= at_least).then_some(())
        })
        .await;
    }

    /// The ids of the messages that it took.
    pub async fn taken(&self) -> Vec<u64> {
        let taken = self.client.get("/taken").await.expect(200);
        serde_json::from_value(taken).expect("numbers")
    }

    /// The latest messages, newest first.
    pub async fn latest(&self) -> Vec<Value> {
        let latest = self.client.get("/messages").await.expect(200);
        latest["items"].as_array().cloned().expect("items")
    }
}
