//! Every bound of the state, with its unit and its reason.
//!
//! A bound that two modules share stands here once; a bound of one function stays beside it.

/// Bytes of one encoded command, at most. The longest that is proposed in order is an import's: half
/// an entry, and one customer beyond it. What is longer than a frame between nodes could never be
/// sent to them, and nothing after it either.
pub const COMMAND_BYTES: usize = 1024 * 1024;
/// Bytes of one encoded entry, at most, unless one command alone has more: what a leader writes,
/// sends and syncs at once.
pub const ENTRY_BYTES: usize = 256 * 1024;
/// Customers that the commands of one entry may scan, at most: keeps apply within milliseconds.
pub const ENTRY_CUSTOMERS: u32 = 10_000;
/// Batches that the commands of one entry may touch, at most.
pub const ENTRY_BATCHES: u32 = 50;
/// Commands in one entry, at most.
pub const ENTRY_COMMANDS: usize = 1_024;

/// Messages of one batch, at most.
pub const BATCH_MESSAGES: usize = 1_000;
/// Positions that a batch takes up in its mailing: a power of two, so that a message's id is its
/// own address (batch number and index by a shift).
pub const BATCH_STRIDE_BITS: u32 = 10;
/// Batches of one mailing, at most: 2^32 positions of 2^10.
pub const MAILING_BATCHES: u32 = 1 << (32 - BATCH_STRIDE_BITS);
/// The highest number of a mailing: a message's id has 63 bits, the lower 32 are its position.
pub const MAILING_NUMBERS: u32 = i32::MAX as u32;
/// Numbers of mailings that a restore passes over at least: more than the life before can have
/// given since the backup.
pub const RESTORED_MAILINGS: u32 = 65_536;
/// A restore draws how many more numbers it passes over, from this part of those that are left.
///
/// Two restores of one backup that use `k` numbers each meet if their draws lie less than `k`
/// apart: with a window of `w` numbers, with a probability of at most `2k / w`. A new cluster has
/// `w` = 2^26 at least, so for 1,000 mailings that is 1 in 33,000; for 10 mailings 1 in 3.3 million.
/// Each restore of a restore uses up a sixteenth of what is left at most: 64 in a row always find room.
pub const RESTORED_PART: u32 = 16;
/// Numbers that a restore draws from at least, or it is refused: 1,000 mailings of two restores
/// then meet with a probability of 1 in 500.
pub const RESTORED_WINDOW: u32 = 1 << 20;
/// Epochs of postmen that a restore passes over at least: more than the life before can have given.
pub const RESTORED_EPOCHS: u64 = 1 << 32;
/// Of the random number that says how many more epochs are passed over, so many bits are left out:
/// 65,000 restores in a row find room.
pub const RESTORED_EPOCH_BITS: u32 = 16;
/// The number of a cluster's first mailing is drawn up to this one.
pub const FIRST_MAILINGS: u32 = 1 << 30;

/// Batch heads kept in one record.
pub const HEADS_PER_BLOCK: u32 = 32;

/// Blocks of heads whose reach is kept in one record.
pub const REACHES_PER_BLOCK: u32 = 256;
/// Mailings whose stages are kept in one record.
pub const STAGES_PER_BLOCK: u32 = 256;

/// Words whose uses are counted in one record.
pub const WORDS_PER_BLOCK: u32 = 128;

/// Customers kept in one block (one record of columns, one of texts).
pub const CUSTOMERS_PER_BLOCK: u32 = 128;
/// Blocks of customers that one command adds messages to, at most: as many as the customers of one
/// batch may lie in. A sparse mailing would touch twenty-five times as many.
pub const FOLD_BLOCKS: u32 = 1_000;
/// Customers whose deletion marks share one bitmap record.
pub const DELETED_PER_BLOCK: u32 = 8_192;
/// Change numbers kept in one record.
pub const CHANGES_PER_BLOCK: u64 = 256;
/// Records of change numbers that one command removes, at most: each may touch as many customers'
/// blocks as it has changes.
pub const TRIM_BLOCKS: u32 = 16;
/// Rows in one command that writes customers, at most.
pub const CUSTOMER_ROWS: usize = 1_000;

/// Mailings for which a write of many customers counts how many of these come to match, at most: each of
/// them is asked about each row.
pub const LIVE_MAILINGS: usize = 100;

/// Characters of a customer's or mailing's id, at most.
pub const ID_CHARS: usize = 64;
/// Characters of a customer's name, at most.
pub const NAME_CHARS: usize = 200;
/// Characters of a tag or an operator, at most.
pub const WORD_CHARS: usize = 100;
/// Characters of a filter's pattern, at most.
pub const FILTER_CHARS: usize = 200;
/// Characters of a mailing's description, at most.
pub const DESC_CHARS: usize = 1_000;
/// Characters of a mailing's text, at most.
pub const TEXT_CHARS: usize = 1_600;

/// Mailings that may be open (neither finished nor settled after a cancellation) at once. A
/// deletion looks into each of them, and so does a question about one customer.
pub const OPEN_MAILINGS: usize = 10_000;
/// Mailings in whose batches the deletion of one customer cancels messages in the same entry;
/// the rest follows in sweeps.
pub const SWEEP_MAILINGS: u32 = 50;

/// Messages of one lease, at most.
pub const LEASE_MESSAGES: u16 = 1_000;
/// Batches that one lease may take messages from, at most.
pub const LEASE_BATCHES: u8 = 50;
/// Messages that one command expands, at most: a few batches, so that a sending that is faster than
/// the log is not held up by one entry a batch.
pub const EXPAND_MESSAGES: usize = 4 * BATCH_MESSAGES;
/// Batches that one grant may open in vain, at most: heads promise more than there is where zones
/// share a bit, where a message is due in a closed zone only, or waits for another gateway. Apart
/// from those it takes from, so that they hide nobody; as many, so that a grant stays bounded.
pub const GRANT_BARREN_BATCHES: u8 = 50;
/// For how long grants begin to look behind batches that were opened in vain, in milliseconds:
/// long enough to reach the end of many, short enough for what waits in them.
pub const GRANT_SKIP_MS: i64 = 10_000;
/// Open leases of one postman, at most. A lease stays open for its last request: a gateway that
/// hangs now and then must not use them all up while most slots are free.
pub const POSTMAN_LEASES: usize = 512;
/// Postmen that the state remembers; of those without an open lease, the one that was granted something,
/// or registered, longest ago goes first.
pub const POSTMEN: usize = 1_000;
/// Earlier starts of a postman that are remembered, so that a repeat of one that comes late gets
/// its own epoch and closes nobody.
pub const POSTMAN_STARTS: usize = 8;
/// The longest life of a lease, in milliseconds.
pub const LEASE_TTL_MS: u64 = 600_000;
/// Receipts of one command, at most.
pub const RECEIPTS: usize = 1_000;
/// Batches that the receipts of one command may be about, at most: each is read and written once.
pub const RECEIPT_BATCHES: usize = ENTRY_BATCHES as usize;
/// The longest pause before another try, in milliseconds (one day).
pub const RETRY_PAUSE_MS: u64 = 86_400_000;

/// Keys of clients (`Idempotency-Key`) that are remembered at once, of all callers together; each
/// may have half of what others leave.
pub const CLIENT_KEYS: u64 = 100_000;
/// How long a client's key is remembered, in milliseconds (24 hours).
pub const CLIENT_KEY_MS: i64 = 86_400_000;
/// Imports whose last replies are remembered at once: more than nodes take at a time.
pub const IMPORT_SLOTS: u32 = 256;
/// Replies to an import that are remembered: more than the commands that it has in flight.
pub const IMPORT_REPLIES: u32 = 8;
/// Nodes admitted and dismissed that are remembered; of the dismissed the oldest go first.
pub const NODES: usize = 256;
