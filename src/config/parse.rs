//! A configuration of a file's text and the environment, with errors that name line or variable.

use toml::{Table, de::Error as TomlError};

use super::{Config, ConfigError, environment::override_key};

impl Config {
    /// Makes a configuration of a file's name and text, and the environment. Values are not checked
    /// yet.
    pub fn from_parts(
        name: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        // Parsed without the environment first: only then an error has a line.
        toml::from_str::<Config>(text).map_err(|error| parse_error(name, text, &error))?;
        let file: Table = toml::from_str(text).map_err(|error| parse_error(name, text, &error))?;

        let environment: Vec<_> = environment.into_iter().collect();
        let mut table = file.clone();
        for (variable, value) in &environment {
            override_key(&mut table, variable, value)?;
        }

        // The file by itself was in order: what is wrong now came from a variable.
        table.try_into().map_err(|error: TomlError| {
            let variable = culprit(&file, &environment).unwrap_or("environment");
            ConfigError::at(variable, one_line(error.message()))
        })
    }
}

/// Finds the variable whose value alone makes the configuration invalid.
fn culprit<'a>(file: &Table, environment: &'a [(String, String)]) -> Option<&'a str> {
    let mut variables = environment.iter();
    variables
        .find(|(variable, value)| spoils(file, variable, value))
        .map(|(variable, _)| variable.as_str())
}

/// True if the file, which is valid by itself, is no longer valid with one variable.
fn spoils(file: &Table, variable: &str, value: &str) -> bool {
    let mut table = file.clone();
    let is_set = override_key(&mut table, variable, value).is_ok();
    is_set && table.try_into::<Config>().is_err()
}

/// A fault with its file and line, and with the key if the line has one.
fn parse_error(name: &str, text: &str, error: &TomlError) -> ConfigError {
    let line = line_of(text, error);
    let source = text.lines().nth(line - 1).unwrap_or_default().trim();
    let key = source.split('=').next().unwrap_or_default().trim();

    let place = if key.is_empty() {
        format!("{name}:{line}")
    } else {
        format!("{name}:{line}: `{key}`")
    };
    ConfigError::at(&place, one_line(error.message()))
}

/// The line of a fault, counted from 1. A fault without a place counts as one of the first line.
fn line_of(text: &str, error: &TomlError) -> usize {
    let at = error.span().map_or(0, |span| span.start);
    text[..at.min(text.len())].matches('\n').count() + 1
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
