//! The checks of a customer's fields, for a request and for a row of an import.

use notty_storage::model::{CustomerId, Name, Phone, Word};

use super::zones::FoundZones;
use crate::api::input::{Fields, new_id};

/// A customer that was checked, and is not part of a command yet.
pub(in crate::api) struct CheckedCustomer {
    pub(in crate::api) id: CustomerId,
    /// True if there was no id, and this one was drawn at random.
    pub(in crate::api) has_new_id: bool,
    pub(in crate::api) name: String,
    pub(in crate::api) phone: Phone,
    pub(in crate::api) operator: String,
    pub(in crate::api) tag: String,
    pub(in crate::api) zone: Option<String>,
}

/// The source of a customer's id.
pub(in crate::api) enum IdFrom<'a> {
    /// The body, or else a new UUID.
    Body,
    /// The path; the body may repeat it.
    Path(&'a CustomerId),
}

/// Checks a customer field by field. All fields are checked, also after a fault, so that the answer
/// lists all faults.
pub(in crate::api) fn check(
    fields: &mut Fields,
    id_from: &IdFrom<'_>,
    zones: &mut FoundZones,
) -> Option<CheckedCustomer> {
    let has_new_id = matches!(id_from, IdFrom::Body) && !fields.has("id");
    let id = check_id(fields, id_from);
    let name = fields.parse_or("name", "", Name::parse);
    let phone = fields.parse_needed("phone", Phone::parse);
    let operator = fields.parse_or("operator", "", Word::parse);
    let tag = fields.parse_or("tag", "", Word::parse);
    let zone = check_zone(fields, zones);

    // All faults are noted: from here on, the first missing value ends the check.
    Some(CheckedCustomer {
        id: id?,
        has_new_id,
        name: name?.into_string(),
        phone: phone?,
        operator: operator?.into_string(),
        tag: tag?.into_string(),
        zone: zone?,
    })
}

fn check_id(fields: &mut Fields, id_from: &IdFrom<'_>) -> Option<CustomerId> {
    let given = fields.optional_text("id");

    match id_from {
        IdFrom::Body => {
            // The same rules for a new one: nothing is written under an id that was not parsed.
            let id = given.unwrap_or_else(new_id);
            fields.parse("id", Some(id), CustomerId::parse)
        }

        IdFrom::Path(path) => {
            check_same_id(fields, given, path);
            // A fault of it was noted, and rejects the request once the other fields are checked too.
            Some((*path).clone())
        }
    }
}

/// Rejects an id in the body that is another than the one in the path.
fn check_same_id(fields: &mut Fields, given: Option<String>, path: &CustomerId) {
    let id = fields.parse("id", given, CustomerId::parse);
    if id.is_some_and(|id| id != *path) {
        fields.fault_of_other_id();
    }
}

/// The time zone; the inner `None` if the customer has none, the outer one if it is wrong.
fn check_zone(fields: &mut Fields, zones: &mut FoundZones) -> Option<Option<String>> {
    let Some(text) = fields.optional_text("timezone") else {
        return Some(None);
    };
    let found = fields.parse("timezone", Some(text), |text| zones.find(text));
    found.map(Some)
}
