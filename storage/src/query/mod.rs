//! What may be asked of the state. Each question takes a [`Reader`](crate::Reader), looks at a
//! bounded part of the state, and is answered from one position.
//!
//! Long answers come in pages: a page says where the next one begins, and the reader is let go
//! between them, so that entries never wait for a list.

pub mod customers;
pub mod leases;
pub mod mailings;
pub mod messages;
pub mod nodes;
pub mod stats;
pub mod work;

/// A bounded part of a long answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// What was found.
    pub items: Vec<T>,
    /// Where the next page begins; none at the end.
    pub next: Option<C>,
}
