//! What the black-box tests share: a node, a practice gateway, a client, and waiting.
//!
//! They know HTTP and the binary only. Every process listens on a port that nobody else has, keeps its
//! data in a directory of its own, and is killed when it is let go.

mod client;
mod cluster;
mod faketime;
mod forgetful;
mod gateway;
mod kannel;
mod network;
mod node;
mod ports;
mod postman;
mod process;
mod provider;
mod release;
mod turns;
mod wait;
mod wire;

pub use client::{Answer, Client};
pub use cluster::{Cluster, Member, SECRET, Shape};
pub use faketime::FakeClock;
pub use forgetful::Forgetful;
pub use gateway::Gateway;
pub use kannel::{Kannel, Submitted, block_of_page};
pub use network::{Network, in_namespace};
pub use node::{Node, Setup, mailing, minutes_from_now, sample_csv, total};
pub(crate) use ports::free_addresses;
pub use postman::Postman;
pub use process::{Ended, Process, notty};
pub use provider::{Deed, Fate, Provider};
pub use release::Release;
pub use turns::waits_mostly;
pub(crate) use wait::eventually;
pub use wire::{Recorder, say, say_in_tls, say_in_tls_at_once};
