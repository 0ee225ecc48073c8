//! One stream of the journal as it is written: a file that is followed by a new one when it has grown
//! enough.
//!
//! Every write carries its records and the mark of the end after them, which the next write replaces:
//! so a file that lost something shows it. A new file gets its name once its header is in it, and is
//! used once the one before names it as following.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use super::{
    Leases, at,
    header::{FileId, HEADER, PageHeader, Seal},
    record::{JournalRecord, RECORD, RecordKind},
};

/// One stream of the journal, open for writing.
pub(super) struct Pages {
    dir: PathBuf,
    header: PageHeader,
    leases: Arc<Leases>,
    /// Bytes after which a file is followed by a new one.
    page_bytes: u64,
    file: File,
    seal: Seal,
    /// Records of the file, without the mark of its end.
    count: u64,
    /// Files that were followed, with the newest lease that they can speak of.
    full: Vec<(u64, u64)>,
    /// The bytes of one write; kept for the next.
    buffer: Vec<u8>,
}

impl Pages {
    /// Begins a stream with its first file, which exists when this returns.
    pub(super) fn new(
        dir: &Path,
        header: PageHeader,
        leases: Arc<Leases>,
        page_bytes: u64,
    ) -> io::Result<Self> {
        let (file, header) = create(dir, header)?;

        Ok(Self {
            dir: dir.to_owned(),
            seal: header.seal(),
            header,
            leases,
            page_bytes,
            file,
            count: 0,
            full: Vec::new(),
            buffer: Vec::new(),
        })
    }

    /// Appends records, in one write.
    pub(super) fn write(&mut self, records: &[JournalRecord]) -> io::Result<()> {
        if self.count * RECORD as u64 >= self.page_bytes {
            self.turn()?;
        }
        self.append(records)
    }

    fn append(&mut self, records: &[JournalRecord]) -> io::Result<()> {
        self.buffer.clear();
        let end = JournalRecord::of_file(RecordKind::End);
        for (record, place) in records.iter().chain([&end]).zip(self.count..) {
            let bytes = record.bytes(&self.seal, place);
            self.buffer.extend_from_slice(&bytes);
        }

        // The mark of the end does not count: the next write begins where it stands.
        let offset = HEADER as u64 + self.count * RECORD as u64;
        self.file.write_all_at(&self.buffer, offset)?;
        self.count += records.len() as u64;
        Ok(())
    }

    /// Goes on in a new file, and lets those go that nobody needs any more.
    fn turn(&mut self) -> io::Result<()> {
        let newest = self.leases.newest.load(Ordering::Relaxed);
        self.full.push((self.header.page, newest));
        let unneeded = self.take_unneeded();
        self.follow()?;

        // After the new header, which does not count on them any more.
        for page in unneeded {
            let old = path(&self.dir, self.header.stream, page);
            fs::remove_file(&old).map_err(at(&old))?;
        }
        Ok(())
    }

    /// Takes those files off the list whose every lease is closed.
    fn take_unneeded(&mut self) -> Vec<u64> {
        let oldest_open = self.leases.oldest_open.load(Ordering::Relaxed);
        let is_over = |(_, newest): &mut (u64, u64)| *newest < oldest_open;
        let over = self.full.extract_if(.., is_over);
        over.map(|(page, _)| page).collect()
    }

    /// Makes the next file, and writes to it from now on.
    fn follow(&mut self) -> io::Result<()> {
        let page = self.header.page + 1;
        let next = PageHeader {
            page,
            oldest: self.full.first().map_or(page, |(page, _)| *page),
            ..self.header
        };
        let (file, header) = create(&self.dir, next)?;

        // Only now may anything be written to the new one: a reader that finds this mark asks for that
        // file.
        self.append(&[JournalRecord::of_file(RecordKind::Followed)])?;
        self.file = file;
        self.seal = header.seal();
        self.header = header;
        self.count = 0;
        Ok(())
    }
}

/// Makes a file with a header; the postman's own is locked for as long as it is open.
fn create(dir: &Path, header: PageHeader) -> io::Result<(File, PageHeader)> {
    let path = path(dir, header.stream, header.page);
    write_new(&path, header).map_err(at(&path))
}

fn write_new(path: &Path, header: PageHeader) -> io::Result<(File, PageHeader)> {
    let made = path.with_extension("new");
    let file = File::create(&made)?;
    let header = PageHeader {
        file: FileId::of(&file.metadata()?),
        ..header
    };

    // Whoever moves the directory elsewhere, and starts a postman there, finds it locked.
    if header.stream == 0 {
        file.try_lock()?;
    }

    // It gets its name when it is whole: a name without a header would be damage.
    file.write_all_at(&header.bytes(), 0)?;
    let end = JournalRecord::of_file(RecordKind::End).bytes(&header.seal(), 0);
    file.write_all_at(&end, HEADER as u64)?;
    fs::rename(&made, path)?;
    Ok((file, header))
}

/// The path of a file. The postman's own come first in the order of names.
pub(super) fn path(dir: &Path, stream: u64, page: u64) -> PathBuf {
    match stream.checked_sub(1) {
        None => dir.join(format!("a-postman-{page:08}.journal")),
        Some(sender) => dir.join(format!("b-sender-{sender}-{page:08}.journal")),
    }
}

/// The stream of the file with this name, and its number there; `None` if it is not the journal's.
pub(super) fn named(path: &Path) -> Option<(u64, u64)> {
    let name = path.file_name()?.to_str()?.strip_suffix(".journal")?;
    let (stream, page) = name.rsplit_once('-')?;
    let page = page.parse().ok()?;
    match stream.strip_prefix("b-sender-") {
        Some(sender) => Some((sender.parse::<u64>().ok()?.checked_add(1)?, page)),
        None => (stream == "a-postman").then_some((0, page)),
    }
}
