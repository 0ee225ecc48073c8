//! The journal against kills at any write, and against every kind of damage.

use std::{collections::BTreeSet, time::Duration};

use tempfile::TempDir;

use super::{page::JournalPage, *};

const MAILING: MailingNumber = MailingNumber(3);
const PAUSE_MS: u64 = 1_000;

fn run(epoch: u64) -> RunTerms {
    RunTerms {
        epoch: Epoch(epoch),
        nonce: epoch,
        gateway: 5,
        repeat_ms: Some(70),
    }
}

fn token(n: u64, position: u32) -> SendToken {
    SendToken {
        n,
        mailing: MAILING,
        position,
        attempt: 2,
    }
}

fn runs(first: u32) -> [Run; 1] {
    [Run {
        first,
        len: 4,
        attempt: 2,
    }]
}

fn open(dir: &Path) -> Journal {
    reopen(dir, 1, "c")
}

/// Opens one that was closed just now. Another test may start a process at that moment, which
/// holds every open file, and with it the lock, until it runs its own program.
fn reopen(dir: &Path, boot: u64, cluster: &str) -> Journal {
    for _ in 0..200 {
        match Journal::open(dir, boot, cluster) {
            Err(error) if error.to_string().contains("in use") => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened.expect("opens"),
        }
    }
    panic!("the journal is still in use");
}

fn past(dir: &Path) -> Past {
    open(dir).past(PAUSE_MS).expect("reads")
}

#[track_caller]
fn whole(dir: &Path) -> Remains {
    match past(dir) {
        Past::Whole(remains) => remains,
        other => panic!("it is whole: {other:?}"),
    }
}

#[track_caller]
fn damaged(dir: &Path) -> String {
    damaged_in(past(dir))
}

#[track_caller]
fn damaged_in(past: Past) -> String {
    match past {
        Past::Damaged(damage) => damage.to_string(),
        other => panic!("it is damaged: {other:?}"),
    }
}

#[test]
fn the_next_run_knows_what_was_begun_and_what_came_of_it() {
    let dir = tempfile::tempdir().expect("a directory");
    {
        let mut journal = open(dir.path());
        let mut senders = journal.begin(run(9), 1).expect("begins");
        journal.leased(1, MAILING, &runs(0)).expect("is noted");
        journal.leased(2, MAILING, &runs(4)).expect("is noted");
        journal.closed(2, 1).expect("is noted");
        let sender = &mut senders[0];
        sender.begun(token(1, 0)).expect("is noted");
        sender.settled(token(1, 0), SendResult::Done);
        sender.begun(token(1, 1)).expect("is noted");
        let repeatable = SendResult::UnsureRepeatable {
            pause_ms: 1,
            repeat_ms: 70,
        };
        sender.settled(token(1, 3), repeatable);
        sender.flush().expect("is written");
    }
    let remains = whole(dir.path());
    assert_eq!(remains.run, run(9));
    let leases: Vec<_> = remains
        .leases()
        .map(|left| (left.lease.n, left.runs.len()))
        .collect();
    assert_eq!(leases, [(1, 1)]);
    assert_eq!(
        remains.fate(&token(1, 0)),
        Some(TokenFate::Settled(SendResult::Done))
    );
    assert_eq!(remains.fate(&token(1, 1)), Some(TokenFate::Begun));
    assert_eq!(remains.fate(&token(1, 2)), None);
    // As the run that had the doubt would have reported it, whatever holds now.
    let repeatable = SendResult::UnsureRepeatable {
        pause_ms: PAUSE_MS,
        repeat_ms: 70,
    };
    assert_eq!(
        remains.fate(&token(1, 3)),
        Some(TokenFate::Settled(repeatable))
    );
}

#[test]
fn a_journal_of_another_boot_or_cluster_says_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(open(dir.path()).begin(run(1), 2).expect("begins"));
    let past = |boot, cluster| {
        reopen(dir.path(), boot, cluster)
            .past(PAUSE_MS)
            .expect("reads")
    };
    assert!(matches!(past(2, "c"), Past::Nothing));
    assert!(matches!(past(1, "restored"), Past::Nothing));
    assert!(matches!(past(1, "c"), Past::Whole(_)));
}

#[test]
fn files_go_once_their_leases_are_closed() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = open(dir.path());
    journal.page_bytes = 2_000;
    let mut senders = journal.begin(run(1), 1).expect("begins");
    for n in 1..=10 {
        journal.leased(n, MAILING, &[]).expect("is noted");
        for position in 0..40 {
            senders[0].begun(token(n, position)).expect("is noted");
        }
        journal.closed(n, n + 1).expect("is noted");
    }
    let files = past::files(dir.path()).expect("lists").len();
    assert!(files <= 4, "{files} files");
}

#[test]
fn a_journal_serves_one_postman_whatever_is_deleted_or_moved() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = open(dir.path());
    let refused = |dir: &Path| {
        let error = Journal::open(dir, 1, "c")
            .err()
            .expect("is refused")
            .to_string();
        assert!(error.contains("in use"), "{error}");
    };
    refused(dir.path());
    drop(journal.begin(run(1), 1).expect("begins"));
    refused(dir.path());
    let elsewhere = tempfile::tempdir().expect("a directory");
    for path in past::files(dir.path()).expect("lists").into_values() {
        let name = path.file_name().expect("a name");
        fs::rename(&path, elsewhere.path().join(name)).expect("moved");
    }
    refused(dir.path());
    // The files are locked themselves.
    refused(elsewhere.path());
}

#[test]
fn a_journal_that_was_moved_is_whole_and_a_copy_is_not() {
    let parent = tempfile::tempdir().expect("a directory");
    let dirs = ["one", "two", "three"].map(|name| parent.path().join(name));
    drop(open(&dirs[0]).begin(run(1), 2).expect("begins"));
    fs::rename(&dirs[0], &dirs[1]).expect("moved");
    whole(&dirs[1]);
    fs::create_dir(&dirs[2]).expect("made");
    for path in past::files(&dirs[1]).expect("lists").into_values() {
        fs::copy(&path, dirs[2].join(path.file_name().expect("a name"))).expect("copied");
    }
    let said = damaged(&dirs[2]);
    assert!(
        said.contains("three/a-postman") && said.contains("a copy"),
        "{said}"
    );
}

/// A run with several files in each stream, and every token that it has begun.
struct History {
    dir: TempDir,
    journal: Journal,
    senders: Vec<SenderJournal>,
    begun: BTreeSet<SendToken>,
}

impl History {
    /// Ends by itself; `after` is called between two writes.
    fn play(mut after: impl FnMut(&Self)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut journal = open(dir.path());
        journal.page_bytes = 300;
        let senders = journal.begin(run(4), 2).expect("begins");
        let mut history = Self {
            dir,
            journal,
            senders,
            begun: BTreeSet::new(),
        };
        for n in 1..=9_u64 {
            history
                .journal
                .leased(n, MAILING, &runs(n as u32 * 10))
                .expect("is noted");
            after(&history);
            for at in 0..3 {
                let token = token(n, n as u32 * 10 + at);
                let sender = &mut history.senders[(at as usize + n as usize) % 2];
                sender.begun(token).expect("is noted");
                sender.settled(token, SendResult::NotSent { pause_ms: 1 });
                history.begun.insert(token);
                after(&history);
            }
            // The first lease stays open for long: its files must stay.
            if n > 4 {
                history.journal.closed(n - 4, n - 3).expect("is noted");
                after(&history);
            }
        }
        for sender in &mut history.senders {
            sender.flush().expect("is written");
        }
        history
    }

    fn files(&self) -> Vec<PathBuf> {
        past::files(self.dir.path())
            .expect("lists")
            .into_values()
            .collect()
    }

    fn read(&self) -> Past {
        past::read(self.dir.path(), self.journal.boot, PAUSE_MS).expect("reads")
    }

    /// Begun messages that the next run would hand back.
    fn handed_back(&self) -> Vec<SendToken> {
        let Past::Whole(remains) = self.read() else {
            return Vec::new();
        };
        let back = |token: &&SendToken| {
            remains.is_whole(token.n)
                && matches!(
                    remains.fate(token),
                    None | Some(TokenFate::Settled(SendResult::HandedBack))
                )
        };
        self.begun.iter().filter(back).copied().collect()
    }

    /// Damages one file after the other, and writes it back as it was.
    fn damage(&self, of_file: impl Fn(&[u8]) -> Vec<Vec<u8>>) {
        for path in self.files() {
            let bytes = fs::read(&path).expect("reads");
            for damaged in of_file(&bytes) {
                // In its place: the file stays the same one.
                fs::write(&path, &damaged).expect("written");
                let name = path.file_name();
                assert_eq!(self.handed_back(), [], "{name:?}, {} bytes", damaged.len());
                let is_damaged = matches!(self.read(), Past::Damaged(_));
                assert!(
                    is_damaged || damaged == bytes,
                    "{name:?}, {} bytes",
                    damaged.len()
                );
            }
            fs::write(&path, &bytes).expect("written");
        }
        assert!(matches!(self.read(), Past::Whole(_)), "it is as it was");
    }
}

#[test]
fn a_process_may_be_killed_between_any_two_writes() {
    let mut times = 0;
    let history = History::play(|history| {
        times += 1;
        assert!(
            matches!(history.read(), Past::Whole(_)),
            "{:?}",
            history.read()
        );
        assert_eq!(history.handed_back(), []);
    });
    assert!(
        times > 40 && history.files().len() > 6,
        "{times}, {:?}",
        history.files()
    );
}

#[test]
fn a_file_that_was_made_and_not_used_yet_is_no_damage() {
    let history = History::play(|_| {});
    for stream in 0..=2 {
        let files = past::files(history.dir.path()).expect("lists");
        let ((_, page), last) = files
            .range((stream, 0)..(stream + 1, 0))
            .next_back()
            .expect("one");
        let bytes = fs::read(last).expect("reads");
        let header = JournalPage::header(&bytes).expect("a header");
        // As turning makes it, up to the moment in which it is named.
        let leases = history.journal.leases.clone();
        let next = PageHeader {
            page: page + 1,
            ..header
        };
        drop(Pages::new(history.dir.path(), next, leases, 300).expect("made"));
        assert!(
            matches!(history.read(), Past::Whole(_)),
            "{:?}",
            history.read()
        );
        assert_eq!(history.handed_back(), []);
    }
}

#[test]
fn no_flipped_bit_makes_a_begun_message_one_that_was_never_begun() {
    let history = History::play(|_| {});
    history.damage(|bytes| {
        let flipped = |at: usize| {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << (at % 8);
            damaged
        };
        (0..bytes.len()).map(flipped).collect()
    });
}

/// Without a header that reads, none is of another boot either: that would be no damage.
#[test]
fn a_run_whose_every_header_is_damaged_does_not_count_as_none() {
    let history = History::play(|_| {});
    for path in history.files() {
        let mut bytes = fs::read(&path).expect("reads");
        bytes[20] ^= 1;
        fs::write(&path, bytes).expect("written");
    }
    let said = damaged_in(history.read());
    assert!(said.contains("its header is damaged"), "{said}");
}

#[test]
fn no_cut_makes_a_begun_message_one_that_was_never_begun() {
    let history = History::play(|_| {});
    history.damage(|bytes| (0..bytes.len()).map(|len| bytes[..len].to_vec()).collect());
    // Nor one in the middle, nor what is put there.
    history.damage(|bytes| {
        let cut = |at: usize| [&bytes[..at], &bytes[at + record::RECORD..]].concat();
        (0..bytes.len() - record::RECORD).map(cut).collect()
    });
    history.damage(|bytes| {
        let twice = |at: usize| [&bytes[..at + record::RECORD], &bytes[at..]].concat();
        (0..bytes.len() - record::RECORD).map(twice).collect()
    });
}

#[test]
fn no_zeros_make_a_begun_message_one_that_was_never_begun() {
    let history = History::play(|_| {});
    for len in [1, record::RECORD, 64, 512, 4_096] {
        history.damage(|bytes| {
            let zeroed = |at: usize| {
                let mut damaged = bytes.to_vec();
                let end = (at + len).min(bytes.len());
                damaged[at..end].fill(0);
                damaged
            };
            (0..bytes.len()).map(zeroed).collect()
        });
    }
    history.damage(|bytes| vec![[bytes, &[0; 512]].concat(), [bytes, &[0; 28]].concat()]);
}

#[test]
fn no_deleted_or_exchanged_file_makes_a_begun_message_one_that_was_never_begun() {
    let history = History::play(|_| {});
    let files = history.files();
    let aside = history.dir.path().join("aside");
    for which in 1..1_u32 << files.len().min(9) {
        let gone = || {
            files
                .iter()
                .enumerate()
                .filter(move |(at, _)| which & (1 << at) != 0)
        };
        let kept = gone().map(|(_, path)| (path, path.with_extension("kept")));
        let kept: Vec<_> = kept.collect();
        kept.iter()
            .for_each(|(path, aside)| fs::rename(path, aside).expect("moved"));
        assert_eq!(history.handed_back(), [], "{which:b}");
        assert!(!matches!(history.read(), Past::Whole(_)), "{which:b}");
        kept.iter()
            .for_each(|(path, aside)| fs::rename(aside, path).expect("moved"));
    }
    for one in &files {
        for other in files.iter().filter(|other| *other != one) {
            let exchange = || {
                fs::rename(one, &aside).expect("moved");
                fs::rename(other, one).expect("moved");
                fs::rename(&aside, other).expect("moved");
            };
            exchange();
            assert_eq!(history.handed_back(), [], "{one:?} and {other:?}");
            assert!(
                matches!(history.read(), Past::Damaged(_)),
                "{one:?} and {other:?}"
            );
            exchange();
        }
    }
    assert!(matches!(history.read(), Past::Whole(_)), "it is as it was");
}

#[test]
fn an_older_state_of_the_postmans_own_file_is_damage() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = open(dir.path());
    let mut senders = journal.begin(run(4), 1).expect("begins");
    let own = pages::path(dir.path(), 0, 0);
    let older = fs::read(&own).expect("reads");
    journal.leased(1, MAILING, &runs(0)).expect("is noted");
    senders[0].begun(token(1, 0)).expect("is noted");
    drop((journal, senders));
    whole(dir.path());
    fs::write(&own, older).expect("written");
    let said = damaged(dir.path());
    assert!(said.contains("lease 1, which no file notes"), "{said}");
}

#[test]
fn a_run_that_was_killed_while_it_began_is_not_taken_for_the_one_before() {
    let dir = tempfile::tempdir().expect("a directory");
    {
        let mut journal = open(dir.path());
        let mut senders = journal.begin(run(4), 1).expect("begins");
        journal.leased(1, MAILING, &runs(0)).expect("is noted");
        senders[0].begun(token(1, 0)).expect("is noted");
    }
    // Its own file goes first.
    fs::remove_file(pages::path(dir.path(), 0, 0)).expect("removed");
    let said = damaged(dir.path());
    assert!(
        said.contains("a-postman-00000000.journal: it is missing"),
        "{said}"
    );
}

/// The first file of a postman's own stream, with a lease noted in it.
fn noted(dir: &Path) -> Vec<u8> {
    let mut journal = open(dir);
    drop(journal.begin(run(4), 1).expect("begins"));
    journal.leased(1, MAILING, &runs(0)).expect("is noted");
    fs::read(pages::path(dir, 0, 0)).expect("reads")
}

#[test]
fn a_journal_of_a_newer_version_proves_nothing_and_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let whole_bytes = noted(dir.path());
    let own = pages::path(dir.path(), 0, 0);
    // The form of the records, and a number that no version knows yet.
    for field in [12, 15] {
        let mut bytes = whole_bytes.clone();
        bytes[8 * field + 7] = 2;
        let crc = crc32fast::hash(&bytes[..8 * 16]).to_be_bytes();
        bytes[8 * 16..8 * 16 + 4].copy_from_slice(&crc);
        fs::write(&own, bytes).expect("written");
        let said = damaged(dir.path());
        assert!(said.contains("a newer notty wrote it"), "{said}");
        assert!(said.contains(env!("CARGO_PKG_VERSION")), "{said}");
    }
}

#[test]
fn files_have_the_same_bytes_in_every_version() {
    let dir = tempfile::tempdir().expect("a directory");
    let bytes = noted(dir.path());
    let numbers = |bytes: &[u8]| -> Vec<u64> {
        let (numbers, _) = bytes.as_chunks::<8>();
        numbers
            .iter()
            .map(|number| u64::from_be_bytes(*number))
            .collect()
    };

    // Magic, boot, epoch, gateway, repeats, stream and senders, page, oldest, three of the file, nonce, form.
    let header = numbers(&bytes[..8 * 16]);
    assert_eq!(header[0].to_be_bytes(), *b"nottyjn\x03");
    assert_eq!(header[2..8], [4, 5, 70, 1, 0, 0]);
    assert_eq!(header[11..], [4, 1, 0, 0, 0]);

    // Kind, result, attempt, length, mailing and position, number of the lease; a checksum at the end.
    let record = &bytes[8 * 16 + 4..][..28];
    assert_eq!(record[..8], [2, 0, 0, 2, 0, 4, 0, 0]);
    assert_eq!(numbers(&record[8..24]), [3 << 32, 1]);
}
