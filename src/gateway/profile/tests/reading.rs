//! The message is found again in the profile's own request, and what fits less is told in words without
//! secrets.

use bytes::Bytes;
use http::Request;

use super::{
    super::{GatewayAccount, MessageRequest, Profile, built_in},
    envelope,
    practising::{found, full_account},
};
use crate::gateway::Envelope;

const TEXT: &str = "Скидка 20% & \"бонус\" €5\n{x}+=";

/// An account that has no more than it needs.
fn small_account(profile: &Profile) -> GatewayAccount {
    GatewayAccount {
        sender: profile.request.needs_sender.then(|| "MYSHOP".to_owned()),
        has_receipts: false,
        has_validity: false,
        ..full_account(profile)
    }
}

fn request(profile: &Profile, account: &GatewayAccount) -> Request<Bytes> {
    let message = MessageRequest {
        envelope: Envelope {
            receipt_url: "https://notty.example/receipts/g/30064771084?k=Zm9v",
            ..envelope(TEXT)
        },
        valid_minutes: 90,
    };
    profile.bind(account).expect("an account").request(&message)
}

#[test]
fn every_built_in_profile_is_understood_in_its_own_request() {
    for name in built_in::names() {
        let profile = built_in::find(name).expect("a profile");
        for account in [small_account(&profile), full_account(&profile)] {
            let message = found(&profile, &account, TEXT);
            assert_eq!(message.text(), TEXT, "{name}");
            assert_eq!(message.phone(), envelope(TEXT).phone, "{name}");
            let id = message
                .id()
                .is_none_or(|id| id == envelope(TEXT).id.as_u64());
            assert!(id, "{name}: {message:?}");

            let secrets: Vec<_> = message.secrets().map(|(name, _)| name).collect();
            assert_eq!(secrets, Vec::from_iter(profile.request_secrets()), "{name}");
            assert!(profile.reader().is_addressed(&request(&profile, &account)));
        }
    }
}

#[test]
fn no_built_in_profile_takes_the_request_of_another_one() {
    for name in built_in::names() {
        let profile = built_in::find(name).expect("a profile");
        let sent = request(&profile, &full_account(&profile));
        for other in built_in::names().filter(|other| *other != name) {
            let reader = built_in::find(other).expect("a profile").reader();
            assert!(reader.read(&sent).is_err(), "{other} took that of {name}");
        }
    }
}

#[test]
fn no_secret_of_a_built_in_profile_is_shown() {
    for name in built_in::names() {
        let profile = built_in::find(name).expect("a profile");
        let account = full_account(&profile);
        let shown = profile.reader().masked(&request(&profile, &account));
        for secret in profile.secrets() {
            assert!(!shown.contains(&format!("my-{secret}")), "{name}:\n{shown}");
        }
        assert!(shown.contains("••••••"), "{name}:\n{shown}");
        assert!(!shown.contains("bXkt"), "my- in Base64: {name}:\n{shown}");
    }
}

/// The misfits of a request to a profile of its own.
fn misfit(sent: Request<Bytes>) -> String {
    let text = "[request]\nmethod = \"POST\"\nurl = \"https://sms.example/v1/{secret.account}/send\"\n\
                bearer = \"{secret.key}\"\nencoding = { gsm7 = 0, ucs2 = 8 }\n\
                query = { v = 2 }\n\
                json = { id = \"{id}\", to = \"{phone.digits}\", text = \"{text}\", from = \"{sender}\", \
                coding = \"{encoding}\", list = [{ key = \"{secret.key}\" }] }\n\
                [[answer]]\nif = { at = \"/id\", exists = true }\nis = \"taken\"\n";
    let profile = Profile::parse(text).expect("a profile");
    profile.reader().read(&sent).expect_err("misfits")
}

fn sent(path: &str, key: &str, body: &str) -> Request<Bytes> {
    let request = Request::post(path).header("authorization", key);
    let request = request.header("content-type", "application/json; charset=utf-8");
    request
        .body(Bytes::from(body.to_owned()))
        .expect("a request")
}

const BODY: &str = r#"{"id":7,"to":"79161112233","text":"a","coding":"0","list":[{"key":"hush"}]}"#;

#[test]
fn what_does_not_fit_is_told_with_its_place_and_without_secrets() {
    let (path, key) = ("/v1/me/send?v=2", "Bearer hush");
    let changed = |from: &str, to: &str| sent(path, key, &BODY.replace(from, to));
    for (sent, wanted) in [
        (
            sent("/v1/send?v=2", key, BODY),
            "the path `/v1/send` is not `/v1/{secret.account}/send`",
        ),
        (
            sent("/v1/me/send", key, BODY),
            "`v` of the query is missing",
        ),
        (
            sent("/v1/me/send?v=3", key, BODY),
            "`v` of the query is `3`, and not `2`",
        ),
        (
            sent("/v1/me/send?v=2&w=1", key, BODY),
            "the query has `w`, which the profile does not",
        ),
        (
            sent("/v1/me/send?v=2&v=2", key, BODY),
            "the query has `v` more than once",
        ),
        (
            sent(path, "hush", BODY),
            "the header authorization is missing",
        ),
        (sent(path, key, "{\"id\":"), "the body is no JSON"),
        (
            changed("7,", "\"7\","),
            "`/id` is a text, and must be a number",
        ),
        (changed("7,", "0,"), "`/id`: `0` is no id of a message"),
        (changed("7916", "+7916"), "no phone number of digits alone"),
        (
            changed("\"text\"", "\"txt\""),
            "`/text` is missing; `/txt` is there",
        ),
        (
            changed("\"a\"", "\"д\""),
            "the encoding is `0`, but the text needs `8`",
        ),
        (
            changed("hush", "sesame"),
            "`/list/0/key`: {secret.key} differs",
        ),
        (changed("[{", "[{},{"), "`/list` has 2 elements, and not 1"),
        (changed("\"a\"", "1"), "`/text` is no text"),
    ] {
        let misfit = misfit(sent);
        assert!(misfit.contains(wanted), "{wanted}\n{misfit}");
        assert!(
            !misfit.contains("hush") && !misfit.contains("sesame"),
            "{misfit}"
        );
    }
}

#[test]
fn a_request_of_another_method_or_type_does_not_fit() {
    let mut get = sent("/v1/me/send?v=2", "Bearer hush", BODY);
    *get.method_mut() = http::Method::GET;
    assert!(misfit(get).contains("the method is GET, and not POST"));

    let mut form = sent("/v1/me/send?v=2", "Bearer hush", BODY);
    form.headers_mut()
        .insert("content-type", "text/plain".parse().expect("a value"));
    let misfit = misfit(form);
    assert!(
        misfit.contains("the content-type is `text/plain`, and not application/json"),
        "{misfit}"
    );
}

#[test]
fn a_broken_body_with_secrets_is_not_shown() {
    let profile = built_in::find("smsc.ru").expect("a profile");
    let reader = profile.reader();
    let shown = reader.masked(&sent("/rest/send/", "Bearer hush", "{\"apikey\":\"hush\""));
    assert!(!shown.contains("hush"), "{shown}");
    assert!(shown.contains("(16 bytes that are no JSON)"), "{shown}");
}
