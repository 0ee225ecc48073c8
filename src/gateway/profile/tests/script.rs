//! The script of a profile: requests as bytes, and answers with their meanings.
//!
//! A section begins with `== ` and its title. A request's section is its bytes, where the lines of the head
//! end as in a text file. An answer's section has the status, headers, an empty line, the body, and at last
//! the meaning after `=> `.

use http::{HeaderMap, HeaderName, HeaderValue, Request};

use super::super::{AnswerJudgement, AnswerMeaning, HaltScope, LaterScope, WholeAnswer};

/// One section: its title, and its lines.
pub(super) struct Section<'s> {
    pub(super) title: &'s str,
    pub(super) text: &'s str,
}

/// Takes a script apart.
pub(super) fn sections(script: &str) -> Vec<Section<'_>> {
    let parts = script.split("\n== ");
    let sections = parts.skip(1).map(|part| {
        let (title, text) = part.split_once('\n').unwrap_or((part, ""));
        let text = text.trim_end_matches('\n');
        Section { title, text }
    });
    sections.collect()
}

/// The answer of a section, without its meaning.
pub(super) struct ScriptAnswer<'s> {
    pub(super) written: &'s str,
    status: u16,
    headers: HeaderMap,
    body: &'s str,
}

impl<'s> ScriptAnswer<'s> {
    /// Reads an answer; the meaning may be missing yet.
    pub(super) fn parse(text: &'s str) -> Self {
        let written = text.split("\n=> ").next().unwrap_or_default();
        let (head, body) = written.split_once("\n\n").unwrap_or((written, ""));
        let mut lines = head.lines();
        let status = lines.next().expect("a status");
        Self {
            written,
            status: status.parse().expect("a status is a number"),
            headers: lines.map(header).collect(),
            body,
        }
    }

    /// The answer as it is judged.
    pub(super) fn whole(&self) -> WholeAnswer<'_> {
        WholeAnswer {
            status: self.status,
            headers: &self.headers,
            body: self.body.as_bytes(),
        }
    }
}

fn header(line: &str) -> (HeaderName, HeaderValue) {
    let (name, value) = line.split_once(": ").expect("a header");
    let name = name.parse().expect("a header's name");
    (name, value.parse().expect("a header's value"))
}

/// A request as bytes, with the lines of a text file.
pub(super) fn shown_request(request: &Request<bytes::Bytes>) -> String {
    let mut shown = format!("{} {} HTTP/1.1\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        let value = value.to_str().expect("a header is ASCII");
        shown.push_str(&format!("{name}: {value}\n"));
    }
    let body = std::str::from_utf8(request.body()).expect("a body is UTF-8");
    if !body.is_empty() {
        shown.push_str(&format!("\n{body}\n"));
    }
    shown
}

/// A judgement in words.
pub(super) fn shown_judgement(judgement: &AnswerJudgement<'_>) -> String {
    let why = judgement
        .why
        .map_or_else(String::new, |why| format!(": {why}"));
    let rule = judgement.rule.unwrap_or("no rule");
    format!("{}{why} ({rule})", shown_meaning(&judgement.meaning))
}

fn shown_meaning(meaning: &AnswerMeaning) -> String {
    match meaning {
        AnswerMeaning::Taken { provider_id } => match provider_id {
            Some(id) => format!("taken as `{id}`"),
            None => "taken".to_owned(),
        },
        AnswerMeaning::Refused { opted_out: true } => "refused, opted out".to_owned(),
        AnswerMeaning::Refused { opted_out: false } => "refused".to_owned(),
        AnswerMeaning::Later { pause, scope } => {
            let pause = pause.map_or_else(String::new, |pause| format!(" after {pause:?}"));
            match scope {
                LaterScope::Message => format!("later{pause}"),
                LaterScope::Gateway => format!("later{pause}, all messages"),
            }
        }
        AnswerMeaning::Halt { scope } => match scope {
            HaltScope::Gateway => "halt of the gateway".to_owned(),
            HaltScope::Mailing => "halt of the mailing".to_owned(),
        },
        AnswerMeaning::Unsure => "unsure".to_owned(),
    }
}
