//! The rules as stories: each directory of `tests/scripts` is one rule, each file a story of it.
//!
//! A story is read before the code is: when a rule changes, its answers change here, and
//! `UPDATE_SCRIPTS=1` writes them again for a person to look at.

mod common;
mod golden;
mod scripting;

use std::path::{Path, PathBuf};

/// Runs every story of one rule.
fn rule(name: &str) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/scripts")
        .join(name);
    let files = std::fs::read_dir(&dir).expect("a rule has a directory of stories");
    let paths = files.map(|file| file.expect("a directory can be listed").path());
    let mut paths: Vec<PathBuf> = paths.collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no stories", dir.display());
    let told = paths.iter().map(|path| scripting::run_file(path));
    let faults: Vec<String> = told.filter_map(Result::err).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

macro_rules! rules {
    ($($test:ident: $name:literal;)+) => {
        $(
            #[test]
            fn $test() {
                rule($name);
            }
        )+

        #[test]
        fn every_directory_is_a_rule() {
            let names = [$($name),+];
            let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
            for entry in std::fs::read_dir(dir).expect("stories have a directory") {
                let name = entry.expect("a directory can be listed").file_name();
                let known = names.iter().any(|known| name.to_str() == Some(known));
                assert!(known, "no test runs the stories of {name:?}");
            }
        }
    };
}

rules! {
    a_lease_has_one_id_and_one_answer: "grant";
    a_newer_postman_closes_the_older: "incarnations";
    a_lease_that_runs_out_sends_nothing_again: "expiry";
    the_ways_back_are_three: "ways_back";
    the_first_report_of_a_token_wins: "first_report_wins";
    a_repeat_is_answered_and_not_executed: "repeats";
    a_row_leaves_alone_what_it_does_not_speak_of: "partial_rows";
    a_deleted_customer_is_reached_no_more_and_revived_once: "deletion_and_revival";
    a_phone_tells_whose_a_row_is_and_gets_one_message_of_a_mailing: "phones";
    who_comes_to_match_later_is_picked_up_once: "late_matches";
    a_message_is_granted_only_in_an_open_zone: "windows_and_zones";
    a_mailing_that_waits_or_is_over_sends_nothing: "pause_cancel_end";
    what_is_over_is_counted_and_then_dropped: "retention";
    every_command_is_bounded: "budgets";
    a_snapshot_holds_the_whole_state: "snapshot";
    a_restored_backup_sends_nothing_by_itself_and_meets_no_id_again: "restore";
    a_nodes_number_and_disk_are_never_used_again: "nodes";
    a_receipt_settles_what_is_in_doubt_and_starts_nothing: "receipts";
    setting_the_time_repeats_nothing_and_makes_nothing_wait: "time";
}
