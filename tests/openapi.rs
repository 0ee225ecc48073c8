//! The OpenAPI document: as it was agreed on, whole, and described.

use std::collections::{BTreeMap, BTreeSet};

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
    POST /receipts/{gateway}/{id}
    GET /receipts/{gateway}/{id}
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
            all.push((
                format!("{} {path}", method.to_uppercase()),
                operation.clone(),
            ));
        }
    }
    all
}

#[test]
fn the_document_is_the_one_that_was_agreed_on() {
    let agreed = include_str!("openapi.json");
    let same = printed() == agreed;
    assert!(
        same,
        "the API has changed; if it should: notty openapi > tests/openapi.json"
    );
}

#[test]
fn the_document_has_every_route() {
    let found: BTreeSet<_> = operations(&document())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let wanted: BTreeSet<_> = ROUTES
        .lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    let missing: Vec<_> = wanted.difference(&found).collect();
    assert!(missing.is_empty(), "not in the document: {missing:?}");
    for name in found.difference(&wanted) {
        assert!(
            name.contains("/cluster"),
            "no route of the contract: {name}"
        );
    }
}

#[test]
fn every_operation_says_what_it_does_and_which_errors_it_can_give() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        let answers = operation["responses"].as_object().expect("responses");
        assert!(
            answers.keys().any(|status| status.starts_with('2')),
            "{name}: no success"
        );
        let receipt = name.contains("/receipts/");
        let open = name == "GET /healthz" || name == "GET /readyz" || receipt;
        let mut errors = if receipt {
            vec!["400", "403", "409", "503", "504"]
        } else if open {
            vec![]
        } else {
            vec!["400", "401", "503"]
        };
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
        if name.starts_with("POST") && is_write && !import && !receipt {
            errors.push("422");
        }
        // A gateway may send any kind of body: what names no state is refused for that.
        if (name.starts_with("POST") || name.starts_with("PUT")) && !receipt {
            errors.push("415");
        }
        for error in errors {
            assert!(answers.contains_key(error), "{name}: {error} is not told");
        }
        for (status, answer) in answers {
            assert!(
                answer["description"]
                    .as_str()
                    .is_some_and(|t| !t.is_empty()),
                "{name} {status}"
            );
            assert!(
                answer["headers"]["Notty-Index"].is_object(),
                "{name} {status}"
            );
            let problem = &answer["content"]["application/problem+json"]["schema"]["$ref"];
            let is_error = !status.starts_with('2');
            assert_eq!(
                problem == "#/components/schemas/Problem",
                is_error,
                "{name} {status}"
            );
        }
        assert!(
            operation["summary"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{name}"
        );
        let id = operation["operationId"].as_str().expect("an id").to_owned();
        assert!(ids.insert(id), "{name}: its operationId is taken");
    }
}

/// An operation's parameters, with the shared ones in place of their references.
fn parameters(document: &Value, operation: &Value) -> Vec<Value> {
    let given = operation["parameters"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let resolve = |parameter: Value| match parameter["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference
                .strip_prefix('#')
                .expect("a reference within the document");
            document
                .pointer(pointer)
                .unwrap_or_else(|| panic!("no {reference}"))
                .clone()
        }
        None => parameter,
    };
    given.into_iter().map(resolve).collect()
}

#[test]
fn every_parameter_says_what_it_is() {
    let document = document();
    for (name, operation) in operations(&document) {
        let mut told = BTreeSet::new();
        for parameter in parameters(&document, &operation) {
            let field = parameter["name"].as_str().expect("a name").to_owned();
            let text = parameter["description"].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{name}: {field} is not explained");
            // The page fills examples in: a list would seem empty, because all filters are set. So those
            // of parameters that may be absent are switched off.
            let filled_in = !parameter["example"].is_null();
            assert_eq!(filled_in, parameter["in"] == "path", "{name}: {field}");
            let example = &parameter["examples"]["example"];
            let switched_off = !example["value"].is_null() && example["x-disabled"] == true;
            assert_ne!(switched_off, filled_in, "{name}: the example of {field}");
            assert!(told.insert(field), "{name}: a parameter twice");
        }

        let open = name == "GET /healthz" || name == "GET /readyz" || name.contains("/receipts/");
        let positions = ["Notty-Min-Index", "consistency"];
        assert!(
            positions.iter().all(|name| told.contains(*name) != open),
            "{name}"
        );
    }
}

#[test]
fn every_field_has_a_description_and_an_example_of_its_own() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object();
    let mut missing = Vec::new();
    let mut count = 0;
    for (schema, body) in schemas.expect("schemas") {
        for (name, field) in body["properties"].as_object().into_iter().flatten() {
            count += 1;
            let text = field["description"].as_str().unwrap_or_default();
            let has_example = ["example", "examples"].map(|key| !field[key].is_null());
            if text.is_empty() || !has_example.contains(&true) {
                missing.push(format!("{schema}.{name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
    assert!(count > 100, "only {count} fields were found");

    // An example of a list is made of those of its parts.
    let items = &document["components"]["schemas"]["CustomerPage"]["properties"]["items"];
    let id = &document["components"]["schemas"]["CustomerBody"]["properties"]["id"]["example"];
    assert_eq!(items["example"][0]["id"], *id);
}

#[test]
fn parameters_of_many_routes_are_declared_once() {
    let document = document();
    let shared = document["components"]["parameters"]
        .as_object()
        .expect("parameters");
    let names: Vec<_> = shared.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "Idempotency-Key",
            "Notty-Min-Index",
            "after",
            "consistency",
            "limit"
        ]
    );
    for (name, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let own = parameter["name"].as_str().unwrap_or_default();
            assert!(!shared.contains_key(own), "{name} declares {own} by itself");
        }
    }
}

#[test]
fn a_generated_client_gets_names_and_types() {
    let document = document();
    let id = |name: &str| {
        let (method, path) = name.split_once(' ').expect("a method");
        document["paths"][path][method.to_lowercase()]["operationId"].clone()
    };
    assert_eq!(id("GET /customers"), "listCustomers");
    assert_eq!(id("POST /mailings"), "createMailing");
    assert_eq!(id("POST /mailings/{id}/pause"), "pauseMailing");
    assert_eq!(id("GET /stats"), "getStats");
    assert_eq!(id("POST /sub"), "createMailingAliasSub");
    for (name, operation) in operations(&document) {
        let id = operation["operationId"].as_str().expect("an id");
        assert!(
            id.chars().all(|c| c.is_ascii_alphanumeric()),
            "{name}: {id}"
        );
        assert_eq!(
            operation["deprecated"] == true,
            id.contains("Alias"),
            "{name}: {id}"
        );
    }

    assert_eq!(document["servers"][0]["url"], "/");
    assert_eq!(
        document["info"]["license"]["identifier"],
        "MIT OR Apache-2.0"
    );
}

#[test]
fn times_and_dates_have_their_format() {
    let document = document();
    let mut times = 0;
    for (schema, body) in document["components"]["schemas"]
        .as_object()
        .expect("schemas")
    {
        for (name, field) in body["properties"].as_object().into_iter().flatten() {
            let example = field["example"].as_str().unwrap_or_default();
            let is_time = example.contains('T') && example.ends_with('Z');
            assert_eq!(field["format"] == "date-time", is_time, "{schema}.{name}");
            times += u32::from(is_time);
        }
    }
    assert!(times >= 10, "only {times} times were found");

    let stats = &document["paths"]["/stats"]["get"];
    for parameter in parameters(&document, stats) {
        let is_day = ["from", "to"].map(Value::from).contains(&parameter["name"]);
        assert_eq!(
            parameter["schema"]["format"] == "date",
            is_day,
            "{}",
            parameter["name"]
        );
    }
}

#[test]
fn the_example_of_a_mailing_can_be_sent_for_years() {
    let document = document();
    for schema in ["MailingInput", "PreviewInput"] {
        let fields = &document["components"]["schemas"][schema]["properties"];
        let year = |name: &str| {
            fields[name]["example"]
                .as_str()
                .map(|time| time[..4].to_owned())
        };
        assert!(year("start") >= Some("2030".to_owned()), "{schema}");
    }
}

/// Codes that health checks gave on commit 3193042. Since then they answer at once, and ignore
/// `consistency` and `Notty-Min-Index`.
const WITHDRAWN_FROM_HEALTH: [&str; 5] = [
    "index_not_reached",
    "invalid_consistency",
    "invalid_index",
    "no_leader",
    "stopping",
];

/// Compares with a list of every answer on commit 3193042: method, path, status, and the codes of
/// an error.
#[test]
fn nothing_that_clients_know_has_gone() {
    let known = include_str!("openapi-3193042.txt");
    let all: BTreeMap<_, _> = operations(&document()).into_iter().collect();
    for line in known.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [method, path, status, codes @ ..] = &words[..] else {
            panic!("{line}")
        };
        let operation = all.get(&format!("{method} {path}"));
        let operation = operation.unwrap_or_else(|| panic!("{method} {path} has gone"));

        let is_health = ["/healthz", "/readyz"].contains(path);
        let withdrawn = |code: &&&str| is_health && WITHDRAWN_FROM_HEALTH.contains(*code);
        let kept: Vec<_> = codes.iter().filter(|code| !withdrawn(code)).collect();
        if kept.is_empty() && !codes.is_empty() {
            continue;
        }

        let answer = &operation["responses"][status];
        assert!(
            answer.is_object(),
            "{method} {path} gives no {status} any more"
        );
        let text = answer["description"].as_str().unwrap_or_default();
        let lines = || text.lines().map(|line| line.trim_start_matches("- "));
        for code in kept {
            let told = lines().any(|line| line.starts_with(&format!("`{code}`: ")));
            assert!(told, "{method} {path} {status}: {code} has gone");
        }
    }
    assert_eq!(known.lines().count(), 374, "the list never shrinks");
}

#[test]
fn every_field_has_a_description_and_an_example() {
    let document = document();
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    assert!(schemas.len() > 10);
    for (schema, body) in schemas {
        let Some(fields) = body["properties"].as_object() else {
            panic!("{schema} has no fields");
        };
        for (name, field) in fields {
            // Of one that may be null, the description stands with the other case.
            let text = [&field["description"], &field["oneOf"][0]["description"]];
            let described = text
                .iter()
                .any(|text| text.as_str().is_some_and(|t| !t.is_empty()));
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
    let schema = body["schema"]["$ref"]
        .as_str()
        .expect("a schema of its own");
    let schema = schema.rsplit('/').next().expect("a name");
    let schema = &document["components"]["schemas"][schema];
    assert_eq!(schema["required"], serde_json::json!(["text"]));
    let create = &document["components"]["schemas"]["MailingInput"];
    let fields = |schema: &Value| schema["properties"].as_object().map(|fields| fields.len());
    assert_eq!(fields(schema), fields(create));
}
