//! The checks of `[cluster]`: its secrets, its nodes, and this node among them.

use std::{collections::BTreeMap, net::SocketAddr};

use notty_storage::model::PostmanName;

use super::{
    ClusterConfig, ConfigError, FaultList, PeerConfig, Secret,
    values::{PLACEHOLDER, check_listen_address, check_peer_address},
};
use crate::address::{HostPort, HttpUrl};

/// The shortest secret, in characters. Anybody who can connect can try one at a time.
const SECRET_CHARS: usize = 16;

/// Checks the section as a node needs it, whose postman may have a name of its own.
pub(super) fn check(cluster: &ClusterConfig, postman: &str) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    faults.take(check_node_secrets(cluster));
    faults.take(check_listen(cluster));

    // A section for a postman alone is not for a node: one fault says so.
    if cluster.listen.is_empty() && cluster.nodes.is_empty() {
        return faults.finish();
    }

    let mut peers = BTreeMap::new();
    for (n, node) in cluster.nodes.iter().enumerate() {
        faults.take(check_name(&cluster.nodes, n));
        let key = format!("cluster.nodes[{n}].peer");
        let peer = faults.take(check_peer_address(&key, &node.peer));
        if let Some(peer) = peer {
            faults.take(once(&mut peers, &key, &node.peer, peer, n));
        }

        let key = format!("cluster.nodes[{n}].api");
        faults.take(check_api_url(&key, &node.api));
    }
    faults.take(check_apart(&cluster.nodes));

    faults.take(check_own_name(cluster));
    faults.take(check_expect(cluster));
    faults.take(check_own_postman(cluster, postman));
    faults.finish()
}

/// Rejects an address that belongs to another node, or that nobody can connect to.
fn check_listen(cluster: &ClusterConfig) -> Result<(), ConfigError> {
    let key = "cluster.listen";
    let listen = check_listen_address(key, &cluster.listen, "0.0.0.0:7080")?;
    if listen.port() == 0 {
        let fault = format!("`{listen}` has port 0, which no peer can know; use a fixed port");
        return Err(ConfigError::at(key, fault));
    }

    let others = cluster
        .nodes
        .iter()
        .filter(|node| node.name != cluster.name);
    let mut same = others.filter(|node| node.peer.parse::<SocketAddr>() == Ok(listen));
    let Some(other) = same.next() else {
        return Ok(());
    };
    let fault = format!(
        "{listen} is the address of `{}`, but this is `{}`",
        other.name, cluster.name
    );
    Err(ConfigError::at(key, fault))
}

/// Rejects an address that an earlier node has: one of the two would never be reached.
fn once(
    seen: &mut BTreeMap<(String, u16), usize>,
    key: &str,
    text: &str,
    address: HostPort,
    n: usize,
) -> Result<(), ConfigError> {
    let Some(first) = seen.insert((address.host, address.port), n) else {
        return Ok(());
    };
    let fault =
        format!("`{text}` is the address of cluster.nodes[{first}] too; each node has its own");
    Err(ConfigError::at(key, fault))
}

fn check_api_url(key: &str, url: &str) -> Result<HttpUrl, ConfigError> {
    HttpUrl::parse(url).map_err(|fault| {
        let shown = if url.contains('@') {
            "the URL"
        } else {
            &format!("`{url}`")
        };
        let fault =
            format!("{shown} {fault}; write the URL for clients, like http://10.0.0.1:8080");
        ConfigError::at(key, fault)
    })
}

/// Rejects one address for the peers and the clients of a node.
fn check_apart(nodes: &[PeerConfig]) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    for (n, node) in nodes.iter().enumerate() {
        let api = HttpUrl::parse(&node.api).map(|url| url.host_port());
        if api.is_ok() && api == HostPort::parse(&node.peer) {
            let fault = format!("`{}` has the address for peers, {}", node.api, node.peer);
            faults.add(&format!("cluster.nodes[{n}].api"), fault);
        }
    }
    faults.finish()
}

/// Rejects the name of another node for this node's postman: each would take the other for its
/// successor.
fn check_own_postman(cluster: &ClusterConfig, postman: &str) -> Result<(), ConfigError> {
    if postman == cluster.name {
        return Ok(());
    }
    check_postman_name(cluster, postman)
}

/// Rejects a name that is not in the list: the node takes its own addresses from there.
fn check_own_name(cluster: &ClusterConfig) -> Result<(), ConfigError> {
    let name = &cluster.name;
    if cluster.nodes.iter().any(|node| node.name == *name) {
        return Ok(());
    }
    let fault = format!("no [[cluster.nodes]] has the name `{name}`; add this node");
    Err(ConfigError::at("cluster.name", fault))
}

/// Rejects a number of nodes that can never be there: the first start would wait for ever.
fn check_expect(cluster: &ClusterConfig) -> Result<(), ConfigError> {
    let expect = cluster.expect as usize;
    let nodes = cluster.nodes.len();
    if (1..=nodes).contains(&expect) {
        return Ok(());
    }
    if expect == 0 {
        let fault = format!(
            "it is required: how many nodes form the cluster at its first start, from 1 to {nodes}"
        );
        return Err(ConfigError::at("cluster.expect", fault));
    }
    let fault = format!("{expect} is not between 1 and {nodes}, the number of [[cluster.nodes]]");
    Err(ConfigError::at("cluster.expect", fault))
}

fn check_name(nodes: &[PeerConfig], n: usize) -> Result<(), ConfigError> {
    let name = &nodes[n].name;
    let key = format!("cluster.nodes[{n}].name");
    // The node's own postman has its name too, so that it must be a valid one for both.
    PostmanName::parse(name).map_err(|invalid| ConfigError::at(&key, invalid.detail))?;
    if nodes[..n].iter().any(|other| other.name == *name) {
        return Err(ConfigError::at(
            &key,
            format!("two nodes have the name `{name}`"),
        ));
    }
    Ok(())
}

/// Checks the secrets of a node, which needs one or certificates.
fn check_node_secrets(cluster: &ClusterConfig) -> Result<(), ConfigError> {
    check_secrets(cluster)?;
    if !cluster.secret.is_empty() {
        return Ok(());
    }

    // Certificates can take the place of the secret, but only while postmen have no secret.
    let fault = if cluster.tls.is_none() {
        "it is required without cluster.tls"
    } else if !cluster.postman_secret.is_empty() {
        "it is required with cluster.postman_secret: certificates alone do not tell a postman \
         from a node"
    } else {
        return Ok(());
    };
    Err(missing_secret("cluster.secret", fault))
}

/// Rejects the name of a node for a standalone postman: the node's own postman has it already.
pub(super) fn check_postman_name(cluster: &ClusterConfig, name: &str) -> Result<(), ConfigError> {
    if cluster.nodes.iter().all(|node| node.name != name) {
        return Ok(());
    }
    let fault = format!("`{name}` is the name of a node, and of the postman on it; use another");
    Err(ConfigError::at("postman.name", fault))
}

/// Checks the secrets of a standalone postman, which needs either of the two, or certificates.
pub(super) fn check_postman_secrets(cluster: &ClusterConfig) -> Result<(), ConfigError> {
    check_secrets(cluster)?;
    let has_secret = !cluster.secret.is_empty() || !cluster.postman_secret.is_empty();
    if has_secret || cluster.tls.is_some() {
        return Ok(());
    }
    let fault = "set this or cluster.postman_secret to the value of the nodes, or set cluster.tls";
    Err(ConfigError::at("cluster.secret", fault))
}

/// Checks the secrets that are there.
fn check_secrets(cluster: &ClusterConfig) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    let secret = &cluster.secret;
    let of_postmen = &cluster.postman_secret;
    faults.take(check_strength("cluster.secret", secret));
    faults.take(check_strength("cluster.postman_secret", of_postmen));

    // With the same secret, a postman could do all that a node does.
    if !of_postmen.is_empty() && secret == of_postmen {
        let fault = "it is the same as cluster.secret, which allows everything; create another with \
                     `openssl rand -hex 32`";
        faults.add("cluster.postman_secret", fault);
    }
    faults.finish()
}

/// Rejects a secret that can be guessed. An empty one is none, which is checked elsewhere.
fn check_strength(key: &str, secret: &Secret) -> Result<(), ConfigError> {
    let chars = secret.expose().chars().count();
    let fault = if secret.expose().starts_with(PLACEHOLDER) {
        format!("it begins with `{PLACEHOLDER}`, so it is from an example that everybody can read")
    } else if (1..SECRET_CHARS).contains(&chars) {
        format!("it has {chars} characters, but must have at least {SECRET_CHARS}")
    } else if secret.expose().trim() != secret.expose() {
        "it begins or ends with a space or a line end, which other nodes may not have".to_owned()
    } else {
        return Ok(());
    };
    Err(missing_secret(key, &fault))
}

/// A fault that ends with the way to make a secret.
fn missing_secret(key: &str, fault: &str) -> ConfigError {
    let remedy = "create one with `openssl rand -hex 32`, the same for all nodes";
    ConfigError::at(key, format!("{fault}; {remedy}"))
}
