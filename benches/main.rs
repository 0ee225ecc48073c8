//! Micro-benchmarks of what is done for each message, customer or text: `cargo bench`.
//!
//! They show which step became slower, not how fast the service is: that is `notty bench`.

mod language;
mod state;

criterion::criterion_main!(language::benches, state::benches);
