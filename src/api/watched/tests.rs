//! Tests of watched streams, on a simulated clock.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::Instant,
};

use super::*;
use crate::api::activity::{ClientAddress, SLOW, Waits};

/// A watched stream whose client has a buffer of so many bytes, and the client.
fn stream(buffer: usize) -> (WatchedStream, Arc<Activity>, DuplexStream) {
    let (server, client) = tokio::io::duplex(buffer);
    let activity = Activity::new(ClientAddress::of("192.0.2.1:1"));
    (
        WatchedStream::new(Box::new(server), activity.clone()),
        activity,
        client,
    )
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_given_up_and_one_that_takes_a_little_is_not() {
    let (mut server, _, _client) = stream(1_024);
    let began = Instant::now();
    let error = server
        .write_all(&[0; 2 * 1_024])
        .await
        .expect_err("too slow");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(began.elapsed().as_secs(), PIECE_TIME.as_secs());

    let (mut server, _, mut client) = stream(1_024);
    let reading = async move {
        let mut read = [0; 1_024];
        while client.read_exact(&mut read).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let writing = async move {
        server
            .write_all(&[0; 200 * 1_024])
            .await
            .expect("a kilobyte a second goes on");
        drop(server);
    };
    let began = Instant::now();
    tokio::join!(reading, writing);
    assert!(began.elapsed() > PIECE_TIME * 5);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_a_byte_now_and_then_is_given_up() {
    let (mut server, _, mut client) = stream(1_024);
    tokio::spawn(async move {
        while client.read_u8().await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let error = server
        .write_all(&[0; 64 * 1_024])
        .await
        .expect_err("too slow");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_pause_between_two_answers_is_no_slowness() {
    let (mut server, _, mut client) = stream(1_024);
    for _ in 0..3 {
        let mut answer = [0; 2 * 1_024];
        let written = async {
            server.write_all(&[0; 2 * 1_024]).await?;
            server.flush().await
        };
        let (written, read) = tokio::join!(written, client.read_exact(&mut answer));
        written.and(read).expect("taken");
        tokio::time::sleep(PIECE_TIME * 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_whom_is_known() {
    let (mut server, activity, mut client) = stream(1_024);
    assert!(matches!(activity.waits(), Some(Waits::Request(_))));
    assert!(activity.begin());
    assert_eq!(activity.waits(), None, "the node is at work");
    let writing = tokio::spawn(async move {
        server.write_all(&[0; 3 * 1_024]).await.expect("taken");
        server
    });
    tokio::time::sleep(SLOW / 2).await;
    assert_eq!(
        activity.waits(),
        None,
        "a client may take its time for a moment"
    );
    tokio::time::sleep(SLOW).await;
    assert!(matches!(activity.waits(), Some(Waits::Client(_))));
    client.read_exact(&mut [0; 3 * 1_024]).await.expect("read");
    let _server = writing.await.expect("written");
    assert_eq!(activity.waits(), None);
    activity.end();
    let idle = activity.waits().expect("it is idle");
    // A request that came since it was looked at is served.
    assert!(activity.begin());
    assert!(!activity.evict(idle));
    activity.end();
    assert!(activity.evict(idle));
    assert!(!activity.begin());
    activity.evicted().await;
}
