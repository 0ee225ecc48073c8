//! The queue between leases and slots: small leases do not wait behind large ones.
//!
//! Beside a mailing to millions, a postman holds half a second's worth of messages. A mailing to one
//! customer would wait until all of them are begun. So messages of small leases wait in a line of
//! their own, and the slots take from both lines in turns: neither can hold up the other for long,
//! and each keeps its order.

use std::collections::VecDeque;

/// Messages of a small lease, at most: as many as an ordinary gateway takes in some milliseconds.
const SMALL: usize = 64;

/// Two lines that are served in turns.
#[derive(Debug)]
pub(super) struct JobQueue<T> {
    small: VecDeque<T>,
    large: VecDeque<T>,
    /// The line whose turn it is, if both have something.
    small_is_next: bool,
}

impl<T> Default for JobQueue<T> {
    fn default() -> Self {
        Self {
            small: VecDeque::new(),
            large: VecDeque::new(),
            small_is_next: true,
        }
    }
}

impl<T> JobQueue<T> {
    /// Adds the messages of one lease.
    pub(super) fn push(&mut self, jobs: Vec<T>) {
        let line = if jobs.len() <= SMALL {
            &mut self.small
        } else {
            &mut self.large
        };
        line.extend(jobs);
    }

    /// Takes the next message, from both lines in turns.
    pub(super) fn pop(&mut self) -> Option<T> {
        let is_turn_of_small = self.small_is_next;
        self.small_is_next = !is_turn_of_small;

        if is_turn_of_small {
            self.small.pop_front().or_else(|| self.large.pop_front())
        } else {
            self.large.pop_front().or_else(|| self.small.pop_front())
        }
    }

    /// Counts the messages that wait.
    pub(super) fn len(&self) -> usize {
        self.small.len() + self.large.len()
    }

    /// Takes out all messages.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        let small = std::mem::take(&mut self.small);
        small.into_iter().chain(std::mem::take(&mut self.large))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_lease_does_not_wait_behind_a_large_one_nor_the_other_way_round() {
        let mut queue = JobQueue::default();
        queue.push((0..1_000).collect());
        queue.push(vec![5_000]);
        let first: Vec<_> = std::iter::from_fn(|| queue.pop()).take(3).collect();
        assert!(first.contains(&5_000), "{first:?}");

        let mut queue = JobQueue::default();
        for lease in 0..1_000 {
            queue.push(vec![lease]);
        }
        queue.push((5_000..6_000).collect());
        let taken: Vec<_> = std::iter::from_fn(|| queue.pop()).take(1_000).collect();
        let of_large = taken.iter().filter(|job| **job >= 5_000).count();
        assert_eq!(of_large, 500);
    }

    #[test]
    fn every_message_comes_out_once_and_each_line_keeps_its_order() {
        let mut queue = JobQueue::default();
        queue.push((0..200).collect());
        queue.push((1_000..1_050).collect());
        queue.push((200..300).collect());
        queue.push((1_050..1_100).collect());
        assert_eq!(queue.len(), 400);

        let mut taken: Vec<_> = std::iter::from_fn(|| queue.pop()).take(150).collect();
        taken.extend(queue.take_all());
        assert_eq!((queue.len(), queue.pop()), (0, None));
        let (large, small): (Vec<i32>, Vec<i32>) = taken.into_iter().partition(|job| *job < 1_000);
        assert_eq!(large, (0..300).collect::<Vec<_>>());
        assert_eq!(small, (1_000..1_100).collect::<Vec<_>>());
    }
}
