//! Tests of the counts of a repeated command.

use notty_storage::{
    Origin, Rejection,
    command::{CustomerRow, KeptFields, PutCustomers, PutMode},
    model::{CustomerId, Phone},
};

use super::*;
use crate::api::import::batch::NumberedRows;

/// A command with the rows of lines 2 to 4.
fn three_rows() -> NumberedRows {
    let row = |id: &str| CustomerRow {
        id: CustomerId::parse(id).expect("valid"),
        by_phone: false,
        name: String::new(),
        phone: Phone::parse("+79161112233").expect("valid"),
        tag: 0,
        operator: 0,
        zone: None,
        kept: KeptFields::NONE,
    };

    let put = PutCustomers {
        mode: PutMode::Upsert,
        tags: Vec::new(),
        operators: Vec::new(),
        zones: Vec::new(),
        rows: ["a", "b", "c"].map(row).into(),
    };

    NumberedRows {
        put,
        lines: vec![2, 3, 4],
        first_lines: None,
        origin: Origin::Import {
            import: [1; 16],
            n: 0,
        },
    }
}

/// The command without its first and its last row, which later ones have replaced.
fn repeated() -> NumberedRows {
    three_rows().only(&[(1, KeptFields::NONE)])
}

/// The counts of a reply to some rows, with the lines of those that were refused.
fn counted(
    rows: NumberedRows,
    (created, updated): (u32, u32),
    rejected: &[u32],
) -> (u64, u64, Vec<u64>) {
    let rejections = rejected.iter().map(|row| (*row, Rejection::AmbiguousPhone));
    let written = WrittenBatch {
        rows,
        created,
        updated,
        rejected: rejections.collect(),
        live: Vec::new(),
        index: 1,
    };
    let counted = written.counted();
    let lines = rejected.iter().map(|row| counted.lines[*row as usize]);
    (counted.created, counted.updated, lines.collect())
}

#[test]
fn a_command_counts_what_its_reply_counts() {
    assert_eq!(counted(three_rows(), (2, 0), &[2]), (2, 0, vec![4]));
}

#[test]
fn rows_that_later_ones_have_replaced_count_as_updated() {
    assert_eq!(counted(repeated(), (1, 0), &[]), (1, 2, vec![]));
    assert_eq!(counted(repeated(), (0, 0), &[0]), (0, 2, vec![3]));
}

#[test]
fn a_first_proposal_that_overtakes_its_repeat_counts_for_all_of_its_rows_and_no_others() {
    assert_eq!(counted(repeated(), (2, 0), &[2]), (2, 0, vec![4]));
    assert_eq!(counted(repeated(), (0, 3), &[]), (0, 3, vec![]));
    let twice = repeated().only(&[(0, KeptFields::NAME)]);
    assert_eq!(counted(twice, (1, 1), &[0]), (1, 1, vec![2]));
}

#[test]
fn a_reply_that_was_busy_counts_nothing() {
    assert_eq!(counted(repeated(), (0, 0), &[]), (0, 0, vec![]));
}

#[test]
fn a_row_that_is_written_by_itself_replaces_none() {
    let alone = repeated().alone((0, KeptFields::NONE));
    assert_eq!(counted(alone, (0, 1), &[]), (0, 1, vec![]));
}
