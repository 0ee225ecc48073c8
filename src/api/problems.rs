//! What the OpenAPI document says of errors: each code with its status and when it is given, which
//! routes can give it, and how the problem looks.
//!
//! Two tables say it once: [`CODES`] what a code means, [`OWN`] which codes a route has beside
//! those of all routes of its kind.

use std::collections::BTreeMap;

use utoipa::openapi::{Components, Content, Ref, RefOr, Response, path::Operation};

use super::{
    code::Code,
    error::{Fault, Problem},
};

/// Codes of single routes, beside those of all routes of their kind. The first ones of a status are
/// its example; those of fields first that can be wrong in one request.
const OWN: &[(&str, &str)] = &[
    (
        "post /customers",
        "invalid_phone invalid_timezone invalid_id too_long control_character missing \
         wrong_type customer_exists customer_busy",
    ),
    (
        "put /customers/{id}",
        "invalid_phone invalid_timezone invalid_id id_mismatch too_long control_character \
         missing wrong_type",
    ),
    ("delete /customers/{id}", "customer_busy"),
    ("get /customers", "invalid_filter invalid_limit invalid_after"),
    ("post /customers/import", "invalid_header broken_body body_timeout unsupported_media_type"),
    (
        "post /mailings",
        "empty_text end_before_start end_passed explicit_language invalid_id invalid_filter \
         invalid_time invalid_send_window too_long control_character missing wrong_type \
         mailing_exists too_many_mailings no_numbers_left",
    ),
    (
        "put /mailings/{id}",
        "empty_text end_before_start end_passed explicit_language id_mismatch invalid_filter \
         invalid_time invalid_send_window too_long control_character missing wrong_type \
         mailing_started mailing_over",
    ),
    (
        "post /mailings/preview",
        "empty_text end_before_start explicit_language invalid_id invalid_filter invalid_time \
         invalid_send_window too_long control_character missing wrong_type",
    ),
    ("get /mailings", "invalid_limit invalid_after invalid_status"),
    ("post /mailings/{id}/pause", "mailing_over"),
    (
        "post /mailings/{id}/resume",
        "wrong_type mailing_over duplicates_not_accepted no_numbers_left",
    ),
    ("post /mailings/{id}/cancel", "mailing_over"),
    ("get /messages", "invalid_status invalid_id invalid_limit invalid_after not_found"),
    ("get /stats", "to_before_from invalid_date invalid_filter"),
    ("get /readyz", "not_ready"),
    ("get /backup", "forbidden busy backup_failed"),
    (
        "put /cluster/nodes/{name}",
        "invalid_address invalid_url invalid_name missing wrong_type node_exists \
         node_unreachable node_not_empty refused change_under_way",
    ),
    (
        "delete /cluster/nodes/{name}",
        "no_majority last_voter not_transferred node_exists refused change_under_way",
    ),
    ("put /cluster/leader", "wrong_type missing not_transferred"),
    ("post /cluster/time", "invalid_time wrong_type storage_fault"),
];

/// What a route says otherwise than [`CODES`]: the route, the code, when it is given, an example.
const OTHERWISE: &[(&str, &str, &str, &str)] = &[
    (
        "get /readyz",
        "not_ready",
        "the node has no leader, or still applies what the leader has",
        "the node has no leader, or still applies what the leader has",
    ),
    (
        "post /customers/import",
        "unsupported_media_type",
        "the body is neither CSV nor NDJSON",
        "an import takes text/csv or application/x-ndjson",
    ),
    (
        "post /customers/import",
        "body_timeout",
        "the upload pauses for more than 30 seconds; what came before is imported",
        "the upload paused for too long; what came before was imported",
    ),
    (
        "post /customers/import",
        "broken_body",
        "the upload breaks off; what came before is imported",
        "the upload broke off; 2000 customers were written before",
    ),
    (
        "post /customers/import",
        "outcome_unknown",
        "whether the last rows were written is not known; the file may be sent again",
        "whether it was executed is not known; repeating it with the same Idempotency-Key is \
         safe",
    ),
    (
        "get /messages",
        "not_found",
        "there is no such mailing or customer",
        "no mailing is there with this id",
    ),
    (
        "put /cluster/nodes/{name}",
        "not_found",
        "the name in the path is not UTF-8",
        "no thing is there with this id",
    ),
    (
        "delete /cluster/nodes/{name}",
        "not_found",
        "no node of the cluster has this name",
        "no node of the cluster is called `notty-3`",
    ),
    (
        "delete /cluster/nodes/{name}",
        "node_exists",
        "the leader goes by a name now that another node has",
        "`notty-1` is a node of the cluster already, with another disk or at another address; if \
         its disk is lost, remove it first: notty cluster remove notty-1",
    ),
    (
        "post /mailings/{id}/resume",
        "wrong_type",
        "`accept_duplicates` is not true or false",
        "true or false is needed",
    ),
    ("put /cluster/leader", "missing", "the name is empty", "a node's name"),
    ("put /cluster/nodes/{name}", "outcome_unknown", CHANGE_UNKNOWN, CHANGE_UNKNOWN),
    ("delete /cluster/nodes/{name}", "outcome_unknown", CHANGE_UNKNOWN, CHANGE_UNKNOWN),
    ("put /cluster/leader", "outcome_unknown", CHANGE_UNKNOWN, CHANGE_UNKNOWN),
];

/// What is said of a change of the cluster whose outcome is not known.
const CHANGE_UNKNOWN: &str = "whether it was done is not known; ask again, a repeat is harmless";

/// Errors that belong to no route of the document.
const NO_ROUTE: [(&str, &str); 2] =
    [("UnknownRoute", "unknown_route"), ("MethodNotAllowed", "method_not_allowed")];

/// The media type of a problem.
const PROBLEM: &str = "application/problem+json";

/// An operation as far as its errors go.
pub(super) struct Route<'a> {
    /// The method that it is asked by.
    pub(super) method: &'a str,
    /// Its method and path as they are today, also where it is an alias.
    pub(super) name: &'a str,
}

impl Route<'_> {
    fn is(&self, begins: &str) -> bool {
        self.name.starts_with(begins)
    }

    fn reads(&self) -> bool {
        self.is("get ") || self.name == "post /mailings/preview"
    }

    /// Whether it answers everyone at once.
    pub(super) fn is_health(&self) -> bool {
        self.name == "get /healthz" || self.name == "get /readyz"
    }

    fn changes_cluster(&self) -> bool {
        // The time is set by a write like any other.
        !self.reads() && self.name.contains(" /cluster") && !self.is("post /cluster/time")
    }

    fn is_import(&self) -> bool {
        self.name == "post /customers/import"
    }

    fn takes_json(&self) -> bool {
        (self.is("post ") || self.is("put ")) && !self.is_import()
    }

    /// Whether it can do without a body.
    fn body_is_optional(&self) -> bool {
        let acts = ["/pause", "/resume", "/cancel", "/leader", "/time"];
        acts.iter().any(|act| self.name.ends_with(act))
    }

    /// All codes that it can give, its own first.
    fn codes(&self) -> Vec<&'static str> {
        let own = OWN.iter().find(|(name, _)| *name == self.name);
        let mut codes: Vec<_> =
            own.map_or("", |(_, codes)| *codes).split_ascii_whitespace().collect();
        if self.takes_json() {
            codes.extend(["unknown_field", "invalid_json"]);
            if !self.body_is_optional() {
                codes.push("empty_body");
            }
            codes.extend(["broken_body", "body_timeout", "body_too_large"]);
            codes.push("unsupported_media_type");
        }
        if self.takes_json() && !self.reads() && !self.changes_cluster() {
            codes.extend(["invalid_key", "unexpected_reply"]);
            if self.method == "post" {
                codes.extend(["idempotency_key_reused", "too_many_keys"]);
            }
        }
        if self.name.contains('{') {
            codes.push("not_found");
        }
        if !self.reads() {
            // The likeliest of its status.
            codes.insert(0, "no_leader");
            codes.extend(["forbidden", "outcome_unknown"]);
            if !self.changes_cluster() {
                codes.push("overloaded");
            }
        }
        let asks = self.reads() && !self.is_health();
        if asks && !matches!(self.name, "get /cluster" | "get /backup") {
            codes.push("storage_fault");
        }
        if !self.is_health() {
            if self.name != "get /metrics" {
                codes.extend(["unknown_parameter", "invalid_utf8"]);
            }
            codes.extend(["unauthorized", "forbidden_origin", "not_ready"]);
            codes.extend(["too_many_connections", "invalid_index", "invalid_consistency"]);
            if self.reads() {
                codes.push("no_leader");
            }
            codes.extend(["stopping", "index_not_reached"]);
        }
        codes
    }

    /// The field that an example finds fault with.
    fn field(&self, code: Code) -> Option<&'static str> {
        match (self.name, code.name()) {
            ("post /mailings/{id}/resume", "wrong_type") => Some("accept_duplicates"),
            ("post /cluster/time", "invalid_time" | "wrong_type") => Some("time"),
            _ => code.field(),
        }
    }

    fn told(&self, code: Code) -> (&'static str, String) {
        let mut otherwise = OTHERWISE.iter();
        let found = otherwise.find(|(name, of, ..)| *name == self.name && *of == code.name());
        if let Some((_, _, when, detail)) = found {
            return (*when, (*detail).to_owned());
        }
        let detail = match code.name() {
            "not_found" if self.name.contains("/mailings") => "no mailing is there with this id",
            "not_found" if self.name.contains("/messages") => "no message is there with this id",
            "unexpected_reply" if self.name.contains("/customers") => {
                "the write was answered otherwise than by a customer"
            }
            _ => code.detail(),
        };
        (code.meaning(), detail.to_owned())
    }

    /// The codes of one status in words.
    fn description(&self, codes: &[Code]) -> String {
        let told = codes.iter().map(|code| format!("`{}`: {}", code.name(), self.told(*code).0));
        match codes.len() {
            1 => told.collect(),
            _ => told.map(|told| format!("- {told}")).collect::<Vec<_>>().join("\n"),
        }
    }

    /// A problem as it is answered: where fields are wrong, two of them at once if they can be.
    fn example(&self, codes: &[Code]) -> Problem {
        let most = if self.takes_json() && !self.body_is_optional() { 2 } else { 1 };
        let (first, code) = (self.told(codes[0]).1, codes[0]);
        let faults = codes.iter().take(most);
        let faults =
            faults.filter_map(|code| Some((self.field(*code)?, *code, self.told(*code).1)));
        let errors: Vec<_> =
            faults.map(|(field, code, detail)| Fault::new(field, code, detail)).collect();
        let detail = match (self.field(code), errors.len()) {
            (None | Some(""), _) => first,
            (Some(field), 1) => format!("{field}: {first}"),
            (Some(field), n) => format!("{n} fields are wrong, the first: {field}: {first}"),
        };
        Problem {
            kind: "about:blank".to_owned(),
            title: code.status().canonical_reason().unwrap_or("Error").to_owned(),
            status: code.status().as_u16(),
            code,
            detail,
            errors,
        }
    }

    fn response(&self, codes: &[Code]) -> Response {
        let mut response = Response::new(self.description(codes));
        let mut content = Content::new(Some(Ref::from_schema_name("Problem")));
        content.example = serde_json::to_value(self.example(codes)).ok();
        response.content.insert(PROBLEM.to_owned(), RefOr::T(content));
        response
    }
}

fn known(name: &str) -> Code {
    Code::named(name).unwrap_or_else(|| panic!("the code `{name}` is not in the table"))
}

/// Puts every error that a route can give in its operation.
pub(super) fn describe(operation: &mut Operation, route: &Route<'_>) {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in route.codes() {
        let code = known(code);
        by_status.entry(code.status().as_u16()).or_default().push(code);
    }
    for (status, codes) in by_status {
        let response = RefOr::T(route.response(&codes));
        operation.responses.responses.insert(status.to_string(), response);
    }
}

/// Puts the errors in that come where there is no route.
pub(super) fn add_of_no_route(components: &mut Components) {
    let route = Route { method: "", name: "" };
    for (name, code) in NO_ROUTE {
        let response = RefOr::T(route.response(&[known(code)]));
        components.responses.insert(name.to_owned(), response);
    }
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
                        all.push((format!("{method} {path} {status}"), status, response.clone()));
                    }
                }
            }
        }
        for (name, code) in NO_ROUTE {
            let response = document["components"]["responses"][name].clone();
            all.push((name.to_owned(), known(code).status().as_u16(), response));
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
        text.lines().map(|line| code(line).unwrap_or_else(|| panic!("{place}: {line}"))).collect()
    }

    #[test]
    fn every_error_tells_its_codes_and_has_an_example() {
        let mut used = BTreeSet::new();
        for (place, status, response) in errors() {
            let codes = told(&place, &response);
            assert!(!codes.is_empty(), "{place} tells no code");
            for code in &codes {
                assert_eq!(known(code).status().as_u16(), status, "{place}: {code}");
            }
            let distinct: BTreeSet<_> = codes.iter().collect();
            assert_eq!(distinct.len(), codes.len(), "{place} tells a code twice");
            let example = &response["content"][PROBLEM]["example"];
            assert_eq!(example["code"], codes[0].as_str(), "{place}: no example of its code");
            assert_eq!(example["status"], status, "{place}");
            used.extend(codes);
        }
        for code in Code::all().iter().filter(|code| !OF_NO_ROUTE.contains(code)) {
            assert!(used.contains(code.name()), "no route gives `{}`", code.name());
        }
    }

    #[test]
    fn what_stands_in_the_tables_is_about_routes() {
        let errors = errors();
        let places = errors.iter().filter_map(|(place, ..)| place.rsplit_once(' '));
        let all: BTreeSet<_> = places.map(|(route, _)| route).collect();
        for (route, codes) in OWN {
            assert!(all.contains(route), "there is no {route}");
            assert!(!codes.is_empty(), "{route}");
        }
        for (route, code, ..) in OTHERWISE {
            let (method, _) = route.split_once(' ').expect("a method");
            let codes = Route { method, name: route }.codes();
            assert!(codes.contains(code), "{route} does not give {code}");
        }
    }

    #[tokio::test]
    async fn examples_look_like_answers() {
        for (place, status, response) in errors() {
            let example = &response["content"][PROBLEM]["example"];
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            let faults = example["errors"].as_array().cloned().unwrap_or_default();
            let faults = faults.iter().map(|fault| {
                Fault::new(
                    &text(&fault["field"]),
                    known(&text(&fault["code"])),
                    text(&fault["detail"]),
                )
            });
            let faults: Vec<_> = faults.collect();
            let answer = if faults.is_empty() {
                assert_eq!(known(&text(&example["code"])).status().as_u16(), status, "{place}");
                ApiError::new(known(&text(&example["code"])), text(&example["detail"]))
            } else {
                ApiError::invalid(faults)
            };
            let body = to_bytes(answer.into_response().into_body(), 9_999).await.expect("a body");
            let answer: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(*example, answer, "{place}");
        }
    }
}
