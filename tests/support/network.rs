//! A network of three nodes that can be cut: namespaces, and two bridges between them.
//!
//! Over one bridge the nodes talk to each other, over the other one clients and the gateway are
//! reached, which stay in the namespace of the test. Needs root and `ip` (Debian: iproute2).

use std::{
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use super::notty;

/// Nodes of a network.
const NODES: usize = 3;

/// Networks made by this process so far.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A network; taken down when it is let go.
pub struct Network {
    /// Leads the names of all of its parts.
    tag: String,
    /// The first bytes of its addresses: those of peers, and those of clients.
    peers: String,
    clients: String,
}

fn ip(args: &str) -> Result<(), String> {
    let ended = Command::new("ip").args(args.split(' ')).output();
    let ended = ended.map_err(|error| format!("ip: {error}; it is in Debian's iproute2"))?;
    match ended.status.success() {
        true => Ok(()),
        false => Err(format!(
            "ip {args}: {}",
            String::from_utf8_lossy(&ended.stderr).trim()
        )),
    }
}

/// Whether nobody on this machine has addresses that begin so: another process may test, too.
fn is_free(net: &str) -> bool {
    let mut shown = Command::new("ip");
    shown.args(["-o", "addr", "show", "to", &format!("{net}.0/24")]);
    shown.output().is_ok_and(|shown| shown.stdout.is_empty())
}

/// The binary, in a namespace.
pub fn in_namespace(namespace: &str) -> Command {
    let binary = notty().get_program().to_owned();
    let mut command = Command::new("ip");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
        .args(["netns", "exec", namespace])
        .arg(binary)
        .stdin(std::process::Stdio::null());
    command
}

impl Network {
    /// Makes one; none, with a line that says why, where that cannot be done.
    pub fn make() -> Option<Self> {
        let (process, made) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let tag = format!("n{}x{made}", process % 100_000);
        let net = |side: u32| {
            let tries = (0..200).map(|n| 20 + (process + n) % 200);
            let mut nets = tries.map(|x| format!("10.{x}.{}", (2 * made + side) % 250));
            nets.find(|net| is_free(net)).unwrap_or_default()
        };
        let network = Self {
            tag,
            peers: net(0),
            clients: net(1),
        };
        match network.build() {
            Ok(()) => Some(network),
            Err(why) => {
                println!("SKIPPED: no network can be made to cut a node off: {why}");
                None
            }
        }
    }

    fn build(&self) -> Result<(), String> {
        for (side, net) in [("p", &self.peers), ("c", &self.clients)] {
            let bridge = format!("{}{side}", self.tag);
            ip(&format!("link add {bridge} type bridge"))?;
            ip(&format!("link set {bridge} up"))?;
            for n in 0..NODES {
                let (namespace, link) = (self.namespace(n), format!("{}{side}{n}", self.tag));
                if side == "p" {
                    ip(&format!("netns add {namespace}"))?;
                    ip(&format!("-n {namespace} link set lo up"))?;
                }
                let there = format!("eth{side}");
                ip(&format!(
                    "link add {link} type veth peer name {there} netns {namespace}"
                ))?;
                ip(&format!("link set {link} master {bridge} up"))?;
                ip(&format!(
                    "-n {namespace} addr add {net}.{}/24 dev {there}",
                    n + 1
                ))?;
                ip(&format!("-n {namespace} link set {there} up"))?;
            }
        }
        ip(&format!(
            "addr add {}.254/24 dev {}c",
            self.clients, self.tag
        ))
    }

    /// The namespace of a node.
    pub fn namespace(&self, n: usize) -> String {
        format!("{}n{n}", self.tag)
    }

    /// Peer and API address of each node.
    pub fn places(&self) -> Vec<(String, String)> {
        let place = |n| {
            (
                format!("{}.{n}:7080", self.peers),
                format!("{}.{n}:8080", self.clients),
            )
        };
        (1..=NODES).map(place).collect()
    }

    /// Where a gateway can listen so that all nodes reach it.
    pub fn outside(&self) -> String {
        format!("{}.254:0", self.clients)
    }

    /// Cuts a node off from the others; clients and the gateway still reach it.
    pub fn cut(&self, n: usize) {
        ip(&format!("link set {}p{n} down", self.tag)).expect("it was made");
    }

    /// Lets a node be reached again.
    pub fn heal(&self, n: usize) {
        ip(&format!("link set {}p{n} up", self.tag)).expect("it was made");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // What could not be made is not there.
        for n in 0..NODES {
            let _ = ip(&format!("netns del {}", self.namespace(n)));
        }
        for side in ["p", "c"] {
            let _ = ip(&format!("link del {}{side}", self.tag));
        }
    }
}
