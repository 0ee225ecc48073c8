//! A small world played at random, and a plain model of what may have been sent.

mod at_start;
mod dice;
mod model;
mod moves;
mod play;
mod receipts;

pub(crate) use play::play;
