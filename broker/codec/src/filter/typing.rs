//! Finds every error of type in a filter before it is used, so that matching cannot fail.
//!
//! The tree is checked twice. First as the service does it, by a dry run for a connection without user, subprotocol
//! and groups: its messages are the ones that callers know. There a function of nothing has the type null and hides
//! errors behind it, so the second run takes every property to have a value. No values live here, only types. Called
//! by `Filter::parse`.

use std::fmt::Display;

use super::error::{FilterError, Reason};
use super::names::{Function, Property};
use super::syntax::{Call, Chain, Comparison, Expr, Link, Logic};

/// Whether the properties that may be null have a value in a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Assume {
    NoValue,
    Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Null,
    Bool,
    Int,
    String,
    /// A property of type string that is null. Operators treat it as a string, functions as null.
    NoString,
    Collection,
}

/// An error that may still look for the operator or call around it.
enum Fault {
    Loose(Reason),
    Placed(FilterError),
}

/// Whether the tree is a valid condition.
///
/// # Errors
/// The first error in the order of evaluation.
pub(super) fn check(expr: &Expr) -> Result<(), FilterError> {
    for assume in [Assume::NoValue, Assume::Value] {
        assume
            .type_of(expr)
            .and_then(|found| found.expect(Type::Bool).map_err(Fault::Loose))
            .map_err(|fault| fault.at(expr))?;
    }
    Ok(())
}

impl Assume {
    fn type_of(self, expr: &Expr) -> Result<Type, Fault> {
        match expr {
            Expr::Null => Ok(Type::Null),
            Expr::Bool(_) => Ok(Type::Bool),
            Expr::Int(_) => Ok(Type::Int),
            Expr::Text(_) => Ok(Type::String),
            Expr::Name(name) => self.property(name),
            Expr::Call(call) => self.call(call),
            Expr::Not(inner) => {
                self.operand(inner, expr)?.expect(Type::Bool).map_err(|reason| placed(expr, reason))?;
                Ok(Type::Bool)
            }
            Expr::Chain(chain) => self.chain(chain),
            Expr::Logic(logic) => self.logic(logic),
        }
    }

    /// The type of an operand or argument; an unknown name in it is reported with the whole around it.
    fn operand(self, expr: &Expr, whole: impl Display) -> Result<Type, Fault> {
        self.type_of(expr).map_err(|fault| Fault::Placed(fault.at(whole)))
    }

    fn property(self, name: &str) -> Result<Type, Fault> {
        Ok(match (Property::find(name).map_err(Fault::Loose)?, self) {
            (Property::ConnectionId, _) => Type::String,
            (Property::Groups, _) => Type::Collection,
            (Property::UserId | Property::Protocol, Self::Value) => Type::String,
            (Property::UserId | Property::Protocol, Self::NoValue) => Type::NoString,
        })
    }

    fn call(self, call: &Call) -> Result<Type, Fault> {
        let function = Function::find(call).map_err(|reason| placed(call, reason))?;
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            args.push(self.operand(arg, call)?);
        }
        // In the dry run an argument without value decides the result, and no other argument is looked at.
        if self == Self::Value || !args.iter().any(|arg| arg.is_null()) {
            args.iter()
                .zip(function.parameters())
                .try_for_each(|(arg, parameter)| arg.fit(parameter))
                .map_err(|reason| placed(call, reason))?;
        }
        Ok(function.result(&args))
    }

    fn chain(self, chain: &Chain) -> Result<Type, Fault> {
        let mut left = self.operand(&chain.first, chain.upto(0))?;
        for (index, link) in chain.links.iter().enumerate() {
            self.link(left, link, chain.upto(index))?;
            left = Type::Bool;
        }
        Ok(left)
    }

    fn link(self, left: Type, link: &Link, whole: impl Display) -> Result<(), Fault> {
        match link {
            Link::Compare(comparison, right) => {
                let right = self.operand(right, &whole)?;
                comparison.accepts(left, right).map_err(|reason| placed(whole, reason))
            }
            Link::InList(items) => {
                for item in items {
                    self.operand(item, &whole)?;
                }
                Ok(())
            }
            Link::InName(name) => {
                let right = self.property(name).map_err(|fault| Fault::Placed(fault.at(&whole)))?;
                left.fit(&[Type::String])
                    .and_then(|()| right.expect(Type::Collection))
                    .map_err(|reason| placed(whole, reason))
            }
        }
    }

    /// Both sides are always looked at, as the service does: an error behind `true or` is still an error.
    fn logic(self, logic: &Logic) -> Result<Type, Fault> {
        let mut left = None;
        for (index, expr) in logic.operands.iter().enumerate() {
            let right = self.operand(expr, logic.upto(index.max(1)))?;
            if let Some(left) = left.replace(right) {
                left.expect(Type::Bool)
                    .and_then(|()| right.expect(Type::Bool))
                    .map_err(|reason| placed(logic.upto(index), reason))?;
            }
        }
        Ok(Type::Bool)
    }
}

impl Comparison {
    /// Order needs integers; a literal null, or a function without value, silences that.
    fn accepts(self, left: Type, right: Type) -> Result<(), Reason> {
        if matches!(self, Self::Eq | Self::Ne) || left == Type::Null || right == Type::Null {
            return Ok(());
        }
        left.expect(Type::Int).and_then(|()| right.expect(Type::Int))
    }
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::String | Self::NoString => "string",
            Self::Collection => "collection",
        }
    }

    fn is_null(self) -> bool {
        matches!(self, Self::Null | Self::NoString)
    }

    fn expect(self, expected: Self) -> Result<(), Reason> {
        if self.name() == expected.name() {
            return Ok(());
        }
        Err(Reason::Type { found: self.name(), expected: expected.name() })
    }

    /// Like `expect`, for a place that takes null and any of some types.
    fn fit(self, accepted: &[Self]) -> Result<(), Reason> {
        let fits = self == Self::Null || accepted.iter().any(|it| it.name() == self.name());
        match accepted.first() {
            Some(first) if !fits => self.expect(*first),
            _ => Ok(()),
        }
    }
}

impl Function {
    /// The types that each parameter takes besides null. A message names the first one.
    fn parameters(self) -> &'static [&'static [Type]] {
        match self {
            Self::Length => &[&[Type::String, Type::Collection]],
            Self::ToLower | Self::ToUpper | Self::Trim => &[&[Type::String]],
            Self::Contains | Self::StartsWith | Self::EndsWith | Self::IndexOf | Self::Concat => {
                &[&[Type::String], &[Type::String]]
            }
            Self::Substring => &[&[Type::String], &[Type::Int], &[Type::Int]],
        }
    }

    fn result(self, args: &[Type]) -> Type {
        let any_null = args.iter().any(|arg| arg.is_null());
        match self {
            Self::Contains | Self::StartsWith | Self::EndsWith => Type::Bool,
            Self::IndexOf => Type::Int,
            Self::Concat if args.iter().all(|arg| arg.is_null()) => Type::Null,
            Self::Concat => Type::String,
            Self::Length | Self::ToLower | Self::ToUpper | Self::Trim | Self::Substring if any_null => {
                Type::Null
            }
            Self::Length => Type::Int,
            Self::ToLower | Self::ToUpper | Self::Trim | Self::Substring => Type::String,
        }
    }
}

impl Fault {
    /// The error, said of `whole` unless it already names a smaller part.
    fn at(self, whole: impl Display) -> FilterError {
        match self {
            Self::Loose(reason) => FilterError::new(whole, reason),
            Self::Placed(error) => error,
        }
    }
}

fn placed(whole: impl Display, reason: Reason) -> Fault {
    Fault::Placed(FilterError::new(whole, reason))
}
