//! Every fault of a profile is found, all at once, with its key and value.

use super::{super::Profile, REQUEST, TAKEN};

fn faults(text: &str) -> Vec<String> {
    let error = Profile::parse(text).expect_err(text).to_string();
    error.lines().map(str::to_owned).collect()
}

/// The faults of a request, whose lines follow method and URL.
fn of_request(lines: &str) -> Vec<String> {
    faults(&format!("{REQUEST}{lines}\n{TAKEN}"))
}

/// The faults of rules.
fn of_rules(rules: &str) -> Vec<String> {
    faults(&format!("{REQUEST}{rules}"))
}

#[track_caller]
fn assert_one(found: &[String], beginning: &str, part: &str) {
    let [fault] = found else {
        panic!("{found:#?}");
    };
    assert!(
        fault.starts_with(beginning) && fault.contains(part),
        "{fault}"
    );
}

#[test]
fn all_faults_are_found_at_once() {
    let found = faults(
        r#"
colour = "red"
[request]
method = "SEND"
url = "sms.example"
json = { to = "{phon}" }
[[answer]]
if = { status = 1000, at = "id", exists = true }
is = "taken"
provider_id = "/~2"
[[answer]]
if = { body = "(" }
is = "lost"
[limits]
concurrency = 0
"#,
    );
    for beginning in [
        "request.method: `SEND` is not",
        "request.url: `sms.example` is no URL",
        "request.json.to: there is no placeholder `{phon}`; did you mean `phone`?",
        "answer[0].if.status: `1000` is not an HTTP status",
        "answer[0].if.at: `id` is no JSON pointer",
        "answer[0].provider_id: `/~2` has a `~` by itself",
        "answer[1].if.body: `(` is no regular expression",
        "answer[1].is: `lost` is not",
        "limits.concurrency: `0` is not a whole number from 1 to 10000",
        "colour: unknown key",
    ] {
        let count = found.iter().filter(|fault| fault.starts_with(beginning));
        assert_eq!(count.count(), 1, "{beginning}\n{found:#?}");
    }
}

#[test]
fn a_text_that_is_no_toml_is_refused_with_its_line() {
    assert_one(&faults("[request]\nmethod = POST\n"), "line 2: ", "");
}

#[test]
fn a_fault_names_the_line_of_its_key() {
    let text = format!(
        "{REQUEST}[request.json]\nto = \"{{phon}}\"\n\n{TAKEN}\n[[answer]]\nif = {{ status = 7 }}\n"
    );
    let found = faults(&text);
    for (beginning, end) in [
        ("request.json.to: ", " (line 5)"),
        ("answer[1].if.status: ", " (line 12)"),
        ("answer[1].is: it is missing", " (line 11)"),
    ] {
        let fits = |fault: &&String| fault.starts_with(beginning) && fault.ends_with(end);
        assert_eq!(
            found.iter().filter(fits).count(),
            1,
            "{beginning} {found:#?}"
        );
    }
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn a_profile_without_a_taken_rule_is_refused() {
    let found = of_rules("[[answer]]\nif = { status = 400 }\nis = \"refused\"\n");
    assert_one(&found, "answer: ", "no rule is `taken`");
    assert_one(&faults(REQUEST), "answer: ", "no rule is `taken`");
}

#[test]
fn taken_needs_a_sign() {
    for rule in [
        "[[answer]]\nif = { status = 200 }\nis = \"taken\"\n",
        "[[answer]]\nif = { at = \"/error\", exists = false }\nis = \"taken\"\n",
        "[[answer]]\nif = { body = \"\" }\nis = \"taken\"\n",
        "[[answer]]\nif = { body = \".*\" }\nis = \"taken\"\n",
        "[[answer]]\nif = { body = \"^(OK)?\" }\nis = \"taken\"\n",
    ] {
        assert_one(&of_rules(rule), "answer[0].if: ", "needs a sign");
    }
}

#[test]
fn a_rule_that_no_answer_reaches_is_refused() {
    let before = r#"
[[answer]]
if = { status = "2xx", at = "/code", in = [0, 1] }
is = "taken"
[[answer]]
if = { status = 200, at = "/code", equals = 2 }
is = "refused"
[[answer]]
if = { body = "^busy" }
is = "later"
[[answer]]
if = { at = "/no", exists = false }
is = "unsure"
"#;
    for condition in [
        // The same again, a part of it, and both parts of it from two rules.
        r#"{ status = [200, 202], at = "/code", in = [1] }"#,
        r#"{ status = 200, at = "/code", in = [0, 1, 2] }"#,
        r#"[{ status = 200, at = "/code", equals = 0 }, { at = "/id", exists = true }]"#,
        r#"[{ body = "^busy" }, { status = 503 }]"#,
        r#"{ at = "/no/way", exists = false }"#,
        // Contradictions.
        r#"[{ at = "/a", equals = 1 }, { at = "/a", equals = 2 }]"#,
        r#"[{ at = "/a", exists = false }, { at = "/a/b", exists = true }]"#,
        r#"[{ status = 200 }, { status = 400 }]"#,
        r#"{ at = "", exists = false }"#,
    ] {
        let rules = format!("{before}[[answer]]\nif = {condition}\nis = \"unsure\"\n");
        let found = Profile::parse(&format!("{REQUEST}{rules}"));
        if condition.contains("/no/way") {
            // `/no/way` may be missing where `/no` is there.
            found.expect(condition);
            continue;
        }
        let found = found.expect_err(condition).to_string();
        assert!(found.starts_with("answer[4]: "), "{condition}: {found}");
    }
}

#[test]
fn a_rule_that_some_answer_reaches_is_right() {
    let before = r#"
[[answer]]
if = { status = 200, at = "/code", in = [0, 1] }
is = "taken"
[[answer]]
if = { body = "^busy" }
is = "later"
"#;
    for condition in [
        r#"{ status = [200, 202], at = "/code", equals = 1 }"#,
        r#"{ status = 200, at = "/code", in = [1, 2] }"#,
        r#"{ status = 200, at = "/code", equals = "0" }"#,
        r#"{ status = 200, at = "/code", exists = true }"#,
        r#"{ body = "^very busy" }"#,
        r#"{ status = 200 }"#,
    ] {
        let rules = format!("{before}[[answer]]\nif = {condition}\nis = \"unsure\"\n");
        Profile::parse(&format!("{REQUEST}{rules}")).expect(condition);
    }
}

#[test]
fn keys_that_say_nothing_are_refused() {
    let rule = "[[answer]]\nif = { at = \"/id\", exists = true }\nis = \"taken\"\npause_ms = 5\n";
    assert_one(&of_rules(rule), "answer[0].pause_ms: ", "`is` is `taken`");
    let rule =
        format!("{TAKEN}[[answer]]\nif = {{ status = 402 }}\nis = \"halt\"\nscope = \"world\"\n");
    assert_one(
        &of_rules(&rule),
        "answer[1].scope: ",
        "`world` is not `gateway` or `mailing`",
    );
    let rule = format!(
        "{TAKEN}[[answer]]\nif = {{ status = 429 }}\nis = \"later\"\nwait = \"Retry-After\"\n"
    );
    assert_one(&of_rules(&rule), "answer[1].wait: ", "`header:`");
    assert_one(
        &of_request("jsn = { a = 1 }"),
        "request.jsn: ",
        "did you mean `json`?",
    );
}

#[test]
fn a_value_cannot_leave_its_place() {
    for (lines, beginning, part) in [
        (
            "headers = { X-Text = \"{text}\" }",
            "request.headers.X-Text: ",
            "`{text}`",
        ),
        (
            "headers = { Host = \"a\" }",
            "request.headers.Host: ",
            "anyway",
        ),
        (
            "bearer = \"{phone}\"",
            "request.bearer: ",
            "differs from message",
        ),
        (
            "form = { a = \"{text\" }",
            "request.form.a: ",
            "a brace by itself",
        ),
        (
            "form = { a = [1] }",
            "request.form.a: ",
            "not a text or a number",
        ),
        (
            "form = { a = 1 }\njson = { a = 1 }",
            "request.form: ",
            "`json` is there too",
        ),
    ] {
        assert_one(&of_request(lines), beginning, part);
    }

    for (url, part) in [
        ("https://{secret.host}/send", "placeholder in its host"),
        (
            "https://sms.example/send?to={phone}",
            "belongs into `query`",
        ),
        ("https://user:word@sms.example/", "user name or password"),
    ] {
        let text = format!("[request]\nmethod = \"POST\"\nurl = \"{url}\"\n{TAKEN}");
        assert_one(&faults(&text), "request.url: ", part);
    }
    let get =
        format!("[request]\nmethod = \"GET\"\nurl = \"http://a/\"\nform = {{ a = 1 }}\n{TAKEN}");
    assert_one(&faults(&get), "request.method: ", "has no body");
}
