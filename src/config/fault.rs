//! Faults of a configuration: one line each, and gathered so that all of them are shown at once.

/// Faults of a configuration or of the command line, one a line. A fault of a key begins with the key's
/// path and `: `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl ConfigError {
    /// A fault of one key, which is given by its path.
    pub(crate) fn at(key: &str, fault: impl AsRef<str>) -> Self {
        Self(format!("{key}: {}", fault.as_ref()))
    }

    /// The same faults, each with the name of the file that has it.
    pub(crate) fn of_file(&self, file: &str) -> Self {
        let lines = self.0.lines().map(|line| format!("{file}: {line}"));
        Self(lines.collect::<Vec<_>>().join("\n"))
    }
}

/// Gathers faults while checks go on.
#[derive(Debug, Default)]
pub(crate) struct FaultList(Vec<String>);

impl FaultList {
    /// Adds a fault of a key.
    pub(crate) fn add(&mut self, key: &str, fault: impl AsRef<str>) {
        self.take(Err::<(), _>(ConfigError::at(key, fault)));
    }

    /// Adds the faults that a check returned, if any. Returns what it found right.
    pub(crate) fn take<T>(&mut self, checked: Result<T, ConfigError>) -> Option<T> {
        let error = match checked {
            Ok(right) => return Some(right),
            Err(error) => error,
        };
        self.0.extend(error.0.lines().map(str::to_owned));
        None
    }

    /// All faults as one error; none if there are none.
    pub(crate) fn finish(self) -> Result<(), ConfigError> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(ConfigError(self.0.join("\n")))
    }
}
