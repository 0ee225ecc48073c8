//! One connection to the practice gateway: reads requests, acts, answers.

use std::{io, sync::Arc, time::Duration};

use bytes::{Buf, BytesMut};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    Act, Behaviour, Practice,
    page::page,
    wire::{RequestHead, answer, answer_json, parse_head},
};

/// Bytes of a request, at most.
const REQUEST_BYTES: usize = 64 * 1024;
/// The path of a message, without its id.
const SEND: &str = "/v1/send/";
/// Delay of a timer on average, with ticks of 1 ms and a wait that is rounded up to them: a latency of
/// 50 ms took 51.9.
const TIMER_LATE: Duration = Duration::from_micros(1_500);
/// The answer to a message that was taken.
const OK: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 25\r\n\r\n\
    {\"code\":0,\"message\":\"OK\"}";
/// An answer in another protocol.
const GARBAGE: &[u8] = b"\x16\x03\x01 this is not HTTP\r\n\r\n";
/// An answer that ends in the middle of its body.
const BROKEN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"code\":";

/// The body of a message's request.
#[derive(Deserialize)]
struct PracticeMessage {
    id: u64,
    phone: u64,
    text: String,
}

/// Answers requests until the client, or an answer, ends the connection.
pub(super) async fn serve(practice: Arc<Practice>, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    while let Some(head) = read_head(&practice, &mut stream, &mut buffer).await? {
        let total = head.head_bytes + head.body_bytes;
        if total > REQUEST_BYTES {
            return answer(&mut stream, 413, &[], "too large").await;
        }

        if !read_until(total, &mut stream, &mut buffer).await? {
            return Ok(());
        }

        let body = &buffer[head.head_bytes..total];
        if !respond(&practice, &mut stream, &head, body).await? {
            return Ok(());
        }
        // The next request may be in the buffer already.
        buffer.advance(total);
    }
    Ok(())
}

/// Reads until a head is whole; `None` once the client has gone, or sends too much.
async fn read_head(
    practice: &Practice,
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
) -> io::Result<Option<RequestHead>> {
    loop {
        if let Some(head) = parse_head(buffer, &practice.token)? {
            return Ok(Some(head));
        }
        if buffer.len() > REQUEST_BYTES || stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// Reads until there are so many bytes; false if the client has gone before.
async fn read_until(
    total: usize,
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
) -> io::Result<bool> {
    while buffer.len() < total {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Answers one request; false if the connection ends with it.
async fn respond(
    practice: &Practice,
    stream: &mut TcpStream,
    head: &RequestHead,
    body: &[u8],
) -> io::Result<bool> {
    let method = head.method.as_str();
    let path = head.path.split('?').next().unwrap_or_default();

    // Messages alone are answered badly on demand: no other answer ends the connection.
    if let ("POST", Some(id)) = (method, path.strip_prefix(SEND)) {
        return receive(practice, stream, head, id, body).await;
    }

    inform(practice, stream, (method, path), body).await?;
    Ok(true)
}

/// Answers all other requests, which come from people and tests.
async fn inform(
    practice: &Practice,
    stream: &mut TcpStream,
    request: (&str, &str),
    body: &[u8],
) -> io::Result<()> {
    // Each answer is copied first: no lock is held while it is sent.
    match request {
        ("GET", "/") => show(practice, stream).await,
        ("GET", "/stats") => answer_json(stream, &practice.tally()).await,
        ("GET", "/messages") => {
            let latest = practice.book.lock().latest();
            answer_json(stream, &serde_json::json!({ "items": latest })).await
        }
        ("GET", "/taken") => {
            let taken = practice.book.lock().taken_ids();
            answer_json(stream, &taken).await
        }
        ("GET", "/behaviour") => {
            let behaviour = practice.behaviour.lock().clone();
            answer_json(stream, &behaviour).await
        }

        // A behaviour begins with the next message, also on connections that are open.
        ("PUT", "/behaviour") => behave(practice, stream, body).await,
        _ => answer(stream, 404, &[], "not found").await,
    }
}

async fn show(practice: &Practice, stream: &mut TcpStream) -> io::Result<()> {
    let tally = practice.tally();
    let latest = practice.book.lock().latest();
    let headers = ["content-type: text/html; charset=utf-8".to_owned()];
    answer(stream, 200, &headers, &page(&tally, &latest)).await
}

async fn behave(practice: &Practice, stream: &mut TcpStream, body: &[u8]) -> io::Result<()> {
    match serde_json::from_slice::<Behaviour>(body) {
        Ok(behaviour) => {
            *practice.behaviour.lock() = behaviour;
            answer(stream, 204, &[], "").await
        }
        Err(error) => answer(stream, 400, &[], &error.to_string()).await,
    }
}

/// Takes in a message, or refuses it; false if the connection ends with it.
async fn receive(
    practice: &Practice,
    stream: &mut TcpStream,
    head: &RequestHead,
    id: &str,
    body: &[u8],
) -> io::Result<bool> {
    // Like a message that does not fit its path, one without the token counts nowhere.
    if !head.is_authorized {
        let text = r#"{"code":401,"message":"wrong token"}"#;
        return refuse(stream, 401, text).await;
    }

    let Some(message) = message(id, body) else {
        let text = r#"{"code":400,"message":"the body does not fit the path"}"#;
        return refuse(stream, 400, text).await;
    };

    // Noted before the wait: the message counts even if the client gives up meanwhile.
    let (act, latency_ms) = practice.note(message.id, message.phone, &message.text);
    wait(latency_ms).await;
    perform(stream, act).await
}

/// Answers without a note in the book; the connection goes on.
async fn refuse(stream: &mut TcpStream, status: u16, text: &str) -> io::Result<bool> {
    answer(stream, status, &[], text).await?;
    Ok(true)
}

/// Takes as long as a gateway with this latency.
async fn wait(latency_ms: u64) {
    if latency_ms > 0 {
        let latency = Duration::from_millis(latency_ms);
        tokio::time::sleep(latency.saturating_sub(TIMER_LATE)).await;
    }
}

/// The message of a request; `None` if body and path do not fit each other.
fn message(id: &str, body: &[u8]) -> Option<PracticeMessage> {
    let message: PracticeMessage = serde_json::from_slice(body).ok()?;
    (id.parse() == Ok(message.id)).then_some(message)
}

/// Acts on a request; false if the connection ends with it.
async fn perform(stream: &mut TcpStream, act: Act) -> io::Result<bool> {
    match act {
        Act::Take => stream.write_all(OK).await?,
        Act::Answer {
            status,
            body,
            headers,
            breaks_off: false,
        } => answer(stream, status, &headers, &body).await?,

        // After anything else the client cannot know where a further answer would begin.
        act => {
            break_off(stream, act).await?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Ends the connection in one of the ways in which gateways do.
async fn break_off(stream: &mut TcpStream, act: Act) -> io::Result<()> {
    match act {
        Act::Answer { status, body, .. } => answer_in_part(stream, status, &body).await?,
        Act::Hang => hang(stream).await?,

        // The reset goes out when the caller closes the connection.
        Act::ResetBefore | Act::ResetAfter => reset_when_closed(stream)?,
        Act::Garbage => stream.write_all(GARBAGE).await?,
        // Not an error: the client may hang up before it has read all of it.
        Act::Oversized => {
            let _ = answer(stream, 200, &[], &oversized()).await;
        }
        Act::Broken => stream.write_all(BROKEN).await?,
        Act::Take | Act::Close => {}
    }
    Ok(())
}

/// Makes the system send a reset in place of an orderly end.
fn reset_when_closed(stream: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

/// A body far longer than any client should read.
fn oversized() -> String {
    "x".repeat(1024 * 1024)
}

/// Announces more than it sends.
async fn answer_in_part(stream: &mut TcpStream, status: u16, body: &str) -> io::Result<()> {
    let length = body.len() + 100;
    let head = format!("HTTP/1.1 {status} Status\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).await
}

/// Answers nothing until the client gives up.
async fn hang(stream: &mut TcpStream) -> io::Result<()> {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
