//! Three nodes: they form a cluster, any of them answers, and the loss of one stops nothing.

mod anywhere;
mod backup;
mod failover;
mod forming;
mod peers;
mod postmen;
mod tls;
