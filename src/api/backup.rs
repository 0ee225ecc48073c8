//! `GET /backup`: a consistent copy of the node's state, as a file.
//!
//! The copy is made first, beside applying, in a file that has no name; only then it is sent. So a
//! slow client holds up nothing but itself, and one that breaks off leaves nothing behind.

use std::{io, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use notty_raft::backup::file::Copy;
use tokio::{
    io::AsyncReadExt,
    sync::{Semaphore, mpsc},
};
use utoipa::ToSchema;

use super::{
    Answer, Api, ApiError,
    code::Code,
    endpoint::{Effect, Endpoint, endpoint},
    error::NOTTY_INDEX,
    input::Params,
};
use crate::config::Role;

/// Bytes sent at once.
const PIECE: usize = 256 * 1024;
/// Pieces that wait for a client.
const PIECES: usize = 4;
/// How long a client may take to take a piece; the copy is dropped then.
const STALLED: Duration = Duration::from_secs(60);

/// Copies made or sent at once: each takes as much of the disk as the state.
static COPIES: Semaphore = Semaphore::const_new(2);

/// A backup, for `notty restore`.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "read by the OpenAPI document alone")]
struct BackupFile(Vec<u8>);

pub(super) fn routes() -> Vec<Endpoint> {
    // It shows all that there is.
    let backup = endpoint!(backup, Role::Admin, Effect::ReadsNode).codes(&[
        Code::Forbidden,
        Code::Busy,
        Code::BackupFailed,
    ]);
    vec![backup]
}

/// Back up
///
/// A copy of all that the node knew at one position, while everything goes on. What it is written
/// to is for `notty restore`; `notty backup` asks for it and checks it. Any node may be asked.
#[utoipa::path(get, path = "/backup", tag = "node", operation_id = "getBackup",
    responses((status = 200, body = inline(BackupFile), content_type = "application/octet-stream")))]
async fn backup(State(api): State<Api>, params: Params) -> Answer {
    params.finish()?;
    let unavailable = |code, detail: &str| ApiError::new(code, detail).retry_after(10);
    let Ok(place) = COPIES.try_acquire() else {
        return Err(unavailable(
            Code::Busy,
            "as many backups as may be are being made; try again",
        ));
    };
    let node = api.node.clone();
    let copied = tokio::task::spawn_blocking(move || node.back_up(env!("CARGO_PKG_VERSION")));
    let copy = match copied.await {
        Ok(Ok(copy)) => copy,
        Ok(Err(error)) => {
            tracing::error!(%error, "a backup could not be made");
            let detail = "the node could not make the copy, which needs as much room on its disk \
                          as the state takes; its log says why";
            return Err(unavailable(Code::BackupFailed, detail));
        }
        Err(_) => {
            let detail = "the copy ended early; the node's log says why";
            return Err(unavailable(Code::BackupFailed, detail));
        }
    };
    tracing::info!(bytes = copy.bytes, index = copy.index, "a backup is sent");
    let (bytes, index) = (copy.bytes, copy.index);
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        send(copy, &sender).await;
        drop(place);
    });
    let pieces = futures_util::stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (NOTTY_INDEX, index.to_string()),
    ];
    let response: Response = (headers, Body::from_stream(pieces)).into_response();
    Ok(response)
}

/// Reads the copy for as long as someone takes it.
async fn send(copy: Copy, to: &mpsc::Sender<io::Result<Bytes>>) {
    let mut file = tokio::fs::File::from_std(copy.snapshot);
    let mut piece = io::Result::Ok(Bytes::from(copy.header));
    loop {
        let ends = piece.is_err();
        // One that takes nothing for so long, or has gone away, gets no more.
        let taken = tokio::time::timeout(STALLED, to.send(piece)).await;
        if ends || !matches!(taken, Ok(Ok(()))) {
            return;
        }
        let mut read = Vec::with_capacity(PIECE);
        piece = match (&mut file).take(PIECE as u64).read_to_end(&mut read).await {
            Ok(0) => return,
            Ok(_) => Ok(read.into()),
            Err(error) => Err(error),
        };
    }
}
