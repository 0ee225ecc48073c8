//! Debian's Kannel as processes: bearerbox and smsbox, configured as docs/kannel.md says, and an SMS centre
//! behind them (`centre.py`).
//!
//! Nothing here knows notty.

use std::{
    fs, io::Write, os::unix::process::CommandExt, path::Path, process::Command, time::Duration,
};

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::{Client, Process, free_addresses, process::clean, turns::take_turn, wait::eventually};

/// The page with both configurations, Kannel's and notty's.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kannel.md");
const CENTRE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/centre.py");
/// The password of everything on the page.
const PASSWORD: &str = "CHANGE-THIS";
/// The name of the file that it becomes.
const CONFIGURATION: &str = "kannel.conf";

/// The directory of Debian's boxes, which is not in every user's path.
const BOXES: &str = "/usr/sbin";
/// The level of their logs from which on lines are written.
const WARNINGS: &str = "2";

/// Time for both boxes and the centre to come to know each other. An smsbox that lost its
/// bearerbox comes back after 11 s.
const READY: Duration = Duration::from_secs(40);
/// Tries to draw ports; somebody else may take one before it is bound.
const DRAWS: usize = 5;

/// A running Kannel with a centre behind it.
pub struct Kannel {
    ports: Ports,
    centre: Process,
    bearerbox: Process,
    smsbox: Smsbox,
    /// Goes last: the processes write into it.
    dir: TempDir,
}

/// The ports that everything listens on.
struct Ports {
    admin: String,
    boxes: String,
    sendsms: String,
    centre: String,
}

/// An smsbox, which starts itself again in a new process when it lost its bearerbox.
struct Smsbox(Process);

/// A message that the centre took.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Submitted {
    pub phone: String,
    /// Counts the binds, so the lives of the bearerbox, from 1.
    pub bind: u32,
}

impl Kannel {
    /// One that can send; none, with a line on the terminal that says why, where it is not installed.
    pub async fn start() -> Option<Self> {
        if let Some(missing) = missing() {
            // Past what hides the output of a test that passes.
            writeln!(std::io::stderr(), "SKIPPED: {missing}").expect("written");
            return None;
        }
        take_turn();
        for _ in 0..DRAWS {
            if let Some(kannel) = Self::start_at(Ports::draw()).await {
                return Some(kannel);
            }
        }
        panic!("Kannel did not start with any of {DRAWS} draws of ports");
    }

    /// None if something ended at once, as it does where a port is taken.
    async fn start_at(ports: Ports) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for spool in ["store", "dlr"] {
            fs::create_dir(dir.path().join(spool)).expect("created");
        }
        let configuration = ports.configuration(dir.path());
        fs::write(dir.path().join(CONFIGURATION), configuration).expect("written");

        let mut centre = clean(Command::new("python3"));
        let mut centre = Process::start_silently(centre.args([CENTRE, port(&ports.centre)]));
        let listens = |centre: &Process| centre.lines().iter().any(|line| line == "listens");
        until(&mut centre, "the centre listens", async |centre| {
            listens(centre)
        })
        .await?;

        let mut bearerbox = start_bearerbox(dir.path());
        let online = async |_: &Process| ports.status().await.contains("(online ");
        until(&mut bearerbox, "the bearerbox has its centre", online).await?;

        let mut smsbox = Smsbox::start(dir.path());
        let known = async |_: &Process| ports.status().await.contains("smsbox:");
        until(&mut smsbox.0, "the bearerbox has its smsbox", known).await?;

        Some(Self {
            ports,
            centre,
            bearerbox,
            smsbox,
            dir,
        })
    }

    /// `kill -9` of the bearerbox, which is started again at once. The smsbox comes back by itself, some
    /// 11 s later.
    pub async fn kill_bearerbox(&mut self) {
        self.bearerbox.kill();
        self.bearerbox = start_bearerbox(self.dir.path());
        self.until_up().await;
    }

    /// `kill -9` of both boxes, which are started again at once.
    pub async fn kill(&mut self) {
        self.smsbox.kill();
        self.bearerbox.kill();
        self.bearerbox = start_bearerbox(self.dir.path());
        let online = async |_: &Process| self.ports.status().await.contains("(online ");
        let back = until(&mut self.bearerbox, "the bearerbox is back", online).await;
        assert!(back.is_some(), "{:#?}", self.bearerbox.lines());

        self.smsbox = Smsbox::start(self.dir.path());
        self.until_up().await;
    }

    /// Waits until the bearerbox has its centre and its smsbox.
    async fn until_up(&self) {
        eventually("Kannel is back", READY, async || {
            let status = self.ports.status().await;
            let up = status.contains("(online ") && status.contains("smsbox:");
            up.then_some(())
        })
        .await;
    }

    /// The address of the smsbox.
    pub fn address(&self) -> &str {
        &self.ports.sendsms
    }

    /// The messages that the centre took so far, in that order.
    pub fn submitted(&self) -> Vec<Submitted> {
        let lines = self.centre.lines();
        lines
            .iter()
            .filter_map(|line| Submitted::read(line))
            .collect()
    }

    /// The phones of the requests that the smsbox took so far, in that order: its access log.
    pub fn requested(&self) -> Vec<String> {
        let log = fs::read(self.dir.path().join("access.log")).expect("an access log");
        let log = String::from_utf8_lossy(&log);
        let phone = |line: &str| {
            let (_, rest) = line.split_once("send-SMS request added")?;
            let (_, phone) = rest.split_once(" target:+")?;
            Some(phone.split(' ').next()?.to_owned())
        };
        log.lines().filter_map(phone).collect()
    }
}

impl Ports {
    fn draw() -> Self {
        let [admin, boxes, sendsms, centre] =
            <[String; 4]>::try_from(free_addresses(4)).expect("four");
        Self {
            admin,
            boxes,
            sendsms,
            centre,
        }
    }

    /// The configuration of the page, with these ports, and with its files in a directory.
    fn configuration(&self, dir: &Path) -> String {
        let dir = dir.to_str().expect("UTF-8");
        let replaced = [
            ("13000", port(&self.admin)),
            ("13001", port(&self.boxes)),
            ("13013", port(&self.sendsms)),
            ("2775", port(&self.centre)),
            ("smpp.operator.example", "127.0.0.1"),
            ("/var/spool/kannel", dir),
            ("/var/log/kannel", dir),
        ];
        block_of_page("ini", &replaced)
    }

    /// The page on which the bearerbox says how it is; empty while it says nothing.
    async fn status(&self) -> String {
        let client = Client::new(&format!("http://{}", self.admin)).with_new_connections();
        let path = format!("/status.txt?password={PASSWORD}");
        let answer = client.try_send(client.request(Method::GET, &path)).await;
        answer.map_or_else(|_| String::new(), |answer| answer.text)
    }
}

impl Submitted {
    /// A line of the centre, if it is one of a message.
    fn read(line: &str) -> Option<Self> {
        let (bind, phone) = line.split_once(' ')?;
        Some(Self {
            bind: bind.parse().ok()?,
            phone: phone.to_owned(),
        })
    }
}

impl Smsbox {
    fn start(dir: &Path) -> Self {
        let mut command = kannel_box("smsbox", dir);
        // Whatever it starts is in its group.
        command.process_group(0);
        Self(Process::start_silently(&mut command))
    }

    /// `kill -9` of it, or of the process that it left for itself.
    fn kill(&self) {
        let group = Pid::from_raw(self.0.id().cast_signed()).expect("not 0");
        // Nothing of it may be left.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

impl Drop for Smsbox {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The configuration in this language on the page, with some of its texts replaced.
pub fn block_of_page(language: &str, replaced: &[(&str, &str)]) -> String {
    let page = fs::read_to_string(PAGE).expect("the page");
    let (_, rest) = page
        .split_once(&format!("```{language}\n"))
        .expect("a block");
    let (block, _) = rest.split_once("```").expect("its end");

    replaced
        .iter()
        .fold(block.to_owned(), |text, (known, own)| {
            assert!(text.contains(known), "the page has no {known}");
            text.replace(known, own)
        })
}

/// The thing that is not installed here, and the way to install it.
fn missing() -> Option<&'static str> {
    let boxes = ["bearerbox", "smsbox"].map(|name| Path::new(BOXES).join(name));
    if !boxes.iter().all(|place| place.exists()) {
        return Some("Kannel is not installed (Debian: apt-get install kannel)");
    }
    let mut python = clean(Command::new("python3"));
    let imported = python.args(["-c", "import smpp34"]).output();
    let there = imported.is_ok_and(|output| output.status.success());
    (!there).then_some("Python has no SMPP for Kannel's centre (pip install smpp34)")
}

/// A box of Kannel that says what is wrong, and nothing else.
fn kannel_box(name: &str, dir: &Path) -> Command {
    let mut command = clean(Command::new(format!("{BOXES}/{name}")));
    command
        .args(["-v", WARNINGS, CONFIGURATION])
        .current_dir(dir);
    command
}

fn start_bearerbox(dir: &Path) -> Process {
    Process::start_silently(&mut kannel_box("bearerbox", dir))
}

/// Waits until a process that was just started is so; none if it ends instead.
async fn until(
    process: &mut Process,
    what: &str,
    so: impl AsyncFn(&Process) -> bool,
) -> Option<()> {
    let lives = eventually(what, READY, async || {
        if process.has_ended() {
            return Some(false);
        }
        so(process).await.then_some(true)
    })
    .await;
    lives.then_some(())
}

/// The port of an address.
fn port(address: &str) -> &str {
    address.rsplit_once(':').expect("a port").1
}
