//! Addresses for nodes that are told where to listen, and listen there again after they were away.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
};

/// Where to look, and how many ports there are: below those that the system gives out by itself
/// (Linux: 32768 to 60999), or any connection could come by the port of a node that is down.
const FIRST: u16 = 10_000;
const PORTS: u16 = 20_000;

/// Addresses that are free, and that no other test of this process gets.
pub(crate) fn free_addresses(count: usize) -> Vec<String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that run at once begin apart.
    let begin = (std::process::id() * 997 % u32::from(PORTS)) as u16;
    let address = || loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (begin + next % PORTS) % PORTS;
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    };
    (0..count).map(|_| address()).collect()
}
