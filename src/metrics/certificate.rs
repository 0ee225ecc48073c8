//! The end of the certificate that a process shows to its peers.
//!
//! The files are read at the start alone, so the figure never changes.

use prometheus_client::{
    metrics::gauge::ConstGauge,
    registry::{Registry, Unit},
};

/// Adds the time at which the certificate expires, in seconds since 1970; nothing without one.
pub(super) fn register(expires_at: Option<i64>, registry: &mut Registry) {
    let Some(expires_at) = expires_at else {
        return;
    };
    let help = "Time at which the certificate expires that this process shows to its peers, or the first \
                of those that come with it, in seconds since 1970; absent without cluster.tls";
    registry.register_with_unit(
        "peer_certificate_expiry_timestamp",
        help,
        Unit::Seconds,
        ConstGauge::new(expires_at),
    );
}
