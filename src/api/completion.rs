//! The parts of the OpenAPI document that all routes have alike: the errors of their kind, the
//! position that a request may ask for, the words that a field can hold, the names of the first
//! Notty.
//!
//! Each route declares its own; this file adds the rest, so that no route can forget it.

use axum::http::{Method, StatusCode};
use serde_json::json;
use utoipa::openapi::{
    Components, Deprecated, Header, RefOr,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn},
    schema::{ObjectBuilder, Schema, Type},
};

use super::{
    endpoint::{Alias, Effect, Endpoint},
    mailings::MAILING_STATUSES,
    messages::MESSAGE_STATUSES,
    problems,
};

/// The tag of the aliases.
pub(super) const FIRST_NOTTY: &str = "first Notty";

/// Fields that hold one of a few words, by their schemas.
const WORDS: [(&str, &str, &[&str]); 5] = [
    ("MailingBody", "status", MAILING_STATUSES),
    ("MessageBody", "status", MESSAGE_STATUSES),
    ("NodeBody", "role", &["leader", "voter", "learner"]),
    ("PreviewBody", "rate_from", &["rate_limit", "measured", "assumed"]),
    ("SmsBody", "encoding", &["GSM-7", "UCS-2"]),
];

/// A route's operation, whole.
pub(super) fn operation(endpoint: &Endpoint) -> Operation {
    let mut operation = as_asked(endpoint, &endpoint.method);
    operation.operation_id = Some(operation_id(endpoint.method.as_str(), &endpoint.path));
    operation
}

/// The same under its name in the first Notty.
pub(super) fn alias(endpoint: &Endpoint, alias: &Alias) -> Operation {
    let mut operation = as_asked(endpoint, &alias.method);
    operation.operation_id = Some(operation_id(alias.method.as_str(), alias.path));
    operation.deprecated = Some(Deprecated::True);
    operation.tags = Some(vec![FIRST_NOTTY.to_owned()]);
    operation
}

/// A route's operation by one of its methods.
fn as_asked(endpoint: &Endpoint, method: &Method) -> Operation {
    let mut operation = endpoint.operation.clone();
    if endpoint.effect != Effect::Health {
        operation.parameters.get_or_insert_default().extend(positions());
    }
    add_words(&mut operation, endpoint);
    problems::describe(&mut operation, endpoint, method);
    add_position(&mut operation);
    operation
}

/// Completes what the routes share.
pub(super) fn complete(components: &mut Components) {
    problems::add_of_no_route(components);
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

fn add_words(operation: &mut Operation, endpoint: &Endpoint) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(Parameter { name, schema: Some(schema), .. }) = parameter else {
            continue;
        };
        if let Some((_, words)) = endpoint.words.iter().find(|(of, _)| *of == name.as_str()) {
            set_words(schema, words);
        }
    }
}

fn set_words(schema: &mut RefOr<Schema>, words: &[&str]) {
    if let RefOr::T(Schema::Object(object)) = schema {
        object.enum_values = Some(words.iter().map(|word| (*word).into()).collect());
    }
}

/// A name that no other operation has: its method and the words of its path.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let end = if path.ends_with('/') { "-alias" } else { "" };
    format!("{}-{}{end}", method.to_lowercase(), words.collect::<Vec<_>>().join("-"))
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
        for (path, words) in [("/mailings", MAILING_STATUSES), ("/messages", MESSAGE_STATUSES)] {
            let all = document["paths"][path]["get"]["parameters"].as_array().expect("a list");
            let is = |parameter: &&Value| parameter["name"] == "status";
            let said = all.iter().find(is).map(|parameter| &parameter["schema"]["enum"]);
            assert_eq!(said, Some(&json!(words)), "{path}");
        }
        assert!(MAILING_STATUSES.iter().all(|word| MailingStatus::from_name(word).is_some()));
        let all: Vec<_> =
            notty_storage::model::STATUSES.iter().map(|status| status.name()).collect();
        assert_eq!(MESSAGE_STATUSES, all);
        assert!(MESSAGE_STATUSES.iter().all(|word| Status::from_name(word).is_some()));
    }
}
