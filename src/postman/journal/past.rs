//! Reading what the run before left in the journal, if all of it is there.
//!
//! That a message was never begun is said by what is *not* in the journal. So it is believed only of a
//! run whose every file is there, whole, and the very file that the run wrote: anything else makes all
//! of that run unsure.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
};

use notty_storage::{
    model::{LeaseId, Run},
    rules,
};

use super::{
    Fate, RunTerms, Token,
    pages::{named, path},
    record::{FileId, HEADER, Header, Kind, Page, Record, at, result},
};
use crate::postman::desk::Left;

/// The remains of the run before, as far as they are believed.
#[derive(Debug)]
pub enum Past {
    /// Nothing, or that of another boot, machine or cluster.
    Nothing,
    /// Something that does not check out: what the run had under lease stays unsure.
    Damaged(Damage),
    /// All of it.
    Whole(Remains),
}

/// Why a journal is not believed.
#[derive(Debug, thiserror::Error)]
#[error(
    "the postman's journal is not whole: {}: {what}. Nothing of the run before is handed back: what it \
     had under lease becomes unconfirmed when its leases run out",
    file.display()
)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The reason.
    pub what: String,
}

/// Leases and tokens of an earlier run on the same boot of the same machine.
#[derive(Debug)]
pub struct Remains {
    /// The run.
    pub run: RunTerms,
    leased: BTreeMap<u64, Left>,
    newest: u64,
    fates: HashMap<Token, Fate>,
}

impl Remains {
    /// Leases that it got and never closed.
    pub fn leases(&self) -> impl Iterator<Item = &Left> {
        self.leased.values()
    }

    /// True if all that was begun under a lease is here: it was not closed, or came too late to be
    /// noted and so was never begun. What is said of a closed one may be gone.
    pub fn is_whole(&self, n: u64) -> bool {
        self.leased.contains_key(&n) || n > self.newest
    }

    /// The fate of a token; none: it was never begun, if its lease is whole here.
    pub fn fate(&self, token: &Token) -> Option<Fate> {
        self.fates.get(token).copied()
    }

    /// Takes in a record; an error says why it cannot be one of this run's.
    fn take(&mut self, record: &Record, pause_ms: u64) -> Result<(), String> {
        let token = record.token;
        match record.kind {
            Kind::End | Kind::Followed => {}
            Kind::Leased => {
                self.newest = self.newest.max(token.n);
                let lease = LeaseId {
                    epoch: self.run.epoch,
                    n: token.n,
                };
                let empty = Left {
                    lease,
                    mailing: token.mailing,
                    runs: Vec::new(),
                };
                let run = Run {
                    first: token.position,
                    len: record.len,
                    attempt: token.attempt,
                };
                self.leased.entry(token.n).or_insert(empty).runs.push(run);
            }
            Kind::Closed => {
                self.newest = self.newest.max(token.n);
                self.leased.remove(&token.n);
            }
            Kind::Begun | Kind::Settled
                if token.n > self.newest && rules::damage_proves_nothing() =>
            {
                return Err(format!(
                    "it speaks of lease {}, which no file notes",
                    token.n
                ));
            }
            Kind::Begun => {
                self.fates.entry(token).or_insert(Fate::Begun);
            }
            Kind::Settled => {
                let result = result(record.code, pause_ms, &self.run);
                let result = result.ok_or_else(|| format!("it has a result {}", record.code))?;
                self.fates.insert(token, Fate::Settled(result));
            }
        }
        Ok(())
    }
}

/// The files of a directory that are a journal's, by stream and number.
pub(super) fn files(dir: &Path) -> io::Result<BTreeMap<(u64, u64), PathBuf>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let path = entry?.path();
        if let Some(place) = named(&path) {
            files.insert(place, path);
        }
    }
    Ok(files)
}

/// A file as it was found.
struct Found {
    bytes: Vec<u8>,
    id: FileId,
    header: Header,
}

/// Reads what the run before left; `boot` is that of the machine and the cluster.
pub(super) fn read(dir: &Path, boot: u64, pause_ms: u64) -> io::Result<Past> {
    let mut found = BTreeMap::new();
    let mut unreadable = None;
    for (place, path) in files(dir)? {
        let bytes = fs::read(&path).map_err(at(&path))?;
        let id = FileId::of(&fs::metadata(&path).map_err(at(&path))?);
        match Page::header(&bytes) {
            Ok(header) if header.boot == boot => {
                found.insert(place, Found { bytes, id, header });
            }
            Ok(_) => {}
            Err(what) => unreadable = Some(Damage { file: path, what }),
        }
    }
    if let Some(damage) = unreadable.filter(|_| rules::damage_proves_nothing()) {
        return Ok(Past::Damaged(damage));
    }
    let Some(run) = found
        .values()
        .map(|found| found.header.run)
        .max_by_key(|run| run.epoch)
    else {
        return Ok(Past::Nothing);
    };

    // One that was killed while it began anew may have left files of the run before it.
    found.retain(|_, found| found.header.run == run);
    let reading = Reading {
        dir,
        found,
        pause_ms,
    };
    let remains = Remains {
        run,
        leased: BTreeMap::new(),
        newest: 0,
        fates: HashMap::new(),
    };
    let read = if rules::damage_proves_nothing() {
        reading.all(remains)
    } else {
        Ok(reading.what_reads(remains))
    };
    Ok(read.map_or_else(Past::Damaged, Past::Whole))
}

/// The files of one run.
struct Reading<'d> {
    dir: &'d Path,
    /// By stream and number.
    found: BTreeMap<(u64, u64), Found>,
    pause_ms: u64,
}

impl Reading<'_> {
    fn damage(&self, (stream, page): (u64, u64), what: &str) -> Damage {
        Damage {
            file: path(self.dir, stream, page),
            what: what.to_owned(),
        }
    }

    /// The number and the header of a stream's newest file.
    fn newest(&self, stream: u64) -> Result<(u64, &Header), Damage> {
        let newest = self.found.range((stream, 0)..(stream + 1, 0)).next_back();
        let newest = newest.map(|((_, number), found)| (*number, &found.header));
        newest.ok_or_else(|| self.damage((stream, 0), "it is missing"))
    }

    fn page(&self, place: (u64, u64)) -> Result<Page, Damage> {
        let found = self
            .found
            .get(&place)
            .ok_or_else(|| self.damage(place, "it is missing"))?;
        let page = Page::parse(&found.bytes, found.id);
        let page = page.map_err(|what| self.damage(place, &what))?;
        let is_in_place = (page.header.stream, page.header.page) == place;
        is_in_place
            .then_some(page)
            .ok_or_else(|| self.damage(place, "another has its name"))
    }

    /// Everything, or the damage that was found.
    fn all(&self, mut remains: Remains) -> Result<Remains, Damage> {
        let (_, own) = self.newest(0)?;
        for stream in 0..=own.senders {
            let (last, header) = self.newest(stream)?;
            for number in header.oldest..=last {
                let place = (stream, number);
                let page = self.page(place)?;
                for record in &page.records {
                    let taken = remains.take(record, self.pause_ms);
                    taken.map_err(|what| self.damage(place, &what))?;
                }
                match (page.is_followed, number == last) {
                    (true, false) | (false, true) => {}
                    (true, true) => {
                        return Err(self.damage((stream, number + 1), "it is missing"));
                    }
                    // Its maker was killed before it used it.
                    (false, false) if number + 1 == last && self.is_unused((stream, last))? => {
                        break;
                    }
                    (false, false) => return Err(self.damage(place, "its end is missing")),
                }
            }
        }
        Ok(remains)
    }

    fn is_unused(&self, place: (u64, u64)) -> Result<bool, Damage> {
        let page = self.page(place)?;
        Ok(page.records.is_empty() && !page.is_followed)
    }

    /// Whatever reads, as if the rest had never been written.
    fn what_reads(&self, mut remains: Remains) -> Remains {
        for found in self.found.values() {
            let (records, _) = Page::records(&found.header, &found.bytes[HEADER..]);
            for record in &records {
                let _ = remains.take(record, self.pause_ms);
            }
        }
        remains
    }
}
