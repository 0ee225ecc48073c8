//! A postman whose provider has no money, and has some again: on a clock that the test sets ahead.

use std::sync::atomic::AtomicU64;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
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

/// A postman at work for an account, whose desk grants lease after lease.
struct AtAccount {
    desk: Arc<Odd>,
    account: Arc<SmscAccount>,
    clock: Arc<Ahead>,
    metrics: SendingMetrics,
    stop: watch::Sender<bool>,
    running: JoinHandle<Result<(), PostmanError>>,
    _dir: tempfile::TempDir,
}

impl AtAccount {
    /// Each lease has a message of its own if it `grants_others`, and else the same one.
    async fn start(account: SmscAccount, grants_others: bool) -> Self {
        let desk = Arc::new(Odd {
            grants_all: true,
            grants_others,
            shows: AtomicBool::new(true),
            ..Odd::default()
        });
        let (account, clock) = (Arc::new(account), Arc::new(Ahead::default()));
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
        Self {
            running: tokio::spawn(running),
            desk,
            account,
            clock,
            metrics,
            stop,
            _dir: dir,
        }
    }

    fn requests(&self) -> usize {
        self.account.requests.load(Ordering::Relaxed)
    }

    /// Waits for some looks at the cluster.
    async fn look_on(&self) {
        let looks = self.desk.looks.load(Ordering::Relaxed);
        until(|| self.desk.looks.load(Ordering::Relaxed) > looks + 4).await;
    }

    fn set_ahead(&self, ms: u64) {
        self.clock.0.store(ms, Ordering::Relaxed);
    }

    /// Stops the postman. Returns the calls that it made.
    async fn stop(self) -> Vec<String> {
        self.stop.send_replace(true);
        let ended = self.running.await.expect("no panic");
        ended.expect("it ends well");
        self.desk.said.lock().clone()
    }
}

#[tokio::test]
async fn a_message_that_alone_halts_is_tried_again_later_and_halts_no_gateway() {
    let postman = AtAccount::start(SmscAccount::default(), false).await;
    until(|| postman.requests() > 6).await;
    assert_eq!(postman.metrics.halted.get(), 0);

    let said = postman.stop().await;
    let reports: Vec<_> = said.iter().filter(|line| line.starts_with("rep")).collect();
    assert!(reports[0].contains("HandedBack"), "{}", reports[0]);
    assert!(reports[1].contains("NotTaken"), "{}", reports[1]);
}

#[tokio::test]
async fn a_gateway_without_money_gets_one_message_after_a_minute_and_all_once_it_is_taken() {
    let postman = AtAccount::start(SmscAccount::default(), true).await;
    until(|| postman.metrics.halted.get() == 1).await;
    assert_eq!(postman.requests(), 3);
    postman.look_on().await;
    assert_eq!(postman.requests(), 3, "nothing more is sent");

    // The first probe finds no money either; the second comes two minutes later.
    postman.set_ahead(60_000);
    until(|| postman.requests() == 4).await;
    postman.account.has_money.store(true, Ordering::Relaxed);
    postman.look_on().await;
    assert_eq!((postman.requests(), postman.metrics.halted.get()), (4, 1));

    postman.set_ahead(180_000);
    until(|| postman.metrics.halted.get() == 0 && postman.requests() > 10).await;
    let said = postman.stop().await;
    let is_burnt = |line: &&String| line.contains("Invalid") || line.contains("Unsure");
    assert_eq!(said.iter().find(is_burnt), None);
}

#[tokio::test]
async fn a_halted_mailing_is_not_asked_for_until_its_probe_is_due() {
    let account = SmscAccount {
        forbids: AtomicBool::new(true),
        ..SmscAccount::default()
    };
    let postman = AtAccount::start(account, true).await;
    until(|| postman.metrics.mailings_halted.get() == 1).await;
    let unwanted = |ask: &Vec<MailingNumber>| ask == &[MAILING];
    let asks_for_none = || postman.desk.unwanted.lock().last().is_some_and(unwanted);
    until(asks_for_none).await;
    assert_eq!(postman.requests(), 1);

    // The desk holds a wait until it is woken.
    postman.set_ahead(60_000);
    postman.desk.wake.notify_one();
    until(|| postman.requests() == 2).await;
    until(asks_for_none).await;
    postman.stop().await;
}
