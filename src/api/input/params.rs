//! Input from the path and the query of a request: the id in a path, and parameters, taken one by one.

use axum::{
    extract::{FromRequestParts, MatchedPath, Path},
    http::request::Parts,
};

use super::{noted, number};
use crate::api::{
    code::Code,
    error::{ApiError, FieldFault, InvalidValue},
};

/// Items of a page, unless the request asks for another number.
const PAGE_ITEMS: usize = 100;
/// The most items that a page can have.
const MAX_PAGE_ITEMS: usize = 1_000;

/// The id in a path. One that is not UTF-8 is answered with 404, because no id looks like that.
pub(in crate::api) struct PathId(pub(in crate::api) String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if let Ok(Path(id)) = Path::from_request_parts(parts, state).await {
            return Ok(Self(id));
        }

        // The last word of a route can be an id too: GET /customers/import reads that customer.
        let route = parts
            .extensions
            .get::<MatchedPath>()
            .map_or("", MatchedPath::as_str);
        match route.rsplit_once('/') {
            Some((_, word)) if !route.contains('{') => Ok(Self(word.to_owned())),
            _ => Err(ApiError::not_found("thing")),
        }
    }
}

/// Query parameters, taken out one by one. Those that are left over are faults.
pub(in crate::api) struct Params {
    pairs: Vec<(String, String)>,
    faults: Vec<FieldFault>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            // The guard has checked this one already.
            .filter(|(name, _)| name != "consistency")
            .collect();

        let broken = pairs
            .iter()
            .find(|(name, value)| is_broken(name) || is_broken(value));
        if let Some((name, _)) = broken {
            let detail = "the parameter is not UTF-8";
            return Err(ApiError::invalid_field(name, Code::InvalidUtf8, detail));
        }

        Ok(Self {
            pairs,
            faults: Vec::new(),
        })
    }
}

impl Params {
    /// Takes a parameter; `None` if it is absent.
    pub(in crate::api) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(other, _)| other == name)?;
        Some(self.pairs.remove(at).1)
    }

    /// Takes a parameter and parses it. Notes the fault if that fails.
    pub(in crate::api) fn parse<T, E: Into<InvalidValue>>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.take(name)?;
        noted(&mut self.faults, name, parse(&text))
    }

    /// Takes the number of items that a page can have.
    pub(in crate::api) fn limit(&mut self) -> usize {
        self.parse("limit", parse_limit).unwrap_or(PAGE_ITEMS)
    }

    /// Takes the position where a page begins: `next` of the page before.
    pub(in crate::api) fn after(&mut self) -> Option<u64> {
        self.parse("after", |text| {
            let detail = "the `next` of the page before is needed";
            number(text).ok_or_else(|| InvalidValue::new(Code::InvalidAfter, detail))
        })
    }

    /// The number from which a page is read, or the first one. Past the last number nothing is found.
    pub(in crate::api) fn after_or(&mut self, first: u32) -> u32 {
        let after = self.after().unwrap_or(first.into());
        after.try_into().unwrap_or(u32::MAX)
    }

    /// Rejects the request if it has faults. Parameters that were not taken are unknown, which is a
    /// fault too.
    pub(in crate::api) fn finish(mut self) -> Result<(), ApiError> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            let detail = "there is no such parameter, or it is given twice";
            self.faults
                .push(FieldFault::new(&name, Code::UnknownParameter, detail));
        }
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid(self.faults))
        }
    }
}

/// True if a decoded text was not UTF-8: the parser puts this character in the place of other bytes.
fn is_broken(text: &str) -> bool {
    text.contains('\u{fffd}')
}

fn parse_limit(text: &str) -> Result<usize, InvalidValue> {
    let given = number(text).map(|limit| limit as usize);
    let allowed = given.filter(|limit| (1..=MAX_PAGE_ITEMS).contains(limit));
    allowed.ok_or_else(|| {
        let detail = format!("a number from 1 to {MAX_PAGE_ITEMS} is needed");
        InvalidValue::new(Code::InvalidLimit, detail)
    })
}
