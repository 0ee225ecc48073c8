//! Nothing gets slower or larger with what lies behind: a small state against a large one, by counts
//! of records read and bytes written, not by time.

mod plant;
mod receipts;

use std::{cell::Cell, sync::Arc};

use notty_storage::{
    Action, Error, Reader, Scan, Source, codec,
    command::{CustomerRow, DeleteCustomer, PutCustomers, PutMode, TrimChanges},
    index::{Index, OpenMailing},
    keys::{WordKey, WordUsesKey},
    model::{Counts, CustomerId, Filter, MailingNumber, Phone, Seq, Status},
    query::{
        self, Parts,
        filtered::{FilteredCount, StatsFilter},
        stats::CustomerCount,
    },
    records::{WordKind, WordRecord},
};
use plant::{DAY_MS, World};

/// A reader that counts what it is asked.
struct Counting<'a> {
    reader: Reader<'a>,
    records: Cell<u64>,
}

impl Source for Counting<'_> {
    fn with_bytes<R>(&self, key: &[u8], read: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, Error> {
        self.records.set(self.records.get() + 1);
        self.reader.with_bytes(key, read)
    }

    fn index(&self) -> &Index {
        self.reader.index()
    }

    fn open_mailing(&self, number: MailingNumber) -> Option<OpenMailing> {
        self.reader.open_mailing(number)
    }

    fn find_customer(&self, id: &CustomerId) -> Result<Option<Seq>, Error> {
        self.reader.find_customer(id)
    }

    fn word(&self, kind: WordKind, number: u32) -> Option<Arc<WordRecord>> {
        self.reader.word(kind, number)
    }
}

impl Scan for Counting<'_> {
    fn scan(&self, from: &[u8], mut take: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), Error> {
        self.reader.scan(from, |key, value| {
            self.records.set(self.records.get() + 1);
            take(key, value)
        })
    }
}

/// Records that a question reads.
fn records<T>(world: &World, ask: impl FnOnce(&Counting<'_>) -> Result<T, Error>) -> (u64, T) {
    let view = world.store.view();
    let counting = Counting {
        reader: view.read(),
        records: Cell::new(0),
    };
    let answer = ask(&counting).expect("a state that reads");
    (counting.records.get(), answer)
}

fn world(customers: u32) -> (tempfile::TempDir, World) {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let mut world = World::open(dir.path());
    world.put_customers(0..customers, 5);
    (dir, world)
}

fn every() -> StatsFilter {
    let (tag, operator) = (Filter::default(), Filter::default());
    StatsFilter {
        tag,
        operator,
        from_day: 0,
        to_day: i32::MAX,
    }
}

/// Bytes written by expanding, granting and reporting the last thousand messages of a mailing, and of
/// its progress, which each of these steps writes.
fn bytes_of_the_last_batch(customers: u32) -> (u64, usize) {
    let (_dir, mut world) = world(customers);
    let mailing = world.start_mailing(1, "%");
    for _ in 0..customers / 1_000 - 1 {
        world.expand(mailing);
        world.send_ready(mailing, false);
    }
    let (bytes, sent) = world.bytes_of(|world| {
        world.expand(mailing);
        world.send_ready(mailing, false)
    });
    assert_eq!(sent.messages, 1_000);
    let progress = world
        .store
        .view()
        .read()
        .need_progress(mailing)
        .expect("reads");
    (bytes, codec::encode(&*progress).len())
}

#[test]
fn a_batch_costs_the_same_however_many_lie_behind() {
    let (small, large) = (
        bytes_of_the_last_batch(3_000),
        bytes_of_the_last_batch(99_000),
    );
    // As far into a block of heads each; the numbers are larger, and take a byte more here and there.
    assert!(
        large.0 < small.0 + small.0 / 20,
        "{small:?} bytes behind 2 batches, {large:?} behind 98"
    );
    assert!(
        large.1 < small.1 + 10,
        "{small:?} bytes behind 2 batches, {large:?} behind 98"
    );
}

#[test]
fn looking_for_work_reads_nothing_of_mailings_that_wait_or_are_finished() {
    let (_dir, mut world) = world(1_000);
    for number in 1..=100 {
        let mailing = world.start_mailing(number, "%");
        if number % 10 > 0 {
            world.send(mailing, false);
            world.finish(mailing, number);
        }
    }
    let (read, ready) = records(&world, |source| {
        let mut ready = 0;
        for mailing in query::work::open_mailings(source) {
            ready += query::work::ready(source, mailing, None, world.at, 1)?;
        }
        Ok((
            ready,
            query::work::next_settled(source),
            query::work::oldest_folded(source),
        ))
    });
    assert_eq!((read, ready.0, ready.1), (0, 0, None));
    assert!(ready.2.is_some(), "finished mailings wait for retention");
    let (read, counts) = records(&world, |source| query::stats::of_customer(source, Seq(7)));
    assert_eq!(
        (read, counts.of(Status::Done)),
        (1, 90),
        "what is finished is folded"
    );
}

#[test]
fn a_customers_messages_are_found_without_reading_the_mailing() {
    let (_dir, mut world) = world(40_000);
    let mailing = world.start_mailing(1, "%");
    world.send(mailing, false);
    for seq in [0, 999, 1_000, 31_999, 32_000, 39_999] {
        let (read, counts) = records(&world, |source| query::stats::of_customer(source, Seq(seq)));
        // Folded totals, a late message, reaches, heads, members, columns.
        assert!(read <= 6, "{read} records");
        assert_eq!(counts.total(), 1, "customer {seq}");
    }
}

#[test]
fn a_message_that_waits_does_not_have_its_batch_counted_by_who_asks() {
    let (_dir, mut world) = world(40_000);
    let mailing = world.start_mailing(1, "%");
    world.send(mailing, true);
    let filter = every();
    let (read, counts) = records(&world, |source| query::filtered::filtered(source, &filter));
    assert_eq!((counts.of(Status::Failed), counts.total()), (40, 40_000));
    // The facets of a day, and the heads of two blocks.
    assert!(read < 20, "{read} records");
    let failed_again = world.at.plus_millis(2 * DAY_MS);
    world.at = failed_again;
    world.send_ready(mailing, false);
    let (_, counts) = records(&world, |source| query::filtered::filtered(source, &filter));
    assert_eq!((counts.of(Status::Done), counts.total()), (40_000, 40_000));
}

#[test]
fn mailing_after_mailing_that_none_keeps_leaves_as_many_leaves_as_one() {
    let leaves = |mailings: u32| {
        let (dir, mut world) = world(20_000);
        for number in 1..=mailings {
            let mailing = world.start_mailing(number, "%");
            world.send(mailing, false);
            world.finish(mailing, number);
            world.purge(mailing);
        }
        world.store.flush().expect("the state flushes");
        drop(world);
        let db: sled::Db<16> = sled::Config::new()
            .path(dir.path())
            .open()
            .expect("sled opens");
        // Of the batches nothing is left, and that should be so of their leaves too.
        let kept = db
            .iter()
            .flatten()
            .filter(|(key, _)| (23..=27).contains(&key[0]))
            .count();
        assert_eq!(kept, 0, "records of purged mailings");
        // Each leaf was read from the disk once.
        db.stats().cache.cache_misses
    };
    let (few, many) = (leaves(2), leaves(10));
    assert!(
        many < few + few / 10,
        "{few} leaves after 2 mailings, {many} after 10"
    );
}

#[test]
fn changes_that_were_passed_do_not_pile_up() {
    let (_dir, mut world) = world(3_000);
    let mailing = world.start_mailing(1, "%");
    world.send(mailing, false);
    let mut most = 0;
    for round in 0..20 {
        // Everyone gets another tag, and the mailing looks at all of them once more.
        world.put_customers(0..3_000, 6 + round % 2);
        world.send(mailing, false);
        let blocks = 16;
        let left = |world: &World| query::work::has_passed_changes(&world.store.view().read());
        for _ in 0..5 {
            if left(&world).expect("reads") {
                world
                    .act(Action::TrimChanges(TrimChanges { blocks }))
                    .expect("passed changes are dropped");
            }
        }
        let kept = all(&world.store.view().read());
        most = most.max(kept.iter().filter(|(key, _)| key[0] == 14).count());
    }
    assert!(most <= 1, "{most} records of changes");
}

/// All keys and values.
fn all<S: Scan>(source: &S) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    let take = |key: &[u8], value: &[u8]| {
        all.push((key.to_vec(), value.to_vec()));
        true
    };
    source.scan(&[], take).expect("a state that reads");
    all
}

#[test]
fn a_long_question_sees_the_state_as_it_was_when_it_began() {
    let (_dir, mut world) = world(20_000);
    let (first, second) = (world.start_mailing(1, "%"), world.start_mailing(2, "%"));
    world.send(first, false);
    assert_eq!(
        (0..5).filter_map(|_| world.expand(second)).sum::<u64>(),
        5_000
    );
    let view = world.store.view();
    let (pin, begun) = view.pin(|reader| {
        let customer = CustomerCount::begin(reader, Seq(4_321)).expect("reads");
        (all(reader), FilteredCount::begin(reader, every()), customer)
    });
    let (before, mut filtered, mut customer) = begun;
    world.finish(first, 1);
    world.purge(first);
    world.send(second, false);
    world.put_customers(20_000..21_000, 5);
    let read = || pin.read().expect("a pin that holds");
    assert_eq!(all(&read()), before);
    while filtered.part(&read()).expect("reads") {}
    while customer.part(&read()).expect("reads") {}
    let mut expected = Counts::default();
    expected.add(Status::Done, 20_000);
    expected.add(Status::Created, 5_000);
    assert_eq!(filtered.counts(), expected);
    assert_eq!(customer.counts().total(), 2);
    drop(pin);
    world.purge(second);
    assert_ne!(all(&view.read()), before);
}

/// A thousand customers, each with a tag and an operator of its own that no one had before.
fn put_with_new_words(world: &mut World, round: u32) {
    let word = |kind: &str, n: u32| {
        let text = format!("churned-{kind}-{round}-{n}");
        (text.clone(), text)
    };
    let row = |n: u32| CustomerRow {
        id: CustomerId::parse(&format!("customer-{n}")).expect("an id"),
        by_phone: false,
        name: String::new(),
        phone: Some(Phone::from_digits(79_160_000_000 + u64::from(n))),
        tag: n as u16,
        operator: n as u16,
        zone: None,
        kept: Default::default(),
    };
    let put = PutCustomers {
        mode: PutMode::Upsert,
        tags: (0..1_000).map(|n| word("tag", n)).collect(),
        operators: (0..1_000).map(|n| word("operator", n)).collect(),
        zones: Vec::new(),
        rows: (0..1_000).map(row).collect(),
    };
    world
        .act(Action::PutCustomers(put))
        .expect("customers are written");
}

/// Records of dictionaries and of uses, and words that memory has room for.
fn words(world: &World) -> (usize, usize) {
    let view = world.store.view();
    let reader = view.read();
    let of_words = |key: &[u8]| [WordKey::TAG, WordUsesKey::TAG].contains(&key[0]);
    let records = all(&reader).iter().filter(|(key, _)| of_words(key)).count();
    let kinds = [WordKind::Tag, WordKind::Operator].into_iter();
    (
        records,
        kinds
            .map(|kind| reader.index().words(kind).capacity())
            .sum(),
    )
}

#[test]
fn fifty_thousand_tags_that_came_and_went_leave_nothing() {
    let (dir, mut world) = world(0);
    put_with_new_words(&mut world, 0);
    let (few, room) = words(&world);
    let mut written = 0;
    for round in 1..50 {
        let (bytes, ()) = world.bytes_of(|world| put_with_new_words(world, round));
        written = written.max(bytes);
    }
    let (many, room_after) = words(&world);
    // Numbers are free once their entry is over: the next words come beside the last.
    assert!(
        many <= few + 20,
        "{few} records of a thousand words, {many} after fifty thousand"
    );
    assert!(
        room_after <= 4 * room,
        "room for {room} words, {room_after} after fifty thousand"
    );

    for n in 0..1_000 {
        let id = CustomerId::parse(&format!("customer-{n}")).expect("an id");
        world
            .act(Action::DeleteCustomer(DeleteCustomer { id }))
            .expect("a customer is deleted");
    }
    let (none, room_after) = words(&world);
    assert_eq!(none, 1, "the zone that stands for none");
    assert!(
        room_after <= 4 * room,
        "room for {room_after} words that are gone"
    );
    let path = dir.path().join("backup");
    let mut export = world.store.begin_export(&path).expect("it begins");
    while export.copy_some().expect("copied") {}
    world.store.end_export(export).expect("it ends");
    let backup = std::fs::read(&path).expect("read");
    let kept = backup.windows(8).any(|bytes| bytes == b"churned-");
    assert!(!kept, "a backup of nobody holds their tags");
}

#[test]
fn words_that_a_thousand_rows_use_are_counted_once_a_block() {
    let (_dir, mut world) = world(3_000);
    // Everyone gets another of five tags, and back: no word is new, and none goes.
    world.put_customers(0..1_000, 7);
    let before = all(&world.store.view().read());
    world.put_customers(0..1_000, 5);
    let after = all(&world.store.view().read());
    let changed = after.iter().filter(|pair| !before.contains(pair));
    let of_words: Vec<_> = changed
        .filter(|(key, _)| [5, 8].contains(&key[0]))
        .collect();
    assert!(of_words.len() <= 2, "{} records of words", of_words.len());
}

#[test]
fn a_long_question_knows_words_that_were_forgotten_meanwhile() {
    let (_dir, mut world) = world(0);
    put_with_new_words(&mut world, 0);
    let text = |source: &dyn Fn(u32) -> Option<Arc<WordRecord>>| {
        let word = (0..1_000).filter_map(source).next();
        word.map(|word| word.text.clone())
    };
    let view = world.store.view();
    let (pin, before) = view.pin(|reader| text(&|number| reader.word(WordKind::Tag, number)));
    for round in 1..4 {
        put_with_new_words(&mut world, round);
    }
    let read = pin.read().expect("a pin that holds");
    assert_eq!(text(&|number| read.word(WordKind::Tag, number)), before);
    drop(read);
    let reader = view.read();
    assert_ne!(text(&|number| reader.word(WordKind::Tag, number)), before);
}
