//! Turns the checked tree of a filter into the form that is asked per connection.
//!
//! Names become properties and functions, and the constants of a list are sorted so that a list of thousands costs a
//! binary search. No type is checked here. Called by `Filter::parse` after typing.

use super::error::FilterError;
use super::eval::{List, Node, Step, Value};
use super::names::{Function, Property};
use super::syntax::{Call, Chain, Expr, Junction, Link, Logic};
use super::text::Text;

/// The node of an expression.
///
/// # Errors
/// A name is unknown. Typing has refused such a tree before.
pub(super) fn compile(expr: Expr) -> Result<Node, FilterError> {
    match expr {
        Expr::Not(inner) => compile(*inner).map(|node| Node::Not(Box::new(node))),
        Expr::Chain(chain) => self::chain(chain),
        Expr::Logic(logic) => self::logic(logic),
        Expr::Call(call) => self::call(call),
        Expr::Name(name) => property(&name).map(Node::Property),
        Expr::Null => Ok(Node::Constant(Value::Null)),
        Expr::Bool(value) => Ok(Node::Constant(Value::Bool(value))),
        Expr::Int(value) => Ok(Node::Constant(Value::Int(i64::from(value)))),
        Expr::Text(value) => Ok(Node::Constant(Value::Text(Text::from(value)))),
    }
}

fn property(name: &str) -> Result<Property, FilterError> {
    Property::find(name).map_err(|reason| FilterError::new(name, reason))
}

fn call(call: Call) -> Result<Node, FilterError> {
    let function = Function::find(&call).map_err(|reason| FilterError::new(&call, reason))?;
    nodes(call.args).map(|args| Node::Call(function, args))
}

fn logic(logic: Logic) -> Result<Node, FilterError> {
    let operands = nodes(logic.operands)?;
    Ok(match logic.junction {
        Junction::And => Node::And(operands),
        Junction::Or => Node::Or(operands),
    })
}

// These are loops, because collecting would put a dozen frames of iterators on the stack at each level.

fn nodes(exprs: Vec<Expr>) -> Result<Box<[Node]>, FilterError> {
    let mut nodes = Vec::with_capacity(exprs.len());
    for expr in exprs {
        nodes.push(compile(expr)?);
    }
    Ok(nodes.into())
}

fn chain(chain: Chain) -> Result<Node, FilterError> {
    let first = compile(*chain.first)?;
    let mut steps = Vec::with_capacity(chain.links.len());
    for link in chain.links {
        steps.push(step(link)?);
    }
    Ok(Node::Chain(Box::new(first), steps.into()))
}

fn step(link: Link) -> Result<Step, FilterError> {
    match link {
        Link::Compare(comparison, right) => compile(right).map(|right| Step::Compare(comparison, right)),
        Link::InList(items) => list(items).map(Step::InList),
        Link::InName(name) => property(&name).map(|_| Step::InGroups),
    }
}

fn list(items: Vec<Expr>) -> Result<List, FilterError> {
    let (mut constants, mut others) = (Vec::new(), Vec::new());
    for item in items {
        match compile(item)? {
            Node::Constant(value) => constants.push(value),
            node => others.push(node),
        }
    }
    constants.sort_unstable();
    constants.dedup();
    Ok(List { constants: constants.into(), others: others.into() })
}
