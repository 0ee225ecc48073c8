//! Reads `[[practice]]` of a profile: the answers that the practice gateway gives.
//!
//! Each says what it means, and the rules of the profile must agree: so they are examples of the rules as
//! well, which are checked whenever the profile is read.

use http::{HeaderMap, HeaderName, HeaderValue};
use toml::{Table, Value};

use super::{
    body::{JsonForm, template, word},
    fill,
    judge::{AnswerJudgement, AnswerMeaning, WholeAnswer, judge},
    keys::KeyReader,
    placeholder::Placeholder,
    practice_answer::{
        AnswerForm, AnswerKind, AnswerOccasion, AnsweredMessage, FilledAnswer, PracticeAnswer,
    },
    rule::AnswerRule,
    spot::Spot,
    template::Template,
};

/// Reads all answers, in their order, and checks them by the rules.
pub(super) fn answers(
    value: Option<&Value>,
    rules: &[AnswerRule],
    spot: &Spot<'_>,
) -> Vec<PracticeAnswer> {
    let mut answers: Vec<PracticeAnswer> = Vec::new();
    for (n, value) in elements(value, spot).enumerate() {
        let spot = spot.entry(n);
        if let Some(answer) = answer(value, &spot) {
            answer.check(rules, &answers, &spot);
            answers.push(answer);
        }
    }
    answers
}

fn elements<'v>(value: Option<&'v Value>, spot: &Spot<'_>) -> impl Iterator<Item = &'v Value> {
    let list = value.and_then(|value| {
        let wanted = "a list of tables; write [[practice]]";
        spot.expect(value.as_array(), value, wanted)
    });
    list.into_iter().flatten()
}

fn answer(value: &Value, spot: &Spot<'_>) -> Option<PracticeAnswer> {
    let table = spot.expect(value.as_table(), value, "a table")?;
    PracticeAnswer::parse(table, spot)
}

impl PracticeAnswer {
    fn parse(table: &Table, spot: &Spot<'_>) -> Option<Self> {
        let mut keys = KeyReader::new(table, spot.clone());
        let name = keys.required_text("name").map(str::to_owned);
        let kind = kind(&mut keys);
        let occasion = occasion(&mut keys);
        let status = status(&mut keys);
        let headers = headers(&mut keys);
        let body = body(&mut keys);
        keys.finish();

        // Only now: a part that is missing must not hide the faults of the others.
        Some(Self {
            name: name?,
            kind: kind?,
            occasion,
            status: status?,
            headers,
            body: body?,
        })
    }

    fn check(&self, rules: &[AnswerRule], before: &[Self], spot: &Spot<'_>) {
        self.check_placeholders(spot);
        self.check_meaning(rules, spot);
        self.check_name(before, &spot.key("name"));
    }

    fn check_name(&self, before: &[Self], spot: &Spot<'_>) {
        if before.iter().any(|known| known.name == self.name) {
            spot.fault(format!("`{}` is there twice", self.name));
        }
    }

    /// Rejects what is not known of a message, a secret above all.
    fn check_placeholders(&self, spot: &Spot<'_>) {
        let templates = self.body.templates().into_iter();
        let mut placeholders = templates.flat_map(Template::placeholders);
        if let Some(unknown) = placeholders.find(|found| is_unknown(found)) {
            spot.fault(format!("`{unknown}` cannot stand in an answer"));
        }
    }

    /// The meaning of this answer to a message that stands for any.
    pub(super) fn meaning(&self, rules: &[AnswerRule]) -> AnswerMeaning {
        let message = AnsweredMessage::nobody();
        self.judged(rules, message, &self.fill(message)).meaning
    }

    /// Rejects an answer that the rules understand as something else.
    fn check_meaning(&self, rules: &[AnswerRule], spot: &Spot<'_>) {
        let message = AnsweredMessage::nobody();
        let judgement = self.judged(rules, message, &self.fill(message));
        let meant = AnswerKind::of(&judgement.meaning);
        if meant == self.kind {
            return;
        }

        let meant = shown(meant);
        let why = match judgement.rule {
            Some(rule) => format!("{rule} makes it {meant}"),
            None => format!("no rule fits it, so that it is {meant}"),
        };
        let (name, is) = (&self.name, shown(self.kind));
        spot.fault(format!("`{name}`: {why}, and `is` says {is}"));
    }

    fn judged<'p>(
        &self,
        rules: &'p [AnswerRule],
        message: AnsweredMessage<'_>,
        filled: &FilledAnswer,
    ) -> AnswerJudgement<'p> {
        let headers: HeaderMap = self.headers.iter().cloned().collect();
        let whole = WholeAnswer {
            status: filled.status,
            headers: &headers,
            body: filled.body.as_bytes(),
        };
        judge(rules, whole, &message.envelope)
    }
}

/// True for what is not known of a message.
pub(super) fn is_unknown(placeholder: &Placeholder) -> bool {
    let envelope = AnsweredMessage::nobody().envelope;
    fill::of_message(placeholder, &envelope).is_none()
}

fn shown(kind: AnswerKind) -> String {
    let scope = kind.scope().map(|scope| format!(" of the {scope}"));
    format!("`{}`{}", kind.name(), scope.unwrap_or_default())
}

/// Reads `is` and `scope`.
fn kind(keys: &mut KeyReader<'_>) -> Option<AnswerKind> {
    let scope = scope(keys);
    let spot = keys.spot("is");
    let is = keys.required_text("is")?;
    let wanted = "`taken`, `refused`, `later`, `halt` or `unsure`, with `scope` where it is a halt";
    let fault = || format!("`{is}` is not {wanted}");
    spot.keep(kind_of(is, scope).ok_or_else(fault))
}

fn kind_of(is: &str, scope: Option<&str>) -> Option<AnswerKind> {
    let mut kinds = AnswerKind::ALL.into_iter();
    kinds.find(|kind| kind.name() == is && kind.scope() == scope)
}

/// Reads `scope`; `None` for the gateway.
fn scope<'t>(keys: &mut KeyReader<'t>) -> Option<&'t str> {
    keys.text("scope").filter(|scope| *scope != "gateway")
}

/// Reads the key `to`.
fn occasion(keys: &mut KeyReader<'_>) -> Option<AnswerOccasion> {
    let spot = keys.spot("to");
    match keys.text("to")? {
        "wrong secret" => Some(AnswerOccasion::Secret),
        "wrong request" => Some(AnswerOccasion::Request),
        other => spot.keep(Err(format!(
            "`{other}` is not `wrong secret` or `wrong request`"
        ))),
    }
}

fn status(keys: &mut KeyReader<'_>) -> Option<u16> {
    let spot = keys.spot("status");
    let given = keys.value("status").is_some();
    spot.keep(given.then_some(()).ok_or("it is missing".to_owned()))?;
    let status = keys.number("status", 200..=599)?;
    u16::try_from(status).ok()
}

fn headers(keys: &mut KeyReader<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let spot = keys.spot("headers");
    let table = keys.table("headers").cloned().unwrap_or_default();
    let headers = table.iter().filter_map(|header| read_header(header, &spot));
    headers.collect()
}

fn read_header(
    (name, value): (&String, &Value),
    spot: &Spot<'_>,
) -> Option<(HeaderName, HeaderValue)> {
    let fault = || format!("`{name}` is no header");
    let header = header(name, value).ok_or_else(fault);
    spot.key(name).keep(header)
}

fn header(name: &str, value: &Value) -> Option<(HeaderName, HeaderValue)> {
    let text = word(value)?;
    Some((name.parse().ok()?, text.parse().ok()?))
}

/// Reads `json` or `body`; one of them must be there.
fn body(keys: &mut KeyReader<'_>) -> Option<AnswerForm> {
    let json = json(keys);
    let text = text(keys);
    if json.is_some() && text.is_some() {
        let spot = keys.spot("body");
        spot.fault("`json` is there too; an answer has one of them");
    }
    let spot = keys.spot("body");
    let is_missing = "it is missing, and there is no `json`";
    json.or(text)
        .unwrap_or_else(|| spot.keep(Err(is_missing.to_owned())))
}

fn json(keys: &mut KeyReader<'_>) -> Option<Option<AnswerForm>> {
    let spot = keys.spot("json");
    let table = keys.table("json")?;
    let form = JsonForm::object(table, &spot);
    Some(Some(AnswerForm::Json(form)))
}

/// A text; `Some(None)` if one is there, but wrong.
fn text(keys: &mut KeyReader<'_>) -> Option<Option<AnswerForm>> {
    let spot = keys.spot("body");
    let text = keys.text("body")?;
    Some(template(text, &spot).map(AnswerForm::Text))
}
