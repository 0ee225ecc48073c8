//! What the OpenAPI document says of all routes alike: the answers that every one of them can give,
//! the position that every request may ask for, and the routes of the first Notty.
//!
//! Each route declares what is its own; this file adds the rest, so that no route can forget it.

use std::collections::btree_map::Entry;

use axum::http::StatusCode;
use utoipa::openapi::{
    Content, Deprecated, Header, OpenApi, PathItem, Ref, RefOr, Response,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn},
    schema::{ObjectBuilder, Type},
};

/// The routes of the first Notty, and what they are today.
const ALIASES: [(&str, &str); 12] = [
    ("/customer", "/customers"),
    ("/customer/{id}", "/customers/{id}"),
    ("/customer/{id}/stats", "/customers/{id}/stats"),
    ("/sub", "/mailings"),
    ("/sub/{id}", "/mailings/{id}"),
    ("/sub/{id}/stats", "/mailings/{id}/stats"),
    ("/subscription/{id}/stats", "/mailings/{id}/stats"),
    ("/message/{id}", "/messages/{id}"),
    ("/stats/", "/stats"),
    ("/stats/customer/{id}", "/stats/customers/{id}"),
    ("/stats/subscription/{id}", "/stats/mailings/{id}"),
    ("/stats/subs/{id}", "/stats/mailings/{id}"),
];

/// What the document has the aliases under.
pub(super) const FIRST_NOTTY: &str = "first Notty";

/// Completes a document that has what the routes say themselves.
pub(super) fn complete(document: &mut OpenApi) {
    let paths = &mut document.paths.paths;
    for (alias, route) in ALIASES {
        if let Some(item) = paths.get(route) {
            let item = as_alias(item.clone());
            paths.insert(alias.to_owned(), item);
        }
    }
    for (path, item) in paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(operation_id(method, path));
            operation.parameters.get_or_insert_default().extend(positions());
            add_answers(operation, method, path);
        }
    }
}

/// A route as the first Notty had it: no list beside the create, and POST where today PUT is.
fn as_alias(mut item: PathItem) -> PathItem {
    if item.post.is_some() {
        item.get = None;
    }
    item.post = item.put.take().or(item.post);
    for (_, operation) in operations(&mut item) {
        operation.deprecated = Some(Deprecated::True);
        operation.tags = Some(vec![FIRST_NOTTY.to_owned()]);
    }
    item
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, post, put, delete, .. } = item;
    let all = [("get", get), ("post", post), ("put", put), ("delete", delete)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// A name that no other operation has: its method and the words of its path.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let end = if path.ends_with('/') { "-alias" } else { "" };
    format!("{method}-{}{end}", words.collect::<Vec<_>>().join("-"))
}

/// How a request asks for the position that its answer must reflect.
fn positions() -> [RefOr<Parameter>; 2] {
    let (number, text) = (Type::Integer, Type::String);
    let index = ParameterBuilder::new()
        .name("Notty-Min-Index")
        .parameter_in(ParameterIn::Header)
        .description(Some("Wait until the node has applied this position"))
        .schema(Some(ObjectBuilder::new().schema_type(number).examples([1])));
    let consistency = ParameterBuilder::new()
        .name("consistency")
        .parameter_in(ParameterIn::Query)
        .description(Some("`linearizable`: ask the leader first"))
        .schema(Some(ObjectBuilder::new().schema_type(text).examples(["linearizable"])));
    [RefOr::T(index.build()), RefOr::T(consistency.build())]
}

fn add_answers(operation: &mut Operation, method: &str, path: &str) {
    let answers = &mut operation.responses.responses;
    for (status, description) in common_answers(method, path) {
        if let Entry::Vacant(vacant) = answers.entry(status.to_owned()) {
            let mut response = Response::new(description);
            let problem = Content::new(Some(Ref::from_schema_name("Problem")));
            response.content.insert("application/problem+json".to_owned(), RefOr::T(problem));
            vacant.insert(RefOr::T(response));
        }
    }
    for (status, response) in answers {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            let status = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
            let reason = status.and_then(|status| status.canonical_reason());
            response.description = reason.unwrap_or_default().to_owned();
        }
        let schema = ObjectBuilder::new().schema_type(Type::Integer).examples([1234]);
        let mut header = Header::new(schema);
        header.description = Some("The position of the log that the answer reflects".to_owned());
        response.headers.insert("Notty-Index".to_owned(), RefOr::T(header));
    }
}

/// The answers that a route can give because of its method; what it says itself goes first.
fn common_answers(method: &str, path: &str) -> Vec<(&'static str, &'static str)> {
    let mut answers = vec![
        ("400", "A parameter or `Notty-Min-Index` makes no sense"),
        ("500", "`storage_fault`"),
        ("503", "`index_not_reached`, `no_leader`"),
    ];
    if !matches!(path, "/healthz" | "/readyz") {
        answers.push(("403", "`forbidden_origin`: without tokens, from elsewhere; `forbidden`"));
    }
    if matches!(method, "post" | "put") {
        answers.push(("408", "`body_timeout`"));
        answers.push(("415", "`unsupported_media_type`"));
        if path != "/customers/import" {
            answers.push(("413", "`body_too_large`"));
        }
    }
    if method == "post" && !matches!(path, "/customers/import" | "/mailings/preview") {
        answers.push(("422", "`idempotency_key_reused`"));
    }
    answers
}
