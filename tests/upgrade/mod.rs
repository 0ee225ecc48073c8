//! Versions beside each other: a rolling upgrade, a downgrade, and the data of earlier versions.

mod fixtures;
mod rolling;
