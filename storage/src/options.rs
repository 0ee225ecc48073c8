//! Options with which a state is opened.

use crate::{level::LEVEL, memory::MemoryStates};

/// Memory, flushes and place of a state that is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Bytes of memory for cached leaves, at most.
    pub cache_bytes: usize,
    /// Bytes applied and not flushed after which the state is flushed: what a start after a crash
    /// applies again.
    pub flush_bytes: u64,
    /// Where the state is kept instead of on a disk, for simulations.
    pub memory: Option<MemoryStates>,
    /// The level that this node understands: entries that need a higher one are refused.
    pub level: u32,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 128 * 1024 * 1024,
            flush_bytes: 32 * 1024 * 1024,
            memory: None,
            level: LEVEL,
        }
    }
}
