//! Levels: what a version of notty understands, and the level that each write needs.
//!
//! A version that adds a command, or a field that an older version would not heed, raises [`LEVEL`] and
//! names the level here. The proposer withholds such a write until the state says that the cluster
//! stands at that level, so that no member meets what it does not know. This file is the one place that
//! decides it; docs/decisions/052-levels.md has the whole way.

use crate::command::Action;

/// The level of a cluster that has not agreed on another.
pub const FIRST_LEVEL: u32 = 1;

/// The level that this version understands, with all those below it. Version 0.2.0 has the second;
/// the third has receipts, and asks with unwanted mailings.
pub const LEVEL: u32 = 3;

/// The level from which on asks for messages name the mailings that a postman does not want.
pub const UNWANTED_LEVEL: u32 = 3;

/// The version of this notty, as its peers and the state name it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The level at which the cluster must stand before an action may be proposed.
pub fn needed_level(action: &Action) -> u32 {
    match action {
        Action::TryLevel(_) => 2,
        Action::TakeReceipts(_) | Action::SetReceiptSecret(_) => 3,
        _ => FIRST_LEVEL,
    }
}
