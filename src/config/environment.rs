//! Environment variables that override keys of the file: `NOTTY_GATEWAY__URL` is `gateway.url`.
//!
//! A variable without `__` belongs to something else, like the command line's `NOTTY_TOKEN`. One that
//! names no key is an error, because it would be ignored otherwise.

use std::str::FromStr;

use toml::{Table, Value};

use super::{BackupConfig, ClusterConfig, Config, ConfigError, PeerTlsConfig};

/// The variable whose value must not be shown in an error.
const TOKENS: &str = "NOTTY_API__TOKENS";

/// Puts the value of an environment variable in the place of its key. Leaves other variables alone.
pub(super) fn override_key(
    table: &mut Table,
    variable: &str,
    value: &str,
) -> Result<(), ConfigError> {
    let Some(path) = key_path(variable) else {
        return Ok(());
    };
    let unknown_key = || unknown_key(variable, &path);

    // The default has the type that the variable's text is to be read as.
    let defaults = all_keys();
    let default = find(&defaults, &path).ok_or_else(unknown_key)?;
    let parsed =
        parse(default, value).map_err(|expected| wrong_value(variable, value, expected))?;
    insert(table, &path, parsed).ok_or_else(unknown_key)
}

fn unknown_key(variable: &str, path: &[String]) -> ConfigError {
    let key = path.join(".");
    ConfigError(format!(
        "environment variable {variable}: there is no key `{key}`; config.toml.example has all keys"
    ))
}

/// The path of the key that a variable is for; `None` if it is not for a key.
fn key_path(variable: &str) -> Option<Vec<String>> {
    let path = variable.strip_prefix("NOTTY_")?;
    let has_levels = path.contains("__");
    has_levels.then(|| path.split("__").map(str::to_lowercase).collect())
}

/// All keys that exist, each with its default.
fn all_keys() -> Table {
    // These are absent by default, and so would be their keys.
    let cluster = ClusterConfig {
        tls: Some(PeerTlsConfig::default()),
        ..ClusterConfig::default()
    };
    let config = Config {
        cluster: Some(cluster),
        backup: Some(BackupConfig::default()),
        ..Config::default()
    };
    Table::try_from(config).expect("the defaults have a TOML form")
}

/// The value of a key; `None` if there is no such key, or if the path ends at a section.
fn find<'a>(table: &'a Table, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let mut found = table.get(first)?;
    for part in rest {
        found = found.get(part.as_str())?;
    }
    (!found.is_table()).then_some(found)
}

/// Reads a text as a value of the same type as the default. The error names the type.
fn parse(default: &Value, text: &str) -> Result<Value, &'static str> {
    match default {
        // As it is, without quotes: a secret may look like a number.
        Value::String(_) => Ok(Value::String(text.to_owned())),
        Value::Integer(_) => read(text, "a whole number").map(Value::Integer),
        Value::Float(_) => read(text, "a number").map(Value::Float),
        Value::Boolean(_) => read(text, "`true` or `false`").map(Value::Boolean),
        // Lists are written as in the file.
        _ => parse_toml(text).ok_or("a TOML value"),
    }
}

fn read<T: FromStr>(text: &str, expected: &'static str) -> Result<T, &'static str> {
    text.parse().map_err(|_| expected)
}

fn parse_toml(text: &str) -> Option<Value> {
    let line = format!("value = {text}");
    let mut parsed: Table = toml::from_str(&line).ok()?;
    parsed.remove("value")
}

fn wrong_value(variable: &str, value: &str, expected: &str) -> ConfigError {
    let shown = if variable == TOKENS { "…" } else { value };
    ConfigError(format!(
        "environment variable {variable}: `{shown}` is not {expected}"
    ))
}

/// Sets a key, whose sections need not be in the file. `None` if the file has a plain value where a
/// section should be.
fn insert(table: &mut Table, path: &[String], value: Value) -> Option<()> {
    let (last, sections) = path.split_last()?;
    let mut table = table;
    for section in sections {
        let inner = table
            .entry(section.clone())
            .or_insert_with(|| Table::new().into());
        table = inner.as_table_mut()?;
    }
    table.insert(last.clone(), value);
    Some(())
}
