//! Time: the clocks of the machine, the trust in them, and the time of entries.
//!
//! Reading order: [`clock`] is the seam to the machine's clocks; [`trust`] judges one wall clock by
//! what its own machine knows; [`clocks`] compares the clocks of voters and gives entries their time.

pub mod clock;
pub(crate) mod clocks;
pub(crate) mod trust;
