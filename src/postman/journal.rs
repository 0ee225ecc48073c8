//! The journal: what a postman began and what came of it, for its next run to read.
//!
//! A token is noted before the first byte of its request, and its result when there is one. The
//! process may die at any moment, but what it wrote stays with the system: no sync is needed,
//! because a journal only counts on the same boot of the same machine. What was never begun can
//! then be handed back, and what has a result reported; everything else stays unconfirmed.
//!
//! Files are only appended to: one by the postman itself (which leases it got and closed), one by
//! each of its senders. A file that has grown enough is followed by a new one, and goes once every
//! lease that it can speak of is closed.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use notty_storage::model::{Epoch, LeaseId, MailingNumber, Run, SendResult};

use super::{desk::Left, retry::RetryPolicy};

/// Bytes of a record.
const RECORD: usize = 28;
/// Bytes after which a file is followed by a new one.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Leads a file: whose it is.
    Header = 1,
    /// A run of messages was leased.
    Leased = 2,
    /// A lease is closed: every report was acknowledged.
    Closed = 3,
    /// A message's request may be on its way.
    Begun = 4,
    /// A message's result is known.
    Settled = 5,
}

/// One message under one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// The lease's number.
    pub n: u64,
    /// The mailing.
    pub mailing: MailingNumber,
    /// The position in the mailing.
    pub position: u32,
    /// The attempt.
    pub attempt: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    kind: Kind,
    code: u8,
    len: u16,
    token: Token,
}

impl Record {
    fn bytes(self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[0] = self.kind as u8;
        bytes[1] = self.code;
        bytes[2..4].copy_from_slice(&self.token.attempt.to_be_bytes());
        bytes[4..6].copy_from_slice(&self.len.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.token.mailing.0.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.token.position.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.token.n.to_be_bytes());
        let crc = crc32fast::hash(&bytes[..24]);
        bytes[24..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn parse(bytes: &[u8; RECORD]) -> Option<Self> {
        let two = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let four = |at: usize| u32::from(two(at)) << 16 | u32::from(two(at + 2));
        if crc32fast::hash(&bytes[..24]) != four(24) {
            return None;
        }
        let kind = match bytes[0] {
            1 => Kind::Header,
            2 => Kind::Leased,
            3 => Kind::Closed,
            4 => Kind::Begun,
            5 => Kind::Settled,
            _ => return None,
        };
        let token = Token {
            n: u64::from(four(16)) << 32 | u64::from(four(20)),
            mailing: MailingNumber(four(8)),
            position: four(12),
            attempt: two(2),
        };
        Some(Self { kind, code: bytes[1], len: two(4), token })
    }

    /// Whose a file is: the epoch, and a hash of the machine's boot and the cluster.
    fn header(epoch: Epoch, boot: u64) -> Self {
        let (mailing, position) = (MailingNumber((boot >> 32) as u32), boot as u32);
        let token = Token { n: epoch.0, mailing, position, attempt: 0 };
        Self { kind: Kind::Header, code: 0, len: 0, token }
    }
}

/// What became of a token, as far as a later run must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its request may have been on its way.
    Begun,
    /// It has a result.
    Settled(SendResult),
}

fn code(result: SendResult) -> u8 {
    match result {
        SendResult::Done => 1,
        SendResult::Invalid => 2,
        SendResult::NotTaken { .. } => 3,
        SendResult::NotSent { .. } => 4,
        SendResult::HandedBack => 5,
        SendResult::Unsure => 6,
        SendResult::UnsureRepeatable { .. } => 7,
    }
}

fn result(code: u8, retry: &RetryPolicy) -> Option<SendResult> {
    let pause_ms = retry.initial_ms;
    Some(match code {
        1 => SendResult::Done,
        2 => SendResult::Invalid,
        3 => SendResult::NotTaken { pause_ms },
        4 => SendResult::NotSent { pause_ms },
        5 => SendResult::HandedBack,
        6 => SendResult::Unsure,
        7 => match retry.repeat_ms {
            Some(repeat_ms) => SendResult::UnsureRepeatable { pause_ms, repeat_ms },
            None => SendResult::Unsure,
        },
        _ => return None,
    })
}

/// What an earlier run on the same boot of the same machine left.
#[derive(Debug, Default)]
pub struct Remains {
    /// Its epoch.
    pub epoch: Epoch,
    leased: BTreeMap<u64, Left>,
    newest: u64,
    fates: HashMap<Token, Fate>,
}

impl Remains {
    /// Leases that it got and never closed.
    pub fn leases(&self) -> impl Iterator<Item = &Left> {
        self.leased.values()
    }

    /// Whether all that was begun under a lease is here: it was not closed, or came too late to be
    /// noted and so was never begun. What is said of a closed one may be gone.
    pub fn is_whole(&self, n: u64) -> bool {
        self.leased.contains_key(&n) || n > self.newest
    }

    /// What became of a token; none: it was never begun, if its lease is whole here.
    pub fn fate(&self, token: &Token) -> Option<Fate> {
        self.fates.get(token).copied()
    }

    fn take(&mut self, record: Record, retry: &RetryPolicy) {
        let token = record.token;
        match record.kind {
            Kind::Header => {}
            Kind::Leased => {
                self.newest = self.newest.max(token.n);
                let lease = LeaseId { epoch: self.epoch, n: token.n };
                let empty = Left { lease, mailing: token.mailing, runs: Vec::new() };
                let run = Run { first: token.position, len: record.len, attempt: token.attempt };
                self.leased.entry(token.n).or_insert(empty).runs.push(run);
            }
            Kind::Closed => {
                self.newest = self.newest.max(token.n);
                self.leased.remove(&token.n);
            }
            Kind::Begun => {
                self.fates.entry(token).or_insert(Fate::Begun);
            }
            Kind::Settled => {
                if let Some(result) = result(record.code, retry) {
                    self.fates.insert(token, Fate::Settled(result));
                }
            }
        }
    }
}

/// The journal of one postman. Holds its directory's lock.
pub struct Journal {
    dir: PathBuf,
    boot: u64,
    leases: Arc<Leases>,
    own: Option<Pages>,
    _lock: File,
}

/// Which leases files may speak of.
#[derive(Debug, Default)]
struct Leases {
    newest: AtomicU64,
    oldest_open: AtomicU64,
}

impl Journal {
    /// Opens a directory and takes its lock; `boot` is this start of this machine. What it holds counts in one cluster only: the lease of
    /// another (or of this one before it was restored from a backup) may have the same number.
    pub fn open(dir: &Path, boot: u64, cluster: &str) -> io::Result<Self> {
        let here =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", dir.display()));
        fs::create_dir_all(dir).map_err(here)?;
        let lock = File::create(dir.join("LOCK")).map_err(here)?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => {
                io::Error::other(format!("{} is in use by another postman", dir.display()))
            }
            fs::TryLockError::Error(error) => error,
        })?;
        let boot = boot_in(cluster, boot);
        Ok(Self { dir: dir.to_owned(), boot, leases: Arc::default(), own: None, _lock: lock })
    }

    /// What the run before left; nothing if that was on another boot or machine.
    pub fn remains(&self, retry: &RetryPolicy) -> io::Result<Option<Remains>> {
        let mut remains: Option<Remains> = None;
        for path in self.files()? {
            let bytes = fs::read(&path)?;
            let (records, _) = bytes.as_chunks::<RECORD>();
            // The last record may be cut: then its request was not begun either.
            let mut records = records.iter().map_while(Record::parse);
            let Some(header) = records.next().filter(|header| header.kind == Kind::Header) else {
                continue;
            };
            let epoch = Epoch(header.token.n);
            if header != Record::header(epoch, self.boot) {
                continue;
            }
            match &remains {
                Some(known) if known.epoch > epoch => continue,
                Some(known) if known.epoch == epoch => {}
                _ => remains = Some(Remains { epoch, ..Remains::default() }),
            }
            if let Some(remains) = &mut remains {
                records.for_each(|record| remains.take(record, retry));
            }
        }
        Ok(remains)
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.dir)?.map(|entry| entry.map(|entry| entry.path()));
        let mut files: Vec<_> = entries.collect::<io::Result<_>>()?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "journal"));
        // The postman's own come first: what it leased before what its senders began.
        files.sort();
        Ok(files)
    }

    /// Forgets the runs before, and starts this one's files.
    pub fn begin(&mut self, epoch: Epoch) -> io::Result<()> {
        for path in self.files()? {
            fs::remove_file(path)?;
        }
        self.own = Some(self.pages("a-postman", epoch)?);
        Ok(())
    }

    fn pages(&self, name: &str, epoch: Epoch) -> io::Result<Pages> {
        let header = Record::header(epoch, self.boot).bytes();
        let leases = self.leases.clone();
        Pages::new(self.dir.clone(), name.to_owned(), header, leases)
    }

    /// A sender's part of the journal.
    pub fn sender(&self, number: usize, epoch: Epoch) -> io::Result<SenderJournal> {
        let pages = self.pages(&format!("b-sender-{number}"), epoch)?;
        Ok(SenderJournal { pages, unwritten: Vec::new() })
    }

    /// Notes a lease, before any of its messages is begun.
    pub fn leased(&mut self, n: u64, mailing: MailingNumber, runs: &[Run]) -> io::Result<()> {
        self.leases.newest.store(n, Ordering::Relaxed);
        let record = |run: &Run| {
            let token = Token { n, mailing, position: run.first, attempt: run.attempt };
            Record { kind: Kind::Leased, code: 0, len: run.len, token }.bytes()
        };
        let bytes: Vec<u8> = runs.iter().flat_map(record).collect();
        self.own.as_mut().map_or(Ok(()), |own| own.write(&bytes))
    }

    /// Notes that every report of a lease was acknowledged; `oldest_open` is the lowest number of
    /// the leases still open.
    pub fn closed(&mut self, n: u64, oldest_open: u64) -> io::Result<()> {
        self.leases.oldest_open.store(oldest_open, Ordering::Relaxed);
        let token = Token { n, mailing: MailingNumber(0), position: 0, attempt: 0 };
        let record = Record { kind: Kind::Closed, code: 0, len: 0, token };
        self.own.as_mut().map_or(Ok(()), |own| own.write(&record.bytes()))
    }
}

/// A sender's part of the journal. Results are written with the next token that is begun, or when
/// the sender has nothing to do: one write a message instead of two.
pub struct SenderJournal {
    pages: Pages,
    unwritten: Vec<u8>,
}

impl SenderJournal {
    /// Notes that a message's request may be on its way. Comes before its first byte.
    pub fn begun(&mut self, token: Token) -> io::Result<()> {
        let record = Record { kind: Kind::Begun, code: 0, len: 0, token };
        self.unwritten.extend_from_slice(&record.bytes());
        self.flush()
    }

    /// Notes a message's result; it is written with the next token begun, or by
    /// [`SenderJournal::flush`].
    pub fn settled(&mut self, token: Token, result: SendResult) {
        let record = Record { kind: Kind::Settled, code: code(result), len: 0, token };
        self.unwritten.extend_from_slice(&record.bytes());
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

/// A file that is followed by a new one when it has grown enough.
struct Pages {
    dir: PathBuf,
    name: String,
    header: [u8; RECORD],
    leases: Arc<Leases>,
    number: u64,
    file: File,
    bytes: u64,
    /// Files that were followed, with the newest lease that they can speak of.
    full: Vec<(PathBuf, u64)>,
}

impl Pages {
    fn new(
        dir: PathBuf,
        name: String,
        header: [u8; RECORD],
        leases: Arc<Leases>,
    ) -> io::Result<Self> {
        let file = File::create(path(&dir, &name, 0))?;
        let mut pages =
            Self { dir, name, header, leases, number: 0, file, bytes: 0, full: Vec::new() };
        pages.file.write_all(&header)?;
        Ok(pages)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.bytes >= FILE_BYTES {
            self.turn()?;
        }
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    fn turn(&mut self) -> io::Result<()> {
        let newest = self.leases.newest.load(Ordering::Relaxed);
        self.full.push((path(&self.dir, &self.name, self.number), newest));
        self.number += 1;
        self.file = File::create(path(&self.dir, &self.name, self.number))?;
        self.file.write_all(&self.header)?;
        self.bytes = 0;
        let oldest_open = self.leases.oldest_open.load(Ordering::Relaxed);
        for (file, _) in self.full.extract_if(.., |(_, newest)| *newest < oldest_open) {
            fs::remove_file(file)?;
        }
        Ok(())
    }
}

fn path(dir: &Path, name: &str, number: u64) -> PathBuf {
    dir.join(format!("{name}-{number:08}.journal"))
}

/// A hash of a boot of a machine, and of the cluster.
fn boot_in(cluster: &str, boot: u64) -> u64 {
    notty_storage::codec::hash(&[&boot.to_le_bytes(), cluster.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: RetryPolicy = RetryPolicy { initial_ms: 1_000, max_ms: 9_000, repeat_ms: None };

    fn token(position: u32) -> Token {
        Token { n: 1, mailing: MailingNumber(3), position, attempt: 2 }
    }

    /// Opens one that was closed just now. Another test may start a process at that moment, which
    /// holds every open file, and with it the lock, until it runs its own program.
    fn reopen(dir: &Path, cluster: &str) -> Journal {
        for _ in 0..200 {
            match Journal::open(dir, 1, cluster) {
                Err(error) if error.to_string().contains("in use") => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                opened => return opened.expect("opens"),
            }
        }
        panic!("the journal is still in use");
    }

    #[test]
    fn the_next_run_knows_what_was_begun_and_what_came_of_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let runs = [Run { first: 0, len: 4, attempt: 2 }];
        {
            let mut journal = Journal::open(dir.path(), 1, "c").expect("opens");
            journal.begin(Epoch(9)).expect("begins");
            journal.leased(1, MailingNumber(3), &runs).expect("is noted");
            journal.leased(2, MailingNumber(3), &runs).expect("is noted");
            journal.closed(2, 1).expect("is noted");
            let mut sender = journal.sender(0, Epoch(9)).expect("is made");
            sender.begun(token(0)).expect("is noted");
            sender.settled(token(0), SendResult::Done);
            sender.begun(token(1)).expect("is noted");
            sender.settled(token(3), SendResult::Invalid);
            sender.flush().expect("is written");
        }
        let journal = reopen(dir.path(), "c");
        let remains = journal.remains(&RETRY).expect("reads").expect("something was left");
        assert_eq!(remains.epoch, Epoch(9));
        let leases: Vec<_> = remains.leases().map(|left| (left.lease.n, left.runs.len())).collect();
        assert_eq!(leases, [(1, 1)]);
        assert_eq!(remains.fate(&token(0)), Some(Fate::Settled(SendResult::Done)));
        assert_eq!(remains.fate(&token(1)), Some(Fate::Begun));
        assert_eq!(remains.fate(&token(2)), None);
    }

    #[test]
    fn a_journal_of_another_boot_says_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut journal = Journal::open(dir.path(), 1, "c").expect("opens");
        journal.boot ^= 1;
        journal.begin(Epoch(1)).expect("begins");
        drop(journal);
        let journal = reopen(dir.path(), "c");
        assert!(journal.remains(&RETRY).expect("reads").is_none());
    }

    #[test]
    fn a_journal_of_another_cluster_says_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut journal = Journal::open(dir.path(), 1, "c").expect("opens");
        journal.begin(Epoch(1)).expect("begins");
        drop(journal);
        let remains = |cluster| {
            let journal = reopen(dir.path(), cluster);
            journal.remains(&RETRY).expect("reads")
        };
        assert!(remains("restored").is_none());
        assert!(remains("c").is_some());
    }

    #[test]
    fn files_go_once_their_leases_are_closed() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut journal = Journal::open(dir.path(), 1, "c").expect("opens");
        journal.begin(Epoch(1)).expect("begins");
        let mut sender = journal.sender(0, Epoch(1)).expect("is made");
        for n in 1..=10 {
            journal.leased(n, MailingNumber(1), &[]).expect("is noted");
            for position in 0..FILE_BYTES as u32 / RECORD as u32 / 2 {
                sender.begun(Token { n, ..token(position) }).expect("is noted");
            }
            journal.closed(n, n + 1).expect("is noted");
        }
        let files = journal.files().expect("lists").len();
        assert!(files <= 4, "{files} files");
    }

    #[test]
    fn a_journal_serves_one_postman() {
        let dir = tempfile::tempdir().expect("a directory");
        let _journal = Journal::open(dir.path(), 1, "c").expect("opens");
        let error = Journal::open(dir.path(), 1, "c").err().expect("is refused");
        assert!(error.to_string().contains("in use"), "{error}");
    }
}
