//! Tests of rows that leave out fields.

use serde_json::{Value, json};

use super::*;

fn checked(values: &Value) -> Result<CheckedRow, RowFault> {
    let values = values.as_object().expect("an object").clone();
    let row = ImportRow {
        line: 2,
        last_line: 2,
        values: values.into(),
    };
    check_row(row, &mut FoundZones::default())
}

#[test]
fn a_row_without_a_phone_keeps_it_where_it_has_an_id() {
    let row = checked(&json!({ "id": "a", "tag": "x" })).expect("right");
    assert_eq!(row.customer.phone, None);
    assert_eq!(row.kept, KeptFields::TAG.written());

    let row = checked(&json!({ "id": "a", "phone": "+79161112233" })).expect("right");
    let phone = row.customer.phone.expect("a phone");
    assert_eq!(phone.digits(), 79_161_112_233);
    assert_eq!(row.kept, KeptFields::PHONE.written());
}

#[test]
fn a_row_needs_an_id_or_a_phone_and_an_empty_phone_is_none() {
    for values in [
        json!({ "tag": "x" }),
        json!({ "id": null, "tag": "x" }),
        json!({ "id": "a", "phone": null }),
    ] {
        let fault = checked(&values).map(|_| ()).expect_err("a fault");
        assert_eq!(fault.0, "missing", "{values}");
        assert!(fault.1.starts_with("phone: "), "{fault:?}");
    }

    let fault = checked(&json!({ "tag": "x" })).map(|_| ());
    let (_, detail) = fault.expect_err("a fault");
    assert!(detail.contains("the id of a customer"), "{detail}");
}
