//! A standalone postman as a process, with a configuration file and a journal of its own.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use super::{Cluster, Gateway, Process, Release, SECRET, eventually};

/// Far longer than anything of a postman takes.
const SOON: Duration = Duration::from_secs(30);
/// How long a stop may take.
const STOP: Duration = Duration::from_secs(20);

/// A standalone postman, running or not.
pub struct Postman {
    pub home: PathBuf,
    process: Option<Process>,
    release: Release,
}

impl Postman {
    /// Configured for a cluster under a name, in a directory of its own; not started yet.
    pub fn new(cluster: &Cluster, gateway: &Gateway, name: &str, dir: &str) -> Self {
        Self::in_dir(&cluster.dir().join(dir), &cluster.peers(), gateway, name)
    }

    /// The same by its directory and the addresses of its peers.
    pub fn in_dir(home: &Path, peers: &[String], gateway: &Gateway, name: &str) -> Self {
        let home = home.to_owned();
        std::fs::create_dir(&home).expect("a directory");
        let text = format!(
            "[postman]\nname = \"{name}\"\njournal_dir = \"journal\"\npeers = {peers:?}\n\
             [gateway]\nurl = \"{}\"\nconcurrency = 32\n\
             [cluster]\nsecret = \"{SECRET}\"\n",
            gateway.url()
        );
        std::fs::write(home.join("config.toml"), text).expect("written");
        Self {
            home,
            process: None,
            release: Release::default(),
        }
    }

    /// The same, started.
    pub fn start(cluster: &Cluster, gateway: &Gateway, name: &str) -> Self {
        let mut this = Self::new(cluster, gateway, name, name);
        this.run();
        this
    }

    pub fn config(&self) -> PathBuf {
        self.home.join("config.toml")
    }

    /// The command that starts it.
    pub fn command(&self) -> Command {
        let mut command = self.release.command();
        command
            .current_dir(&self.home)
            .args(["postman", "--config"])
            .arg(self.config());
        command
    }

    /// Its next start is of this version.
    pub fn become_release(&mut self, release: Release) {
        self.release = release;
    }

    pub fn run(&mut self) {
        self.process = Some(Process::start_silently(&mut self.command()));
    }

    /// The same with more flags.
    pub fn run_with(&mut self, flags: &[&str]) {
        self.process = Some(Process::start_silently(self.command().args(flags)));
    }

    /// Changes its configuration.
    pub fn reconfigure(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config()).expect("read");
        assert!(text.contains(from), "{text}");
        std::fs::write(self.config(), text.replace(from, to)).expect("written");
    }

    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    /// Waits for its end; how it ended, and all that it said.
    pub async fn ended(&mut self) -> (ExitStatus, String) {
        let mut process = self.process.take().expect("it runs");
        let ended = process.ended(STOP).await;
        (ended, process.lines().join("\n"))
    }

    /// Stops it by SIGTERM; it must end well. What it said.
    pub async fn stop(&mut self) -> String {
        self.process().signal("TERM");
        let (ended, lines) = self.ended().await;
        assert_eq!(ended.code(), Some(0), "{lines}");
        lines
    }

    /// Waits until it says something.
    pub async fn says(&self, what: &str) {
        let process = self.process.as_ref().expect("it runs");
        let waiting = eventually(what, SOON * 2, async || {
            process
                .lines()
                .iter()
                .any(|line| line.contains(what))
                .then_some(())
        });
        if tokio::time::timeout(SOON, waiting).await.is_err() {
            panic!("the postman does not say `{what}`: {:#?}", process.lines());
        }
    }
}
