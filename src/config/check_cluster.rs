//! The checks of `[cluster]`: its secrets, its nodes, and this node among them.

use std::net::SocketAddr;

use notty_storage::model::PostmanName;

use super::{
    ClusterConfig, ConfigError, PeerConfig, Secret, check::check_host_and_port, placeholder,
};

/// The shortest secret, in characters. Anybody who can connect can try one at a time.
const SECRET_CHARS: usize = 16;

/// Checks the section as a node needs it.
pub(super) fn check(cluster: &ClusterConfig) -> Result<(), ConfigError> {
    check_node_secrets(cluster)?;

    let listen = &cluster.listen;
    if listen.parse::<SocketAddr>().is_err() {
        let fault = format!("`{listen}` is not an IP address and port, like 0.0.0.0:7080");
        return Err(ConfigError::at("cluster.listen", fault));
    }
    for n in 0..cluster.nodes.len() {
        check_node(&cluster.nodes, n)?;
    }

    check_own_name(cluster)?;
    check_expect(cluster)
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
    let fault = format!("{expect} is not between 1 and {nodes}, the number of [[cluster.nodes]]");
    Err(ConfigError::at("cluster.expect", fault))
}

fn check_node(nodes: &[PeerConfig], n: usize) -> Result<(), ConfigError> {
    let node = &nodes[n];
    let key = format!("cluster.nodes[{n}].name");
    // The node's own postman has its name too, so that it must be a valid one for both.
    PostmanName::parse(&node.name).map_err(|invalid| ConfigError::at(&key, invalid.detail))?;
    if nodes[..n].iter().any(|other| other.name == node.name) {
        return Err(ConfigError::at(
            &key,
            format!("two nodes have the name `{}`", node.name),
        ));
    }
    check_host_and_port(&format!("cluster.nodes[{n}].peer"), &node.peer)
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

/// Rejects the name of a node for a postman by itself: the node's own postman has it already.
pub(super) fn check_postman_name(cluster: &ClusterConfig, name: &str) -> Result<(), ConfigError> {
    if cluster.nodes.iter().all(|node| node.name != name) {
        return Ok(());
    }
    let fault = format!("`{name}` is the name of a node, and of the postman on it; use another");
    Err(ConfigError::at("postman.name", fault))
}

/// Checks the secrets of a postman by itself, which needs either of the two, or certificates.
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
    let secret = &cluster.secret;
    let of_postmen = &cluster.postman_secret;
    check_strength("cluster.secret", secret)?;
    check_strength("cluster.postman_secret", of_postmen)?;

    // With the same secret, a postman could do all that a node does.
    if !of_postmen.is_empty() && secret == of_postmen {
        let fault = "it is the same as cluster.secret, which allows everything; create another with \
                     `openssl rand -hex 32`";
        return Err(ConfigError::at("cluster.postman_secret", fault));
    }
    Ok(())
}

/// Rejects a secret that can be guessed. An empty one is none, which is checked elsewhere.
fn check_strength(key: &str, secret: &Secret) -> Result<(), ConfigError> {
    let chars = secret.expose().chars().count();
    let fault = if placeholder::is_placeholder(secret.expose()) {
        placeholder::fault()
    } else if (1..SECRET_CHARS).contains(&chars) {
        format!("it has {chars} characters, but must have at least {SECRET_CHARS}")
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
