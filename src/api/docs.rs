//! The API's own documentation: the head of the OpenAPI document, and a page to read and try it.
//!
//! The page works without internet access: Scalar's script (`@scalar/api-reference` 1.72.1, MIT) is
//! part of the binary, compressed. The routes in the document come from the table.

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
    error::{FieldFault, ProblemBody},
    table::RouteTable,
};

/// Scalar's script, compressed with gzip.
const SCRIPT: &[u8] = include_bytes!("scalar.js.gz");

/// The page. Its settings keep it from loading fonts and from reporting to other servers.
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

/// The head of the document: everything but routes and their bodies.
#[derive(OpenApi)]
#[openapi(
    info(title = "notty", license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
        description = "Sends SMS mailings: every customer that a mailing's filters match gets its \
            text between its start and its end, at most once.\n\nJSON in and out, UTF-8, times in \
            RFC 3339. Unknown fields and parameters are rejected. Errors are RFC 9457 problems with \
            a stable `code`; if a request does not pass validation, `errors` lists all of its \
            faults. An unknown route gives 404 `unknown_route`, a method that a route does not \
            have 405 `method_not_allowed`; an answer with status 503 has `Retry-After`. A \
            request head of more than 32 KB gives 431 without a body, and ends the \
            connection.\n\nEvery answer carries `Notty-Index`, the log position it reflects. \
            A request with `Notty-Min-Index: N` waits until the node has applied N, and \
            `?consistency=linearizable` asks the leader first. Routes that need no token ignore \
            both."),
    servers((url = "/", description = "The node that serves this document")),
    components(schemas(FieldFault, ProblemBody)),
    tags(
        (name = "customers", description = "People who can get messages"),
        (name = "mailings", description = "A text for all customers that its filters match, between start and end"),
        (name = "messages", description = "One text to one customer, with its status"),
        (name = "receipts", description = "What gateways say later of messages that they took"),
        (name = "stats", description = "Counts by status; every message is in exactly one"),
        (name = "node", description = "The node and its cluster"),
        (name = completion::FIRST_NOTTY, description = "The routes of the first Notty, for \
            programs that were written for it"),
    ),
)]
struct DocumentHead;

/// The document without any route.
pub(super) fn head() -> utoipa::openapi::OpenApi {
    let mut document = DocumentHead::openapi();

    // Every route needs the token, unless it declares otherwise.
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", bearer);
    let none: [&str; 0] = [];
    document.security = Some(vec![SecurityRequirement::new("token", none)]);
    document
}

/// Builds the OpenAPI document of all routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    RouteTable::new().document()
}

/// The routes of the document and the page. They are open to everyone, and are not listed in the
/// document.
pub(super) fn pages(document: &utoipa::openapi::OpenApi) -> Vec<(&'static str, MethodRouter<Api>)> {
    // Made once: the document does not change while the process runs.
    let json = Bytes::from(
        document
            .to_json()
            .expect("a document of our own has a JSON form"),
    );
    let page = Scalar::new(document.clone()).custom_html(PAGE).to_html();

    let show_page = move || async move { Html(page.clone()) };
    let show_document = move || async move {
        ([(header::CONTENT_TYPE, "application/json")], json.clone()).into_response()
    };

    vec![
        ("/", get(|| async { Redirect::to("/docs") })),
        ("/openapi.json", get(show_document)),
        ("/docs", get(show_page.clone())),
        ("/docs/", get(show_page)),
        ("/docs/scalar.js", get(script)),
    ]
}

async fn script() -> Response {
    let mut response = Bytes::from_static(SCRIPT).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CONTENT_ENCODING, "gzip"),
        // The script changes with the binary only.
        (header::CACHE_CONTROL, "public, max-age=86400"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
