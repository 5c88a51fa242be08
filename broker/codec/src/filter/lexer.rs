//! Cuts the text of a filter into tokens.
//!
//! Knows which characters make a word, a number or a text, and which token must be set apart by a space. What the
//! words mean is the parser's business, its only caller.

use std::borrow::Cow;

use super::error::{Reason, quoted};

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// A name, a keyword or a word operator, as written.
    Word(&'t str),
    /// A text literal, without its quotes and with `''` read as one quote.
    Text(Cow<'t, str>),
    /// An integer literal.
    Int(i32),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// The end of the filter.
    End,
}

impl Token<'_> {
    /// The token as messages name it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Word(word) => quoted(format_args!("'{word}'")),
            Self::Text(text) => quoted(format_args!("text '{text}'")),
            Self::Int(int) => format!("'{int}'"),
            Self::Open => "'('".to_owned(),
            Self::Close => "')'".to_owned(),
            Self::Comma => "','".to_owned(),
            Self::End => "end".to_owned(),
        }
    }
}

/// A position in the text of a filter.
pub(super) struct Lexer<'t> {
    text: &'t str,
    /// Offset of the first byte that is not yet read.
    at: usize,
    /// Offset of the first byte of the token that was read last.
    start: usize,
}

impl<'t> Lexer<'t> {
    /// At the start of the text.
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0, start: 0 }
    }

    /// Number of the character at which the last token starts, counted from 1.
    pub(super) fn position(&self) -> usize {
        self.character(self.start)
    }

    /// Whether the character after the last token is `(`, so that a name is the name of a call.
    pub(super) fn touches_open(&self) -> bool {
        self.rest().starts_with('(')
    }

    /// Reads one token and the white space before it.
    pub(super) fn next(&mut self) -> Result<Token<'t>, Reason> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        self.start = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok(Token::End);
        };
        match first {
            '(' => Ok(self.punctuation(Token::Open)),
            ')' => Ok(self.punctuation(Token::Close)),
            ',' => Ok(self.punctuation(Token::Comma)),
            '\'' => self.quoted_text(),
            '"' => Err(Reason::DoubleQuotes),
            '+' | '-' | '0'..='9' => self.int(),
            _ => self.word(),
        }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn character(&self, offset: usize) -> usize {
        self.text.get(..offset).unwrap_or_default().chars().count() + 1
    }

    fn punctuation(&mut self, token: Token<'t>) -> Token<'t> {
        self.at += 1;
        token
    }

    fn quoted_text(&mut self) -> Result<Token<'t>, Reason> {
        let inner = self.text.get(self.start + 1..).unwrap_or_default();
        let Some(length) = closing_quote(inner) else {
            return Err(Reason::OpenText { position: self.position() });
        };
        let content = inner.get(..length).unwrap_or_default();
        self.at = self.start + length + 2;
        if !self.rest().chars().next().is_none_or(is_delimiter) {
            return Err(Reason::MissingSpace { position: self.character(self.at - 1) });
        }
        if content.contains('\'') {
            return Ok(Token::Text(Cow::Owned(content.replace("''", "'"))));
        }
        Ok(Token::Text(Cow::Borrowed(content)))
    }

    fn int(&mut self) -> Result<Token<'t>, Reason> {
        let run = self.run()?;
        run.parse().map(Token::Int).map_err(|_| Reason::unsupported(run))
    }

    fn word(&mut self) -> Result<Token<'t>, Reason> {
        let run = self.run()?;
        if run.chars().all(|char| char.is_alphanumeric() || char == '_') {
            return Ok(Token::Word(run));
        }
        Err(Reason::unsupported(run))
    }

    /// Everything up to the next delimiter. Reading the whole run makes the message name all of `1.5` or
    /// `groups/any` instead of a part of it.
    fn run(&mut self) -> Result<&'t str, Reason> {
        let rest = self.rest();
        let length = rest.find(is_delimiter).unwrap_or(rest.len());
        let run = rest.get(..length).unwrap_or_default();
        if let Some(quote) = run.find('\'') {
            return Err(Reason::MissingSpace { position: self.character(self.at + quote) });
        }
        self.at += length;
        Ok(run)
    }
}

/// Whether a word, number or text may end before this character.
fn is_delimiter(char: char) -> bool {
    char.is_whitespace() || matches!(char, '(' | ')' | ',')
}

/// Offset of the first quote that is not doubled.
fn closing_quote(inner: &str) -> Option<usize> {
    let mut quotes = inner.match_indices('\'').map(|(offset, _)| offset).peekable();
    while let Some(offset) = quotes.next() {
        if quotes.next_if_eq(&(offset + 1)).is_none() {
            return Some(offset);
        }
    }
    None
}
