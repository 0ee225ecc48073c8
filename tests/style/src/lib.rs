//! The style of the workspace's code, as far as a machine can measure it.
//!
//! [`Workspace`] reads the production code: the `src` directory of every package. Code of tests is
//! left out: files called `tests.rs`, directories called `tests`, and everything under
//! `#[cfg(test)]`. A *room* is a directory of production code, for example `src/api`.
//!
//! Two things are made of it. [`Figures`](figures::Figures) are the numbers of a room, and
//! `cargo run -p notty-style` prints them as a table. [`rules`] are the questions with a yes or no,
//! and `tests/tidy.rs` of this package asks them, with lists of the code that does not keep them yet.
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

pub mod exceptions;
pub mod rules;

pub mod figures;
pub mod table;

pub use source::SourceFile;
pub use workspace::Workspace;
