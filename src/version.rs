//! The version of this program, with the commit that it was built from.

/// The commit, shortened; `unknown` where the build had none.
pub const COMMIT: &str = env!("NOTTY_COMMIT");

/// Version and commit, like `0.1.0 (c0b893b1f2aa)`; `unknown` where the build had no commit.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("NOTTY_COMMIT"), ")");
