//! The same service on a hostile network, with faults drawn from a seed.
//!
//! The real service (raft, storage, post office, postman, API, gateway client) runs as several
//! nodes, with clients and a gateway, in one thread, on simulated clocks, networks and disks. A seed
//! decides everything: the [`plan`] is drawn from it, and with it the history. While it runs and
//! after it, [`invariants`] are checked against what really happened: what the gateway got, what
//! was committed, what clients were told.
//!
//! To read this crate: [`plan`] says what is drawn, and [`scenarios`] what is
//! written down; [`world`] builds it and lets time pass;
//! [`hosts`] are what lives in it, over [`net`], [`disk`] and [`clock`]; [`faults`] strike;
//! [`event`]s tell what happens to the [`stage`], which asks the [`invariants`]; [`convergence`]
//! says what must be reached in the end; [`sweep`] runs many seeds, a process each.

#[cfg(not(any(doc, tokio_unstable)))]
compile_error!(
    "the simulation needs RUSTFLAGS=\"--cfg tokio_unstable\": .cargo/config.toml of the project \
     sets it, unless RUSTFLAGS in the environment replaces it"
);

pub mod plan;
pub mod scenarios;

pub mod event;
pub mod stage;
pub mod trace;

pub mod clock;
pub mod disk;
pub mod net;

pub mod faults;
pub mod hosts;
pub mod world;

pub mod convergence;
pub mod invariants;

pub mod report;
pub mod sweep;
