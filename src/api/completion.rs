//! What the OpenAPI document says of all routes alike: the errors that each of them can give, the
//! position that every request may ask for, the words that a field can hold, and the routes of the
//! first Notty.
//!
//! Each route declares what is its own; this file adds the rest, so that no route can forget it.

use axum::http::StatusCode;
use serde_json::json;
use utoipa::openapi::{
    Components, Deprecated, Header, OpenApi, PathItem, RefOr,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn},
    schema::{ObjectBuilder, Schema, Type},
};

use super::problems::{self, Route};

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

/// The statuses of a mailing.
const MAILING_STATUSES: &[&str] = &["scheduled", "active", "paused", "finished", "cancelled"];
/// The statuses of a message.
const MESSAGE_STATUSES: &[&str] =
    &["created", "sending", "done", "failed", "invalid", "expired", "cancelled", "unconfirmed"];

/// Fields that hold one of a few words, by their schemas.
const WORDS: [(&str, &str, &[&str]); 5] = [
    ("MailingBody", "status", MAILING_STATUSES),
    ("MessageBody", "status", MESSAGE_STATUSES),
    ("NodeBody", "role", &["leader", "voter", "learner"]),
    ("PreviewBody", "rate_from", &["rate_limit", "measured", "assumed"]),
    ("SmsBody", "encoding", &["GSM-7", "UCS-2"]),
];

/// Parameters that take one of a few words, by their routes.
const PARAMETER_WORDS: [(&str, &str, &[&str]); 2] =
    [("get /mailings", "status", MAILING_STATUSES), ("get /messages", "status", MESSAGE_STATUSES)];

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
            let name = todays_name(method, path);
            let route = Route { method, name: &name };
            if !route.is_health() {
                operation.parameters.get_or_insert_default().extend(positions());
            }
            add_parameter_words(operation, &name);
            problems::describe(operation, &route);
            add_position(operation);
        }
    }
    let components = document.components.get_or_insert_default();
    problems::add_of_no_route(components);
    complete_fields(components);
}

/// Adds what the fields' own attributes cannot say.
fn complete_fields(components: &mut Components) {
    for (schema, field, words) in WORDS {
        if let Some(RefOr::T(Schema::Object(schema))) = components.schemas.get_mut(schema)
            && let Some(field) = schema.properties.get_mut(field)
        {
            set_words(field, words);
        }
    }
    for schema in components.schemas.values_mut() {
        if let RefOr::T(Schema::Object(schema)) = schema
            && let Some(RefOr::T(Schema::OneOf(window))) = schema.properties.get_mut("send_window")
        {
            window.example = Some(json!({ "from": "09:00", "to": "21:00" }));
        }
    }
}

fn add_parameter_words(operation: &mut Operation, name: &str) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(Parameter { name: parameter, schema: Some(schema), .. }) = parameter else {
            continue;
        };
        let mut all = PARAMETER_WORDS.iter();
        if let Some((.., words)) =
            all.find(|(route, of, _)| *route == name && *of == parameter.as_str())
        {
            set_words(schema, words);
        }
    }
}

fn set_words(schema: &mut RefOr<Schema>, words: &[&str]) {
    if let RefOr::T(Schema::Object(object)) = schema {
        object.enum_values = Some(words.iter().map(|word| (*word).into()).collect());
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
        .schema(Some(ObjectBuilder::new().schema_type(text).enum_values(Some(["linearizable"]))))
        .example(Some("linearizable".into()));
    [RefOr::T(index.build()), RefOr::T(consistency.build())]
}

/// An operation's name as it is today: an alias that is asked by POST may be a PUT.
fn todays_name(method: &str, path: &str) -> String {
    match ALIASES.iter().find(|(alias, _)| *alias == path) {
        Some((_, route)) if method == "post" && route.ends_with('}') => format!("put {route}"),
        Some((_, route)) => format!("{method} {route}"),
        None => format!("{method} {path}"),
    }
}

/// Says of every answer which position it reflects.
fn add_position(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
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

#[cfg(test)]
mod tests {
    use notty_storage::model::{MailingStatus, Status};
    use serde_json::Value;

    use super::*;

    #[test]
    fn words_are_in_the_document_and_are_all_there_are() {
        let document = serde_json::to_value(crate::api::openapi()).expect("JSON");
        for (schema, field, words) in WORDS {
            let said = &document["components"]["schemas"][schema]["properties"][field]["enum"];
            assert_eq!(*said, json!(words), "{schema}.{field}");
        }
        for (route, name, words) in PARAMETER_WORDS {
            let path = route.trim_start_matches("get ");
            let all = document["paths"][path]["get"]["parameters"].as_array().expect("a list");
            let is = |parameter: &&Value| parameter["name"] == name && parameter["in"] == "query";
            let said = all.iter().find(is).map(|parameter| &parameter["schema"]["enum"]);
            assert_eq!(said, Some(&json!(words)), "{route} {name}");
        }
        assert!(MAILING_STATUSES.iter().all(|word| MailingStatus::from_name(word).is_some()));
        let all: Vec<_> =
            notty_storage::model::STATUSES.iter().map(|status| status.name()).collect();
        assert_eq!(MESSAGE_STATUSES, all);
        assert!(MESSAGE_STATUSES.iter().all(|word| Status::from_name(word).is_some()));
    }
}
