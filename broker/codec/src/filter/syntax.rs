//! The tree of a filter as it was written, and its normalised print.
//!
//! Chains of one precedence are kept flat, so that the depth of a tree is bounded by the nesting of the text and not
//! by its length: walking, printing and dropping a chain of ten thousand `or` needs no deep stack. No types and no
//! values of connections live here. The parser makes trees; typing and compile read them.

use std::fmt::{self, Display, Formatter};

/// An expression of any type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expr {
    Null,
    Bool(bool),
    Int(i32),
    Text(String),
    /// A property's name as written, known or not.
    Name(String),
    Call(Call),
    Not(Box<Expr>),
    Chain(Chain),
    Logic(Logic),
}

/// A function's name as written, known or not, and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) args: Vec<Expr>,
}

/// Comparisons of one level, evaluated from left to right: `first` is compared by the first link, its result by the
/// second, and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) first: Box<Expr>,
    pub(super) links: Vec<Link>,
}

/// The operator and right side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    Compare(Comparison, Expr),
    /// `in` with a list.
    InList(Vec<Expr>),
    /// `in` with a name as written.
    InName(String),
}

/// Operands joined by one word operator, evaluated from left to right. There are at least two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Logic {
    pub(super) junction: Junction,
    pub(super) operands: Vec<Expr>,
}

/// What joins the operands of a [`Logic`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Junction {
    And,
    Or,
}

/// A comparison of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

impl Comparison {
    /// The comparison of that exact word.
    pub(super) fn find(word: &str) -> Option<Self> {
        [Self::Eq, Self::Ne, Self::Gt, Self::Ge, Self::Lt, Self::Le].into_iter().find(|it| it.word() == word)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }
}

impl Junction {
    /// The word operator.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
        }
    }
}

impl Chain {
    /// The chain up to and including one of its links, to be printed.
    pub(super) fn upto(&self, link: usize) -> impl Display {
        let links = self.links.get(..=link).unwrap_or(&self.links);
        fmt::from_fn(move |f| {
            open(f, links.len())?;
            operand(f, &self.first)?;
            for (index, link) in links.iter().enumerate() {
                close(f, index)?;
                write!(f, " {link}")?;
            }
            Ok(())
        })
    }
}

impl Logic {
    /// The operands up to and including the one with that index, to be printed.
    pub(super) fn upto(&self, index: usize) -> impl Display {
        let operands = self.operands.get(..=index).unwrap_or(&self.operands);
        fmt::from_fn(move |f| {
            let Some((first, rest)) = operands.split_first() else {
                return Ok(());
            };
            open(f, rest.len())?;
            operand(f, first)?;
            for (index, expr) in rest.iter().enumerate() {
                close(f, index)?;
                write!(f, " {} ", self.junction.word())?;
                operand(f, expr)?;
            }
            Ok(())
        })
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Text(value) => text(f, value),
            Self::Name(name) => f.write_str(name),
            Self::Call(call) => write!(f, "{call}"),
            Self::Not(inner) => {
                f.write_str("not ")?;
                operand(f, inner)
            }
            Self::Chain(chain) => write!(f, "{}", chain.upto(chain.links.len())),
            Self::Logic(logic) => write!(f, "{}", logic.upto(logic.operands.len())),
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        list(f, &self.args)
    }
}

impl Display for Link {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare(comparison, right) => {
                write!(f, "{} ", comparison.word())?;
                operand(f, right)
            }
            Self::InList(items) => {
                f.write_str("in ")?;
                list(f, items)
            }
            Self::InName(name) => write!(f, "in {name}"),
        }
    }
}

/// The parentheses that open before a left-associative chain: one per operator but the last.
fn open(f: &mut Formatter<'_>, operators: usize) -> fmt::Result {
    (1..operators).try_for_each(|_| f.write_str("("))
}

/// The parenthesis that closes before an operator, if an operator came before it.
fn close(f: &mut Formatter<'_>, operator: usize) -> fmt::Result {
    if operator == 0 { Ok(()) } else { f.write_str(")") }
}

fn operand(f: &mut Formatter<'_>, expr: &Expr) -> fmt::Result {
    match expr {
        Expr::Not(_) | Expr::Chain(_) | Expr::Logic(_) => write!(f, "({expr})"),
        _ => write!(f, "{expr}"),
    }
}

fn list(f: &mut Formatter<'_>, items: &[Expr]) -> fmt::Result {
    f.write_str("(")?;
    for (index, item) in items.iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        write!(f, "{separator}{item}")?;
    }
    f.write_str(")")
}

fn text(f: &mut Formatter<'_>, value: &str) -> fmt::Result {
    f.write_str("'")?;
    for (index, part) in value.split('\'').enumerate() {
        let separator = if index == 0 { "" } else { "''" };
        write!(f, "{separator}{part}")?;
    }
    f.write_str("'")
}
