//! `GET /backup`: a consistent copy of the node's state, as a file.
//!
//! The copy is made first, while entries are applied, in a file that has no name; only then it is
//! sent. So a slow client delays nobody but itself, and one that breaks off leaves nothing behind.

use std::{io, time::Duration};

use axum::{body::Body, extract::State, http::header, response::IntoResponse};
use bytes::Bytes;
use notty_raft::backup::file::Copy;
use tokio::{
    io::AsyncReadExt,
    sync::{Semaphore, SemaphorePermit, mpsc},
};
use utoipa::ToSchema;

use super::{
    Api, ApiError, ApiResult,
    code::Code,
    endpoint::{Effect, Endpoint, endpoint},
    error::NOTTY_INDEX,
    input::Params,
};
use crate::config::Role;

/// Bytes of one piece of the answer.
const PIECE: usize = 256 * 1024;
/// Pieces in memory that wait for the client.
const PIECES: usize = 4;
/// Time for the client to take one piece; a client that needs longer is given up.
const STALLED: Duration = Duration::from_secs(60);

/// Copies that are made or sent at the same time: each takes as much of the disk as the state.
static COPIES: Semaphore = Semaphore::const_new(2);

/// A backup file, for `notty restore`.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "read by the OpenAPI document alone")]
struct BackupFile(Vec<u8>);

pub(super) fn routes() -> Vec<Endpoint> {
    // For the role `admin`: a backup has all texts, names and phones.
    let backup = endpoint!(backup, Role::Admin, Effect::ReadsNode).codes(&[
        Code::Forbidden,
        Code::Busy,
        Code::BackupFailed,
    ]);
    vec![backup]
}

/// Back up
///
/// Returns a consistent copy of the node's whole state at one position. The node works meanwhile. The
/// copy is a file for `notty restore`; `notty backup` downloads and checks it. Any node can make one.
#[utoipa::path(get, path = "/backup", tag = "node", operation_id = "getBackup",
    responses((status = 200, body = inline(BackupFile), content_type = "application/octet-stream")))]
async fn backup(State(api): State<Api>, params: Params) -> ApiResult {
    params.finish()?;
    let Ok(permit) = COPIES.try_acquire() else {
        let detail = "as many backups as may be are being made; try again";
        return Err(unavailable(Code::Busy, detail));
    };

    let copy = make_copy(&api).await?;
    tracing::info!(bytes = copy.bytes, index = copy.index, "a backup is sent");

    // With the length a client can see that a download broke off.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, copy.bytes.to_string()),
        (NOTTY_INDEX, copy.index.to_string()),
    ];

    Ok((headers, stream_of(copy, permit)).into_response())
}

/// The copy's bytes, which are read only as fast as the client takes them.
fn stream_of(copy: Copy, permit: SemaphorePermit<'static>) -> Body {
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        send(copy, &sender).await;
        // Until here the copy's file exists.
        drop(permit);
    });
    let pieces = futures_util::stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    Body::from_stream(pieces)
}

async fn make_copy(api: &Api) -> Result<Copy, ApiError> {
    let node = api.node.clone();
    // A thread of its own, because the copy writes as much as the state has.
    let copying = tokio::task::spawn_blocking(move || node.back_up(env!("CARGO_PKG_VERSION")));
    match copying.await {
        Ok(Ok(copy)) => Ok(copy),
        Ok(Err(error)) => {
            tracing::error!(%error, "a backup could not be made");
            let detail = "the node could not make the copy, which needs as much room on its disk \
                          as the state takes; its log says why";
            Err(unavailable(Code::BackupFailed, detail))
        }

        Err(_) => {
            let detail = "the copy ended early; the node's log says why";
            Err(unavailable(Code::BackupFailed, detail))
        }
    }
}

fn unavailable(code: Code, detail: &str) -> ApiError {
    ApiError::new(code, detail).retry_after(10)
}

/// Reads the copy and sends its pieces until its end, or until nobody takes them.
async fn send(copy: Copy, to: &mpsc::Sender<io::Result<Bytes>>) {
    let mut file = tokio::fs::File::from_std(copy.snapshot);
    let mut piece = io::Result::Ok(Bytes::from(copy.header));
    loop {
        // After a read error the client gets the error, and nothing more.
        let is_last = piece.is_err();
        // A client that has gone away, or takes nothing for so long, gets no more.
        let taken = tokio::time::timeout(STALLED, to.send(piece)).await;
        if is_last || !matches!(taken, Ok(Ok(()))) {
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
