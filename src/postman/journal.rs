//! The journal: the messages that a postman began, and their results, for its next run to read.
//!
//! A token is noted before the first byte of its request, and its result when there is one. The
//! process may die at any moment, but what it wrote stays with the system: no sync is needed,
//! because a journal only counts on the same boot of the same machine. What was never begun can
//! then be handed back, and what has a result reported; everything else stays unconfirmed.
//!
//! Each stream is files that are only appended to ([`pages`]): one by the postman itself (which leases
//! it got and closed), one by each of its senders. A file that has grown enough is followed by a new
//! one, and goes once every lease that it can speak of is closed.
//!
//! The journal's gaps matter as much as its records. So the next run believes it only if it proves
//! to be complete ([`past`]): every stream has its files, every file its end, every record its place,
//! and each is the very file that the run wrote, no copy of it. The gateway and the account that the
//! run sent to are in it too: a message in doubt belongs to them.

mod header;
mod page;
mod pages;
mod past;
mod record;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use notty_storage::model::{Epoch, MailingNumber, Run, SendResult};

use self::{
    header::{FileId, PageHeader},
    pages::Pages,
    record::{JournalRecord, RecordKind},
};

pub use past::{Damage, Past, Remains};

/// Bytes after which a file is followed by a new one.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// One message under one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendToken {
    /// The number of the lease.
    pub n: u64,
    /// The number of the mailing.
    pub mailing: MailingNumber,
    /// The position in the mailing.
    pub position: u32,
    /// The attempt that the lease granted.
    pub attempt: u16,
}

/// One run of a postman, and the terms of all that it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunTerms {
    /// The epoch that it registered for.
    pub epoch: Epoch,
    /// The random number that it registered with.
    pub nonce: u64,
    /// The gateway and account that it sends to.
    pub gateway: u64,
    /// Milliseconds in which a message in doubt may go there again; `None` if never.
    pub repeat_ms: Option<u64>,
}

/// The end of a token, as far as a later run must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFate {
    /// Its request may have been on its way.
    Begun,
    /// It has a result.
    Settled(SendResult),
}

/// The journal of one postman. Holds the locks of its directory and of its own file.
pub struct Journal {
    dir: PathBuf,
    boot: u64,
    leases: Arc<Leases>,
    own: Option<Pages>,
    page_bytes: u64,
    _dir_lock: File,
    /// Locks of the files that the run before left, until this run has its own.
    locks: Vec<File>,
}

/// The leases that files may speak of, by number.
#[derive(Debug, Default)]
struct Leases {
    newest: AtomicU64,
    oldest_open: AtomicU64,
}

impl Journal {
    /// Opens a directory and takes its lock; `boot` is this start of this machine. What it holds counts
    /// in one cluster only: the lease of another (or of this one before it was restored from a backup)
    /// may have the same number.
    pub fn open(dir: &Path, boot: u64, cluster: &str) -> io::Result<Self> {
        make_dir(dir).map_err(at(dir))?;
        let dir_lock = lock_dir(dir)?;
        let mut locks = Vec::new();

        // Who moves them elsewhere still finds them locked. The postman's own come first.
        for ((stream, _), path) in past::files(dir)? {
            if stream == 0 {
                let file = File::open(&path).map_err(at(&path))?;
                lock(&file, dir)?;
                locks.push(file);
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            boot: boot_in(cluster, boot),
            leases: Arc::default(),
            own: None,
            page_bytes: FILE_BYTES,
            _dir_lock: dir_lock,
            locks,
        })
    }

    /// Reads the remains of the run before; none if that was on another boot or machine. Messages that
    /// are tried again wait for so many milliseconds.
    pub fn past(&self, pause_ms: u64) -> io::Result<Past> {
        past::read(&self.dir, self.boot, pause_ms)
    }

    /// Forgets the runs before, and starts this one's files: those of so many senders, and its own.
    pub fn begin(&mut self, run: RunTerms, senders: usize) -> io::Result<Vec<SenderJournal>> {
        // In the order of names: its own go first, and come last. So whatever a kill leaves here is
        // never taken for a whole run.
        for path in past::files(&self.dir)?.into_values() {
            fs::remove_file(&path).map_err(at(&path))?;
        }

        let senders = senders as u64;
        let journals = (1..=senders)
            .map(|stream| Ok(SenderJournal::new(self.pages(run, stream, senders)?)))
            .collect::<io::Result<_>>()?;
        self.own = Some(self.pages(run, 0, senders)?);
        self.locks.clear();
        Ok(journals)
    }

    fn pages(&self, run: RunTerms, stream: u64, senders: u64) -> io::Result<Pages> {
        let header = PageHeader {
            boot: self.boot,
            run,
            stream,
            senders,
            page: 0,
            oldest: 0,
            file: FileId::default(),
        };
        Pages::new(&self.dir, header, self.leases.clone(), self.page_bytes)
    }

    /// Notes a lease, before any of its messages is begun.
    pub fn leased(&mut self, n: u64, mailing: MailingNumber, runs: &[Run]) -> io::Result<()> {
        self.leases.newest.store(n, Ordering::Relaxed);
        let record = |run| JournalRecord::leased(n, mailing, run);
        let records: Vec<_> = runs.iter().map(record).collect();
        self.write(&records)
    }

    /// Notes that every report of a lease was acknowledged; `oldest_open` is the lowest number of
    /// the leases still open.
    pub fn closed(&mut self, n: u64, oldest_open: u64) -> io::Result<()> {
        self.leases
            .oldest_open
            .store(oldest_open, Ordering::Relaxed);
        self.write(&[JournalRecord::of_lease(RecordKind::Closed, n)])
    }

    fn write(&mut self, records: &[JournalRecord]) -> io::Result<()> {
        self.own.as_mut().map_or(Ok(()), |own| own.write(records))
    }
}

/// A sender's part of the journal. Results are written with the next token that is begun, or when
/// the sender has nothing to do: one write a message instead of two.
pub struct SenderJournal {
    pages: Pages,
    unwritten: Vec<JournalRecord>,
}

impl SenderJournal {
    fn new(pages: Pages) -> Self {
        Self {
            pages,
            unwritten: Vec::new(),
        }
    }

    /// Notes that a message's request may be on its way. Comes before its first byte.
    pub fn begun(&mut self, token: SendToken) -> io::Result<()> {
        self.unwritten
            .push(JournalRecord::of(RecordKind::Begun, token));
        self.flush()
    }

    /// Notes a message's result; it is written with the next token begun, or by
    /// [`SenderJournal::flush`].
    pub fn settled(&mut self, token: SendToken, result: SendResult) {
        self.unwritten.push(JournalRecord::settled(token, result));
    }

    /// Writes what was only noted. To be called before the sender waits for work or a connection.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let written = self.pages.write(&self.unwritten);
        self.unwritten.clear();
        written
    }
}

/// Makes a directory and those above it, for their owner alone. One that exists stays as it is: its files
/// are made anew by each run.
fn make_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

/// Locks the directory itself: whatever is deleted in it, it stays locked.
fn lock_dir(dir: &Path) -> io::Result<File> {
    let file = File::open(dir).map_err(at(dir))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(in_use(dir)),
        // A network's file system may not lock directories: then the postman's own file is what counts.
        Err(TryLockError::Error(error)) => {
            tracing::debug!(%error, "{} cannot be locked itself", dir.display());
            Ok(file)
        }
    }
}

fn lock(file: &File, dir: &Path) -> io::Result<()> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => in_use(dir),
        TryLockError::Error(error) => at(dir)(error),
    })
}

fn in_use(dir: &Path) -> io::Error {
    io::Error::other(format!(
        "{} is in use by another postman: stop that one, or set postman.journal_dir to another \
         directory",
        dir.display()
    ))
}

/// Names a file in an error.
fn at(path: &Path) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A hash of a boot of a machine, and of the cluster.
fn boot_in(cluster: &str, boot: u64) -> u64 {
    notty_storage::codec::hash(&[&boot.to_le_bytes(), cluster.as_bytes()].concat())
}
