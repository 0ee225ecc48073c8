//! The errors in the OpenAPI document: for each status of a route, its codes with their meanings, and
//! an example that looks like a real answer.
//!
//! The codes of a route come from its [`Endpoint`]; nothing about a route is decided here.

use std::collections::BTreeMap;

use axum::http::Method;
use utoipa::openapi::{Components, Content, Ref, RefOr, Response, path::Operation};

use super::{
    code::Code,
    endpoint::{Endpoint, Saying, Takes},
    error::{FieldFault, ProblemBody},
};

/// Errors that belong to no route of the document.
const NO_ROUTE: [(&str, Code); 2] = [
    ("UnknownRoute", Code::UnknownRoute),
    ("MethodNotAllowed", Code::MethodNotAllowed),
];

/// The media type of a problem.
const PROBLEM: &str = "application/problem+json";

/// Adds every error that a route can give to its operation.
pub(super) fn describe(operation: &mut Operation, endpoint: &Endpoint, method: &Method) {
    let mut by_status: BTreeMap<u16, Vec<Saying>> = BTreeMap::new();
    for code in endpoint.all_codes(method) {
        by_status
            .entry(code.status().as_u16())
            .or_default()
            .push(endpoint.saying(code));
    }

    // Where a body is needed, the example shows that several faults come at once.
    let most_faults = if endpoint.takes == Takes::Json { 2 } else { 1 };
    for (status, sayings) in by_status {
        let response = response(&sayings, most_faults);
        operation
            .responses
            .responses
            .insert(status.to_string(), response);
    }
}

/// Adds the errors of requests that match no route.
pub(super) fn add_of_no_route(components: &mut Components) {
    for (name, code) in NO_ROUTE {
        components
            .responses
            .insert(name.to_owned(), response(&[Saying::of(code)], 1));
    }
}

/// Builds the response of one status, for at least one code.
fn response(sayings: &[Saying], most_faults: usize) -> RefOr<Response> {
    let mut response = Response::new(description(sayings));
    let mut content = Content::new(Some(Ref::from_schema_name("Problem")));
    content.example = serde_json::to_value(example(sayings, most_faults)).ok();
    response
        .content
        .insert(PROBLEM.to_owned(), RefOr::T(content));
    RefOr::T(response)
}

/// The codes of one status with their meanings, as Markdown.
fn description(sayings: &[Saying]) -> String {
    let lines = sayings
        .iter()
        .map(|said| format!("`{}`: {}", said.code.name(), said.meaning));
    match sayings.len() {
        1 => lines.collect(),
        _ => lines
            .map(|line| format!("- {line}"))
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

/// An example of an answer with the first code.
fn example(sayings: &[Saying], most_faults: usize) -> ProblemBody {
    let first = &sayings[0];
    let shown = sayings.iter().take(most_faults);
    let faults = shown.filter_map(|said| Some((said.field?, said)));
    let errors: Vec<_> = faults
        .map(|(field, said)| FieldFault::new(field, said.code, said.detail.clone()))
        .collect();

    // In the words of `ApiError::invalid`, which a test compares.
    let detail = match (first.field, errors.len()) {
        (None | Some(""), _) => first.detail.clone(),
        (Some(field), 1) => format!("{field}: {}", first.detail),
        (Some(field), n) => {
            format!("{n} fields are wrong, the first: {field}: {}", first.detail)
        }
    };
    ProblemBody::of(first.code, detail, errors)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::{body::to_bytes, response::IntoResponse};
    use serde_json::Value;

    use super::*;
    use crate::api::{ApiError, code::OF_NO_ROUTE, openapi};

    /// Every error response of the document: where it is, its status, what it is.
    fn errors() -> Vec<(String, u16, Value)> {
        let document = serde_json::to_value(openapi()).expect("JSON");
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("methods") {
                for (status, response) in operation["responses"].as_object().expect("responses") {
                    let status = status.parse().expect("a status");
                    if status >= 400 {
                        all.push((
                            format!("{method} {path} {status}"),
                            status,
                            response.clone(),
                        ));
                    }
                }
            }
        }
        for (name, code) in NO_ROUTE {
            let response = document["components"]["responses"][name].clone();
            all.push((name.to_owned(), code.status().as_u16(), response));
        }
        all
    }

    /// The codes that a description tells.
    fn told(place: &str, response: &Value) -> Vec<String> {
        let text = response["description"].as_str().unwrap_or_default();
        let code = |line: &str| {
            let line = line.trim_start_matches("- ").strip_prefix('`')?;
            Some(line.split_once("`: ")?.0.to_owned())
        };
        text.lines()
            .map(|line| code(line).unwrap_or_else(|| panic!("{place}: {line}")))
            .collect()
    }

    #[test]
    fn every_error_tells_its_codes_and_has_an_example() {
        let mut used = BTreeSet::new();
        for (place, status, response) in errors() {
            let codes = told(&place, &response);
            assert!(!codes.is_empty(), "{place} tells no code");
            for code in &codes {
                assert_eq!(
                    Code::known(code).status().as_u16(),
                    status,
                    "{place}: {code}"
                );
            }
            let distinct: BTreeSet<_> = codes.iter().collect();
            assert_eq!(distinct.len(), codes.len(), "{place} tells a code twice");
            let example = &response["content"][PROBLEM]["example"];
            assert_eq!(
                example["code"],
                codes[0].as_str(),
                "{place}: no example of its code"
            );
            assert_eq!(example["status"], status, "{place}");
            used.extend(codes);
        }
        for code in Code::all()
            .iter()
            .filter(|code| !OF_NO_ROUTE.contains(code))
        {
            assert!(
                used.contains(code.name()),
                "no route gives `{}`",
                code.name()
            );
        }
    }

    #[tokio::test]
    async fn examples_look_like_answers() {
        for (place, status, response) in errors() {
            let example = &response["content"][PROBLEM]["example"];
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            let faults = example["errors"].as_array().cloned().unwrap_or_default();
            let faults = faults.iter().map(|fault| {
                FieldFault::new(
                    &text(&fault["field"]),
                    Code::known(&text(&fault["code"])),
                    text(&fault["detail"]),
                )
            });
            let faults: Vec<_> = faults.collect();
            let answer = if faults.is_empty() {
                assert_eq!(
                    Code::known(&text(&example["code"])).status().as_u16(),
                    status,
                    "{place}"
                );
                ApiError::new(
                    Code::known(&text(&example["code"])),
                    text(&example["detail"]),
                )
            } else {
                ApiError::invalid(faults)
            };
            let body = to_bytes(answer.into_response().into_body(), 9_999)
                .await
                .expect("a body");
            let answer: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(*example, answer, "{place}");
        }
    }
}
