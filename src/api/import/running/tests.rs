//! Tests of the numbers by which the state knows a repeated command.

use super::*;

#[test]
fn each_command_of_an_import_has_a_number_of_its_own_and_no_two_imports_share_one() {
    let mut numbers = CommandNumbers::draw();
    let import = numbers.import;
    let drawn = [numbers.next(), numbers.next()];
    let wanted = [0, 1].map(|n| Origin::Import { import, n });
    assert_eq!(drawn, wanted);
    assert_ne!(CommandNumbers::draw().import, import);
}
