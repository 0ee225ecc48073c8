//! The OpenAPI document: as it was agreed on, whole, and described.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Ended, notty};

/// Every route and method of the API, those of the first Notty included.
const ROUTES: &str = "
    POST /customers
    GET /customers
    GET /customers/{id}
    PUT /customers/{id}
    DELETE /customers/{id}
    POST /customers/import
    GET /customers/{id}/stats
    POST /mailings
    GET /mailings
    GET /mailings/{id}
    PUT /mailings/{id}
    DELETE /mailings/{id}
    POST /mailings/{id}/pause
    POST /mailings/{id}/resume
    POST /mailings/{id}/cancel
    GET /mailings/{id}/stats
    POST /mailings/preview
    GET /messages/{id}
    GET /messages
    GET /stats
    GET /stats/mailings/{id}
    GET /stats/customers/{id}
    GET /healthz
    GET /readyz
    GET /metrics
    GET /cluster
    GET /backup
    POST /customer
    GET /customer/{id}
    POST /customer/{id}
    DELETE /customer/{id}
    GET /customer/{id}/stats
    POST /sub
    GET /sub/{id}
    POST /sub/{id}
    DELETE /sub/{id}
    GET /sub/{id}/stats
    GET /subscription/{id}/stats
    GET /message/{id}
    GET /stats/
    GET /stats/customer/{id}
    GET /stats/subscription/{id}
    GET /stats/subs/{id}";

fn printed() -> String {
    let ended = Ended::of(notty().arg("openapi"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

fn document() -> Value {
    serde_json::from_str(&printed()).expect("the document is JSON")
}

/// Every operation by its method and path.
fn operations(document: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            all.push((format!("{} {path}", method.to_uppercase()), operation.clone()));
        }
    }
    all
}

#[test]
fn the_document_is_the_one_that_was_agreed_on() {
    let agreed = include_str!("openapi.json");
    let same = printed() == agreed;
    assert!(same, "the API has changed; if it should: notty openapi > tests/openapi.json");
}

#[test]
fn the_document_has_every_route() {
    let found: BTreeSet<_> = operations(&document()).into_iter().map(|(name, _)| name).collect();
    let wanted: BTreeSet<_> =
        ROUTES.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    let missing: Vec<_> = wanted.difference(&found).collect();
    assert!(missing.is_empty(), "not in the document: {missing:?}");
    for name in found.difference(&wanted) {
        assert!(name.contains("/cluster"), "no route of the contract: {name}");
    }
}

#[test]
fn every_operation_says_what_it_does_and_which_errors_it_can_give() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        let answers = operation["responses"].as_object().expect("responses");
        assert!(answers.keys().any(|status| status.starts_with('2')), "{name}: no success");
        let open = name == "GET /healthz" || name == "GET /readyz";
        let mut errors = if open { vec![] } else { vec!["400", "401", "503"] };
        if name.contains("{id}") {
            errors.push("404");
        }
        if !open {
            errors.push("403");
        }
        let is_write = !name.starts_with("GET") && !name.contains("preview");
        if is_write {
            errors.push("504");
        }
        let import = name.contains("import");
        if name.starts_with("POST") && is_write && !import {
            errors.push("422");
        }
        if name.starts_with("POST") || name.starts_with("PUT") {
            errors.push("415");
        }
        for error in errors {
            assert!(answers.contains_key(error), "{name}: {error} is not told");
        }
        for (status, answer) in answers {
            assert!(
                answer["description"].as_str().is_some_and(|t| !t.is_empty()),
                "{name} {status}"
            );
            assert!(answer["headers"]["Notty-Index"].is_object(), "{name} {status}");
            let problem = &answer["content"]["application/problem+json"]["schema"]["$ref"];
            let is_error = !status.starts_with('2');
            assert_eq!(problem == "#/components/schemas/Problem", is_error, "{name} {status}");
        }
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
        let id = operation["operationId"].as_str().expect("an id").to_owned();
        assert!(ids.insert(id), "{name}: its operationId is taken");
    }
}

#[test]
fn every_parameter_says_what_it_is() {
    for (name, operation) in operations(&document()) {
        let empty = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&empty);
        let mut told = BTreeSet::new();
        for parameter in parameters {
            let field = parameter["name"].as_str().expect("a name");
            let text = parameter["description"].as_str().unwrap_or_default();
            let example = &parameter["example"];
            let examples = &parameter["schema"]["examples"];
            let explained = !text.is_empty() || !example.is_null() || !examples.is_null();
            assert!(explained, "{name}: {field} is not explained");
            told.insert(field);
        }
        let open = name == "GET /healthz" || name == "GET /readyz";
        let positions = ["Notty-Min-Index", "consistency"];
        assert!(positions.iter().all(|name| told.contains(name) != open), "{name}");
    }
}

#[test]
fn every_field_has_a_description_and_an_example() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    assert!(schemas.len() > 10);
    for (schema, body) in schemas {
        let Some(fields) = body["properties"].as_object() else {
            panic!("{schema} has no fields");
        };
        for (name, field) in fields {
            // Of one that may be null, the description stands with the other case.
            let text = [&field["description"], &field["oneOf"][0]["description"]];
            let described = text.iter().any(|text| text.as_str().is_some_and(|t| !t.is_empty()));
            assert!(described, "{schema}.{name} has no description");
            let example = !field["example"].is_null() || !field["examples"].is_null();
            // What consists of another object shows that one's examples.
            let of_another = field.to_string().contains("\"$ref\"");
            assert!(example || of_another, "{schema}.{name} has no example");
        }
    }
}

#[test]
fn a_preview_may_leave_out_what_a_mailing_needs() {
    let document = document();
    let content = "application/json";
    let body = &document["paths"]["/mailings/preview"]["post"]["requestBody"]["content"][content];
    let schema = body["schema"]["$ref"].as_str().expect("a schema of its own");
    let schema = schema.rsplit('/').next().expect("a name");
    let schema = &document["components"]["schemas"][schema];
    assert_eq!(schema["required"], serde_json::json!(["text"]));
    let create = &document["components"]["schemas"]["MailingInput"];
    let fields = |schema: &Value| schema["properties"].as_object().map(|fields| fields.len());
    assert_eq!(fields(schema), fields(create));
}
