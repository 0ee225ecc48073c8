//! The parts of the OpenAPI document that all routes have alike: the errors of their kind, the
//! position that a request may ask for, the words that a field can hold, the names of the first
//! Notty.
//!
//! Each route declares its own; this file adds the rest, so that no route can forget it.

use axum::http::{Method, StatusCode};
use serde_json::json;
use utoipa::openapi::{
    Components, Deprecated, Header, KnownFormat, Ref, RefOr, SchemaFormat,
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
    (
        "PreviewBody",
        "rate_from",
        &["rate_limit", "measured", "assumed"],
    ),
    ("SmsBody", "encoding", &["GSM-7", "UCS-2"]),
];

/// A route's operation, whole.
pub(super) fn operation(endpoint: &Endpoint) -> Operation {
    as_asked(endpoint, &endpoint.method)
}

/// The same under its name in the first Notty.
pub(super) fn alias(endpoint: &Endpoint, alias: &Alias) -> Operation {
    let mut operation = as_asked(endpoint, &alias.method);
    let id = operation.operation_id.unwrap_or_default();
    operation.operation_id = Some(format!("{id}Alias{}", words_of(alias.path)));
    operation.deprecated = Some(Deprecated::True);
    operation.tags = Some(vec![FIRST_NOTTY.to_owned()]);
    operation
}

/// The words of a path without its parameters: `SubStats` of `/sub/{id}/stats`.
fn words_of(path: &str) -> String {
    let words = path
        .split('/')
        .filter(|word| !word.is_empty() && !word.starts_with('{'));
    let capital = |word: &str| {
        let (first, rest) = word.split_at(1);
        first.to_ascii_uppercase() + rest
    };
    words.map(capital).collect()
}

/// A route's operation by one of its methods.
fn as_asked(endpoint: &Endpoint, method: &Method) -> Operation {
    let mut operation = endpoint.operation.clone();
    let shared = shared_names(endpoint, method).into_iter().map(reference);
    operation.parameters.get_or_insert_default().extend(shared);
    operation.parameters = operation
        .parameters
        .filter(|parameters| !parameters.is_empty());
    add_words(&mut operation, endpoint);
    problems::describe(&mut operation, endpoint, method);
    add_position(&mut operation);
    operation
}

/// Completes what the routes share.
pub(super) fn complete(components: &mut Components) {
    problems::add_of_no_route(components);
    for name in SHARED {
        components
            .parameters
            .insert(name.to_owned(), RefOr::T(shared(name)));
    }

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
        let RefOr::T(Parameter {
            name,
            schema: Some(schema),
            ..
        }) = parameter
        else {
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

/// The parameters that many routes have, in the order of the document.
const SHARED: [&str; 5] = [LIMIT, AFTER, KEY, MIN_INDEX, CONSISTENCY];

const LIMIT: &str = "limit";
const AFTER: &str = "after";
const KEY: &str = "Idempotency-Key";
const MIN_INDEX: &str = "Notty-Min-Index";
const CONSISTENCY: &str = "consistency";

/// Those that a route has when it is asked by a method.
fn shared_names(endpoint: &Endpoint, method: &Method) -> Vec<&'static str> {
    let mut names = Vec::new();
    if endpoint.is_paged {
        names.extend([LIMIT, AFTER]);
    }
    if endpoint.is_keyed(method) {
        names.push(KEY);
    }
    if endpoint.effect != Effect::Health {
        names.extend([MIN_INDEX, CONSISTENCY]);
    }
    names
}

fn reference(name: &str) -> RefOr<Parameter> {
    RefOr::Ref(Ref::new(format!("#/components/parameters/{name}")))
}

/// A shared parameter. None has an example: the page would fill it in, and nobody means the
/// second page, or a position, before there is one.
fn shared(name: &str) -> Parameter {
    let integer = || ObjectBuilder::new().schema_type(Type::Integer);
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let (place, description, schema) = match name {
        LIMIT => {
            let schema = integer()
                .minimum(Some(1))
                .maximum(Some(1_000))
                .default(Some(json!(100)));
            (
                ParameterIn::Query,
                "How many items the page has at most; absent: 100",
                schema,
            )
        }
        AFTER => (
            ParameterIn::Query,
            "`next` of the page before; absent: the first page",
            text(),
        ),
        KEY => {
            let schema = text().min_length(Some(1)).max_length(Some(255));
            (
                ParameterIn::Header,
                "Makes a repeat safe for 24 hours",
                schema,
            )
        }
        MIN_INDEX => {
            let schema = integer().format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
            (
                ParameterIn::Header,
                "Wait until the node has applied this position",
                schema,
            )
        }
        _ => {
            let schema = text().enum_values(Some(["linearizable"]));
            (
                ParameterIn::Query,
                "`linearizable`: ask the leader first",
                schema,
            )
        }
    };

    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

/// Says of every answer which position it reflects.
fn add_position(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else {
            continue;
        };
        if response.description.is_empty() {
            let status = status
                .parse()
                .ok()
                .and_then(|status| StatusCode::from_u16(status).ok());
            let reason = status.and_then(|status| status.canonical_reason());
            response.description = reason.unwrap_or_default().to_owned();
        }
        let schema = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .examples([1234]);
        let mut header = Header::new(schema);
        header.description = Some("The position of the log that the answer reflects".to_owned());
        response
            .headers
            .insert("Notty-Index".to_owned(), RefOr::T(header));
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
        for (path, words) in [
            ("/mailings", MAILING_STATUSES),
            ("/messages", MESSAGE_STATUSES),
        ] {
            let all = document["paths"][path]["get"]["parameters"]
                .as_array()
                .expect("a list");
            let is = |parameter: &&Value| parameter["name"] == "status";
            let said = all
                .iter()
                .find(is)
                .map(|parameter| &parameter["schema"]["enum"]);
            assert_eq!(said, Some(&json!(words)), "{path}");
        }
        assert!(
            MAILING_STATUSES
                .iter()
                .all(|word| MailingStatus::from_name(word).is_some())
        );
        let all: Vec<_> = notty_storage::model::STATUSES
            .iter()
            .map(|status| status.name())
            .collect();
        assert_eq!(MESSAGE_STATUSES, all);
        assert!(
            MESSAGE_STATUSES
                .iter()
                .all(|word| Status::from_name(word).is_some())
        );
    }
}
