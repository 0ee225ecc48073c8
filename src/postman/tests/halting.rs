//! A postman whose provider has no money, and has some again: on a clock that the test sets ahead.

use std::sync::atomic::AtomicU64;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::gateway::{
    HttpTimes,
    http::provider::{ProviderGateway, ProviderOptions},
    profile::{GatewayAccount, built_in},
};

/// The machine's clocks, the one of its start so many milliseconds ahead.
#[derive(Default)]
struct Ahead(AtomicU64);

impl Clock for Ahead {
    fn boot(&self) -> Duration {
        SystemClock.boot() + Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn wall(&self) -> Timestamp {
        SystemClock.wall()
    }
}

/// A smsc.ru account.
#[derive(Default)]
struct SmscAccount {
    has_money: AtomicBool,
    /// It does not take the text.
    forbids: AtomicBool,
    requests: AtomicUsize,
}

impl SmscAccount {
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut request = Vec::new();
        while stream.read_buf(&mut request).await? > 0 {
            // The request is JSON.
            if !request.ends_with(b"}") {
                continue;
            }
            request.clear();
            self.requests.fetch_add(1, Ordering::Relaxed);
            let body = if self.forbids.load(Ordering::Relaxed) {
                r#"{"error_code":6}"#
            } else if self.has_money.load(Ordering::Relaxed) {
                r#"{"id":14,"cnt":1}"#
            } else {
                r#"{"error_code":3}"#
            };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + body).as_bytes()).await?;
        }
        Ok(())
    }
}

/// A gateway at an account that serves from now on.
async fn gateway_at(account: &Arc<SmscAccount>) -> ProviderGateway {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    let account = account.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let account = account.clone();
            tokio::spawn(async move { account.serve(stream).await });
        }
    });

    let second = Duration::from_secs(1);
    let options = ProviderOptions {
        profile_name: "smsc.ru".to_owned(),
        profile: built_in::find("smsc.ru").expect("it is there"),
        account: GatewayAccount {
            url: Some(format!("http://{at}/send")),
            secrets: [("apikey".to_owned(), "k".into())].into(),
            ..GatewayAccount::default()
        },
        times: HttpTimes {
            connect: second,
            answer: second,
            idle: second,
        },
    };
    let connector = Arc::new(TcpConnector::default());
    ProviderGateway::of_profile(options, connector, Arc::new(SystemClock)).expect("an account")
}

#[tokio::test]
async fn a_message_that_alone_halts_is_tried_again_later_and_halts_no_gateway() {
    let desk = Arc::new(Odd {
        grants_all: true,
        shows: AtomicBool::new(true),
        ..Odd::default()
    });
    let account = Arc::new(SmscAccount::default());
    let dir = tempfile::tempdir().expect("a directory");
    let connector = Arc::new(TcpConnector::default());
    let (options, parts) = postman(dir.path(), desk.clone(), connector, Duration::from_secs(1));
    let metrics = parts.metrics.clone();

    let (stop, stopped) = watch::channel(false);
    let running = Postman::run(options, parts.at(gateway_at(&account).await), stopped);
    let running = tokio::spawn(running);
    until(|| account.requests.load(Ordering::Relaxed) > 6).await;
    assert_eq!(metrics.halted.get(), 0);
    stop.send_replace(true);
    running.await.expect("no panic").expect("it ends well");

    let said = desk.said.lock();
    let reports: Vec<_> = said.iter().filter(|line| line.starts_with("rep")).collect();
    assert!(reports[0].contains("HandedBack"), "{}", reports[0]);
    assert!(reports[1].contains("NotTaken"), "{}", reports[1]);
}

#[tokio::test]
async fn a_gateway_without_money_gets_one_message_after_a_minute_and_all_once_it_is_taken() {
    let desk = Arc::new(Odd {
        grants_all: true,
        grants_others: true,
        shows: AtomicBool::new(true),
        ..Odd::default()
    });
    let account = Arc::new(SmscAccount::default());
    let clock = Arc::new(Ahead::default());
    let dir = tempfile::tempdir().expect("a directory");
    let connector = Arc::new(TcpConnector::default());
    let (options, parts) = postman(dir.path(), desk.clone(), connector, Duration::from_secs(1));
    let metrics = parts.metrics.clone();
    let parts = PostmanParts {
        clock: clock.clone(),
        ..parts
    };
    let (stop, stopped) = watch::channel(false);
    let running = Postman::run(options, parts.at(gateway_at(&account).await), stopped);
    let running = tokio::spawn(running);

    until(|| metrics.halted.get() == 1).await;
    let requests = || account.requests.load(Ordering::Relaxed);
    assert_eq!(requests(), 3);
    let looks = desk.looks.load(Ordering::Relaxed);
    until(|| desk.looks.load(Ordering::Relaxed) > looks + 4).await;
    assert_eq!(requests(), 3, "nothing more is sent");

    // The first probe finds no money either; the second comes two minutes later.
    clock.0.store(60_000, Ordering::Relaxed);
    until(|| requests() == 4).await;
    account.has_money.store(true, Ordering::Relaxed);
    let looks = desk.looks.load(Ordering::Relaxed);
    until(|| desk.looks.load(Ordering::Relaxed) > looks + 4).await;
    assert_eq!((requests(), metrics.halted.get()), (4, 1));

    clock.0.store(180_000, Ordering::Relaxed);
    until(|| metrics.halted.get() == 0 && requests() > 10).await;
    stop.send_replace(true);
    running.await.expect("no panic").expect("it ends well");

    let said = desk.said.lock();
    let is_burnt = |line: &&String| line.contains("Invalid") || line.contains("Unsure");
    assert_eq!(said.iter().find(is_burnt), None);
}

#[tokio::test]
async fn a_halted_mailing_is_not_asked_for_until_its_probe_is_due() {
    let desk = Arc::new(Odd {
        grants_all: true,
        grants_others: true,
        shows: AtomicBool::new(true),
        ..Odd::default()
    });
    let account = Arc::new(SmscAccount::default());
    account.forbids.store(true, Ordering::Relaxed);
    let clock = Arc::new(Ahead::default());
    let dir = tempfile::tempdir().expect("a directory");
    let connector = Arc::new(TcpConnector::default());
    let (options, parts) = postman(dir.path(), desk.clone(), connector, Duration::from_secs(1));
    let metrics = parts.metrics.clone();
    let parts = PostmanParts {
        clock: clock.clone(),
        ..parts
    };
    let (stop, stopped) = watch::channel(false);
    let running = Postman::run(options, parts.at(gateway_at(&account).await), stopped);
    let running = tokio::spawn(running);

    until(|| metrics.mailings_halted.get() == 1).await;
    let requests = || account.requests.load(Ordering::Relaxed);
    let unwanted = |ask: &Vec<MailingNumber>| ask == &[MAILING];
    let asks_for_none = || desk.unwanted.lock().last().is_some_and(unwanted);
    until(asks_for_none).await;
    assert_eq!(requests(), 1);

    // The desk holds a wait until it is woken.
    clock.0.store(60_000, Ordering::Relaxed);
    desk.wake.notify_one();
    until(|| requests() == 2).await;
    until(asks_for_none).await;
    stop.send_replace(true);
    running.await.expect("no panic").expect("it ends well");
}
