//! The path of a key, like `cluster.nodes[0].peer`, and its variable in the environment.

use std::fmt;

/// The path of a key, of a section, or of an entry of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyPath(Vec<String>);

impl KeyPath {
    /// The path of the whole configuration.
    pub(super) fn root() -> Self {
        Self::default()
    }

    /// Reads a path whose levels are set apart, like a variable's by `__`.
    pub(super) fn split(text: &str, separator: &str) -> Self {
        Self(text.split(separator).map(str::to_lowercase).collect())
    }

    /// A key of this section.
    pub(super) fn key(&self, name: &str) -> Self {
        let mut parts = self.0.clone();
        parts.push(name.to_owned());
        Self(parts)
    }

    /// An entry of this list, counted from 0.
    pub(super) fn entry(&self, n: usize) -> Self {
        self.key(&n.to_string())
    }

    /// The section or list that this is in; the root is in itself.
    pub(super) fn parent(&self) -> Self {
        let levels = self.0.len().saturating_sub(1);
        Self(self.0[..levels].to_vec())
    }

    /// Names of keys and numbers of entries, from the root on.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The last part of the path.
    pub(super) fn name(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// The variable of the environment that overrides this key.
    pub(super) fn variable(&self) -> String {
        format!("NOTTY_{}", self.0.join("__").to_uppercase())
    }

    /// True if the value must not be shown: it is a secret, or has one in it.
    pub(super) fn is_secret(&self) -> bool {
        let secret = |part: &str| {
            let part = part.trim_end_matches('s');
            part.ends_with("token") || part.ends_with("secret")
        };
        self.parts().any(secret)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, part) in self.0.iter().enumerate() {
            let is_entry = part.parse::<usize>().is_ok();
            match (is_entry, n) {
                (true, _) => write!(f, "[{part}]")?,
                (false, 0) => f.write_str(part)?,
                (false, _) => write!(f, ".{part}")?,
            }
        }
        Ok(())
    }
}
