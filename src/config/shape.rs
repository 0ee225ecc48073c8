//! The shape of a configuration: every key that exists, each with a value of its type.
//!
//! A value is tried in its place in the shape, so that the types of the sections alone decide if it fits.

use toml::{Table, Value};

use super::{
    BackupConfig, ClusterConfig, Config, PeerConfig, PeerTlsConfig, ProviderConfig, Role, Secret,
    TokenConfig, gateways::ANY_KEY, path::KeyPath,
};

/// Similarity of two names, from 0 to 1, above which one may be meant by the other.
const SIMILAR: f64 = 0.6;

/// Every key with a value: its default, or a sample where that is absent or empty.
#[derive(Clone, Debug)]
pub(super) struct Keys(Value);

impl Keys {
    /// The keys of [`Config`].
    pub(super) fn new() -> Self {
        let mut config = Config::default();
        config.api.tokens = vec![TokenConfig {
            name: String::new(),
            token: Secret::default(),
            role: Role::Reader,
        }];
        config.postman.peers = vec![String::new()];
        config.gateways = vec![ProviderConfig::sample()];
        config.cluster = Some(ClusterConfig {
            tls: Some(PeerTlsConfig::default()),
            nodes: vec![PeerConfig::default()],
            ..ClusterConfig::default()
        });
        config.backup = Some(BackupConfig::default());
        let keys = Value::try_from(config).expect("the defaults have a TOML form");
        Self(keys)
    }

    /// The sample of a key; `None` if there is no such key.
    pub(super) fn find(&self, path: &KeyPath) -> Option<&Value> {
        let mut found = &self.0;
        for part in path.parts() {
            found = match (found, part.parse::<usize>()) {
                // All entries of a list have the same type.
                (Value::Array(entries), Ok(_)) => entries.first()?,
                (Value::Table(table), _) => table.get(part).or_else(|| table.get(ANY_KEY))?,
                _ => return None,
            };
        }
        Some(found)
    }

    /// Tries a value in the place of a key. The error is the one of the types.
    pub(super) fn fits(&self, path: &KeyPath, value: &Value) -> Result<(), toml::de::Error> {
        let mut tried = self.clone();
        if let Some(place) = tried.place(path) {
            *place = value.clone();
        }
        tried.0.try_into::<Config>().map(drop)
    }

    /// True if a table cannot be without this key.
    pub(super) fn is_required(&self, table: &KeyPath, key: &str) -> bool {
        let mut tried = self.clone();
        let without = tried.place(table).and_then(Value::as_table_mut);
        without.map(|table| table.remove(key));
        tried.0.try_into::<Config>().is_err()
    }

    fn place(&mut self, path: &KeyPath) -> Option<&mut Value> {
        let mut found = &mut self.0;
        for part in path.parts() {
            found = match (found, part.parse::<usize>()) {
                (Value::Array(entries), Ok(_)) => entries.first_mut()?,
                (Value::Table(table), _) => {
                    let is_known = table.contains_key(part);
                    table.get_mut(if is_known { part } else { ANY_KEY })?
                }
                _ => return None,
            };
        }
        Some(found)
    }

    /// The key that a wrong one is most likely meant to be.
    pub(super) fn nearest(&self, wrong: &KeyPath) -> Option<KeyPath> {
        let name = wrong.name();
        let beside = self.find(&wrong.parent()).and_then(Value::as_table);
        let similar = beside.and_then(|table| most_similar(table, name));
        if let Some(similar) = similar {
            return Some(wrong.parent().key(similar));
        }

        // The right name in the wrong section.
        let sections = self.0.as_table()?;
        let has_name = |section: &Value| section.as_table().is_some_and(|s| s.contains_key(name));
        let mut found = sections.iter().filter(|(_, section)| has_name(section));
        let (section, _) = found.next()?;
        let is_only = found.next().is_none();
        is_only.then(|| KeyPath::root().key(section).key(name))
    }

    /// All keys that a variable of the environment can name.
    pub(super) fn paths(&self) -> Vec<KeyPath> {
        let mut paths = Vec::new();
        gather(&self.0, &KeyPath::root(), &mut paths);
        paths
    }
}

fn most_similar<'a>(table: &'a Table, name: &str) -> Option<&'a str> {
    let scored = table
        .keys()
        .map(|key| (strsim::normalized_damerau_levenshtein(key, name), key));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best.0 >= SIMILAR).then_some(best.1.as_str())
}

fn gather(value: &Value, at: &KeyPath, paths: &mut Vec<KeyPath>) {
    let Some(table) = value.as_table() else {
        paths.push(at.clone());
        return;
    };
    for (key, value) in table {
        gather(value, &at.key(key), paths);
    }
}
