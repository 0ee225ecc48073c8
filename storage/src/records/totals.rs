//! Counts that outlive the messages they count.

use serde::{Deserialize, Serialize};

use crate::model::{Counts, DeliveryCounts};

/// All messages ever expanded, by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// By status.
    pub counts: Counts,
    /// By delivery.
    pub delivery: DeliveryCounts,
}

/// Messages of settled mailings by customer, for one block of customers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerTotals {
    /// Offset in the block and counts, in the order of offsets.
    pub counts: Vec<(u8, Counts)>,
    /// Offset in the block and deliveries, of those who have any, in the order of offsets.
    pub deliveries: Vec<(u8, DeliveryCounts)>,
}

impl CustomerTotals {
    /// The deliveries of one customer of the block.
    pub fn delivery(&self, offset: u8) -> DeliveryCounts {
        let found = self.deliveries.binary_search_by_key(&offset, |(o, _)| *o);
        found.map_or_else(|_| DeliveryCounts::default(), |at| self.deliveries[at].1)
    }

    /// The deliveries of one customer of the block, made where they are new.
    pub fn delivery_mut(&mut self, offset: u8) -> &mut DeliveryCounts {
        let at = match self.deliveries.binary_search_by_key(&offset, |(o, _)| *o) {
            Ok(at) => at,
            Err(at) => {
                let none = DeliveryCounts::default();
                self.deliveries.insert(at, (offset, none));
                at
            }
        };
        &mut self.deliveries[at].1
    }
}

/// Messages of one tag and operator, in batches that are final but for a few messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facet {
    /// The tag's number.
    pub tag: u32,
    /// The operator's number.
    pub operator: u32,
    /// By status.
    pub counts: Counts,
    /// By delivery.
    pub delivery: DeliveryCounts,
}

/// Messages of one UTC day, in batches that are final but for a few messages, for sixteen tags and sixteen operators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facets {
    /// In the order of tags, then operators.
    pub facets: Vec<Facet>,
}

impl Facets {
    /// Whether one pair is counted.
    pub fn contains(&self, tag: u32, operator: u32) -> bool {
        self.facets
            .binary_search_by_key(&(tag, operator), |f| (f.tag, f.operator))
            .is_ok()
    }

    /// One pair, made where it is new.
    pub fn pair_mut(&mut self, tag: u32, operator: u32) -> &mut Facet {
        let key = (tag, operator);
        let at = match self
            .facets
            .binary_search_by_key(&key, |f| (f.tag, f.operator))
        {
            Ok(at) => at,
            Err(at) => {
                self.facets.insert(
                    at,
                    Facet {
                        tag,
                        operator,
                        counts: Counts::default(),
                        delivery: DeliveryCounts::default(),
                    },
                );
                at
            }
        };
        &mut self.facets[at]
    }
}
