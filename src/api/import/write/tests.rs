//! Tests of the choice of rows that are written again.

use notty_storage::{
    command::{CustomerRow, PutCustomers, PutMode},
    model::Phone,
};

use super::*;

/// A command with rows of these ids, some of which were refused.
fn written(ids: &[&str], rejected: &[(u32, Rejection)]) -> WrittenBatch {
    let row = |id: &&str| CustomerRow {
        id: CustomerId::parse(id).expect("valid"),
        by_phone: false,
        name: String::new(),
        phone: Phone::parse("+79161112233").expect("valid"),
        tag: 0,
        operator: 0,
        zone: None,
    };
    let put = PutCustomers {
        mode: PutMode::Upsert,
        tags: Vec::new(),
        operators: Vec::new(),
        zones: Vec::new(),
        rows: ids.iter().map(row).collect(),
    };
    let lines = (2..2 + ids.len() as u64).collect();
    let rejected = rejected.to_vec();
    WrittenBatch {
        rows: NumberedRows { put, lines },
        created: 0,
        updated: 0,
        rejected,
        live: Vec::new(),
        index: 1,
    }
}

#[test]
fn rows_without_ids_are_the_same_customers_by_their_phones() {
    let busy = |row| (row, Rejection::CustomerBusy);
    let mut first = written(&["drawn-1", "given"], &[busy(0), busy(1)]);
    let mut second = written(&["drawn-2"], &[]);
    first.rows.put.rows[0].by_phone = true;
    second.rows.put.rows[0].by_phone = true;
    let repeats = to_repeat(&[first, second]);
    assert_eq!(repeats, [vec![1], vec![]]);
}

#[test]
fn a_row_is_not_repeated_once_a_later_one_of_its_id_was_written() {
    let busy = |row| (row, Rejection::CustomerBusy);
    let first = written(
        &["a", "b", "c", "a", "d"],
        &[busy(0), busy(1), busy(2), busy(3)],
    );
    let second = written(&["b", "e", "f"], &[busy(2)]);
    let third = written(&["f", "c"], &[busy(0), (1, Rejection::CustomerExists)]);
    // b was written later, f comes again later; the later c was refused for itself.
    let repeats = to_repeat(&[first, second, third]);
    assert_eq!(repeats, [vec![2, 3], vec![], vec![0]]);
}
