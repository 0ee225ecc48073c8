//! Entries that write much.

use notty_storage::{
    Action, Entry, Timestamp,
    command::{CustomerRow, PutCustomers, PutMode},
    model::{CustomerId, Phone},
};

/// A thousand customers with long names.
pub(crate) fn entry(round: u64) -> Entry {
    let row = |n: u64| CustomerRow {
        id: CustomerId::parse(&format!("c-{round}-{n}")).expect("an id"),
        by_phone: false,
        name: format!("{:x}", round * 1_000 + n).repeat((n % 40 + 10) as usize),
        phone: Some(Phone::from_digits(79_160_000_000 + n)),
        tag: 0,
        operator: 0,
        zone: None,
        kept: Default::default(),
    };
    let word = || vec![(String::new(), String::new())];
    let rows = (0..1_000).map(row).collect();
    let (tags, operators, zones) = (word(), word(), Vec::new());
    let put = PutCustomers {
        mode: PutMode::Create,
        tags,
        operators,
        zones,
        rows,
    };
    let commands = vec![Action::PutCustomers(put).into()];
    Entry {
        at: Timestamp::from_millis(1),
        commands,
    }
}
