//! `[[gateways]]`: gateways at providers, each described by a profile.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::Secret;
use crate::gateway::{HttpTimes, profile::GatewayAccount};

/// Longest idle time of a connection that is used again: providers and what lies before them keep theirs
/// for longer.
const IDLE: Duration = Duration::from_secs(30);

/// One gateway at a provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderConfig {
    /// Its name, in logs and in variables of the environment.
    pub name: String,
    /// Name of a built-in profile.
    pub profile: String,
    /// File with a profile, instead of a built-in one.
    pub profile_file: PathBuf,
    /// The whole address of the request; empty means the profile's.
    pub url: String,
    /// The name or number that messages come from; empty means the account's default.
    pub sender: String,
    /// The secrets of the account, by the names that the profile gives them.
    pub secrets: BTreeMap<String, Secret>,
    /// The most requests that one postman has in flight.
    pub concurrency: usize,
    /// Messages in a span of time, over the whole cluster.
    pub limits: Vec<SpanLimitConfig>,
    /// Time for connecting, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Time from the first byte written to the complete answer, in milliseconds.
    pub timeout_ms: u64,
}

/// A limit of messages in a span of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpanLimitConfig {
    /// The span, like `1s`.
    pub per: String,
    /// The most messages in it.
    pub max: u32,
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            profile: String::new(),
            profile_file: PathBuf::new(),
            url: String::new(),
            sender: String::new(),
            secrets: BTreeMap::new(),
            concurrency: 10,
            limits: Vec::new(),
            connect_timeout_ms: 2_000,
            timeout_ms: 10_000,
        }
    }
}

impl ProviderConfig {
    /// An entry with a value of every key, for the shape of the configuration.
    pub(super) fn sample() -> Self {
        let any_secret = (ANY_KEY.to_owned(), Secret::default());
        Self {
            secrets: BTreeMap::from([any_secret]),
            limits: vec![SpanLimitConfig {
                per: String::new(),
                max: 0,
            }],
            ..Self::default()
        }
    }

    /// The name in variables of the environment: `_` for `.` and `-`, which no shell takes there.
    pub(super) fn variable_name(name: &str) -> String {
        name.to_lowercase().replace(['.', '-'], "_")
    }

    /// Name of the profile, which is a part of the gateway's identity: a file's name without its folders,
    /// because the same file may lie elsewhere on another node.
    pub fn profile_name(&self) -> String {
        let file = self.profile_file.file_stem();
        file.map_or_else(
            || self.profile.clone(),
            |name| name.to_string_lossy().into_owned(),
        )
    }

    /// The account for the profile, with the path of this section for faults.
    pub fn account(&self, section: &str) -> GatewayAccount {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        GatewayAccount {
            section: section.to_owned(),
            url: given(&self.url),
            sender: given(&self.sender),
            secrets: self.secrets.clone(),
            has_validity: true,
            has_receipts: false,
        }
    }

    /// The time limits of requests.
    pub fn times(&self) -> HttpTimes {
        HttpTimes {
            connect: Duration::from_millis(self.connect_timeout_ms),
            answer: Duration::from_millis(self.timeout_ms),
            idle: IDLE,
        }
    }

    /// Messages a second over the whole cluster; 0 means no limit.
    pub fn rate_limit(&self) -> u32 {
        let limits = self.limits.iter();
        limits.map(|limit| limit.max).min().unwrap_or(0)
    }
}

/// The key that stands for any other one in a table whose keys are free.
pub(super) const ANY_KEY: &str = "*";
