//! Tests that codes are unique, and agree with those of the state.

use std::{collections::BTreeSet, fs, path::Path};

use notty_storage::Rejection;

use super::*;

#[test]
fn no_two_codes_have_one_name() {
    let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(names.len(), Code::ALL.len());
}

#[test]
fn every_code_of_a_domain_value_is_known() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("storage/src/model");
    let mut found = 0;
    for file in fs::read_dir(model).expect("a directory") {
        let text = fs::read_to_string(file.expect("a file").path()).expect("text");
        for made in text.split("Invalid::new(").skip(1) {
            let code = made.split('"').nth(1).expect("a code in quotes");
            assert_eq!(
                Code::known(code).status(),
                StatusCode::BAD_REQUEST,
                "{code}"
            );
            found += 1;
        }
    }
    assert!(
        found >= 10,
        "only {found} codes were found: the search is old"
    );
}

#[test]
fn a_rejection_has_one_name_here_and_in_storage() {
    let text = || String::from("x");
    for rejection in [
        Rejection::CustomerExists,
        Rejection::CustomerNotFound,
        Rejection::CustomerBusy,
        Rejection::MailingExists,
        Rejection::MailingNotFound,
        Rejection::MailingStarted { field: text() },
        Rejection::MailingOver { status: text() },
        Rejection::EndPassed,
        Rejection::TooManyMailings,
        Rejection::NotNow,
        Rejection::NothingToDo,
        Rejection::Exhausted,
        Rejection::PostmanClosed,
        Rejection::PostmanForgotten,
        Rejection::LeaseClosed,
        Rejection::LeaseGap { last: 7 },
        Rejection::TooManyLeases,
        Rejection::KeyReused,
        Rejection::TooManyKeys,
        Rejection::OutOfBounds { what: text() },
        Rejection::DuplicatesNotAccepted,
        Rejection::NodeDismissed,
        Rejection::NoNumbersLeft,
        Rejection::AmbiguousPhone,
        Rejection::MissingPhone,
        Rejection::LevelTooLow {
            needed: 3,
            level: 2,
        },
    ] {
        assert_eq!(
            Code::from(&rejection).name(),
            rejection.code(),
            "{rejection:?}"
        );
    }
}
