//! The stable codes of the API's errors, each with its status, its meaning and an example.
//!
//! A code is declared once, in [`declared`]; this file knows the shape of a declaration. A handler rejects
//! with a code and a detail, so that one code never has two statuses; the OpenAPI document takes meaning
//! and example from the same place. The codes that a route can give are declared with the route;
//! [`of_errors`] finds the codes of errors that the node and the state return.

use axum::http::StatusCode;
use serde::{Serialize, Serializer};

/// The declared facts about a code.
#[derive(Debug)]
struct CodeFacts {
    name: &'static str,
    status: StatusCode,
    /// The field that the example is about; `None` if the error is not about fields.
    field: Option<&'static str>,
    meaning: &'static str,
    /// The detail of an example.
    detail: &'static str,
}

/// Builds the enum and its facts, so that a code without facts cannot be written.
macro_rules! codes {
    (@field) => { None };
    (@field $field:literal) => { Some($field) };
    ($($code:ident = $name:literal, $status:ident $(at $field:literal)? {
        $meaning:literal, $detail:literal
    })*) => {
        /// The stable name of an error's reason.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $meaning] $code,)*
        }

        impl Code {
            /// Every code, in the order of the declaration.
            pub(super) const ALL: &[Self] = &[$(Self::$code),*];

            pub(super) const fn facts(self) -> &'static CodeFacts {
                match self {
                    $(Self::$code => &CodeFacts {
                        name: $name,
                        status: StatusCode::$status,
                        field: codes!(@field $($field)?),
                        meaning: $meaning,
                        detail: $detail,
                    },)*
                }
            }
        }
    };
}

// After the macro, which is known only below its definition.
mod declared;
mod of_errors;
#[cfg(test)]
mod tests;

pub use declared::Code;

impl Code {
    /// The name that clients see.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The status of every answer with this code.
    pub fn status(self) -> StatusCode {
        self.facts().status
    }

    /// The meaning, unless a route declares one of its own.
    pub(super) fn meaning(self) -> &'static str {
        self.facts().meaning
    }

    /// The detail of the example.
    pub(super) fn detail(self) -> &'static str {
        self.facts().detail
    }

    /// The field that the example is about; `None` if the error is not about fields.
    pub(super) fn field(self) -> Option<&'static str> {
        self.facts().field
    }

    /// Finds a code by the name that clients see.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Codes of rejections of commands that no request proposes.
#[cfg(test)]
pub(super) const OF_NO_ROUTE: [Code; 14] = [
    Code::NotNow,
    Code::CursorMoved,
    Code::NothingToDo,
    Code::Exhausted,
    Code::PostmanClosed,
    Code::PostmanForgotten,
    Code::LeaseClosed,
    Code::LeaseGap,
    Code::TooManyLeases,
    Code::Forgotten,
    Code::OutOfBounds,
    Code::AmbiguousPhone,
    Code::NodeRemoved,
    Code::LevelTooLow,
];

#[cfg(test)]
impl Code {
    /// Every code that there is.
    pub(super) fn all() -> &'static [Self] {
        Self::ALL
    }

    /// A code that must be there.
    pub(super) fn known(name: &str) -> Self {
        Self::named(name).unwrap_or_else(|| panic!("there is no code `{name}`"))
    }
}
