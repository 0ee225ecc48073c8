//! A route as its resource declares it: handler, role, body, effect, errors, and its names in the API
//! of the first Notty.
//!
//! Method and path are read from the handler's `#[utoipa::path]`. Everything else about a route is a
//! value of its [`Endpoint`]: guard, aliases and document take it from the [table](super::table) and
//! deduce nothing from names. The errors of each kind of route are in [`all_codes`].
//!
//! [`all_codes`]: Endpoint::all_codes

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

/// Declares the route of a handler, with its access and its effect.
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
    /// Everyone. Such a route answers at once, and the same to all: it does not wait for the
    /// position of `consistency` or `Notty-Min-Index`.
    Open,
    /// Tokens of this role or a higher one.
    Needs(Role),
}

impl From<Role> for Access {
    fn from(role: Role) -> Self {
        Self::Needs(role)
    }
}

/// The effect of a route, from which its errors and shared parameters follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Reports the node's health. Answered also under foreign host names and on reserved places.
    Health,
    /// Takes a receipt, whose address proves who sends it: answered under foreign host names too.
    Receipt,
    /// Reads something other than the state.
    ReadsNode,
    /// Reads the state that the cluster shares.
    Reads,
    /// Writes to the state.
    Writes,
    /// Writes to the state; a POST is executed once for each `Idempotency-Key`.
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

/// The words of one route about a code, in its documentation. They may differ from the code's own.
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
        Self {
            code,
            meaning: code.meaning(),
            detail: code.detail().to_owned(),
            field: code.field(),
        }
    }
}

/// A name of a route in the API of the first Notty.
#[derive(Clone, Debug)]
pub(super) struct Alias {
    pub(super) method: Method,
    pub(super) path: &'static str,
}

impl Alias {
    fn name(&self) -> (Method, &str) {
        (self.method.clone(), self.path)
    }
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
    /// Names of the first Notty; deprecated in the document.
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
        // A route is one handler, so that there is one path with one method.
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

    /// Declares codes that other routes of the kind do not have. The first one of each status is its
    /// example, together with the second one where a body is needed: these two should be faults that
    /// one request can have.
    pub(super) fn codes(mut self, own: &[Code]) -> Self {
        self.own.extend(own);
        self
    }

    /// Declares the kind of body that the route takes.
    pub(super) fn takes(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    /// Declares that the route looks up a thing by the id in its path.
    pub(super) fn finds(self, thing: &str) -> Self {
        let saying = Saying {
            detail: format!("no {thing} is there with this id"),
            ..Saying::of(Code::NotFound)
        };
        self.with(saying)
    }

    /// Declares the route's own meaning of a code, and its own example.
    pub(super) fn says(self, code: Code, meaning: &'static str, detail: &str) -> Self {
        self.with(Saying {
            meaning,
            detail: detail.to_owned(),
            ..Saying::of(code)
        })
    }

    /// Declares the field that the example of a code is about. Words of the route that were declared
    /// before are kept.
    pub(super) fn blames(mut self, code: Code, field: &'static str) -> Self {
        let saying = Saying {
            field: Some(field),
            ..self.saying(code)
        };
        self.sayings.retain(|said| said.code != code);
        self.with(saying)
    }

    /// Declares that the answer is a page of a list: the route takes `limit` and `after`.
    pub(super) fn paged(self) -> Self {
        Self {
            is_paged: true,
            ..self
        }
    }

    /// Declares the words that a parameter can hold.
    pub(super) fn words(mut self, parameter: &'static str, words: &'static [&'static str]) -> Self {
        self.words.push((parameter, words));
        self
    }

    /// Declares that unknown query parameters are ignored, not rejected.
    pub(super) fn ignores_parameters(self) -> Self {
        Self {
            ignores_parameters: true,
            ..self
        }
    }

    /// Declares a name that the route has in the API of the first Notty.
    pub(super) fn alias(mut self, method: Method, path: &'static str) -> Self {
        self.aliases.push(Alias { method, path });
        self
    }

    /// Declares that the last word of a path is an id too, although another method has a route there:
    /// `GET /mailings/preview` reads the mailing `preview`.
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
        let words = self
            .words_as_ids
            .iter()
            .map(|path| (self.method.clone(), *path));
        self.documented_names().into_iter().chain(words).collect()
    }

    /// The methods and paths of the document: the declared one, and those of the first Notty.
    pub(super) fn documented_names(&self) -> Vec<(Method, &str)> {
        let own = [(self.method.clone(), self.path.as_str())];
        let aliases = self.aliases.iter().map(Alias::name);
        own.into_iter().chain(aliases).collect()
    }

    /// The handler under one of its methods.
    pub(super) fn router(&self, method: &Method) -> MethodRouter<Api> {
        let filter = MethodFilter::try_from(method.clone());
        (self.handler)(filter.expect("a route has a method of HTTP"))
    }

    /// The words about a code: the route's own, or else the code's.
    pub(super) fn saying(&self, code: Code) -> Saying {
        let own = self.sayings.iter().find(|saying| saying.code == code);
        own.cloned().unwrap_or_else(|| Saying::of(code))
    }

    /// True if the route, asked by this method, is executed once for each `Idempotency-Key`.
    pub(super) fn is_keyed(&self, method: &Method) -> bool {
        self.effect == Effect::KeyedWrite && *method == Method::POST
    }

    /// All codes that the route can give when it is asked by a method, its own first. The order is
    /// that of the document: the first code of a status is its example.
    pub(super) fn all_codes(&self, method: &Method) -> Vec<Code> {
        let mut codes = self.own.clone();
        codes.extend(self.codes_of_body());
        codes.extend(self.codes_of_keys(method));

        // A route with words about something missing looks for it.
        if self.has_words_about(Code::NotFound) && !codes.contains(&Code::NotFound) {
            codes.push(Code::NotFound);
        }

        match self.effect {
            // Answered before any of the checks that the codes below come from.
            Effect::Health | Effect::Receipt => return codes,
            Effect::ReadsNode => {}
            Effect::Reads => codes.push(Code::StorageFault),
            Effect::Writes | Effect::KeyedWrite | Effect::ChangesCluster => {
                // The likeliest of its status, and so its example.
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

    fn has_words_about(&self, code: Code) -> bool {
        self.sayings.iter().any(|saying| saying.code == code)
    }

    fn codes_of_keys(&self, method: &Method) -> Vec<Code> {
        let mut codes = Vec::new();
        if self.effect == Effect::KeyedWrite {
            codes.extend([Code::InvalidKey, Code::UnexpectedReply]);
        }
        if self.is_keyed(method) {
            codes.extend([Code::IdempotencyKeyReused, Code::TooManyKeys]);
        }
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

        // A read asks the leader if it is to be linearizable. A write has this code already.
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

    // The methods that routes have; a route with another one fails when the table is built.
    let all = [
        (Method::GET, get),
        (Method::POST, post),
        (Method::PUT, put),
        (Method::DELETE, delete),
    ];
    all.into_iter()
        .find_map(|(method, operation)| Some((method, operation?)))
}
