//! Read-only fields in a replace: a client may send back what it has read, but cannot change it.

use notty_storage::{model::MailingId, query};
use serde_json::Value;

use super::{
    bodies::MailingBody,
    check::{CREATED_AT, READ_ONLY},
};
use crate::api::{Api, ApiError, Code, IdempotencyKey, guard, input::Fields, times::parse_time};

/// Notes a fault for each read-only field with another value than the mailing has now.
pub(super) async fn check(
    api: &Api,
    id: &MailingId,
    key: &IdempotencyKey,
    fields: &mut Fields,
) -> Result<(), ApiError> {
    let is_given = |field: &&str| fields.peek(field).is_some();
    let given: Vec<&str> = READ_ONLY.into_iter().filter(is_given).collect();
    if given.is_empty() {
        return Ok(());
    }

    // A node that lags behind would refuse a value that another node has just answered with.
    guard::linearize(api).await?;
    // A repeat gets the first answer, whatever has become of the mailing since.
    if let Some(hash) = key.hash()
        && api.ask(|reader| Ok(query::work::keeps_reply(reader, &hash)))?
    {
        return Ok(());
    }
    let found = api.ask(|reader| query::mailings::get(reader, id))?;
    // The write itself reports that there is no such mailing.
    let Some(mailing) = found else {
        return Ok(());
    };

    let present = serde_json::to_value(MailingBody::from(mailing)).unwrap_or_default();
    for field in given {
        check_field(fields, field, &present[field]);
    }
    Ok(())
}

fn check_field(fields: &mut Fields, field: &str, present: &Value) {
    let given = fields.peek(field);
    if given.is_some_and(|given| is_same(field, given, present)) {
        return;
    }
    let detail =
        format!("this field is read-only, and is {present} now; leave it out, or send that");
    fields.fault(field, Code::ReadOnly, detail);
}

/// True for equal values. One time can be written in several ways.
fn is_same(field: &str, given: &Value, present: &Value) -> bool {
    let time = |value: &Value| value.as_str().and_then(|text| parse_time(text).ok());
    let is_same_time = field == CREATED_AT && time(given) == time(present);
    given == present || (is_same_time && time(given).is_some())
}
