//! The request of a profile as one account has it: without what the account lacks, and with what its
//! receipts add.

use super::{
    account::GatewayAccount,
    body::{BodyForm, FieldForm, JsonForm, is_whole},
    placeholder::Placeholder,
    request::RequestForm,
};

/// The request without the fields for which the account has no value, and with those of receipts if it
/// asks for them.
pub(super) fn present(form: &RequestForm, account: &GatewayAccount) -> RequestForm {
    let is_absent = |placeholder: &Placeholder| account.lacks(placeholder);
    let mut form = form.clone();
    if account.has_receipts {
        add_receipts(&mut form);
    }

    form.headers
        .retain(|(_, value)| is_whole(value, &is_absent));
    form.query = without_fields(form.query, &is_absent);
    form.body = without(form.body, &is_absent);
    form
}

fn without(body: BodyForm, is_absent: &impl Fn(&Placeholder) -> bool) -> BodyForm {
    match body {
        BodyForm::Json(json) => json
            .without(is_absent)
            .map_or(BodyForm::Empty, BodyForm::Json),
        BodyForm::Form(fields) => BodyForm::Form(without_fields(fields, is_absent)),
        BodyForm::Empty => BodyForm::Empty,
    }
}

fn without_fields(
    mut fields: Vec<FieldForm>,
    is_absent: &impl Fn(&Placeholder) -> bool,
) -> Vec<FieldForm> {
    fields.retain(|(_, value)| is_whole(value, is_absent));
    fields
}

fn add_receipts(form: &mut RequestForm) {
    match std::mem::take(&mut form.receipts) {
        BodyForm::Empty => {}
        BodyForm::Json(added) => add_members(&mut form.body, added),
        BodyForm::Form(added) => fields_of(form).extend(added),
    }
}

fn add_members(body: &mut BodyForm, added: JsonForm) {
    if let (BodyForm::Json(JsonForm::Object(members)), JsonForm::Object(added)) = (body, added) {
        members.extend(added);
    }
}

/// The fields of the form, or else of the query.
fn fields_of(form: &mut RequestForm) -> &mut Vec<FieldForm> {
    match &mut form.body {
        BodyForm::Form(fields) => fields,
        _ => &mut form.query,
    }
}
