//! The properties and functions that a filter can name.
//!
//! Only names and numbers of arguments live here: types are in `typing`, values in `eval`. Called by `typing` and
//! `compile`.

use std::ops::RangeInclusive;

use super::error::Reason;
use super::syntax::Call;

/// A property of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Property {
    UserId,
    ConnectionId,
    Groups,
    Protocol,
}

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Length,
    ToLower,
    ToUpper,
    Trim,
    Contains,
    StartsWith,
    EndsWith,
    IndexOf,
    Substring,
    Concat,
}

const PROPERTIES: [(&str, Property); 4] = [
    ("userId", Property::UserId),
    ("connectionId", Property::ConnectionId),
    ("groups", Property::Groups),
    ("protocol", Property::Protocol),
];

/// Each function's name and how many arguments it takes.
const FUNCTIONS: [(&str, Function, RangeInclusive<usize>); 10] = [
    ("length", Function::Length, 1..=1),
    ("tolower", Function::ToLower, 1..=1),
    ("toupper", Function::ToUpper, 1..=1),
    ("trim", Function::Trim, 1..=1),
    ("contains", Function::Contains, 2..=2),
    ("startswith", Function::StartsWith, 2..=2),
    ("endswith", Function::EndsWith, 2..=2),
    ("indexof", Function::IndexOf, 2..=2),
    ("substring", Function::Substring, 2..=3),
    ("concat", Function::Concat, 2..=2),
];

impl Property {
    /// The property of that name; case does not matter.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn find(name: &str) -> Result<Self, Reason> {
        let found = PROPERTIES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, property)| *property).ok_or_else(|| Reason::unsupported(name))
    }
}

impl Function {
    /// The function that is called; case matters.
    ///
    /// # Errors
    /// There is none of that name, or it does not take that many arguments.
    pub(super) fn find(call: &Call) -> Result<Self, Reason> {
        let Some((_, function, arity)) = FUNCTIONS.iter().find(|(name, ..)| *name == call.name) else {
            return Err(Reason::unsupported(call));
        };
        if !arity.contains(&call.args.len()) {
            return Err(Reason::invalid_token(call));
        }
        Ok(*function)
    }
}
