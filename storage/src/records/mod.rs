//! What stands under each key: the stored shapes, one file an aggregate.
//!
//! Records are columns where there are many of a kind (customers of a block, messages of a
//! batch): few keys, few bytes, and a scan reads just what it compares.

mod batches;
mod customers;
mod delivery;
mod imports;
mod leases;
mod level;
mod mailings;
mod meta;
mod nodes;
mod replies;
mod totals;

pub use batches::{Columns, Doubt, Head, Heads, Members};
pub use customers::{
    ChangeBlock, ChangeNumbers, CustomerColumns, CustomerTexts, Decided, DeletedBlock, GivenUp,
};
pub use delivery::DeliveryColumn;
pub use imports::ImportReplies;
pub use leases::{DeclaredGateway, Lease, LeaseList, ListedLease, Postman, Postmen};
pub use level::ClusterLevel;
pub use mailings::{
    Begun, Block, Bounds, Cursor, MailingRecord, Progress, Reaches, Stage, Stages, address,
    position,
};
pub use meta::{Draw, Meta, Numbers, TimeSetting, WordKind, WordRecord, WordUses};
pub use nodes::{NodeRecord, Nodes};
pub use replies::ClientReply;
pub use totals::{CustomerTotals, Facet, Facets, Totals};
