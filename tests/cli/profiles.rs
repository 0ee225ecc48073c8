//! `notty gateways profile` and `notty check-config --profile`: profiles are printed, and checked.

use super::{printed, run};

/// Writes a profile, and checks it.
fn checked(text: &str) -> crate::support::Ended {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("acme.toml");
    std::fs::write(&path, text).expect("a file");
    let path = path.to_str().expect("a path that is UTF-8");
    run(&["check-config", "--profile", path])
}

#[test]
fn a_built_in_profile_is_printed_as_a_profile_that_is_right() {
    for name in ["notty", "kannel", "smsc.ru", "twilio", "messagebird"] {
        let profile = printed(run(&["gateways", "profile", name]));
        let answer = printed(checked(&profile));
        assert!(answer.contains("acme.toml: right\n"), "{name}: {answer}");
    }
}

#[test]
fn a_check_shows_the_request_of_a_sample_message() {
    let profile = printed(run(&["gateways", "profile", "smsaero"]));
    let answer = printed(checked(&profile));
    for part in [
        "secrets: apikey, email\n",
        "POST /v2/sms/send HTTP/1.1\nhost: gate.smsaero.ru\n",
        // email:apikey, since secrets stand for their names
        "authorization: Basic ZW1haWw6YXBpa2V5\n",
        r#"{"number":"79161112233","sign":"SENDER","text":"Hello"}"#,
    ] {
        assert!(answer.contains(part), "{part}\n{answer}");
    }
}

#[test]
fn a_profile_that_is_not_built_in_is_refused_with_the_names_of_all() {
    let ended = run(&["gateways", "profile", "smsc"]);
    let line = ended.one_line(2);
    assert!(
        line.contains("`smsc`") && line.contains("smsc.ru, sms.ru"),
        "{line}"
    );
}

#[test]
fn every_fault_of_a_profile_is_shown_with_its_file_key_and_value() {
    let ended = checked(
        "[request]\nmethod = \"POST\"\nurl = \"https://sms.example/\"\njson = { to = \"{phon}\" }\n\
         [[answer]]\nif = { status = 200 }\nis = \"taken\"\n",
    );
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let [placeholder, sign] = lines[..] else {
        panic!("{ended:?}");
    };
    assert!(placeholder.contains("acme.toml: request.json.to: there is no placeholder `{phon}`"));
    assert!(
        sign.contains("acme.toml: answer[0].if: `taken` needs a sign"),
        "{sign}"
    );
}
