//! The API's own description: the OpenAPI document, and a page to read and try it.
//!
//! The page works without the network: Scalar's script (`@scalar/api-reference` 1.72.1, MIT) is
//! part of the binary, packed.

use axum::{
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{MethodRouter, get},
};
use bytes::Bytes;
use utoipa::{
    OpenApi,
    openapi::{
        SecurityRequirement,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_scalar::Scalar;

use super::{
    Api, completion,
    error::{Fault, Problem},
    table::RouteTable,
};

/// Scalar's script, packed by gzip.
const SCRIPT: &[u8] = include_bytes!("scalar.js.gz");

/// The page: no fonts, proxies or reports from elsewhere.
const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>notty API</title>
</head>
<body>
<script id="api-reference" type="application/json"
  data-configuration='{"withDefaultFonts":false,"telemetry":false,"showDeveloperTools":"never","agent":{"disabled":true},"mcp":{"disabled":true},"hideClientButton":true}'>$spec</script>
<script src="/docs/scalar.js"></script>
</body>
</html>
"#;

/// What stands above the routes.
#[derive(OpenApi)]
#[openapi(
    info(title = "notty", license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
        description = "Sends SMS mailings: every customer that a mailing's filters match gets its \
            text between its start and its end, at most once.\n\nJSON in and out, UTF-8, times in \
            RFC 3339. Unknown fields and parameters are refused. Errors are RFC 9457 problems with \
            a stable `code`; a request that does not pass validation is told all its faults at \
            once in `errors`. An unknown route gives 404 `unknown_route`, a method that a route \
            does not have 405 `method_not_allowed`; an answer of 503 says in `Retry-After` when \
            to try again. A head of more than 32 KB gives 431 without a body, and ends the \
            connection.\n\nEvery answer carries `Notty-Index`, the log position it reflects. \
            A request with `Notty-Min-Index: N` waits until the node has applied N, and \
            `?consistency=linearizable` asks the leader first. Routes that need no token ignore \
            both."),
    servers((url = "/", description = "The node that serves this document")),
    components(schemas(Fault, Problem)),
    tags(
        (name = "customers", description = "Who may get messages"),
        (name = "mailings", description = "What is said to whom, and when"),
        (name = "messages", description = "What became of each"),
        (name = "stats", description = "Counts by status; every message is in exactly one"),
        (name = "node", description = "The node and its cluster"),
        (name = completion::FIRST_NOTTY, description = "The routes that the first Notty had, for \
            programs that were written for it"),
    ),
)]
struct Head;

pub(super) fn head() -> utoipa::openapi::OpenApi {
    let mut document = Head::openapi();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", bearer);
    let none: [&str; 0] = [];
    document.security = Some(vec![SecurityRequirement::new("token", none)]);
    document
}

/// The OpenAPI document.
pub fn openapi() -> utoipa::openapi::OpenApi {
    RouteTable::new().document()
}

/// The document and the page: open to everyone, and no part of the document themselves.
pub(super) fn pages(document: &utoipa::openapi::OpenApi) -> Vec<(&'static str, MethodRouter<Api>)> {
    let json = Bytes::from(
        document
            .to_json()
            .expect("a document of our own has a JSON form"),
    );
    let page = Scalar::new(document.clone()).custom_html(PAGE).to_html();
    let show = move || async move { Html(page.clone()) };
    let document = move || async move {
        ([(header::CONTENT_TYPE, "application/json")], json.clone()).into_response()
    };
    vec![
        ("/", get(|| async { Redirect::to("/docs") })),
        ("/openapi.json", get(document)),
        ("/docs", get(show.clone())),
        ("/docs/", get(show)),
        ("/docs/scalar.js", get(script)),
    ]
}

async fn script() -> Response {
    let mut response = Bytes::from_static(SCRIPT).into_response();
    let headers = response.headers_mut();
    let value = HeaderValue::from_static;
    headers.insert(
        header::CONTENT_TYPE,
        value("text/javascript; charset=utf-8"),
    );
    headers.insert(header::CONTENT_ENCODING, value("gzip"));
    headers.insert(header::CACHE_CONTROL, value("public, max-age=86400"));
    response
}
