//! What the OpenAPI document says of errors: each code with its status and when it is given, which
//! routes can give it, and how the problem looks.
//!
//! Two tables say it once: [`CODES`] what a code means, [`OWN`] which codes a route has beside
//! those of all routes of its kind.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::openapi::{Components, Content, Ref, RefOr, Response, path::Operation};

use super::error::{Fault, Problem};

/// A code that the API can give.
struct Code {
    name: &'static str,
    status: StatusCode,
    /// The field that an example finds fault with; none where the problem is not about fields.
    field: Option<&'static str>,
    when: &'static str,
    detail: &'static str,
}

/// A fault in a field; 400.
const fn fault(
    name: &'static str,
    field: &'static str,
    when: &'static str,
    detail: &'static str,
) -> Code {
    Code { name, status: StatusCode::BAD_REQUEST, field: Some(field), when, detail }
}

/// What is not about a field.
const fn other(
    status: StatusCode,
    name: &'static str,
    when: &'static str,
    detail: &'static str,
) -> Code {
    Code { name, status, field: None, when, detail }
}

/// Every code, with an example of what is said with it.
const CODES: &[Code] = &[
    // Bodies as a whole.
    fault("invalid_json", "", "the body is not one JSON object", "an object is needed"),
    fault("empty_body", "", "there is no body", "a JSON body is needed"),
    other(StatusCode::BAD_REQUEST, "broken_body", "the body broke off", "the body broke off"),
    fault(
        "invalid_header",
        "line 1",
        "the first row of a CSV file does not name the columns as it should",
        "the column `phone` is needed",
    ),
    // Fields.
    fault("missing", "phone", "a field that is needed is not there", "this field is needed"),
    fault("wrong_type", "name", "a field has a value of another type", "a string is needed"),
    fault("unknown_field", "shoe", "there is no such field", "there is no such field"),
    fault(
        "invalid_id",
        "id",
        "an id has other characters than letters, digits and `-`, or more than 64",
        "an id has 1 to 64 characters: Latin letters, digits and `-`",
    ),
    fault(
        "id_mismatch",
        "id",
        "the id in the body is not the one in the path",
        "differs from the id in the path",
    ),
    fault("too_long", "name", "a text is too long", "a name has at most 200 characters"),
    fault(
        "control_character",
        "name",
        "a text has a control character (a mailing's text may have line feeds)",
        "a name has no control characters, tabs or line ends",
    ),
    fault(
        "invalid_phone",
        "phone",
        "the phone is not `+` and 10 to 15 digits",
        "a phone number is `+` and 10 to 15 digits, like +79161112233",
    ),
    fault(
        "invalid_timezone",
        "timezone",
        "there is no such time zone",
        "no such time zone; an IANA name is needed, like Europe/Moscow",
    ),
    fault(
        "empty_text",
        "text",
        "the text has no visible character",
        "a text has at least one visible character",
    ),
    fault(
        "explicit_language",
        "text",
        "the text has explicit language",
        "the text has explicit language: `…`",
    ),
    fault(
        "invalid_filter",
        "tag",
        "a filter is too long, has a control character or ends in a single `\\`",
        "a filter does not end in a single `\\`: it escapes the character after it",
    ),
    fault(
        "invalid_time",
        "start",
        "a time is not RFC 3339 with an offset",
        "a time with its offset is needed (RFC 3339), like 2026-11-23T10:00:00Z, and not after \
         9999-12-30T22:00:00Z",
    ),
    fault(
        "end_before_start",
        "end",
        "the end is not after the start",
        "the end must be after the start",
    ),
    fault("end_passed", "end", "the end lies in the past", "the end lies in the past"),
    fault(
        "invalid_send_window",
        "send_window",
        "the send window is not two different times of the day",
        "a send window is two different times of the day, like 09:00 and 21:00",
    ),
    fault(
        "invalid_name",
        "name",
        "the name has other characters than letters, digits, `-`, `_` and `.`, or more than 64",
        "a postman's name has 1 to 64 letters, digits, `-`, `_` and `.`",
    ),
    fault(
        "invalid_address",
        "peer",
        "the address is not a host and a port",
        "a host and a port, like 10.0.0.4:7080",
    ),
    fault("invalid_url", "api", "the URL is not one", "a URL, like http://10.0.0.4:8080"),
    // Parameters and headers.
    fault(
        "unknown_parameter",
        "shoe",
        "there is no such parameter, or it is given twice",
        "there is no such parameter, or it is given twice",
    ),
    fault("invalid_utf8", "tag", "a parameter is not UTF-8", "the parameter is not UTF-8"),
    fault(
        "invalid_limit",
        "limit",
        "`limit` is not a number from 1 to 1,000",
        "a number from 1 to 1000 is needed",
    ),
    fault(
        "invalid_after",
        "after",
        "`after` is not the `next` of a page",
        "the `next` of the page before is needed",
    ),
    fault(
        "invalid_status",
        "status",
        "there is no such status",
        "created, sending, done, failed, invalid, expired, cancelled or unconfirmed is needed",
    ),
    fault(
        "invalid_date",
        "from",
        "`from` or `to` is not a date",
        "a date is needed, like 2026-11-23",
    ),
    fault("to_before_from", "to", "`to` lies before `from`", "the last day lies before the first"),
    fault(
        "invalid_key",
        "Idempotency-Key",
        "`Idempotency-Key` is empty, too long or not visible characters",
        "an Idempotency-Key has 1 to 255 visible characters",
    ),
    fault(
        "invalid_index",
        "Notty-Min-Index",
        "`Notty-Min-Index` is not a position",
        "the Notty-Index of an answer is needed",
    ),
    fault(
        "invalid_consistency",
        "consistency",
        "`consistency` is not `linearizable`",
        "the only consistency that can be asked for is `linearizable`",
    ),
    // Who may.
    other(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "tokens are configured, and the request has none of them",
        "a token is needed: Authorization: Bearer {token}; the command line takes it from \
         NOTTY_TOKEN",
    ),
    other(
        StatusCode::FORBIDDEN,
        "forbidden",
        "the token's role may not do this",
        "the role of token `wall` does not allow this",
    ),
    other(
        StatusCode::FORBIDDEN,
        "forbidden_origin",
        "no tokens are configured, and the request names another host than this machine, or was \
         sent by a web page from elsewhere",
        "without api.tokens this API answers to 127.0.0.1, [::1] and localhost only, and the \
         request's Host is another; use one of these, or configure api.tokens",
    ),
    // What is there, and what is not.
    other(
        StatusCode::NOT_FOUND,
        "not_found",
        "nothing is there with this id",
        "no customer is there with this id",
    ),
    other(
        StatusCode::NOT_FOUND,
        "unknown_route",
        "there is no such route",
        "there is no such route; /docs lists all of them",
    ),
    other(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "the route has no such method; `Allow` says which it has",
        "this route has no such method; /docs lists all of them",
    ),
    other(
        StatusCode::CONFLICT,
        "customer_exists",
        "a customer with this id exists",
        "a customer with this id exists",
    ),
    other(
        StatusCode::CONFLICT,
        "mailing_exists",
        "a mailing with this id exists",
        "a mailing with this id exists",
    ),
    other(
        StatusCode::CONFLICT,
        "too_many_mailings",
        "10,000 mailings are open",
        "10000 mailings are open: finish, cancel or delete some first",
    ),
    other(
        StatusCode::CONFLICT,
        "no_numbers_left",
        "message ids of all mailings are used up",
        "no numbers are left for mailings, and so no message ids: begin with an empty data directory",
    ),
    other(
        StatusCode::CONFLICT,
        "mailing_started",
        "the mailing has started, and a field was changed that cannot change after that",
        "the mailing has started: text cannot change any more",
    ),
    other(
        StatusCode::CONFLICT,
        "mailing_over",
        "the mailing is finished or cancelled",
        "the mailing is finished: nothing about its sending can change any more",
    ),
    other(
        StatusCode::CONFLICT,
        "duplicates_not_accepted",
        "the mailing comes from a backup, and `accept_duplicates` is not true",
        "the mailing comes from a backup, and whom it reached after that is not known: to send to \
         those that it knows no message of, resume it with accept_duplicates: true",
    ),
    other(
        StatusCode::CONFLICT,
        "node_exists",
        "the name is that of another node, or was when that one was taken in",
        "`notty-3` is a node of the cluster already, with another disk or at another address; if \
         its disk is lost, remove it first: notty cluster remove notty-3",
    ),
    other(
        StatusCode::CONFLICT,
        "node_unreachable",
        "the node does not answer, or another one does",
        "the node cannot be taken in: at 10.0.0.4:7080 is `notty-4`, not `notty-3`",
    ),
    other(
        StatusCode::CONFLICT,
        "node_not_empty",
        "the node belongs to a cluster already",
        "`notty-3` belongs to a cluster already; only a node with an empty data directory can be \
         taken in: stop it, empty its data directory, start it again",
    ),
    other(
        StatusCode::CONFLICT,
        "last_voter",
        "the node is the last one that votes",
        "`notty-3` is the last node that votes: without it there is no cluster",
    ),
    other(
        StatusCode::CONFLICT,
        "no_majority",
        "too few of the nodes left can be reached",
        "without `notty-3` 2 would be left that vote, and only 1 of them can be reached: no \
         majority. Bring `notty-2` back, or remove it first",
    ),
    other(
        StatusCode::CONFLICT,
        "not_transferred",
        "there is nobody to hand over to, or it was not elected",
        "leadership was not handed over: `notty-1` was not elected in time",
    ),
    other(
        StatusCode::CONFLICT,
        "refused",
        "it breaks a rule of the cluster's state",
        "out of bounds: 256 nodes are admitted",
    ),
    // What is not taken.
    other(
        StatusCode::REQUEST_TIMEOUT,
        "body_timeout",
        "the body does not come in time",
        "the body did not come in time",
    ),
    other(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        "the body has more than 64 KiB",
        "a body of this route has at most 65536 bytes",
    ),
    other(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "the route does not take this `Content-Type`",
        "this route takes application/json",
    ),
    other(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        "the `Idempotency-Key` came with another request before",
        "the Idempotency-Key was used with another request",
    ),
    // What the node cannot do, or not now.
    other(
        StatusCode::INTERNAL_SERVER_ERROR,
        "storage_fault",
        "the node cannot read its state",
        "this node could not read its state; its log says why",
    ),
    other(
        StatusCode::INTERNAL_SERVER_ERROR,
        "unexpected_reply",
        "the write was answered in a way that no node should",
        "the write was answered otherwise than by a mailing",
    ),
    other(
        StatusCode::SERVICE_UNAVAILABLE,
        "no_leader",
        "the cluster has no leader at the moment, and a write or `consistency=linearizable` needs \
         one",
        "the cluster has no leader at the moment",
    ),
    other(
        StatusCode::SERVICE_UNAVAILABLE,
        "overloaded",
        "too many writes wait already",
        "too many writes wait already",
    ),
    other(
        StatusCode::SERVICE_UNAVAILABLE,
        "stopping",
        "the node is shutting down, and a write or `consistency=linearizable` needs it",
        "the node is stopping",
    ),
    other(
        StatusCode::SERVICE_UNAVAILABLE,
        "not_ready",
        "the node waits for its cluster, or still applies what it knew before its start",
        "the node still applies what it knew before it was started",
    ),
    other(
        StatusCode::SERVICE_UNAVAILABLE,
        "too_many_connections",
        "all connections to the node's API are taken and at work; health checks are answered",
        "this node has as many connections to its API as it may have; close those that are not \
         needed, or try again",
    ),
    other(
        StatusCode::SERVICE_UNAVAILABLE,
        "index_not_reached",
        "the node has not applied the position of `Notty-Min-Index` in time",
        "this node has not applied position 1234 yet",
    ),
    other(
        StatusCode::SERVICE_UNAVAILABLE,
        "customer_busy",
        "messages of customers that were just deleted are still being cancelled",
        "the customer was just deleted, its messages are being cancelled; try again",
    ),
    other(
        StatusCode::SERVICE_UNAVAILABLE,
        "too_many_keys",
        "the caller's share of the 100,000 `Idempotency-Key`s that are remembered for 24 hours is used \
         up: half of what others leave; pause, resume and cancel are done all the same",
        "too many Idempotency-Keys of this caller's last 24 hours are remembered; try again later, or \
         without a key",
    ),
    other(
        StatusCode::SERVICE_UNAVAILABLE,
        "change_under_way",
        "another change of the cluster is under way",
        "another change of the cluster is under way; ask again",
    ),
    other(
        StatusCode::SERVICE_UNAVAILABLE,
        "busy",
        "two other backups are being made",
        "as many backups as may be are being made; try again",
    ),
    other(
        StatusCode::SERVICE_UNAVAILABLE,
        "backup_failed",
        "the copy could not be made, mostly for want of room on the disk",
        "the node could not make the copy, which needs as much room on its disk as the state \
         takes; its log says why",
    ),
    other(
        StatusCode::GATEWAY_TIMEOUT,
        "outcome_unknown",
        "whether it was done is not known; a repeat with the same `Idempotency-Key` is safe, and \
         so is one of a PUT or DELETE",
        "whether it was executed is not known; repeating it with the same Idempotency-Key is safe",
    ),
];

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
    fn field(&self, code: &Code) -> Option<&'static str> {
        match (self.name, code.name) {
            ("post /mailings/{id}/resume", "wrong_type") => Some("accept_duplicates"),
            ("post /cluster/time", "invalid_time" | "wrong_type") => Some("time"),
            _ => code.field,
        }
    }

    fn told(&self, code: &Code) -> (&'static str, String) {
        let mut otherwise = OTHERWISE.iter();
        let found = otherwise.find(|(name, of, ..)| *name == self.name && *of == code.name);
        if let Some((_, _, when, detail)) = found {
            return (*when, (*detail).to_owned());
        }
        let detail = match code.name {
            "not_found" if self.name.contains("/mailings") => "no mailing is there with this id",
            "not_found" if self.name.contains("/messages") => "no message is there with this id",
            "unexpected_reply" if self.name.contains("/customers") => {
                "the write was answered otherwise than by a customer"
            }
            _ => code.detail,
        };
        (code.when, detail.to_owned())
    }

    /// The codes of one status in words.
    fn description(&self, codes: &[&Code]) -> String {
        let told = codes.iter().map(|code| format!("`{}`: {}", code.name, self.told(code).0));
        match codes.len() {
            1 => told.collect(),
            _ => told.map(|told| format!("- {told}")).collect::<Vec<_>>().join("\n"),
        }
    }

    /// A problem as it is answered: where fields are wrong, two of them at once if they can be.
    fn example(&self, codes: &[&Code]) -> Problem {
        let most = if self.takes_json() && !self.body_is_optional() { 2 } else { 1 };
        let (first, code) = (self.told(codes[0]).1, codes[0]);
        let faults = codes.iter().take(most);
        let faults =
            faults.filter_map(|code| Some((self.field(code)?, code.name, self.told(code).1)));
        let errors: Vec<_> =
            faults.map(|(field, name, detail)| Fault::new(field, name, detail)).collect();
        let detail = match (self.field(code), errors.len()) {
            (None | Some(""), _) => first,
            (Some(field), 1) => format!("{field}: {first}"),
            (Some(field), n) => format!("{n} fields are wrong, the first: {field}: {first}"),
        };
        Problem {
            kind: "about:blank".to_owned(),
            title: code.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: code.status.as_u16(),
            code: code.name.to_owned(),
            detail,
            errors,
        }
    }

    fn response(&self, codes: &[&Code]) -> Response {
        let mut response = Response::new(self.description(codes));
        let mut content = Content::new(Some(Ref::from_schema_name("Problem")));
        content.example = serde_json::to_value(self.example(codes)).ok();
        response.content.insert(PROBLEM.to_owned(), RefOr::T(content));
        response
    }
}

fn known(name: &str) -> &'static Code {
    let found = CODES.iter().find(|code| code.name == name);
    found.unwrap_or_else(|| panic!("the code `{name}` is not in the table"))
}

/// Puts every error that a route can give in its operation.
pub(super) fn describe(operation: &mut Operation, route: &Route<'_>) {
    let mut by_status: BTreeMap<u16, Vec<&Code>> = BTreeMap::new();
    for code in route.codes() {
        let code = known(code);
        by_status.entry(code.status.as_u16()).or_default().push(code);
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
    use crate::api::{ApiError, openapi};

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
            all.push((name.to_owned(), known(code).status.as_u16(), response));
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
                assert_eq!(known(code).status.as_u16(), status, "{place}: {code}");
            }
            let distinct: BTreeSet<_> = codes.iter().collect();
            assert_eq!(distinct.len(), codes.len(), "{place} tells a code twice");
            let example = &response["content"][PROBLEM]["example"];
            assert_eq!(example["code"], codes[0].as_str(), "{place}: no example of its code");
            assert_eq!(example["status"], status, "{place}");
            used.extend(codes);
        }
        for code in CODES {
            assert!(used.contains(code.name), "no route gives `{}`", code.name);
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
                Fault::new(&text(&fault["field"]), &text(&fault["code"]), text(&fault["detail"]))
            });
            let faults: Vec<_> = faults.collect();
            let answer = if faults.is_empty() {
                let status = StatusCode::from_u16(status).expect("a status");
                ApiError::new(status, &text(&example["code"]), text(&example["detail"]))
            } else {
                ApiError::invalid(faults)
            };
            let body = to_bytes(answer.into_response().into_body(), 9_999).await.expect("a body");
            let answer: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(*example, answer, "{place}");
        }
    }
}
