//! One HTTP connection, one request at a time: as little of a client as there can be, so that it
//! takes little of the cores that it measures.

use std::time::Instant;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection to one API.
pub(super) struct Wire {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Wire {
    /// Connects to an address.
    pub(super) async fn connect(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| address.to_owned())?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; what it says then was said to the sender already.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self {
            sender,
            host: address.to_owned(),
        })
    }

    /// Gets a path; milliseconds until the whole answer was there.
    pub(super) async fn get(&mut self, path: &str) -> anyhow::Result<f64> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// Posts JSON; milliseconds until the whole answer was there.
    pub(super) async fn post(&mut self, path: &str, body: String) -> anyhow::Result<f64> {
        self.ask(Method::POST, path, Bytes::from(body)).await
    }

    async fn ask(&mut self, method: Method, path: &str, body: Bytes) -> anyhow::Result<f64> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let began = Instant::now();
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let took = began.elapsed().as_secs_f64() * 1e3;
        ensure!(
            status.is_success(),
            "{path}: {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(took)
    }
}

/// A customer's number, all over `1..=customers`: neighbours in a block are no help.
pub(super) fn scattered(n: u64, customers: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % customers + 1
}
