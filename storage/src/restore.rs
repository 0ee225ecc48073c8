//! A restored backup begins a life of its own.
//!
//! What the life before did after the backup is not known, so nothing of it may go on by itself, and
//! no number that it may have given is given again ([`crate::apply`] says how). This happens once, to
//! a state that nobody uses yet; the caller drops it if it is not completed.

use std::path::Path;

use crate::{
    apply::{begin_at, close_life, close_mailing},
    error::Error,
    model::Timestamp,
    query::work,
    snapshot::import_snapshot_at,
    store::{Store, StoreOptions},
};

/// Bytes changed between two flushes: what is not flushed is held in memory.
const FLUSH_BYTES: u64 = 64 * 1024 * 1024;

/// Builds a state directory from a snapshot, from an offset in its file, and has it begin a life of
/// its own, at a position and a time.
pub fn restore_snapshot(
    (path, from): (&Path, u64),
    into_dir: &Path,
    options: StoreOptions,
    (marker, at): (&[u8], Timestamp),
) -> Result<Store, Error> {
    let mut store = import_snapshot_at(path, from, into_dir, options)?;
    match begin_anew(&mut store, marker, at) {
        Ok(()) => Ok(store),
        Err(error) => {
            store.leak();
            Err(error)
        }
    }
}

/// Closes the life before and begins another, which stands at the position of a marker and begins at
/// a time of its own: that of the life before may have been wrong.
pub fn begin_anew(store: &mut Store, marker: &[u8], at: Timestamp) -> Result<(), Error> {
    let before = store.marker().unwrap_or_default();
    store.change(&before, |changes| {
        begin_at(changes, at);
        Ok(())
    })?;
    let view = store.view();
    let open: Vec<_> = work::open_mailings(&view.read()).map(|mailing| mailing.number).collect();
    for mailing in open {
        while store.change(&before, |changes| close_mailing(changes, mailing))? {
            if store.unflushed_bytes() >= FLUSH_BYTES {
                store.flush()?;
            }
        }
    }
    store.change(marker, close_life)?;
    store.flush()
}
