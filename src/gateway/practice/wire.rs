//! HTTP as the practice gateway speaks it: heads of requests, and answers.

use std::io;

use bytes::Bytes;
use http::Request;
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// Headers of a request, at most.
const HEADERS: usize = 32;

/// The head of a request.
pub(super) struct RequestHead {
    pub(super) method: String,
    pub(super) path: String,
    /// True if it came with the token.
    pub(super) is_authorized: bool,
    /// The URL for receipts of the message, in notty's own protocol.
    pub(super) receipt_url: Option<String>,
    pub(super) head_bytes: usize,
    pub(super) body_bytes: usize,
}

/// Reads a head; `None` while it is not whole.
pub(super) fn parse_head(buffer: &[u8], token: &str) -> io::Result<Option<RequestHead>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(buffer).map_err(io::Error::other)?;
    let httparse::Status::Complete(head_bytes) = parsed else {
        return Ok(None);
    };

    let mut head = RequestHead {
        method: request.method.unwrap_or_default().to_owned(),
        path: request.path.unwrap_or_default().to_owned(),
        is_authorized: token.is_empty(),
        receipt_url: None,
        head_bytes,
        body_bytes: 0,
    };

    // The same header twice is the client's fault, and the last one counts.
    for header in request.headers.iter() {
        head.take(header, token)?;
    }
    Ok(Some(head))
}

/// The request of these bytes, which begin with a head of this length.
pub(super) fn whole_request(bytes: &[u8], head_bytes: usize) -> io::Result<Request<Bytes>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    head.parse(bytes).map_err(io::Error::other)?;

    let mut request = Request::builder()
        .method(head.method.unwrap_or_default())
        .uri(head.path.unwrap_or_default());
    for header in head.headers.iter() {
        request = request.header(header.name, header.value);
    }
    let body = Bytes::copy_from_slice(&bytes[head_bytes..]);
    request.body(body).map_err(io::Error::other)
}

impl RequestHead {
    /// Takes in one header, if it matters here.
    fn take(&mut self, header: &httparse::Header<'_>, token: &str) -> io::Result<()> {
        if header.name.eq_ignore_ascii_case("content-length") {
            self.body_bytes = length(header.value)?;
        } else if header.name.eq_ignore_ascii_case("authorization") {
            let given = header.value.strip_prefix(b"Bearer ");
            self.is_authorized |= given == Some(token.as_bytes());
        } else if header.name.eq_ignore_ascii_case("notty-receipt-url") {
            self.receipt_url = Some(String::from_utf8_lossy(header.value).into_owned());
        }
        Ok(())
    }
}

/// The words beside a status; any will do for one that has none.
fn reason(status: u16) -> &'static str {
    let code = http::StatusCode::from_u16(status).ok();
    code.and_then(|code| code.canonical_reason())
        .unwrap_or("Status")
}

fn length(value: &[u8]) -> io::Result<usize> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| io::Error::other("a bad content-length"))
}

/// Answers with a value as JSON.
pub(super) async fn answer_json(
    stream: &mut TcpStream,
    value: &impl serde::Serialize,
) -> io::Result<()> {
    let body = serde_json::to_string(value).map_err(io::Error::other)?;
    let headers = ["content-type: application/json".to_owned()];
    answer(stream, 200, &headers, &body).await
}

/// Answers with a status, headers of the form `Name: value`, and a body.
pub(super) async fn answer(
    stream: &mut TcpStream,
    status: u16,
    headers: &[String],
    body: &str,
) -> io::Result<()> {
    let mut text = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    // An answer without content must not announce a length.
    if status != 204 {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }

    // Head and body in one write: two would be two packets.
    text.push_str("\r\n");
    text.push_str(body);
    stream.write_all(text.as_bytes()).await
}
