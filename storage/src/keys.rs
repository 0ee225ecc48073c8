//! Typed keys as ordered bytes, and the table of all of them.
//!
//! Numbers are big-endian, so that the order of bytes is the order of numbers. The first byte is
//! the pinned tag of the table; a tag is never used again for something else.
//!
//! | tag | key | value |
//! |---|---|---|
//! | 1 | – | [`Meta`]: position, hash, time |
//! | 2 | – | [`Numbers`]: counters of numbers given |
//! | 3 | – | [`Totals`]: all messages by status |
//! | 5 | kind, number | [`WordRecord`]: dictionary of tags, operators, zones |
//! | 6 | – | [`Nodes`]: numbers given to nodes, disks dismissed |
//! | 7 | block of 256 mailings | [`Stages`] |
//! | 8 | kind, block of 128 words | [`WordUses`] |
//! | 9 | – | [`ClusterLevel`] |
//! | 10 | block of 128 customers | [`CustomerColumns`] |
//! | 11 | block of 128 customers | [`CustomerTexts`] |
//! | 12 | block of 128 customers | id hashes, read once at start |
//! | 13 | block of 8,192 customers | [`DeletedBlock`] |
//! | 14 | block of 256 changes | [`ChangeBlock`] |
//! | 15 | block of 128 customers | [`ChangeNumbers`] |
//! | 16 | – | deleted customers whose messages still wait for a sweep |
//! | 17 | – | [`GivenUp`]: the log of phones that customers gave up |
//! | 18 | number of a phone given up | phone and customer |
//! | 19 | phone, customer | its last number in that log |
//! | 20 | mailing number | [`MailingRecord`] |
//! | 21 | mailing id | mailing number |
//! | 22 | mailing number | [`Progress`] |
//! | 23 | mailing number, block of 32 batches | [`Heads`] |
//! | 24 | mailing number, batch | [`Members`] |
//! | 25 | mailing number, batch | [`Columns`] |
//! | 26 | mailing number, customer | position of a late member |
//! | 27 | mailing number, block of 256 blocks of heads | [`Reaches`] |
//! | 28 | number that ids of its messages have | mailing number |
//! | 29 | mailing number, block of 8,192 customers | [`Decided`] |
//! | 30 | – | [`Postmen`] |
//! | 31 | – | [`LeaseList`]: open |
//! | 32 | slot | [`Lease`] |
//! | 33 | – | [`LeaseList`]: run out before their postmen may have heard of them |
//! | 40 | slot | [`ClientReply`] |
//! | 43 | hash of a caller | number of kept replies to it |
//! | 44 | slot | [`ImportReplies`] |
//! | 50 | block of 128 customers | [`CustomerTotals`] |
//! | 51 | UTC day, 16 tags, 16 operators | [`Facets`] |
//! | 60 | – | [`ReceiptSecret`] |

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    model::{MailingId, MailingNumber, ReceiptSecret},
    records::{
        ChangeBlock, ChangeNumbers, ClientReply, ClusterLevel, Columns, CustomerColumns,
        CustomerTexts, CustomerTotals, Decided, DeletedBlock, Facets, GivenUp, Heads,
        ImportReplies, Lease, LeaseList, MailingRecord, Members, Meta, Nodes, Numbers, Postmen,
        Progress, Reaches, Stages, Totals, WordKind, WordRecord, WordUses,
    },
};

/// A key of the table, with the type of what stands under it.
pub trait Key {
    /// What stands under the key.
    type Value: Serialize + DeserializeOwned;

    /// The key as ordered bytes.
    fn bytes(&self) -> Vec<u8>;
}

/// Writes numbers of a key one after the other, big-endian.
struct Writer(Vec<u8>);

impl Writer {
    fn new(tag: u8) -> Self {
        let mut bytes = Vec::with_capacity(16);
        bytes.push(tag);
        Self(bytes)
    }

    fn put(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }
}

macro_rules! keys {
    ($($(#[$doc:meta])* $tag:literal $name:ident $( ( $($field:ident : $type:ty => $bytes:expr),+ ) )? -> $value:ty;)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug)]
            pub struct $name $( ( $(pub $type),+ ) )?;

            impl $name {
                /// The pinned first byte of these keys.
                pub const TAG: u8 = $tag;
            }

            impl Key for $name {
                type Value = $value;

                fn bytes(&self) -> Vec<u8> {
                    let writer = Writer::new($tag);
                    $(
                        let $name( $($field),+ ) = self;
                        $( let writer = writer.put($bytes); )+
                    )?
                    writer.0
                }
            }
        )+
    };
}

keys! {
    /// Where the state stands.
    1 MetaKey -> Meta;
    /// Numbers given so far.
    2 NumbersKey -> Numbers;
    /// All messages by status.
    3 TotalsKey -> Totals;
    /// A word of a dictionary.
    5 WordKey(kind: WordKind => [*kind as u8], number: u32 => number.to_be_bytes()) -> WordRecord;
    /// Nodes admitted and dismissed.
    6 NodesKey -> Nodes;
    /// The stages of a block of mailings.
    7 StagesKey(block: u32 => block.to_be_bytes()) -> Stages;
    /// How often the words of a block are used.
    8 WordUsesKey(kind: WordKind => [*kind as u8], block: u32 => block.to_be_bytes()) -> WordUses;
    /// The level that the members have agreed on.
    9 ClusterLevelKey -> ClusterLevel;
    /// Columns of a block of customers.
    10 CustomerColumnsKey(block: u32 => block.to_be_bytes()) -> CustomerColumns;
    /// Texts of a block of customers.
    11 CustomerTextsKey(block: u32 => block.to_be_bytes()) -> CustomerTexts;
    /// Hashes of the ids of a block of customers.
    12 CustomerHashesKey(block: u32 => block.to_be_bytes()) -> Vec<u64>;
    /// Marks of deleted customers.
    13 DeletedKey(block: u32 => block.to_be_bytes()) -> DeletedBlock;
    /// Changes in the order of their numbers.
    14 ChangesKey(block: u64 => block.to_be_bytes()) -> ChangeBlock;
    /// Each customer's last change.
    15 ChangeNumbersKey(block: u32 => block.to_be_bytes()) -> ChangeNumbers;
    /// Deleted customers whose messages wait for a sweep: customer, next open mailing.
    16 UnsweptKey -> Vec<(u32, u32)>;
    /// The ends of the log of phones that customers gave up.
    17 GivenUpKey -> GivenUp;
    /// A phone that a customer gave up while a mailing may have had a message to it.
    18 GivenUpPhoneKey(number: u64 => number.to_be_bytes()) -> (u64, u32);
    /// The number under which a customer gave a phone up last.
    19 HeldPhoneKey(phone: u64 => phone.to_be_bytes(), customer: u32 => customer.to_be_bytes()) -> u64;
    /// A mailing.
    20 MailingKey(mailing: MailingNumber => mailing.0.to_be_bytes()) -> MailingRecord;
    /// A mailing's number by its id.
    21 MailingIdKey(id: MailingId => id.as_str()) -> MailingNumber;
    /// How far a mailing has come.
    22 ProgressKey(mailing: MailingNumber => mailing.0.to_be_bytes()) -> Progress;
    /// Heads of 32 batches.
    23 HeadsKey(mailing: MailingNumber => mailing.0.to_be_bytes(), block: u32 => block.to_be_bytes()) -> Heads;
    /// Who is in a batch.
    24 MembersKey(mailing: MailingNumber => mailing.0.to_be_bytes(), batch: u32 => batch.to_be_bytes()) -> Members;
    /// What changes of a batch's messages.
    25 ColumnsKey(mailing: MailingNumber => mailing.0.to_be_bytes(), batch: u32 => batch.to_be_bytes()) -> Columns;
    /// The position of a member who came to match late.
    26 LateKey(mailing: MailingNumber => mailing.0.to_be_bytes(), customer: u32 => customer.to_be_bytes()) -> u32;
    /// How far a mailing's sweep came with each block of heads.
    27 ReachesKey(mailing: MailingNumber => mailing.0.to_be_bytes(), blocks: u32 => blocks.to_be_bytes()) -> Reaches;
    /// The mailing whose messages have another number in their ids, since it was resumed after a
    /// restore.
    28 RenumberedKey(number: MailingNumber => number.0.to_be_bytes()) -> MailingNumber;
    /// Decisions about customers who changed before a mailing had looked at them.
    29 DecidedKey(mailing: MailingNumber => mailing.0.to_be_bytes(), block: u32 => block.to_be_bytes()) -> Decided;
    /// All postmen.
    30 PostmenKey -> Postmen;
    /// All open leases.
    31 OpenLeasesKey -> LeaseList;
    /// A lease in its slot.
    32 LeaseKey(slot: u32 => slot.to_be_bytes()) -> Lease;
    /// Leases that ran out before their postmen may have heard of them.
    33 UnheardLeasesKey -> LeaseList;
    /// A kept reply to a client.
    40 ClientReplyKey(slot: u32 => slot.to_be_bytes()) -> ClientReply;
    /// Replies to one caller that are kept.
    43 CallerRepliesKey(caller: u64 => caller.to_be_bytes()) -> u64;
    /// Kept replies to the last commands of an import.
    44 ImportRepliesKey(slot: u32 => slot.to_be_bytes()) -> ImportReplies;
    /// Messages of settled mailings by customer.
    50 CustomerTotalsKey(block: u32 => block.to_be_bytes()) -> CustomerTotals;
    /// Final messages by day, tag and operator.
    51 FacetsKey(day: u32 => day.to_be_bytes(), tags: u32 => tags.to_be_bytes(), operators: u32 => operators.to_be_bytes()) -> Facets;
    /// The secret that proves receipts.
    60 ReceiptSecretKey -> ReceiptSecret;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_bytes_is_the_order_of_numbers() {
        let key = |mailing, batch| ColumnsKey(MailingNumber(mailing), batch).bytes();
        assert!(key(1, 255) < key(1, 256));
        assert!(key(1, u32::MAX) < key(2, 0));
    }
}
