//! The peer port, spoken to by others than nodes.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Cluster, Shape};

/// Says something to a peer port; what comes back until it is closed.
async fn say(peer: &str, what: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(peer).await?;
    stream.write_all(what).await?;
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(20), reading).await;
    read.expect("the port is closed in time").map(|_| answer)
}

#[tokio::test]
async fn another_version_and_other_protocols_are_refused_and_told_why() {
    let cluster = Cluster::start(Shape::default()).await;
    let member = &cluster.members[0];
    let answer = say(&member.peer, b"nottypr\x63\0\0\0\x05hello").await.expect("an answer");
    assert_eq!(&answer[..7], b"nottypr", "so that the other end can tell the version");
    member.says("it speaks version 99 of the peer protocol and this node version").await;
    say(&member.peer, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("an answer");
    member.says("a peer was refused: it does not speak notty's peer protocol").await;
    // Silent ones are let go of, and hold up nobody.
    let silent = say(&member.peer, b"").await.expect("closed");
    assert_eq!(silent, b"");
    let answer = member.client.get("/customers?consistency=linearizable").await;
    answer.expect(200);
    // The same is not said again and again.
    for _ in 0..5 {
        say(&member.peer, b"GET / HTTP/1.1\r\n\r\n").await.expect("an answer");
    }
    assert_eq!(member.count_lines("does not speak notty's peer protocol"), 1);
}
