//! Why a filter is refused, and the text its sender gets.
//!
//! Whoever parses or checks a filter makes these; the REST edge turns them into status 400. No status or header lives
//! here.

use std::fmt::{self, Display, Write};

use super::MAX_FILTER_LENGTH;
use super::parser::MAX_DEPTH;

/// Longest part of a filter that a message repeats, in characters.
const MAX_QUOTED: usize = 1024;

/// A refused filter. `Display` is the whole message of the answer with status 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid syntax for '{expression}': {reason} (Parameter 'filter')")]
pub struct FilterError {
    /// The smallest failing operator or call in normalised form; for an error of syntax, the text as written. Cut
    /// after 1,024 characters.
    pub expression: String,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// An operand, an argument or the whole filter has the wrong type.
    #[error("Type '{found}', expect '{expected}'.")]
    Type {
        /// The type that is there.
        found: &'static str,
        /// The type that must be there.
        expected: &'static str,
    },
    /// An unknown property, function or operator, or a literal of a kind that filters do not have.
    #[error("Token '{token}' is not supported.")]
    Unsupported {
        /// The word or call.
        token: String,
    },
    /// A function with the wrong number of arguments.
    #[error("Invalid token '{token}'.")]
    InvalidToken {
        /// The call.
        token: String,
    },
    /// A token stands where the grammar does not allow it.
    #[error("Unexpected {found} at character {position}; expected {expected}.")]
    Unexpected {
        /// The token.
        found: String,
        /// Where it starts, counted from 1.
        position: usize,
        /// What may stand there.
        expected: &'static str,
    },
    /// Text in double quotes.
    #[error("Double quotes are not supported; write text in single quotes.")]
    DoubleQuotes,
    /// Text whose closing quote is missing.
    #[error("The text that starts at character {position} has no closing quote.")]
    OpenText {
        /// Where the opening quote is, counted from 1.
        position: usize,
    },
    /// A text directly beside a word, a number or another text.
    #[error("A space is missing beside the quote at character {position}.")]
    MissingSpace {
        /// Where the quote is, counted from 1.
        position: usize,
    },
    /// Parentheses, calls and `not` are nested too deeply.
    #[error("More than {MAX_DEPTH} nested levels; simplify the filter.")]
    TooDeep,
    /// The text has more than [`MAX_FILTER_LENGTH`] bytes.
    #[error(
        "The filter is longer than {MAX_FILTER_LENGTH} bytes; shorten it or split it over several requests."
    )]
    TooLong,
}

impl FilterError {
    /// An error about an expression, whose printed form is cut to a bounded length.
    pub(super) fn new(expression: impl Display, reason: Reason) -> Self {
        Self { expression: quoted(expression), reason }
    }
}

impl Reason {
    /// The token is nothing that filters know.
    pub(super) fn unsupported(token: impl Display) -> Self {
        Self::Unsupported { token: quoted(token) }
    }

    /// The call has the wrong number of arguments.
    pub(super) fn invalid_token(token: impl Display) -> Self {
        Self::InvalidToken { token: quoted(token) }
    }
}

/// The printed form, cut after [`MAX_QUOTED`] characters.
pub(super) fn quoted(value: impl Display) -> String {
    let mut bounded = Bounded { text: String::new(), left: MAX_QUOTED };
    if write!(bounded, "{value}").is_err() {
        bounded.text.push_str("...");
    }
    bounded.text
}

/// A text that stops its writer when it is full, so that a long filter is not printed to the end only to be cut.
struct Bounded {
    text: String,
    left: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for char in part.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(char);
        }
        Ok(())
    }
}
