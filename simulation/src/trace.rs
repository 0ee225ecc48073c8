//! The trace: one line an event, with the time of the simulation. The same seed gives the same
//! bytes.

use std::time::Duration;

use xxhash_rust::xxh3::Xxh3;

/// What happened, in order.
#[derive(Default)]
pub struct Trace {
    lines: Vec<String>,
    digest: Xxh3,
    /// Bytes that went over the network, as a running hash: too many for lines.
    network: Xxh3,
    /// Whether lines are shown as they come.
    pub echo: bool,
}

impl Trace {
    /// Notes an event.
    pub fn note(&mut self, at: Duration, what: &str) {
        let line = format!("{:>10.3} {what}", at.as_secs_f64());
        if self.echo {
            eprintln!("{line}");
        }
        self.digest.update(line.as_bytes());
        self.lines.push(line);
    }

    /// Notes bytes that a host sent.
    pub fn sent(&mut self, host: &str, at: Duration, len: usize, bytes: &[u8]) {
        self.network.update(host.as_bytes());
        self.network.update(&at.as_nanos().to_be_bytes());
        self.network.update(&len.to_be_bytes());
        self.network.update(bytes);
    }

    /// All lines.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// A hash of all of it.
    pub fn digest(&self) -> (u64, u64) {
        (self.digest.digest(), self.network.digest())
    }
}
