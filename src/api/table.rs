//! The table of all routes, and everything that is composed from it: the router with its aliases,
//! the OpenAPI document, and the roles that the guard checks.
//!
//! A resource declares its routes beside their handlers. Nothing else in the API names a route. So
//! a route that is in the table is guarded, documented and served. Only the pages of the documentation
//! itself are served beside it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use axum::{Router, http::Method, routing::MethodRouter};
use utoipa::openapi::{OpenApi, PathItem, path::Operation};

use super::{
    Api,
    allowed::AllowedMethods,
    backup, cluster, completion, customers, docs,
    endpoint::{Access, Effect, Endpoint},
    import, mailings, messages, node, receipts, stats,
};
use crate::config::Role;

/// The callers that a route serves, as the guard asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Admission {
    pub(super) access: Access,
    /// True if the origin of a request matters on an API without tokens.
    pub(super) checks_origin: bool,
}

impl Admission {
    /// No route was matched, or none with this method: there is nothing to read or to change.
    const UNMATCHED: Self = Self {
        access: Access::Needs(Role::Reader),
        checks_origin: true,
    };
    /// A page of the documentation.
    const PAGE: Self = Self {
        access: Access::Open,
        checks_origin: true,
    };

    /// True if the route answers everyone without a token.
    pub(super) fn is_open(self) -> bool {
        self.access == Access::Open
    }
}

/// Admissions by path and method.
#[derive(Debug, Default)]
pub(super) struct Admissions(BTreeMap<String, Vec<(Method, Admission)>>);

impl Admissions {
    fn add(&mut self, method: Method, path: &str, admission: Admission) {
        self.0
            .entry(path.to_owned())
            .or_default()
            .push((method, admission));
    }

    /// Finds the admission of the route that was matched. HEAD counts as GET.
    pub(super) fn find(&self, method: &Method, path: Option<&str>) -> Admission {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };

        // A path that no route has gives nothing away to a caller without a token.
        let Some(all) = path.and_then(|path| self.0.get(path)) else {
            return Admission::UNMATCHED;
        };

        let exact = all.iter().find(|(of, _)| of == method);
        // On an open path everyone may see that a method does not exist.
        let exact_or_open = exact.or_else(|| all.iter().find(|(_, admission)| admission.is_open()));
        exact_or_open.map_or(Admission::UNMATCHED, |(_, admission)| *admission)
    }
}

/// All routes of the API.
pub(super) struct RouteTable(Vec<Endpoint>);

impl RouteTable {
    /// Gathers the routes of all resources.
    pub(super) fn new() -> Self {
        let resources = [
            customers::routes(),
            import::routes(),
            mailings::routes(),
            messages::routes(),
            receipts::routes(),
            stats::routes(),
            node::routes(),
            cluster::routes(),
            backup::routes(),
        ];
        Self(resources.into_iter().flatten().collect())
    }

    /// The OpenAPI document of all routes, their aliases included.
    pub(super) fn document(&self) -> OpenApi {
        let mut document = docs::head();
        for endpoint in &self.0 {
            // Several routes declare the same schemas; the map keeps one of each.
            let components = document.components.get_or_insert_default();
            components.schemas.extend(endpoint.schemas.iter().cloned());

            let paths = &mut document.paths.paths;
            let operation = completion::operation(endpoint);
            put(
                paths.entry(endpoint.path.clone()).or_default(),
                &endpoint.method,
                operation,
            );

            for alias in &endpoint.aliases {
                let operation = completion::alias(endpoint, alias);
                put(
                    paths.entry(alias.path.to_owned()).or_default(),
                    &alias.method,
                    operation,
                );
            }
        }

        // After all routes, because it completes the schemas that they brought.
        completion::complete(document.components.get_or_insert_default());
        document
    }

    /// The methods of each path, as the document has them.
    pub(super) fn allowed(&self) -> AllowedMethods {
        let mut allowed = AllowedMethods::default();
        for (method, path) in self.0.iter().flat_map(Endpoint::documented_names) {
            allowed.add(method, path);
        }
        allowed
    }

    /// Builds the router of all routes and of the documentation's pages, with their admissions.
    pub(super) fn compose(&self) -> (Router<Api>, Admissions) {
        let mut router = Router::new();
        let mut admissions = Admissions::default();

        for endpoint in &self.0 {
            let proves_itself = matches!(endpoint.effect, Effect::Health | Effect::Receipt);
            let admission = Admission {
                access: endpoint.access,
                checks_origin: !proves_itself,
            };
            for (method, path) in endpoint.names() {
                router = router.route(path, endpoint.router(&method));
                admissions.add(method, path, admission);
            }
        }

        // The pages need no token, and are not part of the document.
        let pages: Vec<(&str, MethodRouter<Api>)> = docs::pages(&self.document());
        for (path, page) in pages {
            router = router.route(path, page);
            admissions.add(Method::GET, path, Admission::PAGE);
        }
        (router, admissions)
    }
}

/// True if a path is that of a health check. Connections ask before any routing: while the node starts
/// there is no route yet, and a connection that has its place for health checks alone gets nothing else.
pub(super) fn is_health(path: &str) -> bool {
    static PATHS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let all = RouteTable::new().0.into_iter();
        let health = all.filter(|endpoint| endpoint.effect == Effect::Health);
        health.map(|endpoint| endpoint.path).collect()
    });
    PATHS.contains(path)
}

/// Adds an operation to its path.
fn put(item: &mut PathItem, method: &Method, operation: Operation) {
    let place = match *method {
        Method::POST => &mut item.post,
        Method::PUT => &mut item.put,
        Method::DELETE => &mut item.delete,
        _ => &mut item.get,
    };
    *place = Some(operation);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(admissions: &Admissions, method: Method, path: &str) -> Option<Role> {
        match admissions.find(&method, Some(path)).access {
            Access::Open => None,
            Access::Needs(role) => Some(role),
        }
    }

    #[test]
    fn only_health_receipts_and_documentation_are_open() {
        let (_, admissions) = RouteTable::new().compose();
        let open: Vec<_> = admissions
            .0
            .iter()
            .filter(|(_, all)| all.iter().any(|(_, admission)| admission.is_open()))
            .map(|(path, _)| path.as_str())
            .collect();
        let wanted = [
            "/",
            "/docs",
            "/docs/",
            "/docs/scalar.js",
            "/healthz",
            "/openapi.json",
            "/readyz",
            "/receipts/{gateway}/{id}",
        ];
        assert_eq!(open, wanted);
        assert!(is_health("/healthz") && is_health("/readyz"));
        assert!(!is_health("/docs") && !is_health("/healthz/") && !is_health("/customers"));
    }

    #[test]
    fn writes_need_an_operator_and_the_cluster_an_admin() {
        let table = RouteTable::new();
        for endpoint in &table.0 {
            let lowest = match endpoint.effect {
                Effect::Health | Effect::Receipt => continue,
                Effect::Reads | Effect::ReadsNode => Role::Reader,
                Effect::Writes | Effect::KeyedWrite => Role::Operator,
                Effect::ChangesCluster => Role::Admin,
            };
            let path = &endpoint.path;
            let Access::Needs(role) = endpoint.access else {
                panic!("{path} is open")
            };
            assert!(role >= lowest, "{} {path}", endpoint.method);
        }
    }

    #[test]
    fn head_asks_as_get_and_an_alias_as_its_route() {
        let (_, admissions) = RouteTable::new().compose();
        let of = |method, path| role(&admissions, method, path);
        assert_eq!(of(Method::HEAD, "/backup"), Some(Role::Admin));
        assert_eq!(of(Method::POST, "/sub/{id}"), Some(Role::Operator));
        assert_eq!(of(Method::POST, "/mailings/preview"), Some(Role::Reader));
        assert_eq!(
            of(Method::DELETE, "/mailings/preview"),
            Some(Role::Operator)
        );
        assert_eq!(of(Method::POST, "/cluster/time"), Some(Role::Admin));
        assert_eq!(of(Method::GET, "/cluster"), Some(Role::Reader));
        assert_eq!(
            of(Method::POST, "/healthz"),
            None,
            "it answers 405 to everyone"
        );
        assert_eq!(admissions.find(&Method::POST, None), Admission::UNMATCHED);
    }
}
