//! The checks of a mailing's fields, for a create, a replace and a preview.

use notty_storage::{
    Timestamp,
    model::{AudienceSpan, Desc, Filter, MailingSpec, MailingText, SendWindow},
};
use serde_json::{Map, Value};

use crate::{
    api::{Code, error::InvalidValue, input::Fields, times::parse_time},
    moderation::Moderation,
};

/// Faults that the fields of a mailing can have.
pub(super) const FIELD_FAULTS: &[Code] = &[
    Code::EmptyText,
    Code::EndBeforeStart,
    Code::ExplicitLanguage,
    Code::InvalidFilter,
    Code::InvalidTime,
    Code::InvalidSendWindow,
    Code::InvalidAudience,
    Code::TooLong,
    Code::ControlCharacter,
    Code::Missing,
    Code::WrongType,
];

/// The read-only field with a time.
pub(super) const CREATED_AT: &str = "created_at";
/// Fields that an answer has. A create leaves them out of account, a replace has checked them before.
pub(super) const READ_ONLY: [&str; 3] = ["status", "caught_up", CREATED_AT];

/// The pattern that matches everything, and counts for an absent filter.
const ALL: &str = "%";

/// The rule for the start and the end of a mailing in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeriodRule {
    /// A create or a replace needs start and end.
    Needed,
    /// They may be absent: a preview does not depend on them.
    Optional,
}

/// Checks a mailing field by field. All fields are checked, also after a fault, so that the answer
/// lists all faults.
pub(super) fn check(
    fields: &mut Fields,
    moderation: Option<&Moderation>,
    rule: PeriodRule,
) -> Option<MailingSpec> {
    for field in READ_ONLY {
        fields.ignore(field);
    }

    let desc = fields.parse_or("desc", "", Desc::parse);
    let text = check_text(fields, moderation);
    let tag_filter = fields.parse_or("tag_filter", ALL, Filter::parse);
    let operator_filter = fields.parse_or("operator_filter", ALL, Filter::parse);
    let phone_filter = fields.parse_or("phone_filter", ALL, Filter::parse);
    let period = check_period(fields, rule);
    let send_window = check_window(fields);
    let audience = fields.parse_or("audience", AudienceSpan::default().name(), check_audience);
    let unique_phones = fields.optional_bool("unique_phones").unwrap_or(true);

    // All faults are noted: from here on, the first missing value ends the check.
    let (start, end) = period?;
    Some(MailingSpec {
        desc: desc?.into_string(),
        text: text?.into_string(),
        start,
        end,
        tag_filter: tag_filter?,
        operator_filter: operator_filter?,
        phone_filter: phone_filter?,
        send_window,
        audience: audience?,
        unique_phones,
    })
}

fn check_audience(text: &str) -> Result<AudienceSpan, InvalidValue> {
    let detail = "until_end or at_start is needed";
    AudienceSpan::from_name(text).ok_or_else(|| InvalidValue::new(Code::InvalidAudience, detail))
}

fn check_text(fields: &mut Fields, moderation: Option<&Moderation>) -> Option<MailingText> {
    let text = fields.parse_needed("text", MailingText::parse)?;
    let found = moderation.and_then(|moderation| moderation.find(text.as_str()));
    let Some(found) = found else {
        return Some(text);
    };

    let detail = format!("the text has explicit language: `{}`", found.word);
    fields.fault("text", Code::ExplicitLanguage, detail);
    None
}

/// Start and end. Absent times of a preview are the beginning of time, which nothing depends on.
fn check_period(fields: &mut Fields, rule: PeriodRule) -> Option<(Timestamp, Timestamp)> {
    let start = check_time(fields, "start", rule);
    let end = check_time(fields, "end", rule);
    if start.zip(end).is_some_and(|(start, end)| end <= start) {
        let detail = "the end must be after the start";
        fields.fault("end", Code::EndBeforeStart, detail);
    }

    let absent = (rule == PeriodRule::Optional).then(Timestamp::default);
    start.or(absent).zip(end.or(absent))
}

fn check_time(fields: &mut Fields, name: &str, rule: PeriodRule) -> Option<Timestamp> {
    let text = match rule {
        PeriodRule::Needed => fields.text(name),
        PeriodRule::Optional => fields.optional_text(name),
    };
    fields.parse(name, text, parse_time)
}

fn check_window(fields: &mut Fields) -> Option<SendWindow> {
    let Value::Object(mut window) = fields.take("send_window")? else {
        let detail = "an object with from and to is needed";
        return fields.wrong_type("send_window", detail);
    };

    // An absent time is an empty text, which is a fault of the window as a whole.
    let from = take_text(&mut window, "from");
    let to = take_text(&mut window, "to");

    // `finish` knows the unknown fields of the body only, not those of an object in it.
    for unknown in window.keys() {
        let field = format!("send_window.{unknown}");
        fields.fault(&field, Code::UnknownField, "there is no such field");
    }

    fields.parse("send_window", Some(from), |from| {
        SendWindow::parse(from, &to)
    })
}

/// Takes a text out of an object. An absent one is empty, which is no time of day.
fn take_text(object: &mut Map<String, Value>, name: &str) -> String {
    match object.remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    }
}
