//! The runtime that openraft works on: tokio, with a source of random numbers that a simulation can
//! seed.
//!
//! openraft draws its election timeouts from a generator that asks the kernel itself. This one asks
//! through the C library as everything else does, so that one seed decides everything.
//!
//! Work that waits for the disk runs beside the tasks of this runtime, or inline in a simulation.
//! All else is tokio's own, passed through.

use std::{future::Future, time::Duration};

use openraft::{AsyncRuntime, OptionalSend, TokioRuntime};
use rand::RngCore;
use tokio::runtime::{Handle, RuntimeFlavor};

/// The runtime of tokio, with random numbers from [`Chance`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runtime;

/// The random generator of the current thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chance;

impl rand_core::RngCore for Chance {
    fn next_u32(&mut self) -> u32 {
        rand::rng().next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        rand::rng().next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        rand::rng().fill_bytes(bytes);
        Ok(())
    }
}

// `rand::rng()` is a cryptographic generator that the system seeds.
impl rand_core::CryptoRng for Chance {}

impl AsyncRuntime for Runtime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> =
        <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = Chance;
    type OneshotSender<T: OptionalSend> = <TokioRuntime as AsyncRuntime>::OneshotSender<T>;
    type OneshotReceiver<T: OptionalSend> = <TokioRuntime as AsyncRuntime>::OneshotReceiver<T>;
    type OneshotReceiverError = <TokioRuntime as AsyncRuntime>::OneshotReceiverError;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        Chance
    }

    fn oneshot<T: OptionalSend>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>) {
        TokioRuntime::oneshot()
    }
}

/// Runs work that waits for the disk: beside the runtime's other tasks where it has more than one
/// thread, inline where it has one (as in a simulation).
pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    if has_threads() {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

/// True if work may go to another thread; a simulation does everything on one.
pub(crate) fn has_threads() -> bool {
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    matches!(flavor, Ok(RuntimeFlavor::MultiThread))
}
