//! The filter language: an OData-style condition that selects connections, compiled once and asked per connection.
//!
//! A filter's text takes this way: `lexer` → `parser` → `syntax` (the tree, which can be printed) → `typing`
//! (every type error, so that matching cannot fail) → `compile` → `eval`. `names` lists the properties and
//! functions, `text` counts characters as the service does. No I/O, no cache shared between
//! threads and no knowledge of hubs live here. The REST operations compile filters, and each node's hub asks them.
//! Rules: `filters.md` of the specification.

mod cache;
mod compile;
mod error;
mod eval;
mod lexer;
mod names;
mod parser;
mod syntax;
mod text;
mod typing;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use cache::FilterCache;
pub use error::{FilterError, Reason};

use eval::Node;

/// Longest text of a filter, in bytes.
pub const MAX_FILTER_LENGTH: usize = 64 * 1024;

/// A valid filter, ready to be asked about connections. Cloning copies a pointer.
#[derive(Clone)]
pub struct Filter(Arc<Compiled>);

/// What the clones of a filter share.
struct Compiled {
    text: Arc<str>,
    condition: Node,
}

/// The properties of one connection that a filter can see.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The connection's id.
    pub connection_id: &'a str,
    /// The user's id; `None` for an anonymous connection.
    pub user_id: Option<&'a str>,
    /// Wire name of the negotiated subprotocol; `None` for a simple WebSocket client.
    pub protocol: Option<&'a str>,
    /// In how many groups the connection is.
    pub group_count: usize,
    /// Whether the connection is in the group of that exact name.
    pub in_group: &'a dyn Fn(&str) -> bool,
}

impl Filter {
    /// Compiles the text as the caller wrote it. "No filter" (absent or empty) is the caller's case: an empty text
    /// is an error here, like one of only white space.
    ///
    /// # Errors
    /// The text is longer than [`MAX_FILTER_LENGTH`], nests more than 100 levels, or is no valid condition. The
    /// error's `Display` is the whole message for the caller.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.len() > MAX_FILTER_LENGTH {
            return Err(FilterError::new(text, Reason::TooLong));
        }
        Ok(Self(Arc::new(Compiled { text: Arc::from(text), condition: condition(text)? })))
    }

    /// Whether the filter selects this connection. Never fails, and allocates only where a function makes new text.
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        self.0.condition.holds(subject)
    }

    /// The text as it was given to [`parse`](Self::parse).
    pub fn text(&self) -> &str {
        &self.0.text
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.text()).finish()
    }
}

/// All steps from text to condition, whatever the text's length.
fn condition(text: &str) -> Result<Node, FilterError> {
    let tree = parser::parse(text).map_err(|reason| FilterError::new(text.trim(), reason))?;
    typing::check(&tree)?;
    compile::compile(tree)
}
