//! Many small worlds played at random, against a plain model of what may have been sent.
//!
//! Each seed is a game of its own; a failure names its seed, and `SEED=n` plays that one alone.

mod chance;
mod common;

/// Games, unless one is asked for.
const SEEDS: u64 = 200;
/// Moves of one game.
const MOVES: u32 = 160;

#[test]
fn nothing_is_sent_twice_and_every_sum_adds_up() {
    if let Some(seed) = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        return assert_eq!(chance::play(seed, 20 * MOVES), Ok(()));
    }
    let workers = std::thread::available_parallelism().map_or(2, usize::from) as u64;
    let faults: Vec<String> = std::thread::scope(|scope| {
        let work = |worker| move || games(worker, workers);
        let games: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(work(worker)))
            .collect();
        games
            .into_iter()
            .filter_map(|game| game.join().expect("a game ends").err())
            .collect()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn games(worker: u64, workers: u64) -> Result<(), String> {
    (0..SEEDS)
        .filter(|seed| seed % workers == worker)
        .try_for_each(|seed| {
            let fault = |_| format!("seed {seed}: it panicked");
            std::panic::catch_unwind(|| chance::play(seed, MOVES)).map_err(fault)?
        })
}
