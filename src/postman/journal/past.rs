//! Reading what the run before left in the journal, if all of it is there.
//!
//! A message was never begun if it is *not* in the journal. So that is believed only of a run whose every
//! file is there, whole, and the very file that the run wrote: anything else makes all of that run
//! unsure.

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
    RunTerms, SendToken, TokenFate, at,
    header::{FileId, HEADER, PageHeader},
    page::JournalPage,
    pages::{named, path},
    record::{JournalRecord, RecordKind, result},
};
use crate::postman::desk::Left;

/// The remains of the run before, as far as they are believed.
#[derive(Debug)]
pub enum Past {
    /// Nothing, or that of another boot, machine or cluster.
    Nothing,
    /// Something that does not check out: what the run had under lease stays unsure.
    Damaged(Damage),
    /// All of it, and whole.
    Whole(Remains),
}

/// The reason for not believing a journal.
#[derive(Debug, thiserror::Error)]
#[error(
    "the postman's journal is not whole: {}: {what}. Nothing of the run before is handed back: what it \
     had under lease becomes unconfirmed when its leases run out",
    file.display()
)]
pub struct Damage {
    /// The file that does not check out.
    pub file: PathBuf,
    /// The fault that was found.
    pub what: String,
}

/// Leases and tokens of an earlier run on the same boot of the same machine.
#[derive(Debug)]
pub struct Remains {
    /// The run that left them.
    pub run: RunTerms,
    leased: BTreeMap<u64, Left>,
    newest: u64,
    fates: HashMap<SendToken, TokenFate>,
}

impl Remains {
    /// Those of a run of which nothing was read yet.
    fn of(run: RunTerms) -> Self {
        Self {
            run,
            leased: BTreeMap::new(),
            newest: 0,
            fates: HashMap::new(),
        }
    }

    /// Leases that it got and never closed.
    pub fn leases(&self) -> impl Iterator<Item = &Left> {
        self.leased.values()
    }

    /// True if all that was begun under a lease is here: it was not closed, or came too late to be
    /// noted and so was never begun. Records of a closed one may be gone.
    pub fn is_whole(&self, n: u64) -> bool {
        self.leased.contains_key(&n) || n > self.newest
    }

    /// The fate of a token; `None` if it was never begun, provided that its lease is whole here.
    pub fn fate(&self, token: &SendToken) -> Option<TokenFate> {
        self.fates.get(token).copied()
    }

    /// Takes in a record. An error is the reason why it cannot be one of this run's.
    fn take(&mut self, record: &JournalRecord, pause_ms: u64) -> Result<(), String> {
        let token = record.token;
        match record.kind {
            RecordKind::End | RecordKind::Followed => {}
            RecordKind::Leased => self.take_leased(record),
            RecordKind::Closed => {
                self.newest = self.newest.max(token.n);
                self.leased.remove(&token.n);
            }

            RecordKind::Begun => {
                self.check_leased(token.n)?;

                self.fates.entry(token).or_insert(TokenFate::Begun);
            }
            RecordKind::Settled => {
                self.check_leased(token.n)?;
                let result = result(record.code, pause_ms, &self.run)
                    .ok_or_else(|| format!("it has a result {}", record.code))?;
                self.fates.insert(token, TokenFate::Settled(result));
            }
        }
        Ok(())
    }

    /// A lease is noted before its messages: without it, a file of the postman's own is missing.
    fn check_leased(&self, n: u64) -> Result<(), String> {
        if n > self.newest && rules::damage_proves_nothing() {
            return Err(format!("it speaks of lease {n}, which no file notes"));
        }
        Ok(())
    }

    fn take_leased(&mut self, record: &JournalRecord) {
        let token = record.token;
        self.newest = self.newest.max(token.n);
        let lease = LeaseId {
            epoch: self.run.epoch,
            n: token.n,
        };

        // A lease of many runs has as many records.
        let left = self.leased.entry(token.n).or_insert(Left {
            lease,
            mailing: token.mailing,
            runs: Vec::new(),
        });

        left.runs.push(Run {
            first: token.position,
            len: record.len,
            attempt: token.attempt,
        });
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
struct FoundFile {
    bytes: Vec<u8>,
    id: FileId,
    header: PageHeader,
}

/// Found files by stream and number.
type FoundFiles = BTreeMap<(u64, u64), FoundFile>;

/// Reads what the run before left; `boot` is that of the machine and the cluster.
pub(super) fn read(dir: &Path, boot: u64, pause_ms: u64) -> io::Result<Past> {
    let (mut found, damage) = find(dir, boot)?;
    if let Some(damage) = damage.filter(|_| rules::damage_proves_nothing()) {
        return Ok(Past::Damaged(damage));
    }

    let runs = found.values().map(|found| found.header.run);
    let Some(run) = runs.max_by_key(|run| run.epoch) else {
        return Ok(Past::Nothing);
    };

    // One that was killed while it began anew may have left files of the run before it.
    found.retain(|_, found| found.header.run == run);
    let files = RunFiles {
        dir,
        found,
        pause_ms,
    };
    let remains = Remains::of(run);

    // Only a simulation leaves the rule out, to show that messages are then sent twice.
    let read = if rules::damage_proves_nothing() {
        files.all(remains)
    } else {
        Ok(files.what_reads(remains))
    };
    Ok(read.map_or_else(Past::Damaged, Past::Whole))
}

/// Finds the files of a boot, and the last of those whose headers cannot be read.
fn find(dir: &Path, boot: u64) -> io::Result<(FoundFiles, Option<Damage>)> {
    let mut found = BTreeMap::new();
    let mut unreadable = None;
    for (place, path) in files(dir)? {
        let bytes = fs::read(&path).map_err(at(&path))?;
        let id = FileId::of(&fs::metadata(&path).map_err(at(&path))?);

        match JournalPage::header(&bytes) {
            Ok(header) if header.boot == boot => {
                found.insert(place, FoundFile { bytes, id, header });
            }
            // Of another boot or cluster: it proves nothing here.
            Ok(_) => {}
            Err(what) => unreadable = Some(Damage { file: path, what }),
        }
    }
    Ok((found, unreadable))
}

/// The files of one run.
struct RunFiles<'d> {
    dir: &'d Path,
    found: FoundFiles,
    pause_ms: u64,
}

impl RunFiles<'_> {
    fn damage(&self, (stream, page): (u64, u64), what: &str) -> Damage {
        Damage {
            file: path(self.dir, stream, page),
            what: what.to_owned(),
        }
    }

    /// The number and the header of a stream's newest file.
    fn newest(&self, stream: u64) -> Result<(u64, &PageHeader), Damage> {
        let of_stream = (stream, 0)..(stream + 1, 0);
        let newest = self.found.range(of_stream).next_back();
        newest
            .map(|((_, number), found)| (*number, &found.header))
            .ok_or_else(|| self.damage((stream, 0), "it is missing"))
    }

    fn page(&self, place: (u64, u64)) -> Result<JournalPage, Damage> {
        let found = self
            .found
            .get(&place)
            .ok_or_else(|| self.damage(place, "it is missing"))?;
        let page =
            JournalPage::parse(&found.bytes, found.id).map_err(|what| self.damage(place, &what))?;

        // A whole file under the name of another would check out by itself.
        if (page.header.stream, page.header.page) != place {
            return Err(self.damage(place, "another has its name"));
        }
        Ok(page)
    }

    /// Everything, or the damage that was found.
    fn all(&self, mut remains: Remains) -> Result<Remains, Damage> {
        let (_, own) = self.newest(0)?;
        // The postman's own stream comes first: it notes the leases that the others speak of.
        for stream in 0..=own.senders {
            self.read_stream(stream, &mut remains)?;
        }
        Ok(remains)
    }

    fn read_stream(&self, stream: u64, remains: &mut Remains) -> Result<(), Damage> {
        let (last, header) = self.newest(stream)?;
        for number in header.oldest..=last {
            let place = (stream, number);
            let page = self.page(place)?;
            self.take_all(&page, remains)
                .map_err(|what| self.damage(place, &what))?;

            // Each file but the last names the next one as following.
            match (page.is_followed, number == last) {
                (true, false) | (false, true) => {}
                (true, true) => return Err(self.damage((stream, number + 1), "it is missing")),
                // Its maker was killed before it used it.
                (false, false) if number + 1 == last && self.is_unused((stream, last))? => break,
                (false, false) => return Err(self.damage(place, "its end is missing")),
            }
        }
        Ok(())
    }

    fn take_all(&self, page: &JournalPage, remains: &mut Remains) -> Result<(), String> {
        let mut records = page.records.iter();
        records.try_for_each(|record| remains.take(record, self.pause_ms))
    }

    fn is_unused(&self, place: (u64, u64)) -> Result<bool, Damage> {
        let page = self.page(place)?;
        Ok(page.records.is_empty() && !page.is_followed)
    }

    /// Whatever can be read, as if the rest had never been written.
    fn what_reads(&self, mut remains: Remains) -> Remains {
        for found in self.found.values() {
            let (records, _) = JournalPage::records(&found.header, &found.bytes[HEADER..]);
            for record in &records {
                let _ = remains.take(record, self.pause_ms);
            }
        }
        remains
    }
}
