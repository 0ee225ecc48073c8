//! Connections to the gateway: what may happen to one before, between and after its requests.

use std::{
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use serde_json::json;
use socket2::{Domain, Socket, Type};

use super::quick;
use crate::{
    support::{Forgetful, Gateway, Setup, eventually},
    tls,
};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn connections_that_something_on_the_way_forgets_put_nothing_in_doubt() {
    let gateway = Gateway::start();
    let forgetful = Forgetful::before(&gateway.address, Duration::from_millis(1_500)).await;
    let node = quick(&gateway)
        .set(
            "NOTTY_GATEWAY__URL",
            &format!("http://{}/v1/send", forgetful.address),
        )
        .set("NOTTY_GATEWAY__CONCURRENCY", "32")
        .set("NOTTY_GATEWAY__IDLE_TIMEOUT_MS", "500")
        .start()
        .await;
    node.import(100).await;

    for mailing in ["one", "two", "three"] {
        node.mail(mailing, json!({})).await;
        node.until(mailing, json!({ "done": 100 })).await;
        // Whether the postman closes them, or they are forgotten.
        eventually("no connection is known", SOON, async || {
            (forgetful.known() == 0).then_some(())
        })
        .await;
    }
    assert_eq!(forgetful.resets(), 0);
    assert_eq!(gateway.count("duplicates").await, 0);
}

/// A port at which an address never answers: its queue is full.
struct Swallowing {
    at: SocketAddr,
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

impl Swallowing {
    fn at(address: SocketAddr) -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.bind(&address.into()).expect("a port");
        listener.listen(0).expect("it listens");
        let at = listener.local_addr().expect("an address");
        let at = at.as_socket().expect("of a network");

        // Until one does not get through any more.
        let connect = || TcpStream::connect_timeout(&at, Duration::from_millis(200));
        let queued = std::iter::from_fn(|| connect().ok()).take(64).collect();
        Self {
            at,
            _listener: listener,
            _queued: queued,
        }
    }

    fn url(&self) -> String {
        format!("http://{}/v1/send", self.at)
    }
}

/// The command of a node for which a name has the addresses of a hosts file of its own; `None`, with a line
/// that says why, where that cannot be had.
fn with_hosts(setup: &Setup, hosts: &str) -> Option<Command> {
    let file = setup.dir().join("hosts");
    std::fs::write(&file, hosts).expect("written");
    let script = format!(
        "mount --bind {} /etc/hosts && exec \"$@\"",
        file.to_str().expect("a path")
    );
    let alone = || {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
        command
    };
    let tried = alone().arg("true").output();
    if !tried.as_ref().is_ok_and(|tried| tried.status.success()) {
        println!("SKIPPED: no hosts file of its own for a process: {tried:?}");
        return None;
    }

    let plain = setup.command();
    let mut command = alone();
    command.arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    Some(command)
}

#[tokio::test]
async fn a_name_whose_first_address_never_answers_is_reached_by_the_next() {
    let gateway = Gateway::start();
    let port = gateway.port().parse().expect("a port");
    let _swallowing = Swallowing::at(SocketAddr::from(([127, 0, 0, 2], port)));
    let setup = quick(&gateway).set(
        "NOTTY_GATEWAY__URL",
        &format!("http://gateway.test:{port}/v1/send"),
    );
    let hosts = "127.0.0.1 localhost\n127.0.0.2 gateway.test\n127.0.0.1 gateway.test\n";
    let Some(mut command) = with_hosts(&setup, hosts) else {
        return;
    };

    let node = setup.start_by(&mut command).await;
    node.import(20).await;
    node.mail("one", json!({})).await;
    node.until("one", json!({ "done": 20 })).await;
    // No try was lost to the address that never answers.
    assert!(
        node.messages("one")
            .await
            .iter()
            .all(|message| message["attempts"] == 1)
    );
}

#[tokio::test]
async fn a_gateway_that_asks_for_a_certificate_leaves_nothing_in_doubt() {
    let server = tls::Server::asking_for_certificates().await;
    let gateway = Gateway::start();
    let node = quick(&gateway)
        .set(
            "NOTTY_GATEWAY__URL",
            &format!("https://localhost:{}/v1/send", server.port),
        )
        .set("SSL_CERT_FILE", server.authority.to_str().expect("a path"))
        .start()
        .await;
    node.import(20).await;
    node.mail("one", json!({})).await;

    eventually("all were tried", SOON, async || {
        let messages = node.messages("one").await;
        let tried = |message: &serde_json::Value| message["attempts"].as_u64() >= Some(1);
        (messages.len() == 20 && messages.iter().all(tried)).then_some(())
    })
    .await;
    let stats = node.stats("one").await;
    assert_eq!(stats["unconfirmed"], 0, "{stats}");
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_stop_while_connections_are_being_made_leaves_nothing_in_doubt() {
    let gateway = Gateway::start();
    let swallowing = Swallowing::at(SocketAddr::from(([127, 0, 0, 1], 0)));
    let setup = quick(&gateway)
        .set("NOTTY_GATEWAY__URL", &swallowing.url())
        .set("NOTTY_GATEWAY__CONNECT_TIMEOUT_MS", "40000")
        .set("NOTTY_LEASE__TTL_MS", "60000");
    let node = setup.start().await;
    node.import(10).await;
    node.mail("one", json!({})).await;
    node.until("one", json!({ "sending": 10 })).await;
    node.stop().await;

    let node = quick(&gateway).data_dir(setup.data()).start().await;
    node.until("one", json!({ "done": 10 })).await;
}
