//! Builds the tree of a filter from its tokens.
//!
//! One function per rule of the grammar, called in the order of precedence. Operators of one level are read in a loop;
//! only parentheses, calls, lists and `not` go deeper, and that depth is bounded. Types are not looked at. Called by
//! `Filter::parse`.

use super::error::Reason;
use super::lexer::{Lexer, Token};
use super::syntax::{Call, Chain, Comparison, Expr, Junction, Link, Logic};

/// Deepest nesting of parentheses, calls, lists and `not`.
pub(super) const MAX_DEPTH: usize = 100;

/// Words that are never names.
const RESERVED: [&str; 13] =
    ["and", "or", "not", "eq", "ne", "gt", "ge", "lt", "le", "in", "true", "false", "null"];

/// What a message says is missing where an operand must stand.
const OPERAND: &str = "a property, a function or a value";

/// The tree of the whole text.
///
/// # Errors
/// The text is no expression of the grammar, or is nested too deeply.
pub(super) fn parse(text: &str) -> Result<Expr, Reason> {
    let mut lexer = Lexer::new(text);
    let current = lexer.next()?;
    let mut parser = Parser { lexer, current, depth: 0 };
    let expr = parser.expr()?;
    match parser.current {
        Token::End => Ok(expr),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    /// The token to be looked at next; the lexer stands right after it.
    current: Token<'t>,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn expr(&mut self) -> Result<Expr, Reason> {
        self.logic(Junction::Or)
    }

    /// Operands joined by one word operator; one operand alone stays what it is.
    fn logic(&mut self, junction: Junction) -> Result<Expr, Reason> {
        let first = self.logic_operand(junction)?;
        if !self.at_word(junction.word()) {
            return Ok(first);
        }
        let mut operands = vec![first];
        while self.at_word(junction.word()) {
            self.advance()?;
            operands.push(self.logic_operand(junction)?);
        }
        Ok(Expr::Logic(Logic { junction, operands }))
    }

    fn logic_operand(&mut self, junction: Junction) -> Result<Expr, Reason> {
        match junction {
            Junction::Or => self.logic(Junction::And),
            Junction::And => self.chain(),
        }
    }

    fn chain(&mut self) -> Result<Expr, Reason> {
        let first = self.unary()?;
        let mut links = Vec::new();
        while let Some(link) = self.link()? {
            links.push(link);
        }
        if links.is_empty() {
            return Ok(first);
        }
        Ok(Expr::Chain(Chain { first: Box::new(first), links }))
    }

    fn link(&mut self) -> Result<Option<Link>, Reason> {
        let Token::Word(word) = self.current else {
            return Ok(None);
        };
        if word == "in" {
            self.advance()?;
            return self.in_right().map(Some);
        }
        let Some(comparison) = Comparison::find(word) else {
            return Ok(None);
        };
        self.advance()?;
        Ok(Some(Link::Compare(comparison, self.unary()?)))
    }

    fn in_right(&mut self) -> Result<Link, Reason> {
        match self.current {
            Token::Open => Ok(Link::InList(self.list()?)),
            Token::Word(word) if !RESERVED.contains(&word) && !self.lexer.touches_open() => {
                self.advance()?;
                Ok(Link::InName(word.to_owned()))
            }
            _ => Err(self.unexpected("a list in parentheses or a collection")),
        }
    }

    fn unary(&mut self) -> Result<Expr, Reason> {
        if !self.at_word("not") {
            return self.primary();
        }
        self.advance()?;
        self.nested(|parser| Ok(Expr::Not(Box::new(parser.unary()?))))
    }

    fn primary(&mut self) -> Result<Expr, Reason> {
        let expr = match &mut self.current {
            Token::Open => return self.group(),
            Token::Word(word) => {
                let word = *word;
                return self.word(word);
            }
            Token::Text(text) => Expr::Text(std::mem::take(text).into_owned()),
            Token::Int(int) => Expr::Int(*int),
            Token::Close | Token::Comma | Token::End => return Err(self.unexpected(OPERAND)),
        };
        self.advance()?;
        Ok(expr)
    }

    fn group(&mut self) -> Result<Expr, Reason> {
        self.advance()?;
        let expr = self.nested(Self::expr)?;
        self.close()?;
        Ok(expr)
    }

    fn word(&mut self, word: &str) -> Result<Expr, Reason> {
        let expr = match word {
            "true" => Expr::Bool(true),
            "false" => Expr::Bool(false),
            "null" => Expr::Null,
            _ if RESERVED.contains(&word) => return Err(self.unexpected(OPERAND)),
            _ if self.lexer.touches_open() => return self.call(word),
            _ => Expr::Name(word.to_owned()),
        };
        self.advance()?;
        Ok(expr)
    }

    fn call(&mut self, name: &str) -> Result<Expr, Reason> {
        self.advance()?;
        Ok(Expr::Call(Call { name: name.to_owned(), args: self.list()? }))
    }

    /// Expressions between parentheses and commas; none is allowed here, so that the message can name the call.
    fn list(&mut self) -> Result<Vec<Expr>, Reason> {
        self.advance()?;
        let mut items = Vec::new();
        if self.current == Token::Close {
            self.advance()?;
            return Ok(items);
        }
        items.push(self.nested(Self::expr)?);
        while self.current == Token::Comma {
            self.advance()?;
            items.push(self.nested(Self::expr)?);
        }
        self.close()?;
        Ok(items)
    }

    fn close(&mut self) -> Result<(), Reason> {
        match self.current {
            Token::Close => self.advance(),
            _ => Err(self.unexpected("an operator, ',' or ')'")),
        }
    }

    fn nested<T>(&mut self, rule: impl FnOnce(&mut Self) -> Result<T, Reason>) -> Result<T, Reason> {
        if self.depth == MAX_DEPTH {
            return Err(Reason::TooDeep);
        }
        self.depth += 1;
        let result = rule(self)?;
        self.depth -= 1;
        Ok(result)
    }

    fn advance(&mut self) -> Result<(), Reason> {
        self.current = self.lexer.next()?;
        Ok(())
    }

    fn at_word(&self, word: &str) -> bool {
        matches!(self.current, Token::Word(current) if current == word)
    }

    /// The current token may not stand here. An unknown word where an operator should be is reported as one.
    fn unexpected(&self, expected: &'static str) -> Reason {
        match self.current {
            Token::Word(word) if !RESERVED.contains(&word) => Reason::unsupported(word),
            _ => Reason::Unexpected {
                found: self.current.describe(),
                position: self.lexer.position(),
                expected,
            },
        }
    }
}
