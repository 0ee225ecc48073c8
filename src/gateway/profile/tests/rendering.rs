//! Each value is encoded for its place, and what an account lacks is left out.

use std::collections::BTreeMap;

use super::{
    super::{BoundRequest, GatewayAccount, MessageRequest, Profile, encode::id_31},
    REQUEST, envelope,
    script::shown_request,
    with_request,
};
use crate::{config::Secret, gateway::Envelope};

const TEXT: &str = "\"a\"&b=c d/е\n";

fn account(secrets: &[(&str, &str)]) -> GatewayAccount {
    let secret = |(name, value): &(&str, &str)| ((*name).to_owned(), Secret::from(*value));
    let secrets: BTreeMap<_, _> = secrets.iter().map(secret).collect();
    GatewayAccount {
        section: "gateways[0]".to_owned(),
        secrets,
        ..GatewayAccount::default()
    }
}

fn bound(profile: &Profile, account: &GatewayAccount) -> BoundRequest {
    profile.bind(account).expect("an account that fits")
}

fn rendered(profile: &Profile, account: &GatewayAccount) -> String {
    let message = MessageRequest {
        envelope: Envelope {
            receipt_url: "https://n.example/r?k=1",
            ..envelope(TEXT)
        },
        valid_minutes: 90,
    };
    shown_request(&bound(profile, account).request(&message))
}

#[test]
fn a_value_is_encoded_for_its_place() {
    let request = "[request]\nmethod = \"POST\"\nurl = \"https://sms.example/a%20b/{phone}/{secret.key}/\"\n\
                   query = { q = \"{text}\" }\nform = { \"f/1\" = \"x {text}\" }";
    let shown = rendered(&with_request(request), &account(&[("key", "a/b?c")]));
    let value = "%22a%22%26b%3Dc%20d%2F%D0%B5%0A";
    assert_eq!(
        shown,
        format!(
            "POST /a%20b/%2B79161112233/a%2Fb%3Fc/?q={value} HTTP/1.1\nhost: sms.example\n\
             content-type: application/x-www-form-urlencoded\n\n\
             f%2F1=x+%22a%22%26b%3Dc+d%2F%D0%B5%0A\n"
        )
    );
}

#[test]
fn a_json_value_that_is_nothing_but_a_placeholder_keeps_its_type() {
    let json = "json = { a = \"{id}\", b = \"id {id}\", c = \"{id.text}\", d = \"{phone}\", \
                e = \"{phone.number}\", f = \"{text}\", g = \"<{text}>\", h = [true, 1.5, \"{segments}\"], \
                i = \"{secret.key}\", j = \"{{}}\" }";
    let request = format!("{REQUEST}{json}");
    let shown = rendered(&with_request(&request), &account(&[("key", "\"1\"")]));
    let body = shown.split("\n\n").nth(1).expect("a body");
    let value: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let id = (7_u64 << 32) + 12;
    assert_eq!(
        value,
        serde_json::json!({
            "a": id, "b": format!("id {id}"), "c": id.to_string(), "d": "+79161112233",
            "e": 79_161_112_233_u64, "f": TEXT, "g": format!("<{TEXT}>"), "h": [true, 1.5, 1],
            "i": "\"1\"", "j": "{}",
        })
    );
}

#[test]
fn what_an_account_lacks_is_left_out() {
    let json = "json = { m = [{ from = \"{sender}\", text = \"{text.utf16hex}\", hooks = { url = \
                \"{receipt_url}\" } }], valid = \"{valid_minutes}\" }\nreceipts = { dlr = true }";
    let profile = with_request(&format!("{REQUEST}{json}"));
    let body = |account: &GatewayAccount| {
        let shown = rendered(&profile, account);
        shown
            .split("\n\n")
            .nth(1)
            .expect("a body")
            .trim()
            .to_owned()
    };

    let text = "0022006100220026006200".to_owned() + "3D006300200064002F0435000A";
    assert_eq!(
        body(&account(&[])),
        format!(r#"{{"m":[{{"text":"{text}"}}]}}"#)
    );
    let full = GatewayAccount {
        sender: Some("Я \"shop\"".to_owned()),
        has_receipts: true,
        has_validity: true,
        ..account(&[])
    };
    assert_eq!(
        body(&full),
        format!(
            r#"{{"m":[{{"from":"Я \"shop\"","hooks":{{"url":"https://n.example/r?k=1"}},"text":"{text}"}}],"valid":90,"dlr":true}}"#
        )
    );
}

#[test]
fn an_account_has_exactly_what_its_profile_needs() {
    let request =
        format!("{REQUEST}needs = [\"sender\"]\nbasic = \"{{secret.user}}:{{secret.password}}\"");
    let profile = with_request(&request);
    let mut wrong = account(&[("user", "me"), ("pasword", "x")]);
    wrong.url = Some("ftp://sms.example".to_owned());
    let Err(error) = profile.bind(&wrong) else {
        panic!("the account is wrong");
    };
    let error = error.to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 4, "{error}");
    for (line, beginning) in lines.iter().zip([
        "gateways[0].url: `ftp://sms.example` is no URL",
        "gateways[0].secrets.password: it is missing",
        "gateways[0].secrets.pasword: the profile has no such secret; it has password, user",
        "gateways[0].sender: it is missing, and the profile needs it",
    ]) {
        assert!(line.starts_with(beginning), "{line}");
    }
}

#[test]
fn a_secret_that_no_header_can_carry_is_refused_and_not_shown() {
    let profile = with_request(&format!("{REQUEST}bearer = \"{{secret.token}}\""));
    let Err(error) = profile.bind(&account(&[("token", "пароль")])) else {
        panic!("the secret has characters beyond ASCII");
    };
    let error = error.to_string();
    assert!(
        error.contains("`authorization`") && !error.contains("пароль"),
        "{error}"
    );
}

#[test]
fn an_address_of_the_account_stands_for_the_profiles_own() {
    let profile = with_request(&format!("{REQUEST}query = {{ to = \"{{phone}}\" }}"));
    let mut account = account(&[]);
    account.url = Some("http://127.0.0.1:8080".to_owned());
    assert_eq!(bound(&profile, &account).base(), "http://127.0.0.1:8080");
    let shown = rendered(&profile, &account);
    assert!(
        shown.starts_with("POST /?to=%2B79161112233 HTTP/1.1\nhost: 127.0.0.1:8080\n"),
        "{shown}"
    );
}

#[test]
fn the_short_number_of_a_message_never_changes() {
    let ids = [1, 1 << 32, (7 << 32) + 12, (1 << 63) - 1];
    let numbers = ids.map(id_31);
    assert_eq!(
        numbers,
        [1_026_503_201, 1_089_628_437, 1_901_267_988, 775_304_380]
    );
}

#[test]
fn a_message_is_valid_for_two_days_at_most_unless_the_profile_says_otherwise() {
    let most = |limits: &str| with_request(&format!("{REQUEST}{limits}")).valid_minutes();
    assert_eq!(most(""), 2_880);
    assert_eq!(most("[limits]\nconcurrency = 3\n"), 2_880);
    assert_eq!(most("[limits]\nvalid_minutes = 10080\n"), 10_080);
}
