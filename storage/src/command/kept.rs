//! Fields that a write of a customer leaves alone: a file without a column says nothing about it.

use serde::{Deserialize, Serialize};

/// Fields that keep their values where the customer exists. A new customer gets all fields of its row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFields(u8);

impl KeptFields {
    /// No field: the row replaces the customer.
    pub const NONE: Self = Self(0);
    /// Keeps the field `name` alone.
    pub const NAME: Self = Self(1);
    /// Keeps the field `phone` alone.
    pub const PHONE: Self = Self(2);
    /// Keeps the field `tag` alone.
    pub const TAG: Self = Self(4);
    /// Keeps the field `operator` alone.
    pub const OPERATOR: Self = Self(8);
    /// Keeps the field `timezone` alone.
    pub const TIMEZONE: Self = Self(16);
    /// Every field: the row changes nothing where the customer exists.
    pub const ALL: Self = Self(31);

    /// True if all of these fields are kept.
    pub const fn has(self, fields: Self) -> bool {
        self.0 & fields.0 == fields.0
    }

    /// These fields and others.
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// All fields but these: the ones that are written.
    pub const fn written(self) -> Self {
        Self(Self::ALL.0 & !self.0)
    }
}
