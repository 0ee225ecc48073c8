//! Tests of the choice of rows that are written again.

use notty_storage::{
    Origin,
    command::{CustomerRow, PutCustomers, PutMode},
    model::Phone,
};

use super::*;

/// Rows of these ids, which keep some fields.
fn rows(rows: &[(&str, KeptFields)]) -> NumberedRows {
    let row = |(id, kept): &(&str, KeptFields)| CustomerRow {
        id: CustomerId::parse(id).expect("valid"),
        by_phone: false,
        name: String::new(),
        phone: Phone::parse("+79161112233").expect("valid"),
        tag: 0,
        operator: 0,
        zone: None,
        kept: *kept,
    };
    let put = PutCustomers {
        mode: PutMode::Upsert,
        tags: Vec::new(),
        operators: Vec::new(),
        zones: Vec::new(),
        rows: rows.iter().map(row).collect(),
    };
    NumberedRows {
        put,
        lines: (2..2 + rows.len() as u64).collect(),
        first_lines: None,
        origin: Origin::Itself,
    }
}

fn whole(ids: &[&str]) -> NumberedRows {
    let ids: Vec<_> = ids.iter().map(|id| (*id, KeptFields::NONE)).collect();
    rows(&ids)
}

/// A command with such rows, some of which were refused.
fn written(rows: NumberedRows, rejected: &[(u32, Rejection)]) -> EndedBatch {
    let rejected = rejected.to_vec();
    EndedBatch::Written(WrittenBatch {
        rows,
        created: 0,
        updated: 0,
        rejected,
        live: Vec::new(),
        index: 1,
    })
}

fn busy(row: u32) -> (u32, Rejection) {
    (row, Rejection::CustomerBusy)
}

#[test]
fn rows_without_ids_are_the_same_customers_by_their_phones() {
    let mut first = whole(&["drawn-1", "given"]);
    let mut second = whole(&["drawn-2"]);
    first.put.rows[0].by_phone = true;
    second.put.rows[0].by_phone = true;
    let first = written(first, &[busy(0), busy(1)]);
    let repeats = to_repeat(&[first, written(second, &[])]);
    assert_eq!(repeats, [vec![(1, KeptFields::NONE)], vec![]]);
}

#[test]
fn a_row_is_not_repeated_once_a_later_one_of_its_id_was_written() {
    let first = whole(&["a", "b", "c", "a", "d"]);
    let first = written(first, &[busy(0), busy(1), busy(2), busy(3)]);
    let second = written(whole(&["b", "e", "f"]), &[busy(2)]);
    let refused = (1, Rejection::CustomerExists);
    let third = written(whole(&["f", "c"]), &[busy(0), refused]);

    // b was written later, f comes again later; the later c was refused for itself.
    let repeats = to_repeat(&[first, second, third]);
    let again = |row| (row, KeptFields::NONE);
    assert_eq!(repeats, [vec![again(2), again(3)], vec![], vec![again(0)]]);
}

#[test]
fn a_repeated_row_leaves_alone_what_later_rows_of_its_id_write() {
    let all_but = |field: KeptFields| field.written();
    let first = written(rows(&[("a", KeptFields::TAG)]), &[busy(0)]);
    let second = written(rows(&[("a", all_but(KeptFields::NAME))]), &[]);
    let third = written(rows(&[("a", all_but(KeptFields::PHONE))]), &[busy(0)]);

    let later = KeptFields::NAME.and(KeptFields::PHONE);
    let repeats = to_repeat(&[first, second, third]);
    let of_first = (0, KeptFields::TAG.and(later));
    let of_third = (0, all_but(KeptFields::PHONE));
    assert_eq!(repeats, [vec![of_first], vec![], vec![of_third]]);
}

#[test]
fn a_lost_command_is_repeated_whole_and_writes_nothing_over_later_rows() {
    let lost = EndedBatch::Lost(whole(&["a", "b"]).lost(ProposeError::Unknown));
    let later = written(whole(&["b", "c"]), &[]);
    let repeats = to_repeat(&[lost, later]);
    let kept = vec![(0, KeptFields::NONE), (1, KeptFields::ALL)];
    assert_eq!(repeats, [kept, vec![]]);
}
