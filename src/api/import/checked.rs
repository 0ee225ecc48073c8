//! A row that was checked: its customer, and the fields that the row does not speak of.

use notty_storage::{command::KeptFields, model::Phone};

use crate::{
    api::{
        code::Code,
        customers::{
            check::{CheckedCustomer, IdFrom, check, needed_phone},
            zones::FoundZones,
        },
        error::FieldFault,
        input::Fields,
    },
    named_values::NamedValues,
    rows::{ImportRow, over_lines},
};

/// The field that stays as it is where a column of this name is absent.
fn field_named(name: &str) -> Option<KeptFields> {
    match name {
        "name" => Some(KeptFields::NAME),
        "phone" => Some(KeptFields::PHONE),
        "tag" => Some(KeptFields::TAG),
        "operator" => Some(KeptFields::OPERATOR),
        "timezone" => Some(KeptFields::TIMEZONE),
        _ => None,
    }
}

/// A row that may be written.
pub(super) struct CheckedRow {
    pub(super) line: u64,
    /// Has no phone if the row speaks of none: whoever has the id keeps theirs.
    pub(super) customer: CheckedCustomer<Option<Phone>>,
    /// Fields that stay as they are if the customer exists.
    pub(super) kept: KeptFields,
}

/// A fault of a row: the code of the first one, and all of them in words.
pub(super) type RowFault = (String, String);

/// Checks a row, and returns its customer.
pub(super) fn check_row(row: ImportRow, zones: &mut FoundZones) -> Result<CheckedRow, RowFault> {
    let kept = kept_fields(&row.values);
    let mut fields = Fields::new(row.values);
    let checked = if kept.has(KeptFields::PHONE) {
        check_without_phone(&mut fields, zones)
    } else {
        let some_phone = |fields: &mut Fields| needed_phone(fields).map(Some);
        check(&mut fields, &IdFrom::Body, some_phone, zones)
    };
    let faults = fields.faults();

    // A row with a fault is left out as a whole: half of it would be a customer that nobody has sent.
    match (checked, faults.first()) {
        (Some(customer), None) => Ok(CheckedRow {
            line: row.line,
            customer,
            kept,
        }),

        (_, first) => {
            let code = first.map_or("invalid", |fault| fault.code.name());
            let detail = over_lines(row.line, row.last_line, in_words(&faults));
            Err((code.to_owned(), detail))
        }
    }
}

/// An empty value clears its field; one that is not there says nothing about it.
fn kept_fields(values: &NamedValues) -> KeptFields {
    // One walk over the row's few fields costs less than looking for each.
    let spoken_of = values.names().filter_map(field_named);
    let spoken_of = spoken_of.fold(KeptFields::NONE, KeptFields::and);
    spoken_of.written()
}

/// Checks a row that does not speak of a phone: its id says whose it is.
fn check_without_phone(
    fields: &mut Fields,
    zones: &mut FoundZones,
) -> Option<CheckedCustomer<Option<Phone>>> {
    if !fields.has("id") {
        let detail = "a row needs a phone, or the id of a customer who exists";
        fields.fault("phone", Code::Missing, detail);
    }
    check(fields, &IdFrom::Body, |_| Some(None), zones)
}

fn in_words(faults: &[FieldFault]) -> String {
    let texts: Vec<String> = faults.iter().map(FieldFault::in_words).collect();
    texts.join("; ")
}

#[cfg(test)]
mod tests;
