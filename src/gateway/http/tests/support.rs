//! Small servers, and a gateway that sends to one.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use notty_storage::model::{MessageId, Phone};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};

use crate::gateway::{
    Courier, Envelope, Gateway, GatewayOptions, GatewayOutcome, HttpGateway, PreparedCourier,
};

/// The answer to a message that was taken.
pub(super) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"code\":0}";

/// Longest wait for anything in these tests.
const LONG: Duration = Duration::from_secs(20);

/// A gateway at an address, `http` or `https`, whose connections may be idle for so long.
pub(super) fn gateway(scheme: &str, at: SocketAddr, idle_timeout: Duration) -> HttpGateway {
    let options = GatewayOptions {
        url: format!("{scheme}://localhost:{}/v1/send", at.port()),
        token: String::new(),
        connect_timeout: LONG,
        timeout: LONG,
        idle_timeout,
        unsure_statuses: Vec::new(),
    };
    let made = HttpGateway::on_this_machine(options);
    made.map_err(|(key, what)| format!("{key}: {what}"))
        .expect("a gateway")
}

pub(super) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    (listener, at)
}

pub(super) fn envelope() -> Envelope<'static> {
    Envelope {
        id: MessageId::from_u64((1 << 32) + 1).expect("an id"),
        phone: Phone::parse("+79161112233").expect("a phone number"),
        text: "Hello",
        receipt_url: "",
    }
}

/// Hands one message over.
pub(super) async fn send(courier: &mut impl Courier) -> GatewayOutcome {
    match courier.prepare().await {
        Some(prepared) => prepared.send(envelope()).await,
        None => GatewayOutcome::NotSent,
    }
}

/// A courier of a gateway.
pub(super) fn courier(gateway: HttpGateway) -> <HttpGateway as Gateway>::Courier {
    Arc::new(gateway).courier()
}

/// Awaits something that must come soon.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, what).await.expect("in time")
}

/// Reads one request; false at the end of the stream. The body ends with a brace.
pub(super) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Answers each request the same until the client goes.
pub(super) async fn answer_all<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answer: &str,
) -> io::Result<()> {
    while read_request(&mut stream).await? {
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
