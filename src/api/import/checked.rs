//! A row that was checked: its customer, and the fields that the row does not speak of.

use notty_storage::command::KeptFields;

use crate::{
    api::{
        customers::{
            check::{CheckedCustomer, IdFrom, check},
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
        "tag" => Some(KeptFields::TAG),
        "operator" => Some(KeptFields::OPERATOR),
        "timezone" => Some(KeptFields::TIMEZONE),
        _ => None,
    }
}

/// A row that may be written.
pub(super) struct CheckedRow {
    pub(super) line: u64,
    pub(super) customer: CheckedCustomer,
    /// Fields that stay as they are if the customer exists.
    pub(super) kept: KeptFields,
}

/// A fault of a row: the code of the first one, and all of them in words.
pub(super) type RowFault = (String, String);

/// Checks a row, and returns its customer.
pub(super) fn check_row(row: ImportRow, zones: &mut FoundZones) -> Result<CheckedRow, RowFault> {
    let kept = kept_fields(&row.values);
    let mut fields = Fields::new(row.values);
    let checked = check(&mut fields, &IdFrom::Body, zones);
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
    // One walk over the row's few fields costs less than looking for each. A row always has a phone.
    let spoken_of = values.names().filter_map(field_named);
    let spoken_of = spoken_of.fold(KeptFields::PHONE, KeptFields::and);
    spoken_of.written()
}

fn in_words(faults: &[FieldFault]) -> String {
    let texts: Vec<String> = faults.iter().map(FieldFault::in_words).collect();
    texts.join("; ")
}
