//! The whole state in from a snapshot file, which is checked whole.

use std::path::Path;

use crate::{
    codec,
    error::Error,
    frames::{Frame, Frames},
    keys::{Key, MetaKey},
    options::StoreOptions,
    records::Meta,
    store::Store,
    writes::Writes,
};

/// Bytes restored between two flushes.
const RESTORE_FLUSH_BYTES: u64 = 64 * 1024 * 1024;

/// Builds a new state directory from a snapshot. The file is checked whole.
pub fn import_snapshot(
    path: &Path,
    into_dir: &Path,
    options: StoreOptions,
) -> Result<Store, Error> {
    import_snapshot_at(path, 0, into_dir, options)
}

/// The same from a file that has something else before the snapshot.
pub(crate) fn import_snapshot_at(
    path: &Path,
    from: u64,
    into_dir: &Path,
    options: StoreOptions,
) -> Result<Store, Error> {
    let mut frames = Frames::open(path, from)?;
    let mut store = Store::open(into_dir, options)?;
    let meta = match copy_into(&mut store, &mut frames) {
        Ok(meta) => meta,
        Err(error) => {
            store.leak();
            return Err(error);
        }
    };
    if *store.reload()? != meta {
        return Err(frames.damage("the state built from it stands elsewhere"));
    }
    Ok(store)
}

/// Takes in all frames; what the footer says.
fn copy_into(store: &mut Store, frames: &mut Frames) -> Result<Meta, Error> {
    let meta = loop {
        match frames.next()? {
            Frame::Copy(pairs) => {
                let writes = pairs
                    .into_iter()
                    .map(|(key, value)| (key, Some(value)))
                    .collect();
                store.restore(&writes)?;
            }
            Frame::Change(writes) => store.restore(&writes.into_iter().collect())?,
            Frame::Footer { meta, .. } => break meta,
        }
        // What is not flushed is held in memory.
        if store.unflushed_bytes() >= RESTORE_FLUSH_BYTES {
            store.flush()?;
        }
    };
    frames.expect_end()?;
    store.restore(&Writes::from([(
        MetaKey.bytes(),
        Some(codec::encode(&meta)),
    )]))?;
    store.flush()?;
    Ok(meta)
}
