//! The cost of receipts: bytes of batches with and without them, and of the commands that bring them.

use notty_storage::{
    Reply, Source, codec,
    command::{ReceiptsTaken, TakeReceipts},
    keys::{ColumnsKey, HeadsKey},
    model::{Delivery, ErrorCode, MailingNumber, MessageId, ReceiptNote, ReceiptState},
    query,
    records::position,
};

use crate::plant::World;

/// A state whose messages to so many customers were all taken.
fn sent(customers: u32) -> (tempfile::TempDir, World, MailingNumber) {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let mut world = World::open(dir.path());
    world.put_customers(0..customers, 5);
    let mailing = world.start_mailing(1, "%");
    while world.expand(mailing).is_some() {}
    // Later than they were made: zeros at the end of a record would not be written.
    world.at = world.at.plus_millis(1);
    world.send_ready(mailing, false);
    (dir, world, mailing)
}

fn delivered(message: MessageId) -> ReceiptNote {
    ReceiptNote {
        message,
        state: ReceiptState::Delivered,
        error: ErrorCode::default(),
    }
}

/// Takes receipts of so many messages of each of some batches; bytes that it wrote.
fn take(
    world: &mut World,
    mailing: MailingNumber,
    batches: std::ops::Range<u32>,
    each: usize,
) -> u64 {
    let ids = batches.flat_map(|batch| (0..each).map(move |index| position(batch, index)));
    let message = |position| delivered(MessageId { mailing, position });
    let receipts: Vec<_> = ids.map(message).collect();
    let taken = receipts.len() as u32;
    let (bytes, reply) = world.bytes_of(|world| world.act(TakeReceipts { receipts }.into()));
    let wanted = ReceiptsTaken {
        taken,
        ..ReceiptsTaken::default()
    };
    assert_eq!(reply, Ok(Reply::Receipts(wanted)));
    bytes
}

/// Takes the first receipt of a batch again; bytes that it wrote.
fn repeat(world: &mut World, mailing: MailingNumber, batch: u32) -> u64 {
    let position = position(batch, 0);
    let receipts = vec![delivered(MessageId { mailing, position })];
    let (bytes, reply) = world.bytes_of(|world| world.act(TakeReceipts { receipts }.into()));
    let wanted = ReceiptsTaken {
        repeated: 1,
        ..ReceiptsTaken::default()
    };
    assert_eq!(reply, Ok(Reply::Receipts(wanted)));
    bytes
}

/// Bytes of the records of one batch that receipts change.
fn bytes_of_batch(world: &World, mailing: MailingNumber, batch: u32) -> (usize, usize) {
    let view = world.store.view();
    let reader = view.read();
    let columns = reader.need(&ColumnsKey(mailing, batch), "columns");
    let heads = reader.need(&HeadsKey(mailing, batch / 32), "heads");
    let columns = codec::encode(&columns.expect("reads")).len();
    (columns, codec::encode(&heads.expect("reads")).len())
}

#[test]
fn a_receipt_takes_two_bytes_of_its_batch_and_the_other_batches_none() {
    let (_dir, mut world, mailing) = sent(3_000);
    let before: Vec<_> = (0..3)
        .map(|batch| bytes_of_batch(&world, mailing, batch))
        .collect();
    world.at = world.at.plus_millis(3_600_000);
    take(&mut world, mailing, 1..2, 1_000);

    for (batch, before) in (0..3).zip(before) {
        let (columns, heads) = bytes_of_batch(&world, mailing, batch);
        // Two bytes each, the length of the column, and those of six empty columns before it.
        let grown = if batch == 1 { 2_000 + 3 + 6 } else { 0 };
        assert!(
            columns <= before.0 + grown,
            "batch {batch}: {columns} after {before:?}"
        );
        assert!(
            heads <= before.1 + 8,
            "batch {batch}: {heads} after {before:?}"
        );
    }
    let id = MessageId {
        mailing,
        position: position(1, 999),
    };
    let found = query::messages::get(&world.store.view().read(), id).expect("reads");
    let found = found.expect("it is kept");
    assert_eq!(found.delivery, Some(Delivery::Delivered));
    let noted = found.delivered_at.expect("it was noted");
    assert!(
        (world.at.since(noted)) < 8_000,
        "{noted:?} is not near {:?}",
        world.at
    );
}

#[test]
fn receipts_of_one_batch_are_written_together() {
    let (_dir, mut world, mailing) = sent(3_000);
    let one = take(&mut world, mailing, 0..1, 1);
    let thousand = take(&mut world, mailing, 1..2, 1_000);
    assert!(
        thousand < one + 5_000,
        "{thousand} bytes for a thousand, {one} for one"
    );
}

#[test]
fn a_receipt_that_says_nothing_new_writes_nothing_of_its_mailing() {
    let (_dir, mut world, mailing) = sent(3_000);
    let nothing = TakeReceipts {
        receipts: Vec::new(),
    };
    let (least, _) = world.bytes_of(|world| world.act(nothing.into()));
    let first = take(&mut world, mailing, 1..2, 1);
    let again = repeat(&mut world, mailing, 1);
    assert!(first > least + 1_000, "{first} bytes, {least} for nothing");
    assert!(again <= least + 8, "{again} bytes, {least} for nothing");
}

#[test]
fn what_is_known_of_a_message_is_found_without_a_command() {
    let (_dir, mut world, mailing) = sent(3_000);
    let known = |world: &World, state, index| {
        let receipt = ReceiptNote {
            message: MessageId {
                mailing,
                position: position(1, index),
            },
            state,
            error: ErrorCode::default(),
        };
        let view = world.store.view();
        query::receipts::is_known(&view.read(), &receipt).expect("reads")
    };
    use ReceiptState::{Delivered, Progress, Undelivered};
    assert!(known(&world, Progress, 0), "it was reported done");
    assert!(!known(&world, Delivered, 0));

    take(&mut world, mailing, 1..2, 1);
    for state in [Delivered, Undelivered, Progress] {
        assert!(known(&world, state, 0), "{state:?} is less than is known");
        assert_eq!(known(&world, state, 1), state == Progress);
        assert!(!known(&world, state, 1_000), "there is no such message");
    }
}
