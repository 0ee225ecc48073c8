//! Bad input and bad surroundings: one clear line, the right exit status, nothing lost.

use std::{fmt::Write, process::Command, time::Duration};

use serde_json::json;

use crate::support::{Ended, Gateway, Setup, eventually, notty, sample_csv, waits_mostly};

/// What `serve` says of a configuration file that is wrong: one line, status 2.
fn refused(config: &str) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("config.toml"), config).expect("written");
    let line = |args: &[&str]| {
        let ended = Ended::of(notty().args(args).current_dir(dir.path()));
        ended.one_line(2).to_owned()
    };
    let serve = line(&["serve", "--config", "config.toml"]);
    assert_eq!(line(&["check-config"]), serve);
    assert!(
        !dir.path().join("data").exists(),
        "nothing may be made: {serve}"
    );
    serve
}

#[test]
fn a_wrong_configuration_is_told_by_key_and_line() {
    let cases = [
        (
            "[gateway]\nconcurency = 5\n",
            &["config.toml:2", "concurency"][..],
        ),
        (
            "[gatway]\nurl = \"http://x/\"\n",
            &["config.toml:1", "gatway"],
        ),
        (
            "[gateway]\nconcurrency = \"many\"\n",
            &["config.toml:2", "concurrency"],
        ),
        (
            "[gateway]\nconcurrency = 0\n",
            &["gateway.concurrency", "between 1 and"],
        ),
        ("[gateway]\nurl = \"ftp://x/\"\n", &["gateway.url", "http"]),
        (
            "[gateway]\nunsure_statuses = [7]\n",
            &["gateway.unsure_statuses", "7"],
        ),
        (
            "[lease]\nttl_ms = 5000\n",
            &["lease.ttl_ms", "gateway.timeout_ms"],
        ),
        (
            "[node]\ntimezone = \"Mars/Base\"\n",
            &["node.timezone", "Mars/Base"],
        ),
        (
            "[retention]\nfinished_days = -1\n",
            &["retention.finished_days", "-1"],
        ),
        ("[api]\nlisten = \"here\"\n", &["api.listen", "here"]),
        (
            "[api]\ntokens = [{ name = \"a\", token = \"short\", role = \"admin\" }]\n",
            &["api.tokens[0].token"],
        ),
        (
            "[api]\ntokens = [{ name = \"a\", token = \"long-enough\", role = \"king\" }]\n",
            &["config.toml:2", "king"],
        ),
        (
            "[moderation]\nwords_file = \"nowhere.txt\"\n",
            &["moderation.words_file", "nowhere.txt"],
        ),
        ("[node\n", &["config.toml:1"]),
    ];
    for (config, wanted) in cases {
        let line = refused(config);
        for part in wanted {
            assert!(line.contains(part), "{config}: no `{part}` in: {line}");
        }
        assert!(!line.contains("long-enough"), "a token is shown: {line}");
    }
}

#[test]
fn a_wrong_environment_variable_is_named() {
    for (variable, value) in [
        ("NOTTY_GATEWAY__CONCURRENCY", "many"),
        ("NOTTY_GATEWAY__CONCURENCY", "5"),
        ("NOTTY_LEASE__SIZE", "0"),
    ] {
        let ended = Ended::of(&mut Setup::new().set(variable, value).command());
        let line = ended.one_line(2);
        let key = variable
            .trim_start_matches("NOTTY_")
            .to_lowercase()
            .replace("__", ".");
        assert!(
            line.contains(variable) || line.contains(&key),
            "{variable}: {line}"
        );
    }
}

#[test]
fn an_open_api_listens_on_loopback_only() {
    let mut plain = notty();
    plain
        .args(["serve", "--listen", "0.0.0.0:0"])
        .current_dir(std::env::temp_dir());
    let ended = Ended::of(&mut plain);
    let line = ended.one_line(2);
    assert!(
        line.contains("api.listen") && line.contains("api.tokens"),
        "{line}"
    );
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let dir = tempfile::tempdir().expect("a directory");
    for command in ["serve", "gateway"] {
        let ended = Ended::of(
            notty()
                .args([command, "--listen", &address])
                .current_dir(dir.path()),
        );
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(&address), "{ended:?}");
    }
}

#[tokio::test]
async fn a_data_directory_in_use_is_refused_and_its_owner_goes_on() {
    let setup = Setup::new();
    let node = setup.start().await;
    let ended = Ended::of(&mut setup.command());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let pid = node.process.id().to_string();
    assert!(
        ended.stderr.contains("in use") && ended.stderr.contains(&pid),
        "{ended:?}"
    );
    node.import(10).await;
}

#[tokio::test]
async fn a_data_directory_of_something_else_is_refused_untouched() {
    let setup = Setup::new();
    std::fs::create_dir(setup.data()).expect("made");
    std::fs::write(setup.data().join("holiday.jpg"), "x").expect("written");
    let ended = Ended::of(&mut setup.command());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("holiday.jpg"), "{ended:?}");
    assert!(setup.data().join("holiday.jpg").exists());
}

#[tokio::test]
async fn a_data_directory_of_another_version_is_refused_untouched() {
    let setup = Setup::new();
    setup.start().await.stop().await;
    // The layout's version is the first field after the record's head and format byte.
    let path = setup.data().join("identity");
    let mut bytes = std::fs::read(&path).expect("the identity");
    bytes[9] = 99;
    let crc = crc32fast::hash(&bytes[8..]);
    bytes[4..8].copy_from_slice(&crc.to_be_bytes());
    std::fs::write(&path, &bytes).expect("written");
    let ended = Ended::of(&mut setup.command());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("version 99"), "{ended:?}");
    assert_eq!(std::fs::read(&path).expect("the identity"), bytes);
}

/// A small file system of its own, or why there is none.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub(crate) fn new() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(dir.path())
            .output();
        mounted
            .is_ok_and(|mounted| mounted.status.success())
            .then_some(Self(dir))
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    pub(crate) fn fill(&self) {
        let mut rest = vec![0_u8; 64 * 1024];
        for n in 0.. {
            let path = self.0.path().join(format!("filler-{n}"));
            if std::fs::write(path, &rest).is_err() {
                rest.truncate(rest.len() / 2);
                if rest.len() < 64 {
                    return;
                }
            }
        }
    }

    fn clear(&self) {
        for entry in std::fs::read_dir(self.0.path()).expect("a directory") {
            let entry = entry.expect("an entry");
            if entry.file_name().to_string_lossy().starts_with("filler-") {
                std::fs::remove_file(entry.path()).expect("removed");
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[tokio::test]
async fn a_full_disk_ends_the_node_with_one_line_and_loses_nothing() {
    let Some(disk) = SmallDisk::new() else {
        println!("skipped: a small disk can only be mounted by root");
        return;
    };
    let setup = Setup::new().data_dir(&disk.0.path().join("data"));
    let mut node = setup.start().await;
    node.import(200).await;
    disk.fill();
    let mut acknowledged = 200;
    for n in 201.. {
        let upload = node.client.request(reqwest::Method::POST, "/customers");
        let customer = json!({ "id": format!("customer-{n}"), "phone": "+79160000000",
            "name": "x".repeat(200) });
        match node.client.try_send(upload.json(&customer)).await {
            Ok(answer) if answer.status == 201 => acknowledged = n,
            _ => break,
        }
    }
    let ended = node.process.ended(Duration::from_secs(20)).await;
    assert_eq!(ended.code(), Some(1), "{:#?}", node.process.lines());
    let lines = node.process.lines();
    let told = lines
        .iter()
        .filter(|line| line.contains("No space left on device"));
    assert_eq!(told.count(), 1, "{lines:#?}");
    // Full, it does not start, and says so; with room again, everything is there.
    let ended = Ended::of(&mut setup.command());
    if ended.code != Some(0) {
        assert!(
            ended.stderr.contains("No space left on device"),
            "{ended:?}"
        );
    }
    disk.clear();
    let node = setup.start().await;
    for n in [1, 200, acknowledged] {
        node.client
            .get(&format!("/customers/customer-{n}"))
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn of_a_file_with_every_second_row_wrong_the_other_half_is_imported() {
    let node = Setup::new().start().await;
    let mut csv = "id,phone\n".to_owned();
    for n in 0..5_000 {
        let phone = if n % 2 == 0 {
            "+79160000000"
        } else {
            "8-916-000"
        };
        writeln!(csv, "customer-{n},{phone}").expect("written");
    }
    let path = node.setup.dir().join("half.csv");
    std::fs::write(&path, csv).expect("written");
    let mut import = notty();
    import
        .arg("import")
        .arg(&path)
        .args(["--api", node.client.base()]);
    let ended = Ended::of(&mut import);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let counts = "created 2,500, updated 0, rejected 2,500";
    assert!(ended.stdout.starts_with(counts), "{ended:?}");
    assert!(ended.stdout.contains("line 3: phone: ") && ended.stdout.contains("line 2001: "));
    assert!(ended.stdout.contains("and 1,500 more"), "{}", ended.stdout);
    node.client
        .get("/customers/customer-4998")
        .await
        .expect(200);
    node.client
        .get("/customers/customer-4999")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_silent_connection_does_not_hold_the_node() {
    waits_mostly();
    use tokio::io::AsyncReadExt;
    let node = Setup::new().start().await;
    let address = node.client.base().trim_start_matches("http://").to_owned();
    let mut silent = tokio::net::TcpStream::connect(&address)
        .await
        .expect("connected");
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(20), silent.read_to_end(&mut rest));
    closed
        .await
        .expect("closed within its time")
        .expect("closed in order");
    // Nor does one that is open when it stops.
    let _held = tokio::net::TcpStream::connect(&address)
        .await
        .expect("connected");
    node.stop().await;
}

#[tokio::test]
async fn a_second_interrupt_ends_a_slow_stop_at_once() {
    let gateway = Gateway::start();
    gateway.behave(json!({ "acts": ["hang"] })).await;
    let setup = Setup::at(&gateway).set("NOTTY_GATEWAY__CONCURRENCY", "4");
    let mut node = setup.start().await;
    node.import(100).await;
    node.mail("hung", json!({})).await;
    gateway.requests(4).await;
    node.process.signal("INT");
    eventually(
        "it says that it stops",
        Duration::from_secs(5),
        async || {
            node.process
                .lines()
                .iter()
                .any(|line| line.contains("stopping"))
                .then_some(())
        },
    )
    .await;
    node.process.signal("INT");
    let ended = node.process.ended(Duration::from_secs(5)).await;
    assert_eq!(ended.code(), Some(1));
    // What was on its way may have been taken; nothing is sent again.
    gateway.behave(json!({})).await;
    let node = setup.start().await;
    node.until_field("hung", "caught_up", json!(true)).await;
    assert_eq!(gateway.count("duplicates").await, 0);
}

#[tokio::test]
async fn logs_can_be_json_and_tell_no_phone_text_or_token() {
    let gateway = Gateway::start();
    let setup = Setup::at(&gateway)
        .arg("--log-format")
        .arg("json")
        .set("NOTTY_GATEWAY__TOKEN", "secret-of-the-gateway")
        .set(
            "RUST_LOG",
            "notty=debug,notty_raft=debug,notty_storage=debug",
        );
    let node = setup.start().await;
    node.client
        .upload("/customers/import", "text/csv", sample_csv(1, 50))
        .await
        .expect(200);
    node.mail("logged", json!({})).await;
    node.until("logged", json!({ "done": 50 })).await;
    let lines = node.stop().await;
    assert!(lines.len() > 3, "{lines:#?}");
    for line in &lines {
        let told: serde_json::Value = serde_json::from_str(line).expect("a JSON object a line");
        assert!(
            told["message"].is_string() && told["level"].is_string(),
            "{line}"
        );
        for hidden in ["+7000", "7000000", "Скидка", "secret-of"] {
            assert!(!line.contains(hidden), "{line}");
        }
    }
    let about = lines
        .iter()
        .find(|line| line.contains("was created"))
        .expect("a line");
    assert!(about.contains(r#""mailing.id":"logged""#), "{about}");
}

#[tokio::test]
async fn https_is_spoken_with_certificates_verified() {
    let tls = crate::tls::Server::start(r#"{"code":0}"#).await;
    let trusted = Setup::new()
        .set(
            "NOTTY_GATEWAY__URL",
            &format!("https://localhost:{}/v1/send", tls.port),
        )
        .set("NOTTY_RETRY__INITIAL_MS", "50")
        .set("SSL_CERT_FILE", tls.authority.to_str().expect("a path"));
    let node = trusted.start().await;
    node.import(5).await;
    node.mail("tls", json!({})).await;
    node.until("tls", json!({ "done": 5 })).await;
    assert_eq!(tls.requests(), 5);
    // The same server under a name that its certificate does not have.
    let other = format!("https://127.0.0.1:{}/v1/send", tls.port);
    let node = Setup::new()
        .set("NOTTY_GATEWAY__URL", &other)
        .set("NOTTY_RETRY__INITIAL_MS", "50")
        .set("SSL_CERT_FILE", tls.authority.to_str().expect("a path"))
        .start()
        .await;
    node.import(1).await;
    node.mail("tls", json!({})).await;
    eventually("it was tried", Duration::from_secs(10), async || {
        let message = node.messages("tls").await.into_iter().next()?;
        (message["attempts"].as_u64() >= Some(2)).then_some(())
    })
    .await;
    assert_eq!(
        tls.requests(),
        5,
        "nothing may be sent to a server that is not verified"
    );
}

/// A command that is killed in the middle leaves a node as it was.
#[tokio::test]
async fn an_import_that_breaks_off_keeps_what_was_acknowledged_and_may_be_sent_again() {
    let node = Setup::new().start().await;
    let path = node.setup.dir().join("many.csv");
    std::fs::write(&path, sample_csv(1, 60_000)).expect("written");
    let import = || {
        let mut import = notty();
        import
            .arg("import")
            .arg(&path)
            .args(["--api", node.client.base()]);
        import
    };
    let mut child = import()
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    eventually("some are there", Duration::from_secs(20), async || {
        (node.client.get("/customers/customer-1000").await.status == 200).then_some(())
    })
    .await;
    child.kill().expect("killed");
    child.wait().expect("ended");
    let again = Ended::of(&mut import());
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.stdout.contains("rejected 0"), "{again:?}");
    node.client
        .get("/customers/customer-60000")
        .await
        .expect(200);
}

#[tokio::test]
async fn a_gateway_process_that_is_stopped_and_goes_on_loses_nothing() {
    let gateway = Gateway::with(&["--latency-ms", "10"]);
    let setup = Setup::at(&gateway)
        .set("NOTTY_GATEWAY__TIMEOUT_MS", "1000")
        .set("NOTTY_GATEWAY__CONCURRENCY", "16")
        .set("NOTTY_RETRY__INITIAL_MS", "50");
    let node = setup.start().await;
    node.import(2_000).await;
    node.mail("frozen", json!({})).await;
    gateway.requests(200).await;
    gateway.process.signal("STOP");
    eventually("the breaker opens", Duration::from_secs(20), async || {
        let metrics = node.client.get("/metrics").await.text;
        metrics.contains("notty_postman_breaker 1").then_some(())
    })
    .await;
    gateway.process.signal("CONT");
    node.until_field("frozen", "caught_up", json!(true)).await;
    let stats = node.stats("frozen").await;
    let [done, unconfirmed] =
        ["done", "unconfirmed"].map(|status| stats[status].as_u64().expect("a count"));
    assert_eq!(done + unconfirmed, 2_000, "{stats}");
    assert!((20..=60).contains(&unconfirmed), "{stats}");
    assert_eq!(gateway.count("duplicates").await, 0);
}

#[tokio::test]
async fn nobody_home_is_told_in_one_line() {
    let api = "http://127.0.0.1:9";
    for args in [&["watch", "x"][..], &["export", "customers"]] {
        let ended = Ended::of(notty().args(args).args(["--api", api]));
        let line = ended.one_line(1);
        assert!(line.contains(api) && line.contains("--api"), "{line}");
    }
}
