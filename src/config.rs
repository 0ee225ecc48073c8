//! The configuration: the keys of `config.toml.example`, their defaults, and the checks of their values.
//!
//! Every key is optional. An environment variable overrides a key: `NOTTY_`, then the key's path in
//! capitals with `__` between levels. An error names the key's path, or the file and the line.

use std::{fmt, net::SocketAddr, path::Path, path::PathBuf, time::Duration};

use notty_storage::{
    limits,
    model::{PostmanName, ZoneName},
};
use serde::{Deserialize, Serialize};

use crate::gateway::GatewayOptions;

/// The file that is read by default, if it exists.
pub const DEFAULT_FILE: &str = "config.toml";

/// Milliseconds of a lease beyond the time limits of one request: for waiting and for reporting.
const LEASE_SPARE_MS: u64 = 2_000;

/// Least characters of a cluster's secret. Each connection of a stranger can try one guess.
const SECRET_CHARS: usize = 16;
/// Prefix of the secrets in the example files, which everybody knows.
const PLACEHOLDER: &str = "replace-me";

/// A fault of the configuration, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// A text that never appears in logs or errors.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Returns the secret text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "…" })
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The values of all keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The section `[node]`: data and time zone.
    pub node: NodeConfig,
    /// The section `[api]`: address and tokens.
    pub api: ApiConfig,
    /// The section `[gateway]`: the SMS gateway and its limits.
    pub gateway: GatewayConfig,
    /// Sending from this process.
    pub postman: PostmanConfig,
    /// The section `[lease]`: size and duration of leases.
    pub lease: LeaseConfig,
    /// The section `[retry]`: pauses between tries.
    pub retry: RetryConfig,
    /// How long messages are kept.
    pub retention: RetentionConfig,
    /// The section `[moderation]`: checks of texts.
    pub moderation: ModerationConfig,
    /// The cluster; absent on a node by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterConfig>,
}

/// Data and time zone of this node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// The time zone of customers without one, an IANA name.
    pub timezone: String,
    /// Log since the last snapshot from which a new one is written, in MiB.
    pub compact_log_mb: u64,
}

impl NodeConfig {
    /// The same in bytes.
    pub fn compact_bytes(&self) -> u64 {
        self.compact_log_mb * 1024 * 1024
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            data_dir: "data".into(),
            timezone: "UTC".into(),
            compact_log_mb: 64,
        }
    }
}

/// Address and tokens of the HTTP API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Listen address: IP address and port.
    pub listen: String,
    /// Who may use it; without any it is open, and on loopback only.
    pub tokens: Vec<TokenConfig>,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            tokens: Vec::new(),
        }
    }
}

/// A token of the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Whose it is; appears in logs.
    pub name: String,
    /// The token that requests carry.
    pub token: Secret,
    /// Role that the token gives.
    pub role: Role,
}

/// What a token allows; each role may do all that the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May send requests that only read.
    Reader,
    /// All but the cluster.
    Operator,
    /// May do everything, the cluster included.
    Admin,
}

/// The SMS gateway and its limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Messages go to `{url}/{id}`.
    pub url: String,
    /// Sent as `Authorization: Bearer {token}`.
    pub token: Secret,
    /// Requests in flight from one postman.
    pub concurrency: usize,
    /// Messages a second over the whole cluster; 0: no limit.
    pub rate_limit: u32,
    /// How long connecting may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// From the first byte written to the whole answer, in milliseconds.
    pub timeout_ms: u64,
    /// Answers that leave open whether the message was taken.
    pub unsure_statuses: Vec<u16>,
    /// Whether the gateway drops a repeated message id.
    pub idempotent: bool,
    /// For how many hours it remembers an id.
    pub idempotent_hours: u64,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:9090/v1/send".into(),
            token: Secret::default(),
            concurrency: 256,
            rate_limit: 0,
            connect_timeout_ms: 2_000,
            timeout_ms: 10_000,
            unsure_statuses: vec![502, 504],
            idempotent: false,
            idempotent_hours: 24,
        }
    }
}

impl GatewayConfig {
    /// How the client reaches it.
    pub fn options(&self) -> GatewayOptions {
        GatewayOptions {
            url: self.url.clone(),
            token: self.token.expose().to_owned(),
            connect_timeout: Duration::from_millis(self.connect_timeout_ms),
            timeout: Duration::from_millis(self.timeout_ms),
            unsure_statuses: self.unsure_statuses.clone(),
        }
    }
}

/// Sending from this process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostmanConfig {
    /// Whether this node also sends.
    pub enabled: bool,
    /// The postman's name; empty: the node's.
    pub name: String,
    /// Where the journal lies; empty: in the data directory.
    pub journal_dir: PathBuf,
    /// Peer addresses of the cluster, for a postman by itself.
    pub peers: Vec<String>,
}

impl Default for PostmanConfig {
    fn default() -> Self {
        let (name, journal_dir) = (String::new(), PathBuf::new());
        Self {
            enabled: true,
            name,
            journal_dir,
            peers: Vec::new(),
        }
    }
}

/// Size and duration of leases.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeaseConfig {
    /// Messages of one, at most.
    pub size: u16,
    /// How long one lasts, in milliseconds.
    pub ttl_ms: u64,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self {
            size: 1_000,
            ttl_ms: 30_000,
        }
    }
}

/// Pauses between tries of a message.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// The first pause, in milliseconds; each next one is twice as long.
    pub initial_ms: u64,
    /// The longest pause, in milliseconds.
    pub max_ms: u64,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            initial_ms: 1_000,
            max_ms: 300_000,
        }
    }
}

/// How long messages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days for which messages of finished mailings are kept.
    pub finished_days: f64,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            finished_days: 90.0,
        }
    }
}

impl RetentionConfig {
    /// The same in milliseconds.
    pub fn finished_ms(&self) -> i64 {
        (self.finished_days * 86_400_000.0) as i64
    }
}

/// Checks of texts for explicit language.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModerationConfig {
    /// Whether texts with explicit language are refused.
    pub enabled: bool,
    /// A file with more roots, one a line; empty: none.
    pub words_file: PathBuf,
}

impl Default for ModerationConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            words_file: PathBuf::new(),
        }
    }
}

/// This node in its cluster, and the other nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterConfig {
    /// Where peers are listened to.
    pub listen: String,
    /// What proves a peer to be one.
    pub secret: Secret,
    /// What proves a postman by itself to be one, instead; empty: it needs the other.
    pub postman_secret: Secret,
    /// Name of this node in `nodes`.
    pub name: String,
    /// How many nodes form the cluster.
    pub expect: u32,
    /// Mutual TLS between peers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<PeerTlsConfig>,
    /// The nodes of the cluster, this one included.
    pub nodes: Vec<PeerConfig>,
}

/// Mutual TLS between peers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerTlsConfig {
    /// PEM file of the certificate, with its chain.
    pub cert: PathBuf,
    /// PEM file of the certificate's private key.
    pub key: PathBuf,
    /// Who signs the peers' certificates.
    pub ca: PathBuf,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// Name that no other node has.
    pub name: String,
    /// Where its peers reach it.
    pub peer: String,
    /// Where clients reach it.
    pub api: String,
}

impl Config {
    /// Reads a file (none: `config.toml` if it is there), applies the environment, and checks all.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let config = Self::read(file)?;
        config.check()?;
        Ok(config)
    }

    /// The same for a postman by itself, which needs less.
    pub fn load_postman(file: Option<&Path>) -> Result<Self, ConfigError> {
        let config = Self::read(file)?;
        config.check_postman()?;
        Ok(config)
    }

    fn read(file: Option<&Path>) -> Result<Self, ConfigError> {
        let text = match file {
            Some(path) => Some(read(path)?),
            None if Path::new(DEFAULT_FILE).exists() => Some(read(Path::new(DEFAULT_FILE))?),
            None => None,
        };
        let name = file
            .unwrap_or(Path::new(DEFAULT_FILE))
            .display()
            .to_string();
        Self::from_parts(&name, text.as_deref().unwrap_or_default(), std::env::vars())
    }

    /// The same from parts, not yet checked: a file's name and text, and the environment.
    pub fn from_parts(
        name: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        // Parsed for its own sake first: then an error can say the line.
        toml::from_str::<Config>(text).map_err(|error| parse_error(name, text, &error))?;
        let mut table: toml::Table =
            toml::from_str(text).map_err(|error| parse_error(name, text, &error))?;
        let file = table.clone();
        let environment: Vec<_> = environment.into_iter().collect();
        for (variable, value) in &environment {
            override_key(&mut table, variable, value)?;
        }
        let config: Config = table.try_into().map_err(|error: toml::de::Error| {
            let culprit = environment.iter().find(|(variable, value)| {
                let mut alone = file.clone();
                let set = override_key(&mut alone, variable, value);
                set.is_ok() && alone.try_into::<Config>().is_err()
            });
            let variable = culprit.map_or("environment", |(variable, _)| variable);
            ConfigError(format!("{variable}: {}", one_line(error.message())))
        })?;
        Ok(config)
    }

    /// Checks what a type cannot say: as a node needs it, or as a postman by itself does, if it is
    /// for one alone.
    pub fn check(&self) -> Result<(), ConfigError> {
        let of_a_postman = |cluster: &ClusterConfig| {
            !self.postman.peers.is_empty() && cluster.listen.is_empty() && cluster.nodes.is_empty()
        };
        match self.cluster.as_ref().is_some_and(of_a_postman) {
            true => self.check_postman(),
            false => self.check_node(),
        }
    }

    /// Checks it as a node needs it.
    pub fn check_node(&self) -> Result<(), ConfigError> {
        let fault = |key: &str, what: String| Err(ConfigError(format!("{key}: {what}")));
        if ZoneName::parse(&self.node.timezone).is_err()
            || jiff::tz::TimeZone::get(&self.node.timezone).is_err()
        {
            let what = format!(
                "`{}` is not an IANA time zone, like Europe/Moscow",
                self.node.timezone
            );
            return fault("node.timezone", what);
        }
        if self.node.data_dir.as_os_str().is_empty() {
            return fault(
                "node.data_dir",
                "must name a directory, like `data`".to_owned(),
            );
        }
        within("node.compact_log_mb", self.node.compact_log_mb, 1..=65_536)?;
        self.check_api()?;
        self.cluster.as_ref().map_or(Ok(()), Self::check_cluster)?;
        self.check_ports()?;
        if !(0.0..=36_500.0).contains(&self.retention.finished_days) {
            let what = format!(
                "{} is not between 0 and 36500",
                self.retention.finished_days
            );
            return fault("retention.finished_days", what);
        }
        self.check_sending()
    }

    /// Checks it as a postman by itself needs it.
    pub fn check_postman(&self) -> Result<(), ConfigError> {
        let fault = |key: &str, what: &str| Err(ConfigError(format!("{key}: {what}")));
        if self.postman.peers.is_empty() {
            let what = "`notty postman` needs peer addresses of its cluster's nodes, like \
                        [\"10.0.0.1:7080\"]; a node without a [cluster] section has no peer address: \
                        give it one that names only itself, with expect = 1";
            return fault("postman.peers", what);
        }
        for (n, peer) in self.postman.peers.iter().enumerate() {
            if !is_host_and_port(peer) {
                let what = format!("`{peer}` is not a host and port, like 10.0.0.1:7080");
                return fault(&format!("postman.peers[{n}]"), &what);
            }
        }
        let name = &self.postman.name;
        if name.is_empty() {
            let what = "`notty postman` needs a name that no other postman and no node has; in a \
                        container use the host name (NOTTY_POSTMAN__NAME)";
            return fault("postman.name", what);
        }
        let Some(cluster) = &self.cluster else {
            return fault(
                "cluster.secret",
                "set cluster.postman_secret or cluster.secret to the value of the nodes, or set \
                 cluster.tls",
            );
        };
        if cluster.nodes.iter().any(|node| node.name == *name) {
            let what =
                format!("`{name}` is the name of a node, and of the postman on it; use another");
            return fault("postman.name", &what);
        }
        Self::check_secrets(cluster)?;
        let has_secret = [&cluster.secret, &cluster.postman_secret]
            .iter()
            .any(|secret| !secret.expose().is_empty());
        if !has_secret && cluster.tls.is_none() {
            let what =
                "set this or cluster.postman_secret to the value of the nodes, or set cluster.tls";
            return fault("cluster.secret", what);
        }
        self.check_sending()
    }

    /// Checks what every postman needs.
    fn check_sending(&self) -> Result<(), ConfigError> {
        let fault = |key: &str, what: String| Err(ConfigError(format!("{key}: {what}")));
        within(
            "gateway.concurrency",
            self.gateway.concurrency as u64,
            1..=10_000,
        )?;
        within(
            "gateway.connect_timeout_ms",
            self.gateway.connect_timeout_ms,
            1..=60_000,
        )?;
        within("gateway.timeout_ms", self.gateway.timeout_ms, 1..=300_000)?;
        within(
            "gateway.idempotent_hours",
            self.gateway.idempotent_hours,
            1..=8_760,
        )?;
        if let Some(status) = self
            .gateway
            .unsure_statuses
            .iter()
            .find(|s| !(100..600).contains(*s))
        {
            return fault(
                "gateway.unsure_statuses",
                format!("{status} is not an HTTP status, which has three digits"),
            );
        }
        within(
            "lease.size",
            self.lease.size.into(),
            1..=limits::LEASE_MESSAGES.into(),
        )?;
        within(
            "lease.ttl_ms",
            self.lease.ttl_ms,
            1_000..=limits::LEASE_TTL_MS,
        )?;
        let needed = self.gateway.connect_timeout_ms + self.gateway.timeout_ms + LEASE_SPARE_MS;
        if self.lease.ttl_ms < needed {
            let what = format!(
                "{} is too short: it must be at least gateway.connect_timeout_ms + \
                 gateway.timeout_ms + 2000, which is {needed}",
                self.lease.ttl_ms
            );
            return fault("lease.ttl_ms", what);
        }
        within(
            "retry.initial_ms",
            self.retry.initial_ms,
            1..=limits::RETRY_PAUSE_MS,
        )?;
        within(
            "retry.max_ms",
            self.retry.max_ms,
            self.retry.initial_ms..=limits::RETRY_PAUSE_MS,
        )?;
        if !self.postman.name.is_empty()
            && let Err(invalid) = PostmanName::parse(&self.postman.name)
        {
            return fault("postman.name", invalid.detail);
        }
        Ok(())
    }

    /// A secret must be one that cannot be guessed; an empty one is none.
    fn check_secret(key: &str, secret: &Secret) -> Result<(), ConfigError> {
        let chars = secret.expose().chars().count();
        let what = if secret.expose().starts_with(PLACEHOLDER) {
            format!(
                "it begins with `{PLACEHOLDER}`, so it is from an example that everybody can read"
            )
        } else if (1..SECRET_CHARS).contains(&chars) {
            format!("it has {chars} characters, but must have at least {SECRET_CHARS}")
        } else {
            return Ok(());
        };
        Err(ConfigError(format!(
            "{key}: {what}; create one with `openssl rand -hex 32`, the same for all nodes"
        )))
    }

    /// With certificates there may be no secret.
    fn check_secrets(cluster: &ClusterConfig) -> Result<(), ConfigError> {
        let (secret, postmen) = (&cluster.secret, &cluster.postman_secret);
        Self::check_secret("cluster.secret", secret)?;
        Self::check_secret("cluster.postman_secret", postmen)?;
        if !postmen.expose().is_empty() && secret == postmen {
            let what = "it is the same as cluster.secret, which allows everything; create another with \
                        `openssl rand -hex 32`";
            return Err(ConfigError(format!("cluster.postman_secret: {what}")));
        }
        Ok(())
    }

    /// Checks what a node proves itself with.
    fn check_node_secrets(cluster: &ClusterConfig) -> Result<(), ConfigError> {
        Self::check_secrets(cluster)?;
        if !cluster.secret.expose().is_empty() {
            return Ok(());
        }
        let what = if cluster.tls.is_none() {
            "it is required without cluster.tls"
        } else if !cluster.postman_secret.expose().is_empty() {
            "it is required with cluster.postman_secret: certificates alone do not tell a postman from \
             a node"
        } else {
            return Ok(());
        };
        let make = "create one with `openssl rand -hex 32`, the same for all nodes";
        Err(ConfigError(format!("cluster.secret: {what}; {make}")))
    }

    fn check_cluster(cluster: &ClusterConfig) -> Result<(), ConfigError> {
        let fault = |key: &str, what: String| Err(ConfigError(format!("cluster.{key}: {what}")));
        Self::check_node_secrets(cluster)?;
        if cluster.listen.parse::<SocketAddr>().is_err() {
            let what = format!(
                "`{}` is not an IP address and port, like 0.0.0.0:7080",
                cluster.listen
            );
            return fault("listen", what);
        }
        for (n, node) in cluster.nodes.iter().enumerate() {
            if let Err(invalid) = PostmanName::parse(&node.name) {
                return fault(&format!("nodes[{n}].name"), invalid.detail);
            }
            if cluster.nodes[..n]
                .iter()
                .any(|other| other.name == node.name)
            {
                return fault(
                    &format!("nodes[{n}].name"),
                    format!("two nodes have the name `{}`", node.name),
                );
            }
            if !is_host_and_port(&node.peer) {
                let what = format!("`{}` is not a host and port, like 10.0.0.1:7080", node.peer);
                return fault(&format!("nodes[{n}].peer"), what);
            }
        }
        if !cluster.nodes.iter().any(|node| node.name == cluster.name) {
            let what = format!(
                "no [[cluster.nodes]] has the name `{}`; add this node",
                cluster.name
            );
            return fault("name", what);
        }
        if cluster.expect == 0 || cluster.expect as usize > cluster.nodes.len() {
            let what = format!(
                "{} is not between 1 and {}, the number of [[cluster.nodes]]",
                cluster.expect,
                cluster.nodes.len()
            );
            return fault("expect", what);
        }
        Ok(())
    }

    /// Peers and clients never share a port.
    fn check_ports(&self) -> Result<(), ConfigError> {
        let Some(peers) = self
            .cluster
            .as_ref()
            .and_then(|cluster| cluster.listen.parse().ok())
        else {
            return Ok(());
        };
        let (api, peers): (SocketAddr, SocketAddr) = (self.api_address()?, peers);
        let anywhere = api.ip().is_unspecified() || peers.ip().is_unspecified();
        if peers.port() != 0 && peers.port() == api.port() && (anywhere || peers.ip() == api.ip()) {
            let what =
                format!("{peers} conflicts with api.listen, {api}; use another port for peers");
            return Err(ConfigError(format!("cluster.listen: {what}")));
        }
        Ok(())
    }

    fn check_api(&self) -> Result<(), ConfigError> {
        let listen = &self.api.listen;
        let address: SocketAddr = listen.parse().map_err(|_| {
            ConfigError(format!(
                "api.listen: `{listen}` is not an IP address and port, like 127.0.0.1:8080"
            ))
        })?;
        if self.api.tokens.is_empty() && !address.ip().is_loopback() {
            return Err(ConfigError(format!(
                "api.listen: {listen} can be reached from other machines, but the API has no token; set \
                 api.tokens, or listen on 127.0.0.1"
            )));
        }
        for (n, token) in self.api.tokens.iter().enumerate() {
            if token.token.expose().len() < 8 {
                return Err(ConfigError(format!(
                    "api.tokens[{n}].token: a token must have at least 8 characters"
                )));
            }
            if self.api.tokens[..n]
                .iter()
                .any(|other| other.token == token.token)
            {
                return Err(ConfigError(format!(
                    "api.tokens[{n}].token: an earlier entry has the same token; each needs its own"
                )));
            }
        }
        Ok(())
    }

    /// Where the API listens.
    pub fn api_address(&self) -> Result<SocketAddr, ConfigError> {
        let wrong = |_| {
            ConfigError(format!(
                "api.listen: `{}` is not an address",
                self.api.listen
            ))
        };
        self.api.listen.parse().map_err(wrong)
    }
}

fn within(key: &str, value: u64, range: std::ops::RangeInclusive<u64>) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    Err(ConfigError(format!(
        "{key}: {value} is not between {least} and {most}"
    )))
}

fn is_host_and_port(address: &str) -> bool {
    let parts = address.rsplit_once(':');
    parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|error| ConfigError(format!("{}: {error}", path.display())))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A fault with its file, line, and the key where it can be told.
fn parse_error(name: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let at = error.span().map_or(0, |span| span.start);
    let line = text[..at.min(text.len())].matches('\n').count() + 1;
    let source = text.lines().nth(line - 1).unwrap_or_default().trim();
    let key = source.split('=').next().unwrap_or_default().trim();
    let shown = if key.is_empty() {
        String::new()
    } else {
        format!(" `{key}`:")
    };
    ConfigError(format!(
        "{name}:{line}:{shown} {}",
        one_line(error.message())
    ))
}

/// Every key there is, with a value of its type.
fn known_keys() -> toml::Table {
    let tls = Some(PeerTlsConfig::default());
    let cluster = Some(ClusterConfig {
        tls,
        ..ClusterConfig::default()
    });
    let config = Config {
        cluster,
        ..Config::default()
    };
    toml::Table::try_from(config).expect("the defaults have a TOML form")
}

/// Puts an environment variable's value in its key's place.
fn override_key(table: &mut toml::Table, variable: &str, value: &str) -> Result<(), ConfigError> {
    let Some(path) = variable
        .strip_prefix("NOTTY_")
        .filter(|path| path.contains("__"))
    else {
        return Ok(());
    };
    let path: Vec<String> = path.split("__").map(str::to_lowercase).collect();
    let unknown = || {
        let key = path.join(".");
        ConfigError(format!(
            "environment variable {variable}: there is no key `{key}`; config.toml.example has all keys"
        ))
    };
    let mut known = &toml::Value::Table(known_keys());
    for part in &path {
        known = known.get(part.as_str()).ok_or_else(unknown)?;
    }
    if known.is_table() {
        return Err(unknown());
    }
    // Tokens are not shown.
    let shown = if variable == "NOTTY_API__TOKENS" {
        "…"
    } else {
        value
    };
    let wrong = |what: &str| {
        ConfigError(format!(
            "environment variable {variable}: `{shown}` is not {what}"
        ))
    };
    let value = match known {
        toml::Value::String(_) => toml::Value::String(value.to_owned()),
        toml::Value::Integer(_) => {
            toml::Value::Integer(value.parse().map_err(|_| wrong("a whole number"))?)
        }
        toml::Value::Float(_) => toml::Value::Float(value.parse().map_err(|_| wrong("a number"))?),
        toml::Value::Boolean(_) => {
            toml::Value::Boolean(value.parse().map_err(|_| wrong("`true` or `false`"))?)
        }
        _ => {
            let line = format!("value = {value}");
            let parsed: toml::Table = toml::from_str(&line).map_err(|_| wrong("a TOML value"))?;
            parsed
                .get("value")
                .cloned()
                .ok_or_else(|| wrong("a TOML value"))?
        }
    };
    let (last, levels) = path.split_last().ok_or_else(unknown)?;
    let mut table = table;
    for level in levels {
        let inner = table
            .entry(level.clone())
            .or_insert_with(|| toml::Table::new().into());
        table = inner.as_table_mut().ok_or_else(unknown)?;
    }
    table.insert(last.clone(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let config = Config::from_parts("config.toml", text, environment);
        let config = config.map_err(|error| error.0)?;
        config.check().map_err(|error| error.0)?;
        Ok(config)
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(load("", &[]), Ok(Config::default()));
    }

    #[test]
    fn the_example_is_the_defaults() {
        let example = include_str!("../config.toml.example");
        assert_eq!(load(example, &[]), Ok(Config::default()));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = load("[gateway]\nurl = \"http://x/y\"\nspeed = 9\n", &[]).expect_err("refused");
        assert!(
            error.starts_with("config.toml:3: `speed`: unknown field"),
            "{error}"
        );
    }

    #[test]
    fn a_bad_value_is_named_by_its_path() {
        for (text, wanted) in [
            (
                "[lease]\nsize = 0",
                "lease.size: 0 is not between 1 and 1000",
            ),
            (
                "[api]\nlisten = \"0.0.0.0:1\"",
                "api.listen: 0.0.0.0:1 can be reached from other machines",
            ),
            (
                "[api]\nlisten = \"here\"",
                "api.listen: `here` is not an IP address",
            ),
            (
                "[node]\ntimezone = \"Mars/Base\"",
                "node.timezone: `Mars/Base` is not an IANA",
            ),
            ("[lease]\nttl_ms = 5000", "lease.ttl_ms: 5000 is too short"),
            (
                "[retention]\nfinished_days = -1.0",
                "retention.finished_days: -1",
            ),
            (
                "[gateway]\nconcurrency = \"x\"",
                "config.toml:2: `concurrency`: invalid type",
            ),
        ] {
            let error = load(text, &[]).expect_err(text);
            assert!(error.starts_with(wanted), "{error}");
        }
    }

    #[test]
    fn peers_and_clients_have_their_own_ports() {
        let node = "secret = \"sixteen letters.\"\nexpect = 1\nname = \"a\"\n";
        let list = "[[cluster.nodes]]\nname = \"a\"\npeer = \"h:1\"\napi = \"http://h\"\n";
        for (listen, fits) in [
            ("127.0.0.1:8080", false),
            ("0.0.0.0:8080", false),
            ("127.0.0.2:8080", true),
        ] {
            let text = format!("[cluster]\nlisten = \"{listen}\"\n{node}{list}");
            let text = format!("[api]\nlisten = \"127.0.0.1:8080\"\n{text}");
            match load(&text, &[]) {
                Ok(_) => assert!(fits, "{listen}"),
                Err(error) => {
                    assert!(!fits && error.starts_with("cluster.listen: "), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_secret_is_long_or_there_are_certificates() {
        let node = "expect = 1\nname = \"a\"\nlisten = \"127.0.0.1:1\"\n";
        let list = "[[cluster.nodes]]\nname = \"a\"\npeer = \"h:1\"\napi = \"http://h\"\n";
        let tls = "tls = { cert = \"c\", key = \"k\", ca = \"a\" }\n";
        let long = "secret = \"sixteen letters.\"\n";
        let cluster = |more: &str| load(&format!("[cluster]\n{node}{more}{list}"), &[]);
        for (more, wanted) in [
            ("", "cluster.secret: it is required"),
            (
                "secret = \"fifteen letters\"\n",
                "cluster.secret: it has 15 characters",
            ),
            (
                &format!("secret = \"short\"\n{tls}"),
                "cluster.secret: it has 5 characters",
            ),
            (
                "secret = \"replace-me-by-openssl-rand-hex-24\"\n",
                "cluster.secret: it begins with `replace-me`",
            ),
            (
                &format!("{long}postman_secret = \"replace-me-by-another\"\n"),
                "cluster.postman_secret: it begins with `replace-me`",
            ),
            (
                &format!("{long}postman_secret = \"short\"\n"),
                "cluster.postman_secret: it has 5 characters",
            ),
            (
                &format!("{long}postman_secret = \"sixteen letters.\"\n"),
                "cluster.postman_secret: it is the same as cluster.secret",
            ),
            (
                &format!("postman_secret = \"another sixteen.\"\n{tls}"),
                "cluster.secret: it is required with cluster.postman_secret",
            ),
        ] {
            let error = cluster(more).expect_err(more);
            assert!(error.starts_with(wanted), "{error}");
            assert!(
                error.contains("openssl rand -hex 32"),
                "the way out: {error}"
            );
        }
        assert!(cluster(&format!("{long}postman_secret = \"another sixteen.\"\n")).is_ok());
        assert!(cluster("secret = \"sixteen letters.\"\n").is_ok());
        assert!(cluster(tls).is_ok());
    }

    #[test]
    fn a_postman_by_itself_needs_a_name_peers_and_the_secret() {
        let whole = "[postman]\nname = \"p\"\npeers = [\"h:1\"]\n[cluster]\n\
                     secret = \"sixteen letters.\"\n";
        assert!(
            load(whole, &[]).is_ok(),
            "a file for a postman alone is right"
        );
        let node = "[[cluster.nodes]]\nname = \"p\"\npeer = \"h:1\"\napi = \"http://h\"\n";
        for (from, to, wanted) in [
            (
                "name = \"p\"\n",
                "",
                "postman.name: `notty postman` needs a name",
            ),
            (
                "peers = [\"h:1\"]",
                "",
                "postman.peers: `notty postman` needs peer addresses",
            ),
            ("h:1", "h", "postman.peers[0]: `h` is not a host and port"),
            (
                "[cluster]\nsecret = \"sixteen letters.\"\n",
                "",
                "cluster.secret: set cluster.postman_secret",
            ),
            (
                "sixteen letters.",
                "",
                "cluster.secret: set this or cluster.postman_secret",
            ),
            (
                "sixteen letters.",
                "fifteen letters",
                "cluster.secret: it has 15 characters",
            ),
            (
                "letters.\"\n",
                &format!("letters.\"\n{node}"),
                "postman.name: `p` is the name of a node",
            ),
        ] {
            let text = whole.replace(from, to);
            let config = Config::from_parts("config.toml", &text, []).expect("parses");
            let error = config.check_postman().expect_err(wanted).0;
            assert!(error.starts_with(wanted), "{error}");
        }
        let own = whole.replace("secret", "postman_secret");
        assert!(load(&own, &[]).is_ok(), "the secret of postmen is enough");
        let config = Config::from_parts("config.toml", whole, []).expect("parses");
        let error = config.check_node().expect_err("no node").0;
        assert!(error.starts_with("cluster.listen"), "{error}");
    }

    #[test]
    fn whole_days_are_a_number_too() {
        let config = load("[retention]\nfinished_days = 1", &[]).expect("valid");
        assert_eq!(config.retention.finished_ms(), 86_400_000);
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let environment = [
            ("NOTTY_GATEWAY__TOKEN", "t"),
            ("NOTTY_GATEWAY__CONCURRENCY", "7"),
            ("NOTTY_GATEWAY__UNSURE_STATUSES", "[502]"),
            ("NOTTY_TOKEN", "not configuration"),
        ];
        let config = load("[gateway]\nconcurrency = 5", &environment).expect("valid");
        assert_eq!(config.gateway.concurrency, 7);
        assert_eq!(config.gateway.token.expose(), "t");
        assert_eq!(config.gateway.unsure_statuses, [502]);
    }

    #[test]
    fn the_environment_may_name_the_certificates() {
        let environment = [
            ("NOTTY_POSTMAN__PEERS", "[\"h:1\"]"),
            ("NOTTY_POSTMAN__NAME", "p"),
            ("NOTTY_CLUSTER__TLS__CERT", "c.pem"),
            ("NOTTY_CLUSTER__TLS__KEY", "k.pem"),
            ("NOTTY_CLUSTER__TLS__CA", "a.pem"),
        ];
        let config = load("", &environment).expect("valid");
        let tls = config
            .cluster
            .and_then(|cluster| cluster.tls)
            .expect("certificates");
        assert_eq!(tls.key, PathBuf::from("k.pem"));
        let error = load("", &environment[..3]).expect_err("refused");
        assert!(error.contains("missing field `key`"), "{error}");
    }

    #[test]
    fn an_unknown_or_bad_variable_is_named() {
        let error = load("", &[("NOTTY_GATEWAY__SPEED", "1")]).expect_err("refused");
        assert!(error.contains("NOTTY_GATEWAY__SPEED"), "{error}");
        let error = load("", &[("NOTTY_LEASE__SIZE", "many")]).expect_err("refused");
        assert!(error.contains("`many` is not a whole number"), "{error}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = load("[gateway]\ntoken = \"hush-hush\"", &[]).expect("valid");
        assert!(!format!("{config:?}").contains("hush"));
    }
}
