//! Settings as they were given, in a file, in the environment and by options: read at once, with the place
//! of each value, so that every fault names it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{
    Config, ConfigError, DEFAULT_FILE, NamedValue,
    environment::{overrides, strays},
    parse::SettingsReader,
    sources::Sources,
};

/// A configuration that was read but not checked, with the places of its values.
#[derive(Debug)]
pub struct Settings {
    /// The file that was read, if there was one.
    file: Option<PathBuf>,
    config: Config,
    sources: Sources,
}

impl Settings {
    /// Reads a file, or else `config.toml` if it exists, then the environment, then the options. Each
    /// overrides the ones before.
    pub fn read(file: Option<&Path>, options: &[NamedValue]) -> Result<Self, ConfigError> {
        let default = Path::new(DEFAULT_FILE);
        // A file that was named must exist; the default one need not.
        let file = file.or_else(|| default.exists().then_some(default));
        let text = file.map_or_else(|| Ok(String::new()), read_text)?;

        let mut given = overrides(&environment());
        given.extend_from_slice(options);
        let name = file.unwrap_or(default).display().to_string();
        Ok(Self {
            file: file.map(Path::to_owned),
            ..Self::from_parts(&name, &text, &given)
        })
    }

    /// The file that was read; `None` if there was none.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Reads a file's name and text, and values that override it.
    pub(super) fn from_parts(name: &str, text: &str, given: &[NamedValue]) -> Self {
        let mut reading = SettingsReader::new();
        reading.file(name, text);
        for value in given {
            reading.named(value);
        }
        let (config, sources) = reading.finish();
        Self {
            file: None,
            config,
            sources,
        }
    }

    /// Checks what was read. Returns it if it is right, or else all faults, each with its place.
    pub fn checked(
        self,
        check: impl FnOnce(&Config) -> Result<(), ConfigError>,
    ) -> Result<Config, ConfigError> {
        let mut sources = self.sources;
        if let Err(faults) = check(&self.config) {
            sources.add_checked(&faults);
        }
        sources.finish()?;
        Ok(self.config)
    }
}

/// A line about variables of the environment that look like settings and are none, if there are any.
pub fn stray_variables() -> Option<String> {
    strays(&environment())
}

fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|error| ConfigError::at(&path.display().to_string(), error.to_string()))
}
