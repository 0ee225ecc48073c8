//! The style of the workspace's code, as far as a machine can measure it.
//!
//! [`Workspace`] reads the production code: the `src` directory of every package. Code of tests is
//! left out: files called `tests.rs`, directories called `tests`, and everything under
//! `#[cfg(test)]`. A *room* is a directory of production code, for example `src/api`.
//!
//! [`Figures`](figures::Figures) are the numbers of a room; `cargo run -p notty-style` prints them as
//! a table.
//!
//! The package depends on no other one of the workspace, so that a change of the service does not
//! rebuild it, and so that it compiles in seconds.

pub mod tokens;

pub mod source;
pub mod workspace;

pub mod bindings;
pub mod docs;
pub mod functions;
pub mod names;

mod modules;

pub mod circles;

pub mod figures;
pub mod table;

pub use source::SourceFile;
pub use workspace::Workspace;
