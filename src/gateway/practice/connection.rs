//! One connection to the practice gateway: reads requests, acts, answers.

use std::{io, sync::Arc, time::Duration};

use bytes::{Buf, BytesMut};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Act, Behaviour, Practice};

/// Bytes of a request, at most.
const REQUEST_BYTES: usize = 64 * 1024;
/// What a timer is late by on average, with ticks of 1 ms and a wait that is rounded up to them: a
/// latency of 50 ms took 51.9.
const TIMER_LATE: Duration = Duration::from_micros(1_500);
/// The answer to a message that was taken.
const OK: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 25\r\n\r\n\
    {\"code\":0,\"message\":\"OK\"}";

/// What a message's request says.
#[derive(Deserialize)]
struct SmsBody {
    id: u64,
    phone: u64,
    text: String,
}

/// The head of a request.
struct RequestHead {
    method: String,
    path: String,
    authorized: bool,
    head_bytes: usize,
    body_bytes: usize,
}

pub(super) async fn serve(practice: Arc<Practice>, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    loop {
        let head = loop {
            if let Some(head) = parse(&buffer, &practice.token)? {
                break head;
            }
            if buffer.len() > REQUEST_BYTES || stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let total = head.head_bytes + head.body_bytes;
        if total > REQUEST_BYTES {
            return answer(&mut stream, 413, &[], "too large").await;
        }
        while buffer.len() < total {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let go_on = respond(
            &practice,
            &mut stream,
            &head,
            &buffer[head.head_bytes..total],
        )
        .await?;
        if !go_on {
            return Ok(());
        }
        buffer.advance(total);
    }
}

fn parse(buffer: &[u8], token: &str) -> io::Result<Option<RequestHead>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(buffer).map_err(io::Error::other)?;
    let httparse::Status::Complete(head_bytes) = parsed else {
        return Ok(None);
    };
    let (mut body_bytes, mut authorized) = (0, token.is_empty());
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let value = std::str::from_utf8(header.value)
                .ok()
                .and_then(|text| text.parse().ok());
            body_bytes = value.ok_or_else(|| io::Error::other("a bad content-length"))?;
        } else if header.name.eq_ignore_ascii_case("authorization") {
            let given = header.value.strip_prefix(b"Bearer ");
            authorized |= given == Some(token.as_bytes());
        }
    }
    let method = request.method.unwrap_or_default().to_owned();
    let path = request.path.unwrap_or_default().to_owned();
    Ok(Some(RequestHead {
        method,
        path,
        authorized,
        head_bytes,
        body_bytes,
    }))
}

/// Answers one request; false if the connection ends with it.
async fn respond(
    practice: &Practice,
    stream: &mut TcpStream,
    head: &RequestHead,
    body: &[u8],
) -> io::Result<bool> {
    let path = head.path.split('?').next().unwrap_or_default();
    match (head.method.as_str(), path) {
        ("POST", path) if path.starts_with("/v1/send/") => {
            return receive(practice, stream, head, &path["/v1/send/".len()..], body).await;
        }
        ("GET", "/") => {
            let page = page(practice);
            let headers = ["content-type: text/html; charset=utf-8".to_owned()];
            answer(stream, 200, &headers, &page).await?;
        }
        ("GET", "/stats") => answer_json(stream, &practice.tally()).await?,
        ("GET", "/messages") => {
            let latest = practice.book.lock().latest();
            answer_json(stream, &serde_json::json!({ "items": latest })).await?;
        }
        ("GET", "/taken") => {
            let taken = practice.book.lock().taken_ids();
            answer_json(stream, &taken).await?;
        }
        ("GET", "/behaviour") => {
            let behaviour = practice.behaviour.lock().clone();
            answer_json(stream, &behaviour).await?;
        }
        ("PUT", "/behaviour") => match serde_json::from_slice::<Behaviour>(body) {
            Ok(behaviour) => {
                *practice.behaviour.lock() = behaviour;
                answer(stream, 204, &[], "").await?;
            }
            Err(error) => answer(stream, 400, &[], &error.to_string()).await?,
        },
        _ => answer(stream, 404, &[], "not found").await?,
    }
    Ok(true)
}

/// A message has come.
async fn receive(
    practice: &Practice,
    stream: &mut TcpStream,
    head: &RequestHead,
    id: &str,
    body: &[u8],
) -> io::Result<bool> {
    if !head.authorized {
        return answer(stream, 401, &[], r#"{"code":401,"message":"wrong token"}"#)
            .await
            .map(|()| true);
    }
    let body = match (id.parse::<u64>(), serde_json::from_slice::<SmsBody>(body)) {
        (Ok(id), Ok(body)) if body.id == id => body,
        _ => {
            let text = r#"{"code":400,"message":"the body does not fit the path"}"#;
            return answer(stream, 400, &[], text).await.map(|()| true);
        }
    };
    let (act, latency) = {
        let mut book = practice.book.lock();
        let mut behaviour = practice.behaviour.lock();
        let act = behaviour.next_act(body.id, book.tries(body.id));
        book.note(body.id, body.phone, &body.text, &act);
        (act, behaviour.latency_ms)
    };
    if latency > 0 {
        tokio::time::sleep(Duration::from_millis(latency).saturating_sub(TIMER_LATE)).await;
    }
    perform(stream, act).await
}

async fn perform(stream: &mut TcpStream, act: Act) -> io::Result<bool> {
    match act {
        Act::Take => stream.write_all(OK).await.map(|()| true),
        Act::Answer {
            status,
            body,
            breaks_off: true,
            ..
        } => {
            let length = body.len() + 100;
            let head = format!("HTTP/1.1 {status} Status\r\ncontent-length: {length}\r\n\r\n");
            stream
                .write_all(format!("{head}{body}").as_bytes())
                .await
                .map(|()| false)
        }
        Act::Answer {
            status,
            body,
            headers,
            ..
        } => answer(stream, status, &headers, &body).await.map(|()| true),
        Act::Hang => {
            // Until the client gives up.
            let mut rest = [0; 1024];
            while stream.read(&mut rest).await? > 0 {}
            Ok(false)
        }
        Act::ResetBefore | Act::ResetAfter => {
            // Closing with a linger of zero sends a reset.
            socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO))?;
            Ok(false)
        }
        Act::Close => Ok(false),
        Act::Garbage => {
            stream
                .write_all(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
                .await?;
            Ok(false)
        }
        Act::Oversized => {
            let body = "x".repeat(1024 * 1024);
            // The client may hang up before it has read all of it.
            let _ = answer(stream, 200, &[], &body).await;
            Ok(false)
        }
        Act::Broken => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"code\":")
                .await?;
            Ok(false)
        }
    }
}

async fn answer_json(stream: &mut TcpStream, value: &impl serde::Serialize) -> io::Result<()> {
    let body = serde_json::to_string(value).map_err(io::Error::other)?;
    answer(
        stream,
        200,
        &["content-type: application/json".to_owned()],
        &body,
    )
    .await
}

async fn answer(
    stream: &mut TcpStream,
    status: u16,
    headers: &[String],
    body: &str,
) -> io::Result<()> {
    let reason = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|s| s.canonical_reason());
    let mut text = format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or("Status"));
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    if status != 204 {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    stream.write_all(text.as_bytes()).await
}

/// The page for people.
fn page(practice: &Practice) -> String {
    let (tally, latest) = {
        let book = practice.book.lock();
        (book.tally(), book.latest())
    };
    let mut rows = String::new();
    for message in latest.iter().take(50) {
        let taken = if message.taken { "taken" } else { "refused" };
        let text = escape(&message.text);
        let (id, phone) = (&message.id, message.phone);
        rows.push_str(&format!("<tr><td>{id}<td>+{phone}<td>{taken}<td>{text}\n"));
    }
    format!(
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=2>\
         <title>Practice gateway</title>\
         <style>body{{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem;\
         color-scheme:light dark}}td,th{{padding:.2rem .8rem;text-align:left;\
         vertical-align:top}}.big b{{font-size:1.6rem}}.big span{{margin-right:2rem}}</style>\
         <h1>Practice gateway</h1><p class=big><span><b>{}</b> requests</span>\
         <span><b>{}</b> messages taken</span><span><b>{}</b> refused</span>\
         <span><b>{}</b> duplicates</span></p><h2>The latest messages</h2>\
         <table><tr><th>id<th>phone<th>answer<th>text\n{rows}</table>\n",
        tally.requests, tally.messages, tally.refused, tally.duplicates
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
