//! The column of deliveries of a batch.
//!
//! Two bytes a message, and no byte at all for a batch without receipts. Apart from the other columns
//! because a time takes up to nine bytes there: here it is kept with steps that grow, from a quarter of
//! a second up.

use serde::{Deserialize, Serialize};

use crate::model::Delivery;

/// Bits of the state in a cell.
const STATE_BITS: u32 = 2;
/// Bits of the count of steps in a cell; the bits above them are the size of a step.
const STEP_BITS: u32 = 11;
/// The smallest step, in milliseconds; each size is four times that before it.
const STEP_MS: u64 = 250;
/// The largest size of a step: with it, a cell reaches to 97 days.
const LARGEST: u32 = 7;

/// The delivery of each message of a batch, and how long after the message was taken it was noted. Empty
/// while no message has one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryColumn(Vec<(u8, u8)>);

impl DeliveryColumn {
    /// The delivery of a message, and the milliseconds after its last change of status, rounded down.
    pub fn get(&self, index: usize) -> Option<(Delivery, u64)> {
        let (low, high) = self.0.get(index)?;
        let cell = u16::from_le_bytes([*low, *high]);
        Some((delivery(cell)?, unpacked(cell >> STATE_BITS)))
    }

    /// Sets the delivery of one of `len` messages, noted so many milliseconds after its last change of
    /// status.
    pub fn set(&mut self, index: usize, len: usize, delivery: Delivery, delay_ms: u64) {
        if self.0.is_empty() {
            self.0 = vec![(0, 0); len];
        }
        let cell = packed(delay_ms) << STATE_BITS | state(delivery);
        let [low, high] = cell.to_le_bytes();
        self.0[index] = (low, high);
    }
}

fn delivery(cell: u16) -> Option<Delivery> {
    match cell & ((1 << STATE_BITS) - 1) {
        1 => Some(Delivery::Delivered),
        2 => Some(Delivery::Undelivered),
        _ => None,
    }
}

/// The number of a delivery in a cell. None is ever used for another.
fn state(delivery: Delivery) -> u16 {
    match delivery {
        Delivery::Delivered => 1,
        Delivery::Undelivered => 2,
    }
}

fn step_ms(size: u32) -> u64 {
    STEP_MS << (2 * size)
}

/// A time as a count of the smallest steps that can hold it.
fn packed(ms: u64) -> u16 {
    let most = (1 << STEP_BITS) - 1;
    let fits = |size: &u32| ms / step_ms(*size) <= most;
    let size = (0..=LARGEST).find(fits).unwrap_or(LARGEST);

    let steps = (ms / step_ms(size)).min(most);
    (size << STEP_BITS) as u16 | steps as u16
}

fn unpacked(packed: u16) -> u64 {
    let steps = u64::from(packed & ((1 << STEP_BITS) - 1));
    steps * step_ms(u32::from(packed >> STEP_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn a_delay_loses_a_quarter_of_a_second_or_a_part_of_five_hundred() {
        for ms in [
            0,
            249,
            250,
            9_999,
            511_999,
            512_000,
            3_600_000,
            86_400_000,
            8_000_000_000,
        ] {
            let kept = unpacked(packed(ms));
            assert!(
                kept <= ms && ms - kept <= STEP_MS.max(ms / 500),
                "{ms} became {kept}"
            );
        }
        assert!(unpacked(packed(u64::MAX)) > 97 * 86_400_000 - 5_000_000);
    }

    #[test]
    fn deliveries_take_two_bytes_a_message_and_none_while_there_are_none() {
        let mut column = DeliveryColumn::default();
        let empty = codec::encode(&column).len();
        column.set(999, 1_000, Delivery::Undelivered, 70_000);
        assert_eq!(codec::encode(&column).len(), empty + 3 + 2_000);

        assert_eq!(column.get(999), Some((Delivery::Undelivered, 70_000)));
        assert_eq!(column.get(998), None);
        column.set(999, 1_000, Delivery::Delivered, 80_000);
        assert_eq!(column.get(999), Some((Delivery::Delivered, 80_000)));
    }
}
