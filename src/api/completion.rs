//! The parts of the OpenAPI document that routes share: errors of their kind, shared parameters, the
//! header with the position, the words that a field can hold, and the aliases of the first Notty.
//!
//! Each route declares only its own parts; this file adds the rest, so that no route can forget it.

use axum::http::{Method, StatusCode};
use serde_json::json;
use utoipa::openapi::{
    Components, Deprecated, Header, KnownFormat, Ref, RefOr, SchemaFormat,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn},
    schema::{ObjectBuilder, Schema, Type},
};

use super::{
    endpoint::{Alias, Effect, Endpoint},
    examples,
    mailings::MAILING_STATUSES,
    messages::{MESSAGE_DELIVERIES, MESSAGE_STATUSES},
    problems,
};

/// The tag of the aliases.
pub(super) const FIRST_NOTTY: &str = "first Notty";

/// Fields that hold one of a few words: schema, field, words.
const WORDS: [(&str, &str, &[&str]); 6] = [
    ("MailingBody", "status", MAILING_STATUSES),
    ("MessageBody", "status", MESSAGE_STATUSES),
    ("MessageBody", "delivery", MESSAGE_DELIVERIES),
    ("NodeBody", "role", &["leader", "voter", "learner"]),
    (
        "PreviewBody",
        "rate_from",
        &["rate_limit", "measured", "assumed"],
    ),
    ("SmsBody", "encoding", &["GSM-7", "UCS-2"]),
];

/// The complete operation of a route.
pub(super) fn operation(endpoint: &Endpoint) -> Operation {
    as_asked(endpoint, &endpoint.method)
}

/// The complete operation of a route under its name in the first Notty: deprecated, and with an id
/// of its own, because no two operations may share one.
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

/// The operation of a route when it is asked by a method.
fn as_asked(endpoint: &Endpoint, method: &Method) -> Operation {
    let mut operation = endpoint.operation.clone();

    let shared = shared_names(endpoint, method).into_iter().map(reference);
    let mut parameters = operation.parameters.take().unwrap_or_default();
    parameters.extend(shared);
    operation.parameters = Some(parameters).filter(|parameters| !parameters.is_empty());

    add_words(&mut operation, endpoint);
    examples::add_to_parameters(&mut operation);
    problems::describe(&mut operation, endpoint, method);
    add_position(&mut operation);
    operation
}

/// Completes the components that routes refer to.
pub(super) fn complete(components: &mut Components) {
    problems::add_of_no_route(components);
    add_shared_parameters(components);
    add_words_of_fields(components);
    examples::add_to_fields(components);
}

fn add_shared_parameters(components: &mut Components) {
    let parameters = SHARED.map(|name| (name.to_owned(), RefOr::T(shared(name))));
    components.parameters.extend(parameters);
}

fn add_words_of_fields(components: &mut Components) {
    for (schema, field, words) in WORDS {
        if let Some(RefOr::T(Schema::Object(schema))) = components.schemas.get_mut(schema)
            && let Some(field) = schema.properties.get_mut(field)
        {
            set_words(field, words);
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
            // A shared parameter, which has its words where it is declared.
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

/// The names of parameters that many routes have, in the order of the document.
const SHARED: [&str; 5] = [LIMIT, AFTER, KEY, MIN_INDEX, CONSISTENCY];

const LIMIT: &str = "limit";
const AFTER: &str = "after";
const KEY: &str = "Idempotency-Key";
const MIN_INDEX: &str = "Notty-Min-Index";
const CONSISTENCY: &str = "consistency";

/// The shared parameters of a route when it is asked by a method.
fn shared_names(endpoint: &Endpoint, method: &Method) -> Vec<&'static str> {
    let mut names = Vec::new();
    if endpoint.is_paged {
        names.extend([LIMIT, AFTER]);
    }
    if endpoint.is_keyed(method) {
        names.push(KEY);
    }
    if !matches!(endpoint.effect, Effect::Health | Effect::Receipt) {
        names.extend([MIN_INDEX, CONSISTENCY]);
    }
    names
}

fn reference(name: &str) -> RefOr<Parameter> {
    RefOr::Ref(Ref::new(format!("#/components/parameters/{name}")))
}

fn shared(name: &str) -> Parameter {
    let mut parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(shared_place(name))
        .description(Some(shared_description(name)))
        .schema(Some(shared_schema(name)))
        .build();
    examples::add_to_parameter(&mut parameter);
    parameter
}

fn shared_place(name: &str) -> ParameterIn {
    match name {
        LIMIT | AFTER | CONSISTENCY => ParameterIn::Query,
        _ => ParameterIn::Header,
    }
}

fn shared_description(name: &str) -> &'static str {
    match name {
        LIMIT => "How many items the page has at most; absent: 100",
        AFTER => "`next` of the page before; absent: the first page",
        KEY => "Makes a repeat safe for 24 hours",
        MIN_INDEX => "Wait until the node has applied this position",
        _ => "`linearizable`: ask the leader first",
    }
}

/// The values that a shared parameter can have.
fn shared_schema(name: &str) -> ObjectBuilder {
    let integer = ObjectBuilder::new().schema_type(Type::Integer);
    let text = ObjectBuilder::new().schema_type(Type::String);
    match name {
        LIMIT => integer
            .minimum(Some(1))
            .maximum(Some(1_000))
            .default(Some(json!(100))),
        AFTER => text,
        // White space at the ends is no part of a header's value.
        KEY => text
            .min_length(Some(1))
            .max_length(Some(255))
            .pattern(Some("^[!-~]([ -~]*[!-~])?$")),
        MIN_INDEX => integer
            .minimum(Some(0))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))),
        _ => text.enum_values(Some(["linearizable"])),
    }
}

/// Adds the header with the position to every answer.
fn add_position(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else {
            continue;
        };
        // OpenAPI wants a description of every answer; the name of the status is one.
        if response.description.is_empty() {
            response.description = name_of_status(status).to_owned();
        }

        let schema = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .examples([1234]);
        let mut header = Header::new(schema);
        header.description = Some("The position of the log that the answer reflects".to_owned());

        // Errors have it too: a rejection depends on the state at a position like any other answer.
        response
            .headers
            .insert("Notty-Index".to_owned(), RefOr::T(header));
    }
}

fn name_of_status(status: &str) -> &'static str {
    let parsed = status.parse::<StatusCode>().ok();
    parsed
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default()
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
