//! Environment variables that override keys of the file: `NOTTY_GATEWAY__URL` is `gateway.url`.
//!
//! One with `__` that names no key is an error, because it would be ignored otherwise. One without is not
//! configuration; an unknown one is warned of, because a key may be meant. Other programs set some too:
//! Kubernetes does for a Service named `notty`.

use std::{ffi::OsString, str::FromStr};

use toml::{Table, Value, de::DeTable};

use super::{
    gateways::ProviderConfig,
    parse::{SettingsReader, Whereabouts},
    path::KeyPath,
    shape::Keys,
    wording::{expected, one_line},
};

/// The beginning of all variables that are for notty.
const PREFIX: &str = "NOTTY_";
/// The list whose entries have names in variables.
const GATEWAYS: &str = "gateways";
/// Variables of the command line, of builds and of tests.
const OTHERS: [&str; 4] = ["NOTTY_TOKEN", "NOTTY_API", "NOTTY_COMMIT", "NOTTY_OLD_BIN"];
/// The variable whose value begins each set that Kubernetes makes for a Service.
const OF_KUBERNETES: [&str; 3] = ["NOTTY_SERVICE_", "NOTTY_PORT", "NOTTY_PEERS_"];

/// A value that was given by name: by a variable, or by an option of the command line.
#[derive(Clone, Debug)]
pub struct NamedValue {
    /// Name of the variable or option, for faults.
    pub name: String,
    /// Path of the key, like `api.listen`.
    pub key: String,
    /// The value as a text; a list as in the file.
    pub value: OsString,
}

/// The variables that override keys.
pub(super) fn overrides(environment: &[(OsString, OsString)]) -> Vec<NamedValue> {
    let of_keys = environment.iter().filter_map(|(name, value)| {
        let name = name.to_str()?;
        let path = name
            .strip_prefix(PREFIX)
            .filter(|path| path.contains("__"))?;
        Some(NamedValue {
            name: name.to_owned(),
            key: path.replace("__", ".").to_lowercase(),
            value: value.clone(),
        })
    });
    of_keys.collect()
}

/// A line about variables that look like notty's and are not; `None` if there are none.
pub(super) fn strays(environment: &[(OsString, OsString)]) -> Option<String> {
    let names = environment.iter().filter_map(|(name, _)| name.to_str());
    let is_stray =
        |name: &&str| name.starts_with(PREFIX) && !name.contains("__") && !OTHERS.contains(name);
    let mut strays: Vec<_> = names.filter(is_stray).collect();
    strays.sort_unstable();
    if strays.is_empty() {
        return None;
    }

    let known = Keys::new().paths();
    let described: Vec<_> = strays.iter().map(|name| described(name, &known)).collect();
    let kubernetes = if strays.iter().any(|name| is_of_kubernetes(name)) {
        "; Kubernetes sets some for a Service named notty: `enableServiceLinks: false` in the pod's spec \
         ends that"
    } else {
        ""
    };
    Some(format!(
        "environment variables that are not settings of notty, and were ignored: {}{kubernetes}",
        described.join(", ")
    ))
}

fn is_of_kubernetes(name: &str) -> bool {
    OF_KUBERNETES.iter().any(|start| name.starts_with(start))
}

/// The name of a stray variable, with the one that differs only in its underscores.
fn described(name: &str, known: &[KeyPath]) -> String {
    let plain = |name: &str| name.replace('_', "").to_uppercase();
    let mut variables = known.iter().map(KeyPath::variable);
    match variables.find(|variable| plain(variable) == plain(name)) {
        Some(meant) => format!("{name} (did you mean {meant}?)"),
        None => name.to_owned(),
    }
}

impl SettingsReader {
    /// Puts a value that was given by name in the place of its key.
    pub(super) fn named(&mut self, given: &NamedValue) {
        let Some(path) = self.path_of(given) else {
            return;
        };
        let sample = self.keys.find(&path).filter(|sample| !sample.is_table());
        let Some(sample) = sample.cloned() else {
            self.no_such_variable(given, &path);
            return;
        };

        self.sources.note(&path, given.name.clone());
        let Some(text) = given.value.to_str() else {
            self.sources.fault(&path, "the value is not UTF-8");
            return;
        };
        if let Some(value) = self.of_text(text, &path, &sample, &given.name)
            && insert(&mut self.table, &path, value).is_none()
        {
            self.sources.fault(
                &path,
                "the file has a plain value in the place of its section",
            );
        }
    }

    /// The path of the key. A gateway is named there by its name, not by its place in the list. `None` if
    /// there is none of that name, which is a fault.
    fn path_of(&mut self, given: &NamedValue) -> Option<KeyPath> {
        let path = KeyPath::split(&given.key, ".");
        let parts: Vec<&str> = path.parts().collect();
        let [GATEWAYS, name, keys @ ..] = parts.as_slice() else {
            return Some(path);
        };

        if *keys == ["name"] {
            let fault =
                "the name of a gateway is a part of its variables, and cannot be set by one";
            self.sources.fault_at(&given.name, fault);
            return None;
        }

        let n = self.gateway_of_name(given, name)?;
        let gateway = KeyPath::root().key(GATEWAYS).entry(n);
        Some(keys.iter().fold(gateway, |path, key| path.key(key)))
    }

    /// The place of a gateway in the list. The variables alone can make one; but where the file has
    /// gateways, another name is a misspelling.
    fn gateway_of_name(&mut self, given: &NamedValue, name: &str) -> Option<usize> {
        let names = names(&self.table);
        let name_there = ProviderConfig::variable_name(name);
        let is_it = |known: &String| ProviderConfig::variable_name(known) == name_there;
        if let Some(n) = names.iter().position(is_it) {
            return Some(n);
        }
        if !names.is_empty() {
            let known = names.join(", ");
            let fault = format!("there is no gateway `{name}`; there is {known}");
            self.sources.fault_at(&given.name, &fault);
            return None;
        }

        let gateway = Table::from_iter([("name".to_owned(), Value::from(name))]);
        let list = Value::Array(vec![gateway.into()]);
        self.table.insert(GATEWAYS.to_owned(), list);
        let entry = KeyPath::root().key(GATEWAYS).entry(0);
        self.sources.note(&entry, given.name.clone());
        Some(0)
    }

    fn no_such_variable(&mut self, given: &NamedValue, path: &KeyPath) {
        let is_section = self.keys.find(path).is_some();
        let way_out = match self.keys.nearest(path) {
            _ if is_section => format!("each key in it has a variable, like {}__KEY", given.name),
            Some(nearest) => format!("did you mean {}?", self.variable(&nearest)),
            None => "config.toml.example has all keys".to_owned(),
        };

        let fault = if is_section {
            format!("`{path}` is a section; {way_out}")
        } else {
            format!("there is no key `{path}`; {way_out}")
        };
        self.sources.fault_at(&given.name, &fault);
    }

    /// The variable of a key. A gateway has its name there.
    fn variable(&self, path: &KeyPath) -> String {
        let parts: Vec<&str> = path.parts().collect();
        let named = match parts.as_slice() {
            [GATEWAYS, n, keys @ ..] => {
                let n = n.parse::<usize>().ok();
                let name = n.and_then(|n| names(&self.table).into_iter().nth(n));
                let gateway = KeyPath::root().key(GATEWAYS).key(&name.unwrap_or_default());
                keys.iter().fold(gateway, |path, key| path.key(key))
            }
            _ => path.clone(),
        };
        ProviderConfig::variable_name(&named.variable()).to_uppercase()
    }

    /// Reads a text as a value of the same type as the sample.
    fn of_text(&mut self, text: &str, path: &KeyPath, sample: &Value, name: &str) -> Option<Value> {
        let plain = match sample {
            // As it is, without quotes: a secret may look like a number.
            Value::String(_) => Some(Value::String(text.to_owned())),
            Value::Integer(_) => read(text).map(Value::Integer),
            Value::Float(_) => read(text).map(Value::Float),
            Value::Boolean(_) => read(text).map(Value::Boolean),
            // Lists are written as in the file.
            _ => return self.of_toml(text, path, name),
        };
        match plain {
            Some(value) => self.tried(value, path),
            None => {
                let wanted = expected(sample);
                self.sources
                    .fault(path, &format!("`{}` is not {wanted}", one_line(text)));
                None
            }
        }
    }

    fn of_toml(&mut self, text: &str, path: &KeyPath, name: &str) -> Option<Value> {
        let line = format!("value = {text}");
        let document = DeTable::parse(&line).ok();
        let found = document
            .as_ref()
            .and_then(|document| document.get_ref().get("value"));
        let list = found.filter(|value| value.get_ref().is_array());
        let Some(list) = list else {
            let shown = if path.is_secret() {
                "the value"
            } else {
                &format!("`{}`", one_line(text))
            };
            let wanted = "a list in brackets, written as in the file";
            self.sources
                .fault(path, &format!("{shown} is not {wanted}"));
            return None;
        };
        self.value(list, path, Whereabouts::Named(name))
    }
}

fn read<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// The names of the gateways so far.
fn names(table: &Table) -> Vec<String> {
    let gateways = table.get(GATEWAYS).and_then(Value::as_array);
    let name = |gateway: &Value| {
        let name = gateway.get("name").and_then(Value::as_str);
        name.unwrap_or_default().to_owned()
    };
    gateways.into_iter().flatten().map(name).collect()
}

/// Sets a key, whose sections need not be in the file. `None` if the file has a plain value where a
/// section should be.
fn insert(table: &mut Table, path: &KeyPath, value: Value) -> Option<()> {
    let mut table = table;
    let levels = path.parent();
    let mut parts = levels.parts();
    while let Some(section) = parts.next() {
        let inner = table
            .entry(section.to_owned())
            .or_insert_with(|| Table::new().into());
        table = match inner {
            // The number of an entry follows.
            Value::Array(entries) => {
                let n: usize = parts.next()?.parse().ok()?;
                entries.get_mut(n)?.as_table_mut()?
            }
            other => other.as_table_mut()?,
        };
    }
    table.insert(path.name().to_owned(), value);
    Some(())
}
