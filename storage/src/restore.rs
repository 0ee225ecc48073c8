//! A restored backup begins a life of its own.
//!
//! What the life before did after the backup is not known, so nothing of it may go on by itself, and
//! no number is given again that it, or another restore of the same backup, may have given
//! ([`crate::limits::RESTORED_PART`] says how surely). This happens once, to a state that nobody uses
//! yet; the caller drops it if it is not completed. It depends on the state and on what the caller
//! draws, and on nothing else.

use std::path::Path;

use crate::{
    apply::{begin_at, close_life, close_mailing},
    error::Error,
    import::import_snapshot_at,
    model::Timestamp,
    options::StoreOptions,
    query::work,
    records::Draw,
    store::Store,
};

/// Bytes changed between two flushes: what is not flushed is held in memory.
const FLUSH_BYTES: u64 = 64 * 1024 * 1024;

/// The position, numbers and time that a restored state begins with.
#[derive(Clone, Copy, Debug)]
pub struct Beginning<'a> {
    /// The position that it stands at.
    pub marker: &'a [u8],
    /// Random numbers, for what must not be given twice.
    pub draw: Draw,
    /// Its time: that of the life before may have been wrong.
    pub at: Timestamp,
}

/// Builds a state directory from a snapshot, from an offset in its file, and has it begin a life of
/// its own, at a position and a time.
pub fn restore_snapshot(
    (path, from): (&Path, u64),
    into_dir: &Path,
    options: StoreOptions,
    beginning: Beginning<'_>,
) -> Result<Store, Error> {
    let mut store = import_snapshot_at(path, from, into_dir, options)?;
    match begin_anew(&mut store, beginning) {
        Ok(()) => Ok(store),
        Err(error) => {
            store.leak();
            Err(error)
        }
    }
}

/// Closes the life before and begins another.
pub fn begin_anew(store: &mut Store, beginning: Beginning<'_>) -> Result<(), Error> {
    let Beginning { marker, draw, at } = beginning;
    let before = store.marker().unwrap_or_default();
    store.change(&before, |changes| {
        begin_at(changes, at);
        Ok(())
    })?;
    let view = store.view();
    let open: Vec<_> = work::open_mailings(&view.read())
        .map(|mailing| mailing.number)
        .collect();
    for mailing in open {
        while store.change(&before, |changes| close_mailing(changes, mailing))? {
            if store.unflushed_bytes() >= FLUSH_BYTES {
                store.flush()?;
            }
        }
    }
    store.change(marker, |changes| close_life(changes, draw))?;
    store.flush()
}
