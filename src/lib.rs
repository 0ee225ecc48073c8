//! notty sends SMS mailings: every customer that a mailing's filters match gets its text between
//! its start and its end, at most once, through an HTTP gateway.
//!
//! A tour, in reading order: [`config`] has all keys. [`server`] puts everything together. A request
//! comes in by [`api`] and becomes a command; the nodes (`notty-raft`) agree on it, and each applies
//! it to its state (`notty-storage`). On the leader, the [`post_office`] decides what is due and grants
//! leases. A [`postman`] asks for leases at a [`desk`] and sends through the [`gateway`], on a node or
//! by itself ([`standalone`]). Gateways report later what became of messages ([`receipts`]). [`backup`] reads and restores backups, and [`cli`] has the commands.

pub mod address;
pub mod config;
pub mod line_queue;
pub mod telemetry;
pub mod version;

pub mod server;
pub mod standalone;
pub mod surroundings;

pub mod api;
pub mod formula;
pub mod moderation;
pub mod named_values;
pub mod rows;
pub mod segments;

pub mod post_office;
pub mod zones;

pub mod desk;
pub mod gateway;
pub mod metrics;
pub mod postman;
pub mod receipts;
pub mod stand_in;

pub mod backup;
pub mod cli;
