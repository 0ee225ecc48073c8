//! The orderly end of a postman that waits for its gateway.

use crate::gateway::Connecting;

use super::*;

/// Connects to nothing, and counts how often it was asked to.
#[derive(Default)]
struct Never {
    asked: AtomicUsize,
}

impl Connector for Never {
    fn connect(&self, _host: &str, _port: u16, _within: Duration) -> Connecting {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_stop_while_a_connection_is_being_made_hands_the_message_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let desk = Arc::new(Odd {
        grants_late: true,
        shows: AtomicBool::new(true),
        ..Odd::default()
    });
    // Longer than a stop waits for requests.
    let connect_time = Duration::from_secs(25);
    let connector = Arc::new(Never::default());
    let (options, parts) = postman(dir.path(), desk.clone(), connector.clone(), connect_time);
    let (stop, stopped) = watch::channel(false);
    let postman = tokio::spawn(Postman::run(options, parts, stopped));
    until(|| connector.asked.load(Ordering::Relaxed) > 0).await;

    stop.send_replace(true);
    postman.await.expect("no panic").expect("it ends well");
    let report = "reports 1: [(HandedBack, [Run { first: 0, len: 1, attempt: 1 }])]";
    let lines = desk.said.lock();
    assert!(lines.iter().any(|line| line == report), "{lines:?}");
}
