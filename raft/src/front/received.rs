//! A snapshot that a leader sends: written aside, checked, and installed.

use std::{
    io::{self, ErrorKind, Write},
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    error::Error,
    front::responder::Responder,
    peers::{call::Denial, protocol::InstallSnapshot, session::Session},
    runtime::blocking,
    state::snapshots::check_received,
    types::{Snapshot, Vote},
};

/// Time limit of the leader for the next piece of a snapshot.
const CHUNK_TIME: Duration = Duration::from_secs(20);

/// Receives the snapshot of a call from the same session, and installs it.
pub(super) async fn receive_and_install(
    node: &dyn Responder,
    call: InstallSnapshot,
    session: &mut Session,
) -> Result<Vote, Denial> {
    // The file goes again by itself, unless installing keeps it.
    let file = node.state().snapshots().receiving();
    receive(session, &file.path, &call)
        .await
        .map_err(Denial::refused)?;

    let snapshot = Snapshot {
        meta: call.meta,
        snapshot: Box::new(file),
    };
    let installing = node.raft().install_full_snapshot(call.vote, snapshot);
    let response = installing.await.map_err(Denial::refused)?;
    Ok(response.vote)
}

/// Writes a snapshot aside, and checks that it is what the leader says.
async fn receive(session: &mut Session, path: &Path, call: &InstallSnapshot) -> Result<(), Error> {
    let began = Instant::now();
    let mut file = std::fs::File::create_new(path).map_err(Error::file(path))?;
    let mut left = call.bytes;
    while left > 0 {
        let chunk = next_chunk(session).await.map_err(Error::file(path))?;
        left = left.saturating_sub(chunk.len() as u64);

        // Synced bit by bit: the log's own syncs must not stall behind one large one.
        let written = blocking(|| file.write_all(&chunk).and_then(|()| file.sync_data()));
        written.map_err(Error::file(path))?;
    }

    let ms = began.elapsed().as_millis() as u64;
    let index = call.meta.last_log_id.map(|id| id.index);
    let bytes = call.bytes;
    tracing::info!(bytes, index, ms, "snapshot received from the leader");
    blocking(|| check_received(&call.meta, path))
}

async fn next_chunk(session: &mut Session) -> io::Result<Vec<u8>> {
    let receiving = tokio::time::timeout(CHUNK_TIME, session.receive_bytes());
    receiving
        .await
        .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}
