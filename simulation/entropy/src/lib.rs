//! The system's random numbers, drawn from a seed on the threads that ask for it.
//!
//! Everything random in the process begins with `getrandom`: generators are seeded by it, ids are
//! made of it, hash tables get their keys from it. So one function, replaced here as the `madsim`
//! and `mad-turmoil` simulators do, makes all of it repeatable, in code of others too. Threads that
//! did not ask for a seed (sled's own, a test runner's) get what the system gives. Unlike
//! `mad-turmoil` it leaves the clocks alone: the service reads them through a seam.

use std::{cell::RefCell, fs::File, io::Read};

use rand::{RngCore, SeedableRng, rngs::StdRng};

thread_local! {
    static SEEDED: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

/// From now on the system's random numbers of this thread come from a seed.
pub fn seed_this_thread(seed: u64) {
    SEEDED.with(|rng| *rng.borrow_mut() = Some(StdRng::seed_from_u64(seed)));
}

/// Fills from the seed; false on a thread without one.
fn fill_seeded(bytes: &mut [u8]) -> bool {
    let filled = SEEDED.try_with(|rng| match rng.try_borrow_mut() {
        Ok(mut rng) => rng.as_mut().map(|rng| rng.fill_bytes(bytes)).is_some(),
        Err(_) => false,
    });
    filled.unwrap_or(false)
}

fn fill_from_system(bytes: &mut [u8]) -> bool {
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(bytes))
        .is_ok()
}

/// Takes the place of the C library's function of this name.
///
/// # Safety
///
/// As for `getrandom(2)`: `bytes` points to `len` bytes that may be written.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn getrandom(bytes: *mut u8, len: usize, _flags: u32) -> isize {
    if bytes.is_null() || len == 0 {
        return 0;
    }
    // SAFETY: the caller vouches for it, as it must for the function of the C library.
    let bytes = unsafe { std::slice::from_raw_parts_mut(bytes, len) };
    if fill_seeded(bytes) || fill_from_system(bytes) {
        len as isize
    } else {
        -1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_what_the_thread_draws() {
        let draw = |seed| {
            let drawn = std::thread::spawn(move || {
                seed_this_thread(seed);
                // Both ways to the system that the service uses: generators, and hash tables.
                let keys = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 1);
                (rand::random::<u64>(), keys)
            });
            drawn.join().expect("no panic")
        };
        assert_eq!(draw(7), draw(7));
        let (one, other) = (draw(7), draw(8));
        assert_ne!(one.0, other.0);
        assert_ne!(one.1, other.1);
    }
}
