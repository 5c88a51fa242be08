//! Asks a compiled filter about one connection.
//!
//! Total: typing has refused everything that could fail, and where a type is wrong nevertheless the value is null and
//! the comparison false. Values borrow from the filter and the connection as long as no function makes new text.
//! Called by `Filter::matches`.

use super::Subject;
use super::names::{Function, Property};
use super::syntax::Comparison;
use super::text::Text;

/// A compiled expression.
#[derive(Debug)]
pub(super) enum Node {
    Constant(Value<'static>),
    Property(Property),
    Call(Function, Box<[Node]>),
    Not(Box<Node>),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    /// Comparisons from left to right, each of the result of the one before.
    Chain(Box<Node>, Box<[Step]>),
}

/// What is done with the value on the left.
#[derive(Debug)]
pub(super) enum Step {
    Compare(Comparison, Node),
    InList(List),
    InGroups,
}

/// The items of an `in`: the constants sorted, then the others.
#[derive(Debug)]
pub(super) struct List {
    pub(super) constants: Box<[Value<'static>]>,
    pub(super) others: Box<[Node]>,
}

/// What an expression is for one connection. Values of different types are unequal; their order among each other only
/// serves the search in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Text(Text<'a>),
    /// The group names of the connection, of which there is only one collection.
    Groups,
}

impl Node {
    /// Whether the condition is true for the connection.
    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        self.value(subject) == Value::Bool(true)
    }

    fn value<'v>(&'v self, subject: &Subject<'v>) -> Value<'v> {
        match self {
            Self::Constant(value) => value.borrowed(),
            Self::Property(property) => property.of(subject),
            Self::Call(function, args) => function.apply(args, subject),
            Self::Not(inner) => Value::Bool(!inner.holds(subject)),
            // Skipping the rest is safe only because typing has already looked at it.
            Self::And(operands) => Value::Bool(operands.iter().all(|operand| operand.holds(subject))),
            Self::Or(operands) => Value::Bool(operands.iter().any(|operand| operand.holds(subject))),
            Self::Chain(first, steps) => {
                let first = first.value(subject);
                steps.iter().fold(first, |left, step| Value::Bool(step.holds(&left, subject)))
            }
        }
    }
}

impl Step {
    fn holds(&self, left: &Value<'_>, subject: &Subject<'_>) -> bool {
        match self {
            Self::Compare(comparison, right) => comparison.holds(left, &right.value(subject)),
            Self::InList(list) => list.contains(left, subject),
            Self::InGroups => match left {
                Value::Text(text) => text.as_str().is_some_and(subject.in_group),
                _ => false,
            },
        }
    }
}

impl Comparison {
    fn holds(self, left: &Value<'_>, right: &Value<'_>) -> bool {
        match (self, left, right) {
            (Self::Eq, left, right) => left == right,
            (Self::Ne, left, right) => left != right,
            (Self::Gt, Value::Int(left), Value::Int(right)) => left > right,
            (Self::Ge, Value::Int(left), Value::Int(right)) => left >= right,
            (Self::Lt, Value::Int(left), Value::Int(right)) => left < right,
            (Self::Le, Value::Int(left), Value::Int(right)) => left <= right,
            // Only null is left for an order, and null is in no order.
            _ => false,
        }
    }
}

impl List {
    fn contains(&self, value: &Value<'_>, subject: &Subject<'_>) -> bool {
        self.constants.binary_search_by(|item| item.cmp(value)).is_ok()
            || self.others.iter().any(|item| item.value(subject) == *value)
    }
}

impl Property {
    fn of<'v>(self, subject: &Subject<'v>) -> Value<'v> {
        match self {
            Self::UserId => Value::text(subject.user_id),
            Self::ConnectionId => Value::text(Some(subject.connection_id)),
            Self::Groups => Value::Groups,
            Self::Protocol => Value::text(subject.protocol),
        }
    }
}

impl<'a> Value<'a> {
    fn text(value: Option<impl Into<Text<'a>>>) -> Self {
        value.map_or(Self::Null, |text| Self::Text(text.into()))
    }

    fn count(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }

    /// An integer that is not negative.
    fn as_count(&self) -> Option<usize> {
        match self {
            Self::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Text(text) => Value::Text(text.borrowed()),
            Self::Groups => Value::Groups,
        }
    }
}

impl Function {
    fn apply<'v>(self, args: &'v [Node], subject: &Subject<'v>) -> Value<'v> {
        let arg = |index: usize| args.get(index).map_or(Value::Null, |node| node.value(subject));
        match self {
            Self::Length => match arg(0) {
                Value::Text(text) => Value::count(text.length()),
                Value::Groups => Value::count(subject.group_count),
                _ => Value::Null,
            },
            Self::ToLower => map(arg(0), Text::into_lower),
            Self::ToUpper => map(arg(0), Text::into_upper),
            Self::Trim => map(arg(0), Text::trim),
            Self::Contains => test(&arg(0), &arg(1), Text::contains),
            Self::StartsWith => test(&arg(0), &arg(1), Text::starts_with),
            Self::EndsWith => test(&arg(0), &arg(1), Text::ends_with),
            Self::IndexOf => index_of(&arg(0), &arg(1)),
            Self::Substring if args.len() == 2 => substring(arg(0), &arg(1), None),
            Self::Substring => substring(arg(0), &arg(1), Some(&arg(2))),
            Self::Concat => concat(arg(0), arg(1)),
        }
    }
}

fn map<'v>(value: Value<'v>, change: fn(Text<'v>) -> Text<'v>) -> Value<'v> {
    match value {
        Value::Text(text) => Value::Text(change(text)),
        _ => Value::Null,
    }
}

fn test<'v>(text: &Value<'v>, part: &Value<'v>, found: fn(&Text<'v>, &Text<'v>) -> bool) -> Value<'v> {
    match (text, part) {
        (Value::Text(text), Value::Text(part)) => Value::Bool(found(text, part)),
        _ => Value::Bool(false),
    }
}

fn index_of(text: &Value<'_>, part: &Value<'_>) -> Value<'static> {
    match (text, part) {
        (Value::Text(text), Value::Text(part)) => text.index_of(part).map_or(Value::Int(-1), Value::count),
        _ => Value::Int(-1),
    }
}

/// The part of a text from `start` to the end or of a length; null where that is out of range.
fn substring<'v>(text: Value<'v>, start: &Value<'_>, length: Option<&Value<'_>>) -> Value<'v> {
    let (Value::Text(text), Some(start)) = (text, start.as_count()) else {
        return Value::Null;
    };
    let Some(rest) = text.length().checked_sub(start) else {
        return Value::Null;
    };
    let length = match length {
        None => Some(rest),
        Some(value) => value.as_count().filter(|length| *length <= rest),
    };
    length.map_or(Value::Null, |length| Value::Text(text.part(start..start + length)))
}

/// Both texts together; null adds nothing to a text.
fn concat<'v>(left: Value<'v>, right: Value<'v>) -> Value<'v> {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => Value::Text(left.followed_by(&right)),
        (Value::Text(text), _) | (_, Value::Text(text)) => Value::Text(text),
        _ => Value::Null,
    }
}
