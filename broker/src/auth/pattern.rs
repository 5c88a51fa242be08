//! Patterns of group names in roles and in the settings of hubs: `*`, `**` and `?`.
//!
//! Only reading and matching; what a pattern grants is decided in `permission`. Source: `auth.md` 6.1.

/// Longest pattern as written, in characters.
const MAX_CHARS: usize = 1024;
/// Most unescaped stars of a pattern, each counted, and also most wildcards, where a run of stars is one.
const MAX_WILDCARDS: usize = 5;

/// Which groups a pattern stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// The one group of this name: nothing in the pattern was a wildcard.
    Name(String),
    /// Every group: the pattern was two to five stars.
    Everything,
    /// Those whose names match.
    Names(Pattern),
}

/// A pattern. Within [`Coverage::Names`] it has at least one wildcard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Box<[Piece]>);

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Empty, or more than 1,024 characters.
    #[error("a pattern has 1 to 1024 characters")]
    Length,
    /// More than five stars that are not escaped.
    #[error("a pattern has at most 5 '*', of which '**' is two")]
    Stars,
    /// More than five of `*`, `**` and `?`.
    #[error("a pattern has at most 5 wildcards")]
    Wildcards,
    /// A backslash before anything but `*`, `?` and a backslash.
    #[error("a backslash in a pattern stands before '*', '?' or another backslash")]
    Escape,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// This text.
    Literal(Box<str>),
    /// One character, not a dot.
    One,
    /// Any number of characters that are not dots.
    Segment,
    /// Any number of characters.
    Any,
}

impl Coverage {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it is empty or breaks a limit, or has a wrong escape.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() || text.chars().count() > MAX_CHARS {
            return Err(InvalidPattern::Length);
        }
        let mut reader = Reader::default();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '*' => reader.star(),
                '?' => reader.wildcard(Piece::One),
                '\\' => match rest.next() {
                    Some(escaped @ ('*' | '?' | '\\')) => reader.literal.push(escaped),
                    _ => return Err(InvalidPattern::Escape),
                },
                c => reader.literal.push(c),
            }
        }
        reader.finish()
    }
}

/// What has been read of a pattern.
#[derive(Default)]
struct Reader {
    pieces: Vec<Piece>,
    literal: String,
    stars: usize,
    wildcards: usize,
}

impl Reader {
    fn star(&mut self) {
        self.stars += 1;
        match self.pieces.last_mut() {
            Some(last @ (Piece::Segment | Piece::Any)) if self.literal.is_empty() => *last = Piece::Any,
            _ => self.wildcard(Piece::Segment),
        }
    }

    fn wildcard(&mut self, piece: Piece) {
        self.end_literal();
        self.wildcards += 1;
        self.pieces.push(piece);
    }

    fn end_literal(&mut self) {
        if !self.literal.is_empty() {
            self.pieces.push(Piece::Literal(std::mem::take(&mut self.literal).into()));
        }
    }

    fn finish(mut self) -> Result<Coverage, InvalidPattern> {
        if self.stars > MAX_WILDCARDS {
            return Err(InvalidPattern::Stars);
        }
        if self.wildcards > MAX_WILDCARDS {
            return Err(InvalidPattern::Wildcards);
        }
        if self.wildcards == 0 {
            return Ok(Coverage::Name(self.literal));
        }
        self.end_literal();
        match self.pieces.as_slice() {
            [Piece::Any] => Ok(Coverage::Everything),
            _ => Ok(Coverage::Names(Pattern(self.pieces.into()))),
        }
    }
}

impl Pattern {
    /// Reads a pattern that need not have a wildcard.
    ///
    /// # Errors
    /// When it is empty or breaks a limit, or has a wrong escape.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        Ok(match Coverage::parse(text)? {
            Coverage::Name(name) => Self(Box::new([Piece::Literal(name.into())])),
            Coverage::Everything => Self(Box::new([Piece::Any])),
            Coverage::Names(pattern) => pattern,
        })
    }

    /// A text that means the same.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => {
                    for c in literal.chars() {
                        if matches!(c, '*' | '?' | '\\') {
                            text.push('\\');
                        }
                        text.push(c);
                    }
                }
                Piece::One => text.push('?'),
                Piece::Segment => text.push('*'),
                Piece::Any => text.push_str("**"),
            }
        }
        text
    }

    /// Says whether the whole name matches, case included.
    ///
    /// Piece by piece it keeps every position of the name that the pieces so far can reach, each once and in
    /// ascending order; so the work grows with the name and with the pattern, and never with the ways to match.
    pub fn matches(&self, name: &str) -> bool {
        let mut reached = vec![0];
        for piece in &self.0 {
            reached = piece.advance(name, &reached);
            if reached.is_empty() {
                return false;
            }
        }
        reached.last() == Some(&name.len())
    }
}

impl Piece {
    /// Positions after this piece, when it starts at one of `from`: ascending byte offsets at character borders.
    fn advance(&self, name: &str, from: &[usize]) -> Vec<usize> {
        let tails = from.iter().filter_map(|&start| Some((start, name.get(start..)?)));
        match self {
            Self::Literal(text) => tails
                .filter(|(_, tail)| tail.starts_with(&**text))
                .map(|(start, _)| start + text.len())
                .collect(),
            Self::One => tails
                .filter_map(|(start, tail)| {
                    let c = tail.chars().next().filter(|&c| c != '.')?;
                    Some(start + c.len_utf8())
                })
                .collect(),
            Self::Segment => spread(name, from, |c| c != '.'),
            Self::Any => spread(name, from, |_| true),
        }
    }
}

/// Every position that can be reached from one of `from` over characters that `passes` lets through.
fn spread(name: &str, from: &[usize], passes: impl Fn(char) -> bool) -> Vec<usize> {
    let mut reached: Vec<usize> = Vec::new();
    for &start in from {
        if reached.last().is_some_and(|&last| start <= last) {
            // An earlier start came as far as this one, and therefore on.
            continue;
        }
        reached.push(start);
        for (offset, c) in name.get(start..).unwrap_or_default().char_indices() {
            if !passes(c) {
                break;
            }
            reached.push(start + offset + c.len_utf8());
        }
    }
    reached
}

#[cfg(test)]
mod tests;
