//! Deliveries: what the gateway said later of a message that it had taken.
//!
//! A delivery stands beside the status of a message and never takes its place: a message that has one
//! is `done`.

use serde::{Deserialize, Serialize};

/// The longest error code of a gateway, in characters of ASCII.
pub const ERROR_CODE_CHARS: usize = 16;

/// The way of a message after its gateway took it, as the gateway says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Delivery {
    /// It reached the phone; this is never taken back.
    Delivered,
    /// It did not reach the phone, as far as the gateway knows.
    Undelivered,
}

/// All deliveries, in the order in which they are shown.
pub const DELIVERIES: [Delivery; 2] = [Delivery::Delivered, Delivery::Undelivered];

impl Delivery {
    /// The name that people and programs see.
    pub const fn name(self) -> &'static str {
        match self {
            Delivery::Delivered => "delivered",
            Delivery::Undelivered => "undelivered",
        }
    }

    /// From its name.
    pub fn from_name(name: &str) -> Option<Self> {
        DELIVERIES.into_iter().find(|known| known.name() == name)
    }

    /// True if it takes the place of what was known before: `delivered` stays, and a repeat adds nothing.
    pub fn replaces(self, before: Option<Self>) -> bool {
        before != Some(Delivery::Delivered) && before != Some(self)
    }
}

/// Counts of messages by delivery. Those without one are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryCounts {
    /// Messages that reached their phones.
    pub delivered: u64,
    /// Messages that did not.
    pub undelivered: u64,
}

impl DeliveryCounts {
    /// The count of one delivery.
    pub const fn of(&self, delivery: Delivery) -> u64 {
        match delivery {
            Delivery::Delivered => self.delivered,
            Delivery::Undelivered => self.undelivered,
        }
    }

    /// Adds `n` messages with a delivery.
    pub fn add(&mut self, delivery: Delivery, n: u64) {
        *self.slot(delivery) += n;
    }

    /// Moves one message to a delivery, from the one that it had.
    ///
    /// # Panics
    /// If none had the delivery before: the sums would no longer add up, and the node must stop.
    pub fn shift(&mut self, from: Option<Delivery>, to: Delivery) {
        if let Some(from) = from {
            let left = self.of(from).checked_sub(1);
            *self.slot(from) = left.expect("a delivery that changes was counted before");
        }
        self.add(to, 1);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for delivery in DELIVERIES {
            self.add(delivery, other.of(delivery));
        }
    }

    /// Takes one part's counts out and its later counts in.
    ///
    /// # Panics
    /// If the part was not contained: the sums would no longer add up.
    pub fn replace(&mut self, before: &Self, after: &Self) {
        for delivery in DELIVERIES {
            let rest = self.of(delivery).checked_sub(before.of(delivery));
            *self.slot(delivery) = rest.expect("the whole contains its parts") + after.of(delivery);
        }
    }

    fn slot(&mut self, delivery: Delivery) -> &mut u64 {
        match delivery {
            Delivery::Delivered => &mut self.delivered,
            Delivery::Undelivered => &mut self.undelivered,
        }
    }
}

/// A gateway's own code of an error, as short as such codes are. Empty: it named none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErrorCode(String);

impl ErrorCode {
    /// The beginning of what a gateway calls its error, without what a code cannot have.
    pub fn beginning_of(text: &str) -> Self {
        let visible = text.chars().filter(char::is_ascii_graphic);
        Self(visible.take(ERROR_CODE_CHARS).collect())
    }

    /// True if it is a code: bytes of a command may be anything.
    pub(crate) fn is_valid(&self) -> bool {
        self.0.len() <= ERROR_CODE_CHARS && self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// True if the gateway named none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivered_stays_and_undelivered_may_still_be_delivered() {
        use Delivery::{Delivered, Undelivered};
        assert!(Delivered.replaces(None) && Undelivered.replaces(None));
        assert!(Delivered.replaces(Some(Undelivered)));
        assert!(!Undelivered.replaces(Some(Delivered)));
        assert!(!Delivered.replaces(Some(Delivered)));
        assert!(!Undelivered.replaces(Some(Undelivered)));
    }

    #[test]
    fn a_code_is_the_visible_beginning_of_what_the_gateway_wrote() {
        assert_eq!(ErrorCode::beginning_of("30 003").as_str(), "30003");
        assert_eq!(ErrorCode::beginning_of("нет абонента").as_str(), "");
        let long = ErrorCode::beginning_of("UNKNOWN_SUBSCRIBER_1");
        assert_eq!(long.as_str(), "UNKNOWN_SUBSCRIB");
        assert!(long.is_valid() && !ErrorCode("UNKNOWN_SUBSCRIBER_1".to_owned()).is_valid());
    }
}
