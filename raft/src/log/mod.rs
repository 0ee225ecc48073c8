//! The log on the disk: segment files, and the marks beside them.
//!
//! | file | holds |
//! |---|---|
//! | `{first index}.log` | a header, then records (see `record`): one entry each, in order |
//! | `vote` | the vote, replaced as a whole |
//! | `purged` | the position up to which entries were dropped, replaced as a whole |
//! | `committed` | two slots, written in turn and never synced: the position known committed |
//!
//! An appended entry counts once it is synced, not before. At start, bytes that do not check out are
//! cut only if they can be the last write, which was never acknowledged, and lie above the committed
//! mark and the state's position; any other damage refuses to start and names the place.
//!
//! Reading order: `record`, `segment` and `segments` are the format of the files; `marks` are the small files
//! beside them; `inventory` reads a log back at a start; [`Log`] appends, reads, truncates and
//! purges; `cache` keeps its latest entries in memory; `log_store` adapts it to openraft.

mod cache;
mod durable_log;
mod inventory;
pub(crate) mod log_store;
mod marks;
mod options;
mod record;
mod segment;
mod segments;
#[cfg(test)]
mod tests;

pub use durable_log::Log;
pub use options::LogOptions;
pub use segment::Unsynced;
