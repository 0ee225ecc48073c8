//! The API, resource by resource, and what all routes have in common.
//!
//! Every route, refusal and rule of validation has an assertion here. What becomes of messages is
//! told elsewhere; these tests send only where an answer cannot be had otherwise.

mod access;
mod aliases;
mod customers;
mod import;
mod kept_phones;
mod lists;
mod mailings;
mod messages;
mod node;
mod phones;
mod positions;
mod preview;
mod read_only;
mod refusals;
mod repeats;
mod schema;
mod stats;
mod texts;
mod windows;

use serde_json::{Value, json};

use crate::support::Client;

/// Pages of one list, at most: more would mean that it has no end.
const PAGES: usize = 500;

/// A customer with some fields otherwise; null takes one away.
fn customer(id: &str, otherwise: Value) -> Value {
    let mut customer = json!({ "id": id, "phone": "+79161112233" });
    for (field, value) in otherwise.as_object().expect("fields") {
        customer[field] = value.clone();
    }
    customer
        .as_object_mut()
        .expect("fields")
        .retain(|_, value| !value.is_null());
    customer
}

/// A path with parameters, encoded as they must be.
fn with(path: &str, params: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(params);
    format!("{path}?{}", query.finish())
}

/// A field of everything that a list has, page by page.
async fn walk(
    client: &Client,
    path: &str,
    params: &[(&str, &str)],
    limit: usize,
    field: &str,
) -> Vec<String> {
    let limit_text = limit.to_string();
    let (mut found, mut after) = (Vec::new(), None::<String>);
    for _ in 0..PAGES {
        let mut params = params.to_vec();
        params.push(("limit", &limit_text));
        if let Some(after) = &after {
            params.push(("after", after));
        }
        let page = client.get(&with(path, &params)).await.expect(200);
        let items = page["items"].as_array().expect("items");
        assert!(items.len() <= limit, "{path}: more than {limit} items");
        let text = |item: &Value| item[field].as_str().expect("a text").to_owned();
        found.extend(items.iter().map(text));
        match &page["next"] {
            Value::Null => return found,
            next => after = Some(next.as_str().expect("a text").to_owned()),
        }
    }
    panic!("{path} has no end");
}
