//! The methods that the header `Allow` names in an answer with status 405.
//!
//! The router knows them too, but not apart: a customer may have the id `import`, and is then answered under
//! the path of a route that has one method only.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, Method};

/// The methods of each path of the table.
#[derive(Clone, Debug, Default)]
pub(super) struct AllowedMethods(BTreeMap<String, Vec<Method>>);

impl AllowedMethods {
    /// Adds a method of a path. HEAD comes with GET.
    pub(super) fn add(&mut self, method: Method, path: &str) {
        let methods = self.0.entry(path.to_owned()).or_default();
        if method == Method::GET {
            methods.push(Method::HEAD);
        }
        methods.push(method);
    }

    /// The header of a path; `None` for a path that is not in the table.
    pub(super) fn header(&self, path: &str) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.listed(path)?).ok()
    }

    fn listed(&self, path: &str) -> Option<String> {
        let methods: Vec<_> = self.0.get(path)?.iter().map(Method::as_str).collect();
        Some(methods.join(","))
    }
}
