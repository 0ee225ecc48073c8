//! Acts of the practice gateway: answers, and the ways to give none.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Act, wire::answer};

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

/// Takes as long as a gateway with this latency.
pub(super) async fn wait(latency_ms: u64) {
    if latency_ms > 0 {
        let latency = Duration::from_millis(latency_ms);
        tokio::time::sleep(latency.saturating_sub(TIMER_LATE)).await;
    }
}

/// Acts on a request; false if the connection ends with it.
pub(super) async fn perform(stream: &mut TcpStream, act: Act) -> io::Result<bool> {
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
        // A named act has become an answer before.
        Act::Take | Act::Close | Act::Named(_) => {}
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
