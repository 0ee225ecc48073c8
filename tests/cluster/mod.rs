//! Several nodes: they form a cluster, any of them answers, the loss of one stops nothing, and they
//! come and go.

mod anywhere;
mod backup;
mod changing;
mod cut_off;
mod failover;
mod forming;
mod freezing;
mod importing;
mod peers;
mod postmen;
mod quiet;
mod reasons;
mod receipts;
mod replacing;
mod scaling;
mod snapshots;
pub(crate) mod tls;
