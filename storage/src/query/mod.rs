//! What may be asked of the state. Each question takes a [`Reader`](crate::Reader), looks at a
//! bounded part of the state, and is answered from one position.
//!
//! Long answers come in pages: a page says where the next one begins, and the reader is let go
//! between them, so that entries never wait for a list. Long counts come in [`Parts`].

pub mod customers;
pub mod filtered;
pub mod leases;
pub mod level;
pub mod mailings;
pub mod messages;
pub mod nodes;
pub mod receipts;
pub mod stats;
pub mod time;
pub mod work;

use crate::{error::Error, source::Scan};

/// A long count in bounded parts. All are asked of the same state, by a [`Pin`](crate::Pin), so that
/// entries need not wait for the whole of it.
pub trait Parts {
    /// Looks at the next part; whether there is more.
    fn part<S: Scan>(&mut self, source: &S) -> Result<bool, Error>;
}

/// A bounded part of a long answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// What was found.
    pub items: Vec<T>,
    /// Where the next page begins; none at the end.
    pub next: Option<C>,
}
