//! The practice receipts of every built-in profile: each means what it says to the profile's own
//! `[receipts]`, about the message that it is for.

use notty_storage::model::{MessageId, ReceiptState};

use super::{
    super::{
        AnswerMeaning, FilledReceipt, PracticeReceipt, Profile, WholeAnswer, built_in,
        encode::id_31,
        receipts::{DeliveryReceipt, ReceiptCall, ReceiptSecrets, ReceiptSubject, SubjectForm},
    },
    envelope,
    practising::{found, full_account},
};
use crate::config::Secret;

const TEXT: &str = "Скидка 20% & \"бонус\" €5";

/// The number that stands for the id where none travels.
fn number() -> MessageId {
    MessageId::from_u64((1 << 32) + 77).expect("an id")
}

/// The built-in profiles that have receipts.
fn with_receipts() -> impl Iterator<Item = (&'static str, Profile)> {
    let all = built_in::names().map(|name| (name, built_in::find(name).expect(name)));
    all.filter(|(_, profile)| profile.receipts().is_some())
}

/// The receipt of a message, as the node that gets it reads it.
fn read(profile: &Profile, receipt: &PracticeReceipt) -> DeliveryReceipt {
    let account = full_account(profile);
    let message = found(profile, &account, TEXT);
    let form = profile.receipts().expect("receipts");
    let filled = receipt.filled(&message, number());
    let signed = filled.signed(form, &account.secrets).expect("a secret");

    let call = call(&signed);
    form.check_signature(&call, &account.secrets)
        .expect("signed");
    let mut read = form.read(&call).expect("a receipt");
    assert_eq!(read.len(), 1, "{signed:?}");
    read.remove(0)
}

fn call(filled: &FilledReceipt) -> ReceiptCall<'_> {
    ReceiptCall {
        query: &filled.query,
        headers: &filled.headers,
        body: filled.body.as_bytes(),
    }
}

/// The name that receipts of the message must have.
fn subject(profile: &Profile) -> ReceiptSubject {
    let id = envelope(TEXT).id.as_u64();
    match profile.receipts().expect("receipts").subject() {
        SubjectForm::Url => ReceiptSubject::Url,
        SubjectForm::OwnId(_) => ReceiptSubject::OwnId(id),
        SubjectForm::OwnId31(_) => ReceiptSubject::OwnId31(id_31(id)),
        SubjectForm::ProviderId(_) => ReceiptSubject::ProviderId(provider_id(profile)),
    }
}

/// The provider's id in the answer to the same message.
fn provider_id(profile: &Profile) -> String {
    let message = found(profile, &full_account(profile), TEXT);
    let filled = profile.practice()[0].filled(&message, number());
    let answer = WholeAnswer {
        status: filled.status,
        headers: &http::HeaderMap::new(),
        body: filled.body.as_bytes(),
    };
    match profile.judge(answer, &envelope(TEXT)).meaning {
        AnswerMeaning::Taken {
            provider_id: Some(id),
        } => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_receipt_of_every_built_in_profile_is_read_as_what_it_says() {
    for (name, profile) in with_receipts() {
        for receipt in profile.practice_receipts() {
            let read = read(&profile, receipt);
            assert_eq!(read.state, receipt.state(), "{name}");
            assert_eq!(read.subject, subject(&profile), "{name}");
        }
    }
}

#[test]
fn every_state_that_a_built_in_profile_knows_can_be_practised() {
    for (name, profile) in with_receipts() {
        let has = |state| {
            let mut receipts = profile.practice_receipts().iter();
            receipts.any(|receipt| receipt.state() == state)
        };
        assert!(has(ReceiptState::Delivered), "{name}");
        assert!(has(ReceiptState::Progress), "{name}");
        let fails = built_in::text(name).is_some_and(|text| text.contains("\nundelivered = "));
        assert_eq!(has(ReceiptState::Undelivered), fails, "{name}");
    }
}

#[test]
fn a_signature_is_made_with_the_secret_and_never_without_it() {
    let profile = built_in::find("sms.ru").expect("a profile");
    let form = profile.receipts().expect("receipts");
    let filled = profile.practice_receipts()[0].filled_for_nobody();
    assert_eq!(filled.clone().signed(form, &ReceiptSecrets::new()), None);

    let of = |value: &str| ReceiptSecrets::from([("api_id".to_owned(), Secret::from(value))]);
    let signed = filled.signed(form, &of("right")).expect("a secret");
    assert!(form.check_signature(&call(&signed), &of("right")).is_ok());
    assert!(form.check_signature(&call(&signed), &of("wrong")).is_err());
}

#[test]
fn a_header_carries_the_signature_of_a_body() {
    let receipts = "[receipts]\nby = \"id\"\nid = \"id\"\nstate = \"s\"\ndelivered = [1]\n\
                    signature = { kind = \"hmac-sha256\", header = \"X-Sign\", secret = \"sign\" }\n\
                    [[practice_receipt]]\nis = \"delivered\"\njson = { id = \"{id}\", s = 1 }\n";
    let request = "[request]\nmethod = \"POST\"\nurl = \"https://sms.example/\"\n\
                   json = { to = \"{phone}\", text = \"{text}\", id = \"{id}\" }\n";
    let text = format!("{request}{}{receipts}", super::TAKEN);
    let profile = Profile::parse(&text).expect("a profile");
    read(&profile, &profile.practice_receipts()[0]);
}

#[test]
fn a_receipt_that_its_section_reads_otherwise_is_a_fault_of_the_profile() {
    let receipts = "[receipts]\nby = \"url\"\nstate = \"s\"\ndelivered = [1]\n";
    let request = "[request]\nmethod = \"POST\"\nurl = \"https://sms.example/\"\n\
                   form = { to = \"{phone}\", text = \"{text}\", back = \"{receipt_url}\" }\n";
    let calls = "[[practice_receipt]]\nis = \"delivered\"\nform = { s = 2 }\n\
                 [[practice_receipt]]\nis = \"progress\"\nform = { t = 2 }\n\
                 [[practice_receipt]]\nis = \"progress\"\nform = { s = \"{secret.key}\" }\n\
                 [[practice_receipt]]\nis = \"progress\"\nmethod = \"GET\"\nform = { s = 2 }\n\
                 [[practice_receipt]]\nis = \"lost\"\nmethod = \"PUT\"\nform = { s = 2 }\njson = { s = 2 }\n";
    let text = format!("{request}{}{receipts}{calls}", super::TAKEN);
    let faults = Profile::parse(&text).expect_err("faults").to_string();
    for part in [
        "practice_receipt[0]: [receipts] reads `progress` in it, and `is` says `delivered`",
        "practice_receipt[1]: [receipts] cannot read it: a receipt has no `s`",
        "practice_receipt[2]: `{secret.key}` cannot stand in a receipt",
        "practice_receipt[3].method: `GET` has no body",
        "practice_receipt[4].is: `lost` is not `delivered`, `undelivered` or `progress`",
        "practice_receipt[4].method: `PUT` is not `GET` or `POST`",
        "practice_receipt[4].form: `json` is there too",
    ] {
        assert!(faults.contains(part), "{part}\n{faults}");
    }

    let alone = "[[practice_receipt]]\nis = \"delivered\"\nform = { s = 1 }\n";
    let text = format!("{}{}{alone}", super::REQUEST, super::TAKEN);
    let faults = Profile::parse(&text).expect_err("faults").to_string();
    assert!(faults.contains("there is no [receipts]"), "{faults}");
}

#[test]
fn a_receipt_about_another_message_is_a_fault_of_the_profile() {
    let receipts =
        "[receipts]\nby = \"provider_id\"\nid = \"id\"\nstate = \"s\"\ndelivered = [1]\n";
    let practice = "[[answer]]\nif = { at = \"/id\", exists = true }\nis = \"taken\"\n\
                    provider_id = \"/id\"\n\
                    [[practice]]\nname = \"taken\"\nis = \"taken\"\nstatus = 200\n\
                    json = { id = \"m-{id}\" }\n\
                    [[practice_receipt]]\nis = \"delivered\"\nform = { id = \"{id}\", s = 1 }\n";
    let text = format!("{}{practice}{receipts}", super::REQUEST);
    let faults = Profile::parse(&text).expect_err("faults").to_string();
    assert!(
        faults.contains("practice_receipt[0]: [receipts] finds another message in it"),
        "{faults}"
    );
    let right = text.replace("id = \"{id}\", s", "id = \"m-{id}\", s");
    Profile::parse(&right).unwrap_or_else(|error| panic!("{error}"));
}
