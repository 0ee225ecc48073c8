//! Time: the clocks of the machine, the trust in them, and the time of entries.
//!
//! Reading order: [`clock`] is the seam to the machine's clocks; `moment` is one reading of them;
//! `belief` judges the wall clock by what its own machine knows, `doubt` is the answer for people, and
//! `trust` keeps both for this node; `comparison` asks the other voters, `stamp` gives entries their
//! time, and `heir` finds a leader with a better clock. `state_time` reads the time that the state has,
//! and [`lead`] explains a state whose time is ahead of the clock.

pub(crate) mod belief;
pub mod clock;
pub(crate) mod comparison;
pub(crate) mod doubt;
pub(crate) mod heir;
pub mod lead;
pub(crate) mod moment;
pub(crate) mod stamp;
pub(crate) mod state_time;
pub(crate) mod trust;
