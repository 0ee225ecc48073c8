//! `notty gateway --profile`: the practice gateway in the place of a provider.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{printed, run};
use crate::support::{Answer, Gateway, eventually};

/// Far longer than a line takes from the gateway to this process.
const SOON: Duration = Duration::from_secs(30);
const TWILIO: &str = "/2010-04-01/Accounts/AC1/Messages.json";
const FORM: &str = "application/x-www-form-urlencoded";

/// A gateway in Twilio's place.
fn twilio(flags: &[&str]) -> Gateway {
    Gateway::with(&[&["--profile", "twilio"][..], flags].concat())
}

/// Sends a text as a client of Twilio does.
async fn send(gateway: &Gateway, text: &str) -> Answer {
    send_with(gateway, TWILIO, "hush", text).await
}

async fn send_with(gateway: &Gateway, path: &str, token: &str, text: &str) -> Answer {
    let body = format!("To=%2B79161112233&From=MYSHOP&Body={text}");
    let request = gateway.client.request(Method::POST, path);
    let request = request.basic_auth("AC1", Some(token));
    let request = request.header("content-type", FORM).body(body);
    gateway.client.try_send(request).await.expect("an answer")
}

/// The newest request as `/messages` has it.
async fn newest(gateway: &Gateway) -> Value {
    gateway.latest().await.swap_remove(0)
}

#[tokio::test]
async fn it_takes_what_the_profile_sends_and_shows_it_without_secrets() {
    let gateway = twilio(&[]);
    let taken = send(&gateway, "Hello+%26+bye").await.expect(201);
    assert!(
        taken["sid"]
            .as_str()
            .is_some_and(|sid| sid.starts_with("SM")),
        "{taken}"
    );

    let shown = newest(&gateway).await;
    assert_eq!(
        (&shown["text"], &shown["phone"]),
        (&json!("Hello & bye"), &json!(79161112233_u64))
    );
    assert_eq!(shown["outcome"], "taken");
    let request = shown["request"].as_str().expect("a request");
    assert!(
        request.starts_with("POST /2010-04-01/Accounts/••••••/Messages.json HTTP/1.1\n"),
        "{request}"
    );
    assert!(
        request.contains("authorization: Basic ••••••\n"),
        "{request}"
    );
    assert!(
        request.ends_with("\n\nTo=%2B79161112233&From=MYSHOP&Body=Hello+%26+bye"),
        "{request}"
    );

    let page = gateway.client.get("/").await.text;
    assert!(
        page.contains("Practice gateway: twilio") && page.contains("Hello &amp; bye"),
        "{page}"
    );
    assert!(!page.contains("AC1"), "{page}");
}

#[tokio::test]
async fn a_message_without_an_id_is_a_duplicate_by_phone_and_text() {
    let gateway = twilio(&[]);
    for text in ["a", "b", "a"] {
        send(&gateway, text).await.expect(201);
    }
    let tally = gateway.tally().await;
    let counts = ["requests", "messages", "duplicates", "misfits"].map(|name| &tally[name]);
    assert_eq!(counts, [&json!(3), &json!(2), &json!(1), &json!(0)]);
}

#[tokio::test]
async fn what_the_profile_does_not_send_is_answered_and_shown_as_a_misfit() {
    let gateway = twilio(&["--secret", "token=hush"]);
    let wrong_secret = send_with(&gateway, TWILIO, "guess", "a").await.expect(401);
    assert_eq!(wrong_secret["code"], 20003);
    assert_eq!(
        newest(&gateway).await["misfit"],
        "the secret `token` is wrong"
    );

    let wrong_path = send_with(&gateway, "/v1/send/7", "hush", "a").await;
    assert_eq!(wrong_path.expect(400)["code"], 21212);
    let misfit = newest(&gateway).await["misfit"].to_string();
    assert!(misfit.contains("the path `/v1/send/7` is not"), "{misfit}");

    let tally = gateway.tally().await;
    assert_eq!(
        (&tally["misfits"], &tally["requests"]),
        (&json!(2), &json!(0))
    );
    send(&gateway, "a").await.expect(201);

    // It reads and writes on: what it said is heard a moment later.
    let lines = eventually("the misfits are logged", SOON, async || {
        let lines = gateway.process.lines().join("\n");
        let logged = [
            "the secret `token` is wrong",
            "the path `/v1/send/7` is not",
        ];
        logged
            .iter()
            .all(|part| lines.contains(part))
            .then_some(lines)
    })
    .await;
    assert!(
        !lines.contains("guess") && !lines.contains("hush"),
        "{lines}"
    );
}

#[tokio::test]
async fn an_answer_is_switched_on_and_off_while_it_runs() {
    let gateway = twilio(&["--answer", "suspended"]);
    assert_eq!(send(&gateway, "a").await.expect(403)["code"], 20403);

    let choose = async |name: &str| {
        let request = gateway.client.request(Method::POST, "/answer");
        let request = request.header("content-type", FORM);
        let request = request.body(format!("name={name}"));
        gateway
            .client
            .try_send(request)
            .await
            .expect("an answer")
            .status
    };
    choose("").await;
    send(&gateway, "b").await.expect(201);
    choose("wrong+token").await;
    send(&gateway, "c").await.expect(401);
    assert_eq!(choose("no+such").await, 400);

    gateway.act(json!([{ "named": "stopped" }]), 1).await;
    assert_eq!(send(&gateway, "d").await.expect(400)["code"], 21610);
    send(&gateway, "d").await.expect(201);
    assert_eq!(
        gateway.count("duplicates").await,
        0,
        "what is refused is not taken"
    );
}

#[tokio::test]
async fn shares_fall_upon_the_answers_of_their_kind() {
    for (flags, status) in [
        (["--fail-per-mille", "1000"], 429),
        (["--invalid-per-mille", "1000"], 400),
        (["--unsure-per-mille", "1000"], 0),
        (["--answer", "server error=1000"], 500),
    ] {
        let gateway = twilio(&flags);
        let answer = send(&gateway, "a").await;
        assert!(
            status == 0 || answer.status == status,
            "{flags:?}: {answer:?}"
        );
        let shown = newest(&gateway).await;
        let may_be_taken = ["--unsure-per-mille", "--answer"].contains(&flags[0]);
        assert_eq!(shown["taken"], may_be_taken, "{flags:?}: {shown}");
    }
}

#[tokio::test]
async fn every_built_in_profile_can_be_practised() {
    let ended = run(&["gateway", "--profile", "?"]);
    let names = ended.one_line(2).split("there are ").nth(1).expect("names");
    for name in names.split(", ") {
        let gateway = Gateway::with(&["--profile", name]);
        let answers = gateway.client.get("/answers").await.expect(200);
        let answers = answers["items"].as_array().expect("items").clone();
        assert!(
            answers.iter().any(|answer| answer["is"] == "taken"),
            "{name}: {answers:?}"
        );
        assert!(gateway.client.get("/").await.text.contains(name));
    }
}

#[tokio::test]
async fn a_profile_of_ones_own_is_practised_from_its_file() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("acme.toml");
    let profile = "[request]\nmethod = \"GET\"\nurl = \"http://sms.example/\"\n\
                   query = { to = \"{phone.digits}\", text = \"{text}\", id = \"{id}\" }\n\
                   [[answer]]\nif = { body = '^OK' }\nis = \"taken\"\n";
    let answers = "[[practice]]\nname = \"taken\"\nis = \"taken\"\nstatus = 200\nbody = \"OK {id}\"\n\
                   [[practice]]\nname = \"no\"\nis = \"unsure\"\nto = \"wrong request\"\nstatus = 400\nbody = \"no\"\n";
    let file = path.to_str().expect("a path that is UTF-8");

    std::fs::write(&path, profile).expect("a file");
    let ended = run(&["gateway", "--profile-file", file]);
    let line = ended.one_line(2);
    assert!(
        line.contains("acme.toml: no [[practice]] of the profile is `taken`"),
        "{line}"
    );

    std::fs::write(&path, format!("{profile}{answers}")).expect("a file");
    let gateway = Gateway::with(&["--profile-file", file]);
    let sent = gateway.client.get("/?to=79161112233&text=a&id=8").await;
    assert_eq!((sent.status.as_u16(), sent.text.as_str()), (200, "OK 8"));
    let sent = gateway.client.get("/?to=79161112233&text=a").await;
    assert_eq!((sent.status.as_u16(), sent.text.as_str()), (400, "no"));
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let with_profile = |flags: &[&str]| {
        let ended = run(&[&["gateway", "--profile", "mts-exolve"][..], flags].concat());
        ended.one_line(2).to_owned()
    };
    for (flags, thing) in [
        (
            &["--secret", "key=1"][..],
            "it has no secret `key`; it has apikey",
        ),
        (&["--secret", "hush"], "not of the form NAME=VALUE"),
        (
            &["--answer", "no money"],
            "has no answer `no money`; it has taken, wrong key",
        ),
        (
            &["--answer", "taken=1001"],
            "`1001` is not a number from 0 to 1000",
        ),
        (&["--fail-per-mille", "1"], "has no answer that is `later`"),
        (
            &["--halt-per-mille", "600", "--answer", "wrong key=500"],
            "the sum is 1100",
        ),
        (
            &["--answer", "taken", "--answer", "wrong key"],
            "it can be given once without =N",
        ),
        (&["--token", "x"], "--token"),
    ] {
        let line = with_profile(flags);
        assert!(line.contains(thing), "{flags:?}: {line}");
        assert!(!line.contains("hush"), "{line}");
    }

    for flags in [
        ["--secret", "a=b"],
        ["--halt-per-mille", "1"],
        ["--answer", "x"],
    ] {
        let ended = run(&[&["gateway"][..], &flags].concat());
        assert!(
            ended.one_line(2).contains("use it with --profile"),
            "{ended:?}"
        );
    }
    assert!(printed(run(&["gateway", "--help"])).contains("--profile"));
}
