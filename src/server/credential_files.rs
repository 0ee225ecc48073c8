//! Files that systemd hands to a service by `LoadCredential`. They exist only while its unit runs.
//!
//! `notty check-config` runs outside of the unit, where these files are missing or belong to another user.
//! It leaves them out and names them, because that is no fault of the configuration. A start leaves out
//! none: the files must be there then.

use std::{
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use crate::config::{Config, ConfigError, FaultList};

/// The directory in which systemd makes one for each unit.
const CREDENTIALS: &str = "/run/credentials";
/// Names systemd's directory in the environment of a process of a unit.
const VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// Forms of that directory in units and shells, which stand for nothing in a configuration.
const PLACES: [&str; 3] = ["%d/", "$CREDENTIALS_DIRECTORY", "${CREDENTIALS_DIRECTORY}"];

/// Rejects paths with a variable in them: only units and shells put its value in.
pub(super) fn check_variables(config: &Config) -> Result<(), ConfigError> {
    let mut faults = FaultList::default();
    for (key, path) in named_files(config) {
        let path = path.display().to_string();
        if PLACES.iter().any(|place| path.starts_with(place)) {
            let fault = format!(
                "`{path}` has a variable in it, and notty puts no value there; write the path, like \
                 {CREDENTIALS}/notty.service/peer.pem"
            );
            faults.add(key, fault);
        }
    }
    faults.finish()
}

/// The configuration without the files that only a unit can read.
pub(super) fn without_unseen(config: &Config) -> Config {
    let mut checkable = config.clone();
    for (section, _) in unseen(config) {
        if section == "cluster.tls" {
            checkable.cluster.iter_mut().for_each(|it| it.tls = None);
        } else {
            checkable.moderation.words_file = PathBuf::new();
        }
    }
    checkable
}

/// A line for each part of a configuration that cannot be checked here.
pub fn unchecked_parts(config: &Config) -> Vec<String> {
    let lines = unseen(config).into_iter().map(|(section, files)| {
        let files: Vec<_> = files.iter().map(|file| format!("`{file}`")).collect();
        format!(
            "{section} was not checked: systemd gives {} to the unit alone (LoadCredential=), which checks \
             it when it starts",
            files.join(" and ")
        )
    });
    lines.collect()
}

/// The parts of a configuration with files that only a unit can read, and these files. Certificates are
/// checked against each other, so that one of them alone is enough.
fn unseen(config: &Config) -> Vec<(&'static str, Vec<String>)> {
    let mut parts = Vec::new();
    for section in ["cluster.tls", "moderation.words_file"] {
        let files = named_files(config).into_iter();
        let files = files.filter(|(key, path)| key.starts_with(section) && is_unseen(path));
        let files: Vec<_> = files.map(|(_, path)| path.display().to_string()).collect();
        if !files.is_empty() {
            parts.push((section, files));
        }
    }
    parts
}

/// The files that the configuration names, by their keys.
fn named_files(config: &Config) -> Vec<(&'static str, &Path)> {
    let mut files = vec![("moderation.words_file", &*config.moderation.words_file)];
    let cluster = config.cluster.as_ref();
    if let Some(tls) = cluster.and_then(|cluster| cluster.tls.as_ref()) {
        files.push(("cluster.tls.cert", &tls.cert));
        files.push(("cluster.tls.key", &tls.key));
        files.push(("cluster.tls.ca", &tls.ca));
    }
    files
}

/// True for a file of systemd's that this process cannot read, and is not supposed to.
fn is_unseen(path: &Path) -> bool {
    let own = std::env::var_os(VARIABLE);
    if !path.starts_with(CREDENTIALS) || own.is_some_and(|own| path.starts_with(own)) {
        return false;
    }
    let opened = File::open(path).map_err(|error| error.kind());
    matches!(
        opened,
        Err(ErrorKind::NotFound | ErrorKind::PermissionDenied)
    )
}
