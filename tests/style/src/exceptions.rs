//! Lists of the files, rooms and names that do not keep a rule yet. They only get shorter.

use std::collections::BTreeSet;

use crate::rules::Breach;

/// Compares the breaches of a rule with its list. Returns a line for each breach that is
/// not on the list, and for each entry without a breach: it must leave the list, so that it cannot
/// break the rule again unnoticed.
///
/// An entry is the subject of a breach, or a room that holds it.
pub fn complaints(breaches: &[Breach], list: &[&str]) -> Vec<String> {
    let unlisted = breaches
        .iter()
        .filter(|breach| !list.iter().any(|entry| covers(entry, breach)));
    let mut complaints: Vec<String> = unlisted.map(|breach| breach.message.clone()).collect();

    let mut seen = BTreeSet::new();
    for entry in list {
        if !breaches.iter().any(|breach| covers(entry, breach)) {
            complaints.push(format!(
                "`{entry}` keeps the rule now: take it off the list"
            ));
        } else if !seen.insert(entry) {
            complaints.push(format!("`{entry}` is on the list twice"));
        }
    }
    complaints
}

/// True if an entry of a list stands for a breach.
fn covers(entry: &str, breach: &Breach) -> bool {
    let room = breach.subject.rsplit_once('/').map(|(room, _)| room);
    entry == breach.subject || Some(entry) == room
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breach(subject: &str) -> Breach {
        Breach {
            subject: subject.to_owned(),
            message: format!("{subject}: broken"),
        }
    }

    #[test]
    fn a_breach_outside_the_list_is_a_complaint() {
        let breaches = ["src/a.rs", "src/b/c.rs", "src/b/d/e.rs"].map(breach);
        let found = complaints(&breaches, &["src/a.rs", "src/b"]);
        assert_eq!(found, ["src/b/d/e.rs: broken"]);
    }

    #[test]
    fn an_entry_without_a_breach_must_leave_the_list() {
        let found = complaints(&[breach("src/a.rs")], &["src/a.rs", "src/b", "src"]);
        assert_eq!(found, ["`src/b` keeps the rule now: take it off the list"]);
    }

    #[test]
    fn an_entry_stands_on_the_list_once() {
        let found = complaints(&[breach("Error")], &["Error", "Error"]);
        assert_eq!(found, ["`Error` is on the list twice"]);
    }
}
