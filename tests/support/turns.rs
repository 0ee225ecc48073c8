//! Turns: as many tests load the processors at once as there are processors.
//!
//! Many tests mostly wait: for a lease to expire, for a time limit, for a clock. They run beside the others
//! (`RUST_TEST_THREADS` in `.cargo/config.toml` allows more tests at once than there are processors). All
//! others take a turn before they start their first process, and hold it to their end, because some measure
//! how long sending pauses, and all would be slower together than one after the other.

use std::{
    cell::OnceCell,
    sync::{Condvar, Mutex, PoisonError},
};

/// The turns that are taken at the moment.
static TAKEN: Mutex<usize> = Mutex::new(0);
/// Notified when a turn is given back.
static GIVEN_BACK: Condvar = Condvar::new();

thread_local! {
    /// The turn of the test on this thread; `None` inside if it needs none.
    static OWN: OnceCell<Option<Turn>> = const { OnceCell::new() };
}

/// A place among the tests that load the processors, given back when its thread ends.
struct Turn;

/// Declares that this test mostly waits and needs no turn. Called before it starts a process.
pub fn waits_mostly() {
    OWN.with(|own| {
        own.get_or_init(|| None);
    });
}

/// Waits for a turn, unless this test has one or needs none.
pub(super) fn take_turn() {
    OWN.with(|own| {
        own.get_or_init(|| Some(Turn::wait()));
    });
}

impl Turn {
    fn wait() -> Self {
        let most = std::thread::available_parallelism().map_or(1, usize::from);
        // A count stays right whatever a test that panicked did meanwhile.
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken >= most {
            taken = GIVEN_BACK
                .wait(taken)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *taken += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        GIVEN_BACK.notify_one();
    }
}
