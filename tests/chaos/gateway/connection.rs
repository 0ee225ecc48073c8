//! One connection: reads requests, has them judged, and does with each as fate has it.

use std::{io, time::Duration};

use bytes::{Buf, BytesMut};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Fate, Shared, book::Arrival};

#[derive(Deserialize)]
struct Body {
    id: u64,
    phone: u64,
    text: String,
}

pub(super) async fn serve(shared: &Shared, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reading = shared.reading.subscribe();
    let mut answering = shared.answering.subscribe();
    let mut buffer = BytesMut::with_capacity(4 * 1024);
    loop {
        // The senders live as long as the connections do.
        let _ = reading.wait_for(|open| *open).await;
        let Some((head, total)) = parse(&buffer)? else {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        if buffer.len() < total {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        }
        let body: Body = serde_json::from_slice(&buffer[head..total]).map_err(io::Error::other)?;
        buffer.advance(total);
        let (fate, latency) = take(shared, &body);
        if latency > 0 {
            tokio::time::sleep(Duration::from_millis(latency)).await;
        }
        let _ = answering.wait_for(|open| *open).await;
        if !perform(&mut stream, fate).await? {
            return Ok(());
        }
    }
}

/// Where the body of the first request begins and ends, once its head is whole.
fn parse(buffer: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(buffer).map_err(io::Error::other)?;
    let httparse::Status::Complete(head) = parsed else {
        return Ok(None);
    };
    let length = request
        .headers
        .iter()
        .find(|h| h.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    let length: usize = length.ok_or_else(|| io::Error::other("no content-length"))?;
    Ok(Some((head, head + length)))
}

/// Draws what becomes of a message, and has it noted.
fn take(shared: &Shared, body: &Body) -> (Fate, u64) {
    let arrival = Arrival {
        id: body.id,
        phone: body.phone,
        text: &body.text,
    };
    // Always in this order.
    let ledger = shared.ledger.lock();
    let mut book = shared.book.lock();
    let behaviour = shared.behaviour.lock();
    let fate = behaviour.fate(body.id, book.tries(body.id));
    book.note(&arrival, fate, &ledger.rules);
    (fate, behaviour.latency_ms)
}

/// Answers; false if the connection ends with it.
async fn perform(stream: &mut TcpStream, fate: Fate) -> io::Result<bool> {
    let answer = |status: u16, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status} Status\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    let (said, goes_on) = match fate {
        Fate::Take => (answer(200, r#"{"code":0,"message":"OK"}"#), true),
        Fate::Refuse(status) => (answer(status, r#"{"code":1,"message":"later"}"#), true),
        Fate::Invalid => (answer(400, r#"{"code":2,"message":"no such phone"}"#), true),
        Fate::BadGateway => (answer(502, "bad gateway"), true),
        Fate::OtherCode => (answer(200, r#"{"code":7,"message":"?"}"#), true),
        Fate::Garbage => ("\x16\x03\x01 this is not HTTP\r\n\r\n".to_owned(), false),
        Fate::Broken => (
            "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_owned(),
            false,
        ),
        Fate::Close => (String::new(), false),
        Fate::Hang => {
            // Until the client gives up.
            let mut rest = [0; 256];
            while stream.read(&mut rest).await? > 0 {}
            return Ok(false);
        }
        Fate::ResetBefore | Fate::ResetAfter => {
            // Closing with a linger of zero sends a reset.
            socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO))?;
            return Ok(false);
        }
    };
    stream.write_all(said.as_bytes()).await?;
    Ok(goes_on)
}
