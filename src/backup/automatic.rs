//! Backups that a node makes by itself, in a directory of its configuration.
//!
//! Each is written under another name, synced, and read back as a restore reads it; only then it gets
//! its name, and only then older ones go. A backup that fails costs nothing but itself: it is counted,
//! logged once, and tried again.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use notty_raft::{Clock, Node, backup::file::Backup};
use notty_storage::Timestamp;
use tokio::sync::watch;

use super::names::{OwnBackup, OwnBackups, newest, surplus};
use crate::{config::BackupConfig, metrics::BackupMetrics};

/// The longest pause before a backup that failed is tried again.
const AGAIN: Duration = Duration::from_secs(600);
/// The longest sleep: the wall clock may be set meanwhile.
const SLEEP: Duration = Duration::from_secs(30);

/// The backups of one node.
pub(crate) struct AutomaticBackups {
    node: Arc<Node>,
    clock: Arc<dyn Clock>,
    every: Duration,
    keep: usize,
    own: OwnBackups,
    metrics: BackupMetrics,
}

impl AutomaticBackups {
    /// Backups of a node by its configuration.
    pub(crate) fn new(
        config: &BackupConfig,
        node: Arc<Node>,
        clock: Arc<dyn Clock>,
        metrics: BackupMetrics,
    ) -> Self {
        Self {
            own: OwnBackups::of(&node.status().name, &config.dir),
            every: config.every.duration(),
            keep: config.keep as usize,
            node,
            clock,
            metrics,
        }
    }

    /// Makes backups until it is stopped. One that is being made then is given up with the process.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let working = async {
            // Before, the state may lack what was acknowledged.
            if self.node.ready().await {
                repeat(Arc::new(self)).await;
            }
        };
        let stopped = stop.clone();
        tokio::select! {
            () = working => {}
            _ = wait(stopped) => return,
        }
        // The node is gone, and so will be the rest.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    /// Time until the next backup is due, by those that are there.
    fn due_in(&self) -> io::Result<Duration> {
        let now = self.clock.wall();
        let backups = self.own.list()?;
        let Some(last) = newest(&backups, now) else {
            return Ok(Duration::ZERO);
        };
        self.metrics.found(last.at, last.bytes);
        let age = u64::try_from(now.since(last.at)).unwrap_or(0);
        Ok(self.every.saturating_sub(Duration::from_millis(age)))
    }

    /// Makes one backup, and removes those that are not kept any more.
    fn make(&self) -> anyhow::Result<Backup> {
        let began = Instant::now();
        let dir = &self.own.dir;
        let in_dir = || dir.display().to_string();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(in_dir)?;
        self.own.clear_asides().with_context(in_dir)?;

        let at = self.clock.wall();
        let aside = self.own.aside(at);
        let made = self.write(&aside, at);
        if made.is_err() {
            // It takes the room that a next try needs.
            let _ = fs::remove_file(&aside);
        }
        let made = made?;

        self.metrics.made(at, made.bytes, began.elapsed());
        // The new one is good, whatever becomes of the old ones.
        if let Err(error) = self.remove_surplus() {
            tracing::warn!("{}: old backups could not be removed: {error}", in_dir());
        }
        Ok(made)
    }

    /// Writes a backup, reads it back, and gives it its name.
    fn write(&self, aside: &Path, at: Timestamp) -> anyhow::Result<Backup> {
        let place = || aside.display().to_string();
        let mut copy = self.node.back_up(env!("CARGO_PKG_VERSION"))?;
        let file = create(aside).with_context(place)?;
        write_all(file, &copy.header, &mut copy.snapshot).with_context(place)?;

        let path = self.own.path(at);
        let read = name_good_one(aside, &path, (copy.index, copy.bytes))?;
        File::open(&self.own.dir)?.sync_all()?;
        Ok(read)
    }

    fn remove_surplus(&self) -> io::Result<()> {
        let backups = self.own.list()?;
        let now = self.clock.wall();
        let new = newest(&backups, now).map_or(now, |backup| backup.at);
        for OwnBackup { path, .. } in surplus(&backups, new, self.keep) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

async fn wait(mut stop: watch::Receiver<bool>) {
    // Without a sender nobody is left to stop it.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Makes a backup whenever one is due.
async fn repeat(backups: Arc<AutomaticBackups>) {
    let mut has_failed = false;
    loop {
        let pause = if has_failed {
            backups.every.min(AGAIN)
        } else {
            backups.due_in().unwrap_or(Duration::ZERO)
        };
        if pause > SLEEP && !has_failed {
            tokio::time::sleep(SLEEP).await;
            continue;
        }
        tokio::time::sleep(pause).await;

        // A thread of its own: it reads and writes as much as the state has.
        let maker = backups.clone();
        let made = tokio::task::spawn_blocking(move || maker.make()).await;
        let made = made.unwrap_or_else(|error| Err(error.into()));
        tell(&backups, &made, has_failed);
        has_failed = made.is_err();
    }
}

/// Logs a backup; failures that follow one another are one line.
fn tell(backups: &AutomaticBackups, made: &anyhow::Result<Backup>, has_failed: bool) {
    let dir = backups.own.dir.display();
    match made {
        Ok(backup) => tracing::info!(
            index = backup.index,
            bytes = backup.bytes,
            "a backup was made in {dir} and read back"
        ),
        Err(error) => {
            backups.metrics.failed();
            let text = format!("{error:#}");
            if has_failed {
                tracing::debug!("a backup in {dir} failed again: {text}");
            } else {
                tracing::warn!(
                    "a backup in {dir} failed: {text}; older ones stay, and it is tried again"
                );
            }
        }
    }
}

/// Reads a backup back as a restore reads it, and gives it its name if it is the one of this position and
/// length that was written.
pub(super) fn name_good_one(
    aside: &Path,
    path: &Path,
    written: (u64, u64),
) -> anyhow::Result<Backup> {
    let read = Backup::check(aside)?;
    anyhow::ensure!(
        (read.index, read.bytes) == written,
        "{}: another backup was read back than was written",
        aside.display()
    );
    fs::rename(aside, path).with_context(|| path.display().to_string())?;
    Ok(read)
}

/// Makes a file that only its owner can open.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)
}

fn write_all(mut file: File, header: &[u8], snapshot: &mut File) -> io::Result<()> {
    file.write_all(header)?;
    io::copy(snapshot, &mut file)?;
    file.sync_all()
}
