//! A route as its resource declares it: handler, who may ask, what it takes and does, the errors
//! that it can give, and its names in the API of the first Notty.
//!
//! Method and path stand in the handler's `#[utoipa::path]` and are read from there. Everything
//! else about a route is a value of its [`Endpoint`]; guard, aliases and document take it from the
//! [table](super::table) and deduce nothing from names.

use axum::{
    http::Method,
    routing::{MethodFilter, MethodRouter},
};
use utoipa::openapi::{
    RefOr,
    path::{Operation, PathItem},
    schema::Schema,
};
use utoipa_axum::router::UtoipaMethodRouter;

use super::{Api, code::Code};
use crate::config::Role;

/// Declares the route of a handler: who may ask, and what it does.
macro_rules! endpoint {
    ($handler:ident, $access:expr, $effect:expr) => {
        $crate::api::endpoint::Endpoint::of(
            utoipa_axum::routes!($handler),
            |method| axum::routing::on(method, $handler),
            $access.into(),
            $effect,
        )
    };
}
pub(super) use endpoint;

/// The callers that a route serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everyone. Such a route answers at once, and the same to all: it ignores `consistency` and
    /// `Notty-Min-Index`.
    Open,
    /// Tokens of this role or a higher one.
    Needs(Role),
}

impl From<Role> for Access {
    fn from(role: Role) -> Self {
        Self::Needs(role)
    }
}

/// The thing that a route does, as far as others must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Reports the node's health; answered also under foreign names and on reserved places.
    Health,
    /// Reads something other than the state.
    ReadsNode,
    /// Reads the state that the cluster shares.
    Reads,
    /// Writes to the state.
    Writes,
    /// Writes to the state, and as a POST once for each `Idempotency-Key`.
    KeyedWrite,
    /// Changes the cluster itself.
    ChangesCluster,
}

/// The body that a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// No body, or a stream that the handler checks by itself.
    Other,
    /// A JSON object that must be there.
    Json,
    /// A JSON object, or no body at all.
    OptionalJson,
}

/// The words of one route about a code, where they differ from the code's own.
#[derive(Clone, Debug)]
pub(super) struct Saying {
    pub(super) code: Code,
    pub(super) meaning: &'static str,
    pub(super) detail: String,
    pub(super) field: Option<&'static str>,
}

impl Saying {
    /// The code's own words.
    pub(super) fn of(code: Code) -> Self {
        let (meaning, field) = (code.meaning(), code.field());
        Self {
            code,
            meaning,
            detail: code.detail().to_owned(),
            field,
        }
    }
}

/// A name of a route in the API of the first Notty.
#[derive(Clone, Debug)]
pub(super) struct Alias {
    pub(super) method: Method,
    pub(super) path: &'static str,
}

/// A route of the API.
pub(super) struct Endpoint {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) operation: Operation,
    pub(super) schemas: Vec<(String, RefOr<Schema>)>,
    pub(super) access: Access,
    pub(super) effect: Effect,
    pub(super) takes: Takes,
    /// Parameters that hold one of a few words.
    pub(super) words: Vec<(&'static str, &'static [&'static str])>,
    /// In the document, deprecated.
    pub(super) aliases: Vec<Alias>,
    /// Paths without `{id}`, whose last word can be an id too; not in the document.
    pub(super) words_as_ids: Vec<&'static str>,
    own: Vec<Code>,
    sayings: Vec<Saying>,
    /// Answers with a page of a list.
    pub(super) is_paged: bool,
    ignores_parameters: bool,
    handler: fn(MethodFilter) -> MethodRouter<Api>,
}

impl Endpoint {
    /// The route of one handler.
    pub(super) fn of(
        (schemas, paths, _): UtoipaMethodRouter<Api>,
        handler: fn(MethodFilter) -> MethodRouter<Api>,
        access: Access,
        effect: Effect,
    ) -> Self {
        let mut declared = paths.paths.into_iter();
        let (path, item) = declared.next().expect("a handler has a path");
        let (method, operation) = operation_of(item).expect("a handler has a method");

        Self {
            method,
            path,
            operation,
            schemas,
            access,
            effect,
            takes: Takes::Other,
            words: Vec::new(),
            aliases: Vec::new(),
            words_as_ids: Vec::new(),
            own: Vec::new(),
            sayings: Vec::new(),
            is_paged: false,
            ignores_parameters: false,
            handler,
        }
    }

    /// The codes that this route gives beside those of all routes of its kind. The first one of a
    /// status is its example; those of fields come first that can be wrong in one request.
    pub(super) fn codes(mut self, own: &[Code]) -> Self {
        self.own.extend(own);
        self
    }

    /// Takes a body of this kind.
    pub(super) fn takes(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    /// Looks up a thing by the id in its path.
    pub(super) fn finds(self, thing: &str) -> Self {
        let saying = Saying {
            detail: format!("no {thing} is there with this id"),
            ..Saying::of(Code::NotFound)
        };
        self.with(saying)
    }

    /// Gives a code for a reason of its own, with an example of its own.
    pub(super) fn says(self, code: Code, meaning: &'static str, detail: &str) -> Self {
        self.with(Saying {
            meaning,
            detail: detail.to_owned(),
            ..Saying::of(code)
        })
    }

    /// Finds fault with this field in the example of a code; in words of its own, if any were
    /// declared before.
    pub(super) fn blames(mut self, code: Code, field: &'static str) -> Self {
        let saying = Saying {
            field: Some(field),
            ..self.saying(code)
        };
        self.sayings.retain(|said| said.code != code);
        self.with(saying)
    }

    /// Answers with a page of a list: takes `limit` and `after`.
    pub(super) fn paged(self) -> Self {
        Self {
            is_paged: true,
            ..self
        }
    }

    /// A parameter takes one of these words.
    pub(super) fn words(mut self, parameter: &'static str, words: &'static [&'static str]) -> Self {
        self.words.push((parameter, words));
        self
    }

    /// Ignores query parameters that it does not know.
    pub(super) fn ignores_parameters(self) -> Self {
        Self {
            ignores_parameters: true,
            ..self
        }
    }

    /// The first Notty had the route by this name.
    pub(super) fn alias(mut self, method: Method, path: &'static str) -> Self {
        self.aliases.push(Alias { method, path });
        self
    }

    /// The last word of a path is an id as well, where another method has the word for itself.
    pub(super) fn word_as_id(mut self, path: &'static str) -> Self {
        self.words_as_ids.push(path);
        self
    }

    fn with(mut self, saying: Saying) -> Self {
        self.sayings.push(saying);
        self
    }

    /// The methods and paths that the handler answers, the declared one first.
    pub(super) fn names(&self) -> Vec<(Method, &str)> {
        let own = [(self.method.clone(), self.path.as_str())];
        let aliases = self
            .aliases
            .iter()
            .map(|alias| (alias.method.clone(), alias.path));
        let words = self
            .words_as_ids
            .iter()
            .map(|path| (self.method.clone(), *path));
        own.into_iter().chain(aliases).chain(words).collect()
    }

    /// The handler under one of its methods.
    pub(super) fn router(&self, method: &Method) -> MethodRouter<Api> {
        let filter = MethodFilter::try_from(method.clone());
        (self.handler)(filter.expect("a route has a method of HTTP"))
    }

    /// The words about a code.
    pub(super) fn saying(&self, code: Code) -> Saying {
        let own = self.sayings.iter().find(|saying| saying.code == code);
        own.cloned().unwrap_or_else(|| Saying::of(code))
    }

    /// True if a POST of it is executed once for each key.
    pub(super) fn is_keyed(&self, method: &Method) -> bool {
        self.effect == Effect::KeyedWrite && *method == Method::POST
    }

    /// All codes that it can give when it is asked by a method, its own first.
    pub(super) fn all_codes(&self, method: &Method) -> Vec<Code> {
        let mut codes = self.own.to_vec();
        codes.extend(self.codes_of_body());

        if self.effect == Effect::KeyedWrite {
            codes.push(Code::InvalidKey);
        }
        if self.is_keyed(method) {
            codes.extend([Code::IdempotencyKeyReused, Code::TooManyKeys]);
        }
        // A route that says what it does not find looks for it.
        if self
            .sayings
            .iter()
            .any(|saying| saying.code == Code::NotFound)
            && !codes.contains(&Code::NotFound)
        {
            codes.push(Code::NotFound);
        }

        match self.effect {
            Effect::Health => return codes,
            Effect::ReadsNode => {}
            Effect::Reads => codes.push(Code::StorageFault),
            Effect::Writes | Effect::KeyedWrite | Effect::ChangesCluster => {
                // The likeliest of its status.
                codes.insert(0, Code::NoLeader);
                codes.extend([Code::Forbidden, Code::OutcomeUnknown]);
                if self.effect != Effect::ChangesCluster {
                    codes.push(Code::Overloaded);
                }
            }
        }
        codes.extend(self.codes_of_all(&codes));
        codes
    }

    fn codes_of_body(&self) -> Vec<Code> {
        if self.takes == Takes::Other {
            return Vec::new();
        }

        let mut codes = vec![Code::UnknownField, Code::InvalidJson];
        if self.takes == Takes::Json {
            codes.push(Code::EmptyBody);
        }
        codes.extend([Code::BrokenBody, Code::BodyTimeout, Code::BodyTooLarge]);
        codes.push(Code::UnsupportedMediaType);
        codes
    }

    /// The codes of every route that is not a health check, after those that it has already.
    fn codes_of_all(&self, before: &[Code]) -> Vec<Code> {
        let mut codes = Vec::new();
        if !self.ignores_parameters {
            codes.extend([Code::UnknownParameter, Code::InvalidUtf8]);
        }
        codes.extend([Code::Unauthorized, Code::ForbiddenOrigin, Code::NotReady]);
        codes.extend([
            Code::TooManyConnections,
            Code::InvalidIndex,
            Code::InvalidConsistency,
        ]);
        if !before.contains(&Code::NoLeader) {
            codes.push(Code::NoLeader);
        }
        codes.extend([Code::Stopping, Code::IndexNotReached]);
        codes
    }
}

/// The one operation of a handler.
fn operation_of(item: PathItem) -> Option<(Method, Operation)> {
    let PathItem {
        get,
        post,
        put,
        delete,
        ..
    } = item;
    let all = [
        (Method::GET, get),
        (Method::POST, post),
        (Method::PUT, put),
        (Method::DELETE, delete),
    ];
    all.into_iter()
        .find_map(|(method, operation)| Some((method, operation?)))
}
