//! Processes of the binary: started, listened to, signalled, killed when let go.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use super::{eventually, turns::take_turn};

/// How long a process may take to say where it listens.
const START: Duration = Duration::from_secs(30);

/// Lines of each process that a test which fails prints.
const LAST_LINES: usize = 40;

/// How long a command that ends by itself may take.
const RUN: Duration = Duration::from_secs(120);

/// The binary, with nothing of this process's environment that could change what it does. The first call
/// of a test waits for its turn.
pub fn notty() -> Command {
    take_turn();
    hear_the_end_of_the_terminal();
    clean(Command::new(env!("CARGO_BIN_EXE_notty")))
}

/// Has children hear SIGHUP, which they would ignore if these tests run under `nohup`. A signal that
/// somebody listens to has its usual effect again in a child.
fn hear_the_end_of_the_terminal() {
    static HEARD: std::sync::Once = std::sync::Once::new();
    HEARD.call_once(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        if ignored.is_none_or(|mask| mask & 1 == 0) {
            return;
        }

        // In a thread of its own: a test's runtime may be running in this one.
        let hearing = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let _entered = runtime.enter();
            let hangup = tokio::signal::unix::SignalKind::hangup();
            let _heard = tokio::signal::unix::signal(hangup).expect("SIGHUP can be heard");
        });
        hearing.join().expect("no panic");
    });
}

/// A command with nothing of this process's environment.
pub(super) fn clean(mut command: Command) -> Command {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null());
    command
}

/// A process that runs on.
pub struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    /// They read its streams into the lines, to the end.
    readers: Vec<JoinHandle<()>>,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Runs a command to its end, which must come in time.
    pub fn of(command: &mut Command) -> Self {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.expect("notty runs");
        let stdout = read_all(child.stdout.take().expect("piped"));
        let stderr = read_all(child.stderr.take().expect("piped"));
        // Both streams end with the process.
        let ended = stdout
            .recv_timeout(RUN)
            .and_then(|out| Ok((out, stderr.recv_timeout(RUN)?)));
        let Ok((stdout, stderr)) = ended else {
            child.kill().expect("the process is there");
            panic!(
                "not ended within {RUN:?}: {command:?}: {:?}",
                stderr.recv_timeout(RUN)
            );
        };
        let status = child.wait().expect("it ends");
        Self {
            code: status.code(),
            stdout,
            stderr,
        }
    }

    /// The one line that it wrote to stderr when it failed with a status.
    #[track_caller]
    pub fn one_line(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        let lines: Vec<_> = self.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "one clear line is needed: {self:?}");
        lines[0]
    }
}

impl Process {
    /// Starts a command that says `http://{address}` on stdout or stderr; the address is given too.
    pub fn start(command: &mut Command) -> (Self, String) {
        let (process, address) = Self::launch(command);
        match address.recv_timeout(START) {
            Ok(address) => (process, address),
            Err(_) => panic!("notty did not say where it listens: {:#?}", process.lines()),
        }
    }

    /// Starts a command; where it comes to listen is told later, if ever.
    pub fn launch(command: &mut Command) -> (Self, mpsc::Receiver<String>) {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.expect("notty starts");
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let (found, address) = mpsc::channel();
        let readers = vec![
            listen(
                child.stdout.take().expect("piped"),
                lines.clone(),
                found.clone(),
            ),
            listen(child.stderr.take().expect("piped"), lines.clone(), found),
        ];
        (
            Self {
                child,
                lines,
                readers,
            },
            address,
        )
    }

    /// Starts a command that need not say anything.
    pub fn start_silently(command: &mut Command) -> Self {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.expect("notty starts");
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let (found, _) = mpsc::channel();
        let readers = vec![
            listen(
                child.stdout.take().expect("piped"),
                lines.clone(),
                found.clone(),
            ),
            listen(child.stderr.take().expect("piped"), lines.clone(), found),
        ];
        Self {
            child,
            lines,
            readers,
        }
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no reader panics").clone()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Prints what it was like when the test failed: its end, if it had ended, and its last lines.
    fn tell(&self, ended: Option<ExitStatus>) {
        let end = ended.map_or_else(|| "ran".to_owned(), |ended| format!("had ended, {ended}"));
        let lines = self.lines();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        println!(
            "process {} {end}; its last lines: {last:#?}",
            self.child.id()
        );
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let signal = match name {
            "HUP" => rustix::process::Signal::HUP,
            "TERM" => rustix::process::Signal::TERM,
            "INT" => rustix::process::Signal::INT,
            "STOP" => rustix::process::Signal::STOP,
            "CONT" => rustix::process::Signal::CONT,
            other => panic!("no such signal: {other}"),
        };
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the process is there");
    }

    /// `kill -9`; returns once it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("the process is there");
        self.child.wait().expect("it ends");
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is a child").is_some()
    }

    /// Waits for its end, and until all that it said is among the lines.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let status = eventually("the process ends", within, async || {
            self.child.try_wait().expect("it is a child")
        })
        .await;
        eventually("its streams end", START, async || {
            self.readers
                .iter()
                .all(JoinHandle::is_finished)
                .then_some(())
        })
        .await;
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let ended = self.child.try_wait().ok().flatten();
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();

        if std::thread::panicking() {
            self.tell(ended);
        }
    }
}

/// Reads a stream to its end, aside.
fn read_all(mut stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        stream
            .read_to_string(&mut text)
            .expect("notty writes UTF-8");
        // Whoever waited may have given up.
        let _ = sender.send(text);
    });
    receiver
}

/// Keeps the lines of a stream, and tells the first address among them.
fn listen(
    stream: impl Read + Send + 'static,
    lines: Arc<Mutex<Vec<String>>>,
    found: mpsc::Sender<String>,
) -> JoinHandle<()> {
    let read = move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if let Some(rest) = line.split("http://").nth(1) {
                let end = rest.find(['/', ' ', ',', '"']).unwrap_or(rest.len());
                // Only the first is waited for.
                let _ = found.send(rest[..end].to_owned());
            }
            lines.lock().expect("no reader panics").push(line);
        }
    };
    std::thread::spawn(read)
}
