//! Values by name: the columns of a row, or the fields of a JSON object.
//!
//! A list and not a tree, because there are only a few: each of the millions of rows of an import takes one
//! piece of memory for it. Names that the program knows are not copied.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Values by name, in no order that means anything. No name appears twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamedValues(Vec<(Cow<'static, str>, Value)>);

impl NamedValues {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value)
    }

    /// Takes the value of a name out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let index = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(index).1)
    }

    /// All names, in no order that means anything.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }
}

/// Of distinct names that the program knows.
impl FromIterator<(&'static str, Value)> for NamedValues {
    fn from_iter<I: IntoIterator<Item = (&'static str, Value)>>(all: I) -> Self {
        let all = all.into_iter();
        Self(all.map(|(name, value)| (name.into(), value)).collect())
    }
}

impl From<Map<String, Value>> for NamedValues {
    fn from(object: Map<String, Value>) -> Self {
        let all = object.into_iter();
        Self(all.map(|(name, value)| (name.into(), value)).collect())
    }
}

impl From<NamedValues> for Map<String, Value> {
    fn from(values: NamedValues) -> Self {
        let all = values.0.into_iter();
        all.map(|(name, value)| (name.into_owned(), value))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_found_by_its_name_and_taken_once() {
        let known = [
            ("id", json!(1)),
            ("phone", Value::Null),
            ("tag", json!("a")),
        ];
        let mut values: NamedValues = known.into_iter().collect();
        assert_eq!(values.get("phone"), Some(&Value::Null));
        assert_eq!(values.get("pho"), None);

        assert_eq!(values.remove("id"), Some(json!(1)));
        assert_eq!(values.remove("id"), None);
        let mut left: Vec<_> = values.names().collect();
        left.sort_unstable();
        assert_eq!(left, ["phone", "tag"]);
    }
}
