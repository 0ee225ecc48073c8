//! The replicated state of notty: what it knows and how it may change.
//!
//! The state changes only by [`Store::apply`], which takes an [`Entry`] of the log: commands and
//! the leader's time. It is a pure function of the entries: no clock, randomness, floating point,
//! hash order, time-zone database, Unicode table or configuration has a say in it, so every node
//! that applied the same entries holds the same bytes. One entry is one atomic batch in sled,
//! together with the position it came from.
//!
//! What must hold of a message is decided here and nowhere else: the post office proposes, the
//! state machine refuses what does not fit.
//!
//! To read this crate: [`limits`], [`model`], [`command`], [`records`] and [`keys`] say what there
//! is; [`apply`] says how it changes, one file an aggregate; [`query`] says what may be asked;
//! [`store`] keeps it, over `tree`; [`view`] reads it, and [`pin`] holds on to it for long questions;
//! [`export`], [`import`] and [`restore`] move it.

pub mod apply;
mod before;
pub mod changes;
pub mod codec;
pub mod command;
pub mod error;
pub mod export;
mod frames;
pub mod import;
pub mod index;
pub mod inspection;
pub mod keys;
pub mod level;
pub mod limits;
mod loading;
pub mod memory;
pub mod model;
pub mod options;
pub mod phone_changes;
pub mod phones;
pub mod pin;
#[doc(hidden)]
pub mod planted;
pub mod query;
pub mod reached;
pub mod records;
pub mod restore;
pub mod rules;
mod sled_files;
pub mod source;
pub mod store;
mod tree;
pub mod view;
pub mod writes;

pub use command::{Action, Command, Cost, Entry, Intent, Origin, Outcome, Rejection, Reply};
pub use error::Error;
pub use export::{Export, ExportSummary};
pub use import::import_snapshot;
pub use inspection::{Contents, inspect_snapshot, read_snapshot_marker};
pub use memory::{Flushes, MemoryStates};
pub use model::Timestamp;
pub use options::StoreOptions;
pub use pin::{Pin, PinnedReader};
pub use restore::{Beginning, begin_anew, restore_snapshot};
pub use source::{Scan, Source};
pub use store::{Flusher, Store};
pub use view::{Reader, View};
