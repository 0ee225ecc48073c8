//! One connection to the practice gateway: reads requests, acts, answers.

use std::{io, sync::Arc};

use bytes::{Buf, BytesMut};
use serde::Deserialize;
use tokio::{io::AsyncReadExt, net::TcpStream};

use super::{
    Behaviour, Practice, exchange,
    handled::finish,
    page::page,
    provider::PracticeProvider,
    provider_page::provider_page,
    wire::{RequestHead, answer, answer_json, parse_head, whole_request},
};

/// Bytes of a request, at most.
const REQUEST_BYTES: usize = 64 * 1024;
/// Requests that are the practice gateway's own, whatever the profile.
const OWN: [(&str, &str); 9] = [
    ("GET", "/"),
    ("GET", "/favicon.ico"),
    ("GET", "/stats"),
    ("GET", "/messages"),
    ("GET", "/taken"),
    ("GET", "/behaviour"),
    ("PUT", "/behaviour"),
    ("GET", "/answers"),
    ("POST", "/answer"),
];
/// The path of a message, without its id.
const SEND: &str = "/v1/send/";

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

        if !respond(&practice, &mut stream, &head, &buffer[..total]).await? {
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

/// Answers one request, of which all bytes are given; false if the connection ends with it.
async fn respond(
    practice: &Practice,
    stream: &mut TcpStream,
    head: &RequestHead,
    request: &[u8],
) -> io::Result<bool> {
    let method = head.method.as_str();
    let path = head.path.split('?').next().unwrap_or_default();
    let body = &request[head.head_bytes..];

    if let Some(provider) = &practice.provider {
        return respond_as(provider, practice, stream, head, request).await;
    }

    // Messages alone are answered badly on demand: no other answer ends the connection.
    if let ("POST", Some(id)) = (method, path.strip_prefix(SEND)) {
        return receive(practice, stream, head, id, body).await;
    }

    inform(practice, stream, (method, path), body).await?;
    Ok(true)
}

/// Answers one request in the place of a provider; false if the connection ends with it.
async fn respond_as(
    provider: &PracticeProvider,
    practice: &Practice,
    stream: &mut TcpStream,
    head: &RequestHead,
    request: &[u8],
) -> io::Result<bool> {
    let path = head.path.split('?').next().unwrap_or_default();
    let asked = (head.method.as_str(), path);
    let whole = whole_request(request, head.head_bytes)?;

    // A profile may have the path `/` too, and goes first.
    if provider.is_addressed(&whole) || !OWN.contains(&asked) {
        return exchange::receive(practice, provider, stream, whole).await;
    }
    match asked {
        ("GET", "/answers") => answer_json(stream, &provider.listed()).await?,
        ("POST", "/answer") => exchange::choose(practice, stream, whole.body()).await?,
        _ => inform(practice, stream, asked, whole.body()).await?,
    }
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
            let latest = practice.latest();
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
    let latest = practice.latest();
    let page = match &practice.provider {
        Some(provider) => provider_page(provider, &practice.named_act(), &tally, &latest),
        None => page(&tally, &latest),
    };
    let headers = ["content-type: text/html; charset=utf-8".to_owned()];
    answer(stream, 200, &headers, &page).await
}

async fn behave(practice: &Practice, stream: &mut TcpStream, body: &[u8]) -> io::Result<()> {
    let behaviour = serde_json::from_slice::<Behaviour>(body);
    let behaved = behaviour.map_err(|error| error.to_string());
    match behaved.and_then(|behaviour| practice.behave(behaviour)) {
        Ok(()) => answer(stream, 204, &[], "").await,
        Err(fault) => answer(stream, 400, &[], &fault).await,
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
    let PracticeMessage { id, phone, text } = &message;
    let handled = practice.note((*id, *phone, text), head.receipt_url.as_deref());
    finish(practice, stream, handled).await
}

/// Answers without a note in the book; the connection goes on.
async fn refuse(stream: &mut TcpStream, status: u16, text: &str) -> io::Result<bool> {
    answer(stream, status, &[], text).await?;
    Ok(true)
}

/// The message of a request; `None` if body and path do not fit each other.
fn message(id: &str, body: &[u8]) -> Option<PracticeMessage> {
    let message: PracticeMessage = serde_json::from_slice(body).ok()?;
    (id.parse() == Ok(message.id)).then_some(message)
}
