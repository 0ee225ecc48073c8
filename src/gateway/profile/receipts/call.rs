//! A provider's call, taken apart: the fields of its query and form, or the JSON of its body.

use http::HeaderMap;
use serde_json::Value;

/// A call with receipts, whatever its method.
#[derive(Clone, Copy, Debug)]
pub struct ReceiptCall<'c> {
    /// The query of the URL without its question mark, with the key that notty put there.
    pub query: &'c str,
    /// The headers of the call.
    pub headers: &'c HeaderMap,
    /// The body, bounded by whoever read it.
    pub body: &'c [u8],
}

/// The values of a call.
#[derive(Debug)]
pub(super) struct CallParts<'c> {
    /// Names and values: those of a form first, then those of the query.
    pub(super) fields: Vec<(String, String)>,
    pub(super) json: Option<Value>,
    pub(super) headers: &'c HeaderMap,
    pub(super) body: &'c [u8],
}

impl<'c> CallParts<'c> {
    /// Takes a call apart. A body is JSON if it can be read as that, and else a form, whatever type it
    /// bears: not every provider names the right one.
    pub(super) fn read(call: &ReceiptCall<'c>) -> Self {
        let json = structured(call.body);
        let form = if json.is_some() { &[] } else { call.body };
        let fields = fields(form).chain(fields(call.query.as_bytes()));
        Self {
            fields: fields.collect(),
            json,
            headers: call.headers,
            body: call.body,
        }
    }

    /// The value of a field of the form or the query, or of a member of the JSON.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The JSON of a body: an object or an array, since a plain word may be a form as well.
fn structured(body: &[u8]) -> Option<Value> {
    let json: Value = serde_json::from_slice(body).ok()?;
    (json.is_object() || json.is_array()).then_some(json)
}

fn fields(encoded: &[u8]) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(encoded).into_owned()
}
